"""Folders that transformers loads by itself: what they hold, what they need, and the loading.

As everywhere here nothing is fetched, and no code in a folder is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from core.report import ModelVersion
from model.adapters import ADAPTER_CONFIG
from model.checkpoint import device_of
from model.fingerprint import DigestCache, version_of
from model.layouts import known_architectures, read_config
from model.number_formats import number_format

_TORCHVISION = "torchvision"
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, kw_only=True)
class AutoModelInfo:
    """What a folder says of itself.

    Attributes:
        architecture: The class that it names.
        processor: The class that makes its inputs.
        context_tokens: Longest row of tokens.
        has_images: It sees pictures.
    """

    architecture: str
    processor: str
    context_tokens: int
    has_images: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedAuto:
    """A model in memory.

    Attributes:
        processor: Of a model with eyes its processor, else its tokenizer.
        end_ids: Tokens that end an answer.
    """

    info: AutoModelInfo
    model: Any
    processor: Any
    tokenizer: Any
    end_ids: tuple[int, ...]
    version: ModelVersion


def is_for_auto(folder: Path) -> bool:
    """Say whether a folder is none of ours but may be one of transformers' own."""
    if not (folder / "config.json").is_file() or (folder / ADAPTER_CONFIG).is_file():
        return False
    named = read_config(folder).get("architectures")
    return isinstance(named, list) and not set(named) & set(known_architectures())


def inspect_auto(folder: Path, *, with_images: bool = True) -> AutoModelInfo:
    """Check a folder from its small files.

    Raises:
        CheckpointError: transformers does not know it, or something that it needs is missing; a
            processor that works with torchvision alone is told by that word.
    """
    return _open(folder, with_images=with_images)[0]


def load_auto(
    folder: Path, device: str, *, with_images: bool = True, cache_file: Path | None = None
) -> LoadedAuto:
    """Load a folder.

    Raises:
        CheckpointError: It cannot be loaded.
    """
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        GenerationConfig,
    )

    info, processor, config = _open(folder, with_images=with_images)
    kind: Any = AutoModelForImageTextToText if with_images else AutoModelForCausalLM
    place = device_of(device)
    try:
        model, report = kind.from_pretrained(
            folder,
            config=config,
            dtype=number_format(place),
            output_loading_info=True,
            use_safetensors=True,
            **_LOCAL,
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise CheckpointError(f"{folder} cannot be loaded: {_first_line(error)}") from None
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{folder}: {len(missing)} tensors are missing: {', '.join(missing[:5])}."
        )
    # Its own would fill up whatever a request leaves open: beams, penalties, sampling.
    model.generation_config = GenerationConfig()
    tokenizer = getattr(processor, "tokenizer", processor)
    return LoadedAuto(
        info=info,
        model=model.to(place).eval(),
        processor=processor,
        tokenizer=tokenizer,
        end_ids=_end_ids(folder, tokenizer),
        version=version_of(folder, [DigestCache(cache_file).digest(folder)]),
    )


def _open(folder: Path, *, with_images: bool) -> tuple[AutoModelInfo, Any, Any]:
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    named = read_config(folder).get("architectures") or ["none"]
    known: Any = (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        if with_images
        else MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )
    try:
        config: Any = AutoConfig.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder}/config.json: {_first_line(error)}") from None
    if config.model_type not in known:
        what = "answers questions about pictures" if with_images else "writes text"
        raise CheckpointError(
            f"{folder} holds {', '.join(map(str, named))}; transformers has no model of the type "
            f"{config.model_type} that {what}. A server may run it: see remote.url."
        )
    opener: Any = AutoProcessor if with_images else AutoTokenizer
    try:
        processor = opener.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(_processor_fault(folder, error)) from None
    if not getattr(processor, "chat_template", None):
        raise CheckpointError(f"{folder} has no chat template: how to ask it is not known.")
    text = config.get_text_config()
    tokenizer = getattr(processor, "tokenizer", processor)
    return (
        AutoModelInfo(
            architecture=str(named[0]),
            processor=type(processor).__name__,
            context_tokens=int(min(text.max_position_embeddings, tokenizer.model_max_length)),
            has_images=with_images,
        ),
        processor,
        config,
    )


def _processor_fault(folder: Path, error: Exception) -> str:
    if _TORCHVISION in str(error).lower():
        return (
            f"The processor in {folder} works with torchvision only, which is not installed: "
            "install the torchvision that belongs to the installed torch, or use another model."
        )
    return f"The processor in {folder} cannot be read: {_first_line(error)}"


def _end_ids(folder: Path, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer, as generation_config.json and the tokenizer say it.

    Raises:
        CheckpointError: There is none.
    """
    from transformers import GenerationConfig

    found: list[int] = []
    if (folder / "generation_config.json").is_file():
        own = GenerationConfig.from_pretrained(folder).eos_token_id
        found += own if isinstance(own, Sequence) else [own]
    ends = dict.fromkeys([*found, tokenizer.eos_token_id])
    ends.pop(None, None)
    if not ends:
        raise CheckpointError(f"{folder} names no token that ends an answer.")
    return tuple(ends)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
