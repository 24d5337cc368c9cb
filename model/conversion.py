"""Any layout becomes transformers' LLaVA layout, so that a site converts once.

The folder is written beside its final place and moved there when it is whole: nobody ever finds
half a checkpoint under its name.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from model.checkpoint import open_plan
from model.fingerprint import read_name, read_version
from model.layouts import ARCHITECTURE, CARD_NAME
from model.plan import Plan
from model.prompts import IMAGE
from model.tokenizer import conversation_of
from model.vision import CLIP_MEAN, CLIP_STD
from model.weights import INDEX_SUFFIX, SAFETENSORS, is_finite

# Small enough for any file system and for a tensor library to map, few enough to list.
SHARD_BYTES = 4_000_000_000
# Tokenizer and configuration, and what a file system takes for itself.
_SPARE_BYTES = 100_000_000
_SPARE_SHARE = 1.02


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was written.

    Attributes:
        revision: Of the new folder; drafts made with it carry this one.
        source_revision: Of the folder that it was made from.
    """

    name: str
    revision: str
    source_revision: str
    weight_bytes: int
    file_count: int


def convert_checkpoint(
    source: Path,
    target: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    on_step: Callable[[str], None] = lambda _words: None,
) -> Conversion:
    """Write a checkpoint of any layout as `LlavaForConditionalGeneration`.

    Number formats stay as they are. Of an adapter's folder the merged model is written.

    Args:
        source: The folder to read.
        target: The folder to write; it must not be there.
        shard_bytes: Longest file of weights.
        on_step: Called with what comes next, in words.

    Raises:
        CheckpointError: The source cannot be loaded, the target is there already, or its disk has
            no room.
    """
    if target.exists() or target.is_symlink():
        raise CheckpointError(f"{target} is there already: nothing was written.")
    on_step(f"reading {source}")
    plan, tokenizer = open_plan(source)
    _check_room(plan, target)
    source_revision = read_version(source).revision
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        part.chmod(0o755)
        weight_bytes, file_count = _write_weights(plan, part, shard_bytes, on_step)
        _write_small_files(plan, tokenizer, part)
        name, is_demonstration = read_name(source)
        card = {
            "name": name,
            "is_demonstration": is_demonstration,
            "converted_from": {
                "layout": plan.blueprint.layout.value,
                "revision": source_revision,
            },
        }
        _write_json(part / CARD_NAME, card)
        part.rename(target)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    on_step("digest")
    return Conversion(
        name=name,
        revision=read_version(target).revision,
        source_revision=source_revision,
        weight_bytes=weight_bytes,
        file_count=file_count,
    )


def _sizes(plan: Plan) -> dict[str, int]:
    """Return the bytes of each weight as it will be written, in the order of reading."""
    return {
        name: plan.row_count(name)
        * math.prod(plan.entries[name].shape[1:])
        * (plan.entries[name].dtype or torch.float64).itemsize
        for name in plan.in_reading_order()
    }


def _check_room(plan: Plan, target: Path) -> None:
    if not target.parent.is_dir():
        raise CheckpointError(f"There is no folder {target.parent} to write {target.name} in.")
    needed = int(sum(_sizes(plan).values()) * _SPARE_SHARE) + _SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise CheckpointError(
            f"{target.parent} has {free // 10**6} MB free; the converted checkpoint takes "
            f"{needed // 10**6} MB."
        )


def _shards(sizes: Mapping[str, int], shard_bytes: int) -> list[list[str]]:
    """Return which weights go into which file, in the order in which they are read."""
    shards: list[list[str]] = [[]]
    room = shard_bytes
    for name, size in sizes.items():
        if size > room and shards[-1]:
            shards.append([])
            room = shard_bytes
        shards[-1].append(name)
        room -= size
    return shards


def _write_weights(
    plan: Plan, folder: Path, shard_bytes: int, on_step: Callable[[str], None]
) -> tuple[int, int]:
    """Write the weights, one file of them in memory at a time; return their bytes and files."""
    from safetensors.torch import save_file

    sizes = _sizes(plan)
    shards = _shards(sizes, shard_bytes)
    weight_map: dict[str, str] = {}
    tensors = plan.tensors()
    for number, names in enumerate(shards, start=1):
        file = SAFETENSORS
        if len(shards) > 1:
            file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        on_step(f"writing {file} ({number} of {len(shards)})")
        held: dict[str, torch.Tensor] = {}
        # Weights come in the order in which they were planned.
        for name, tensor in islice(tensors, len(names)):
            if not is_finite(tensor):
                raise CheckpointError(
                    f"{plan.entries[name].file}: {plan.entries[name].key} holds NaN or infinite "
                    "numbers; nothing was written."
                )
            held[name] = tensor.contiguous()
        save_file(held, folder / file, metadata={"format": "pt"})
        # The library writes for its owner alone; the worker may run as somebody else.
        (folder / file).chmod(0o644)
        weight_map |= dict.fromkeys(names, file)
    total = sum(sizes.values())
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        _write_json(folder / f"{SAFETENSORS}{INDEX_SUFFIX}", index)
    return total, len(shards)


def _write_small_files(plan: Plan, tokenizer: Any, folder: Path) -> None:
    """Write configuration, tokenizer and what other programs read to prepare pictures."""
    conversation = conversation_of(plan.blueprint, tokenizer)
    ends = conversation.end_ids(tokenizer)[:1]
    config = json.loads(plan.config.to_json_string())
    _write_json(folder / "config.json", {**config, "architectures": [ARCHITECTURE]})
    _write_json(
        folder / "generation_config.json",
        {"do_sample": False, "eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id},
    )
    tokenizer.chat_template = conversation.chat_template
    tokenizer.save_pretrained(folder)
    edge = plan.config.vision_config.image_size
    pictures = {
        "image_processor_type": "LlavaImageProcessor",
        # Padding first: a plain CLIP processor would cut the edges of the lungs off.
        "do_pad": True,
        "do_resize": True,
        "size": {"shortest_edge": edge},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": edge, "width": edge},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "do_convert_rgb": True,
    }
    _write_json(folder / "preprocessor_config.json", pictures)
    _write_json(
        folder / "processor_config.json",
        {
            "processor_class": "LlavaProcessor",
            "image_token": IMAGE,
            "patch_size": plan.config.vision_config.patch_size,
            "vision_feature_select_strategy": plan.config.vision_feature_select_strategy,
            # CLIP's class token, which the strategy "default" takes away again.
            "num_additional_image_tokens": 1,
        },
    )


def _write_json(file: Path, content: Any) -> None:
    file.write_text(
        json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8"
    )
