"""A checkpoint folder of any layout that we know becomes one loaded model.

Nothing is fetched from a network and no code in the folder is run. A folder that is not whole is
refused with a sentence that names what is wrong, before its weights are read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from core.report import ModelVersion
from model.conversation_formats import ConversationFormat
from model.fingerprint import read_name, read_version
from model.layouts import CARD_NAME, Layout, read_blueprint
from model.number_formats import AUTO, check_weights, number_format, quantize
from model.plan import Plan, empty_model, make_plan
from model.tokenizer import check_image_token, context_tokens, conversation_of, load_tokenizer
from model.vision import ImageGeometry
from model.weights import is_finite

__all__ = [
    "CARD_NAME",
    "CheckpointInfo",
    "LoadedModel",
    "build_model",
    "inspect_checkpoint",
    "load_checkpoint",
    "read_version",
]


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a folder says of itself, without its weights being read.

    Attributes:
        architecture: The class that the folder names.
        conversation: Name of the conversation that it is asked in.
        geometry: How the vision tower cuts a picture.
        context_tokens: Longest row of tokens that the model was made for.
        weight_bytes: Size of the weight files.
        files: The weight files, with the base's and the tower's.
        parameter_count: Numbers in the weights, those of an adapter not counted.
        number_formats: How many of them are kept in which format.
        vision_tower: The tower's name, or where its configuration comes from.
        vocabulary: Tokens that the model has room for once it is loaded.
        dropped: Tensors that are known and not needed.
    """

    name: str
    is_demonstration: bool
    layout: Layout
    architecture: str
    conversation: str
    geometry: ImageGeometry
    context_tokens: int
    weight_bytes: int
    files: tuple[Path, ...]
    parameter_count: int
    number_formats: dict[str, int]
    vision_tower: str
    vocabulary: int
    adapter: str
    base: Path | None
    dropped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model in memory, ready for the engine.

    Attributes:
        model: A `LlavaForConditionalGeneration` in evaluation mode.
        tokenizer: Its tokenizer, which knows the conversation's special tokens and ``<image>``.
        conversation: How it is asked.
        context_tokens: Prompt and answer together may not be longer.
    """

    model: Any
    tokenizer: Any
    conversation: ConversationFormat
    geometry: ImageGeometry
    version: ModelVersion
    device: torch.device
    context_tokens: int


def inspect_checkpoint(path: Path) -> CheckpointInfo:
    """Check a folder from its headers: seconds for any size, and no memory to speak of.

    Raises:
        CheckpointError: Something that a load would need is missing or wrong.
    """
    plan, tokenizer = open_plan(path)
    blueprint = plan.blueprint
    name, is_demonstration = read_name(path)
    formats: Counter[str] = Counter()
    for entry in plan.entries.values():
        formats[str(entry.dtype).removeprefix("torch.")] += entry.count
    adapter = blueprint.adapter
    return CheckpointInfo(
        name=name,
        is_demonstration=is_demonstration,
        layout=blueprint.layout,
        architecture=blueprint.architecture,
        conversation=conversation_of(blueprint, tokenizer).name,
        geometry=_geometry(plan.config),
        context_tokens=context_tokens(blueprint, tokenizer),
        weight_bytes=sum(file.stat().st_size for file in plan.files),
        files=plan.files,
        parameter_count=plan.parameter_count,
        number_formats=dict(formats),
        vision_tower=blueprint.tower_name or "in config.json",
        vocabulary=plan.config.text_config.vocab_size,
        adapter=f"LoRA, rank {adapter.rank}, alpha {adapter.alpha:g}" if adapter else "",
        base=blueprint.base,
        dropped=tuple(entry.key for entry in plan.dropped),
    )


def open_plan(path: Path) -> tuple[Plan, Any]:
    """Return how a folder becomes a model, and its tokenizer.

    Raises:
        CheckpointError: Something that a load would need is missing or wrong.
    """
    blueprint = read_blueprint(path)
    read_name(path)
    tokenizer = load_tokenizer(blueprint)
    check_image_token(blueprint, tokenizer)
    return make_plan(blueprint, tokenizer), tokenizer


def load_checkpoint(
    path: Path,
    device: str = "auto",
    *,
    weights: str = AUTO,
    cache_file: Path | None = None,
) -> LoadedModel:
    """Load a folder.

    Args:
        path: The folder.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``. On CUDA the
            weights are bfloat16 (float16 where the card has none), on the CPU float32.
        weights: Another number format than that; see `model.number_formats`.
        cache_file: Where the digests of folders are kept; see `model.fingerprint`.

    Raises:
        CheckpointError: The folder is not whole, is of another architecture, has weights that are
            no numbers, or the device is not there.
        torch.OutOfMemoryError: The device's memory does not hold it.
    """
    check_weights(weights)
    plan, tokenizer = open_plan(path)
    place = device_of(device)
    model = build_model(plan, place, number_format(place, weights))
    quantize(model, weights)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        conversation=conversation_of(plan.blueprint, tokenizer),
        geometry=_geometry(plan.config),
        version=read_version(path, cache_file),
        device=place,
        context_tokens=context_tokens(plan.blueprint, tokenizer),
    )


def build_model(plan: Plan, device: torch.device, dtype: torch.dtype) -> Any:
    """Return the model with its weights, in evaluation mode.

    The weights go to the device one by one: the computer's memory holds one of them at a time.

    Raises:
        CheckpointError: A file cannot be read, or a weight is NaN or infinite.
    """
    from transformers import GenerationConfig

    model = empty_model(plan.config)
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in plan.tensors():
        # A copy: a weight that still lay in its file's map would change with the file.
        weight = tensor.to(device=device, dtype=dtype, copy=True).contiguous()
        if not is_finite(weight):
            raise CheckpointError(
                f"{plan.entries[name].file}: {plan.entries[name].key} holds NaN or infinite "
                f"numbers (as {str(dtype).removeprefix('torch.')})."
            )
        weights[plan.targets[name]] = weight
    # Not strict: a head that is tied to the embedding has no weight of its own.
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    model.requires_grad_(requires_grad=False)
    model.config.dtype = dtype
    # The checkpoint's own file asks for sampling at 0.6: a draft must not depend on chance.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


def _geometry(config: Any) -> ImageGeometry:
    return ImageGeometry(
        size=config.vision_config.image_size,
        patch_size=config.vision_config.patch_size,
        has_class_token=config.vision_feature_select_strategy == "full",
    )


def device_of(device: str) -> torch.device:
    """Return a device by its name, CUDA for `auto` where there is one.

    Raises:
        CheckpointError: There is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise CheckpointError(f"There is no kind of device called {device}.") from None
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise CheckpointError(f"The device {device} was asked for, and this machine has none.")
    return place
