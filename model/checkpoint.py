"""A checkpoint folder in transformers' LLaVA layout becomes one loaded model.

Nothing is fetched from a network and no code in the folder is run. A folder that is not whole is
refused with a sentence that names what is wrong: transformers alone would fill a missing tensor
with random numbers and go on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from core.report import ModelVersion
from model.prompts import IMAGE, SPECIAL_TOKENS
from model.vision import ImageGeometry
from model.weights import check_complete, weight_files

ARCHITECTURE = "LlavaForConditionalGeneration"
CARD_NAME = "taqrir.json"

_CHUNK_BYTES = 1 << 20
_REVISION_DIGITS = 12
_NAMES_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a folder says of itself, without its weights being read.

    Attributes:
        context_tokens: Longest row of tokens that the model was made for.
        weight_bytes: Size of the weight files.
    """

    name: str
    is_demonstration: bool
    geometry: ImageGeometry
    context_tokens: int
    weight_bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model in memory, ready for the engine.

    Attributes:
        model: A `LlavaForConditionalGeneration` in evaluation mode.
        tokenizer: Its tokenizer, which knows llama-3's special tokens and ``<image>``.
        context_tokens: Prompt and answer together may not be longer.
    """

    model: Any
    tokenizer: Any
    geometry: ImageGeometry
    version: ModelVersion
    device: torch.device
    context_tokens: int


def read_version(path: Path) -> ModelVersion:
    """Return which model lies in a folder; reads every file once for the digest.

    The revision is taken over names and contents of the folder's files, sorted by name, each
    framed by its length. Files that begin with a dot are a download tool's, and those that end in
    `.md` are for people: neither counts.

    Raises:
        CheckpointError: The folder is not there or cannot be read.
    """
    _require_folder(path)
    digest = hashlib.sha256()
    try:
        for file in sorted(path.iterdir()):
            if file.is_file() and not file.name.startswith(".") and file.suffix != ".md":
                digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
                with file.open("rb") as stream:
                    while chunk := stream.read(_CHUNK_BYTES):
                        digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    name, is_demonstration = _read_card(path)
    return ModelVersion(
        name=name,
        revision=digest.hexdigest()[:_REVISION_DIGITS],
        is_demonstration=is_demonstration,
    )


def inspect_checkpoint(path: Path) -> CheckpointInfo:
    """Check a folder without loading its weights: seconds, and no memory to speak of.

    Raises:
        CheckpointError: Something that a load would need is missing or wrong.
    """
    _require_folder(path)
    config = _read_config(path)
    files = weight_files(path)
    for file in files:
        check_complete(file)
    tokenizer = _load_tokenizer(path)
    _check_image_token(config, tokenizer, path)
    name, is_demonstration = _read_card(path)
    return CheckpointInfo(
        name=name,
        is_demonstration=is_demonstration,
        geometry=_geometry(config, path),
        context_tokens=_context_tokens(config, tokenizer),
        weight_bytes=sum(file.stat().st_size for file in files),
    )


def load_checkpoint(path: Path, device: str = "auto") -> LoadedModel:
    """Load a folder.

    Args:
        path: The folder.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``. On CUDA the
            weights are bfloat16 (float16 where the card has none), on the CPU float32.

    Raises:
        CheckpointError: The folder is not whole, is of another architecture, or the device is
            not there.
        torch.OutOfMemoryError: The device's memory does not hold it.
    """
    inspect_checkpoint(path)
    place = _device(device)
    config = _read_config(path)
    tokenizer = _load_tokenizer(path)
    return LoadedModel(
        model=_load_weights(path, config, place),
        tokenizer=tokenizer,
        geometry=_geometry(config, path),
        version=read_version(path),
        device=place,
        context_tokens=_context_tokens(config, tokenizer),
    )


def _require_folder(path: Path) -> None:
    if not path.is_dir():
        raise CheckpointError(f"There is no model folder at {path}.")


def _read_card(path: Path) -> tuple[str, bool]:
    """Return name and demonstration flag from `taqrir.json`; without one the folder's name."""
    card = path / CARD_NAME
    if not card.is_file():
        return path.resolve().name, False
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        name, is_demonstration = content["name"], content.get("is_demonstration", False)
    except OSError as error:
        raise CheckpointError(f"{card} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{card} must be a JSON object with a name.") from None
    if not isinstance(name, str) or not name.strip() or not isinstance(is_demonstration, bool):
        raise CheckpointError(f"{card}: name must be text and is_demonstration true or false.")
    return name.strip(), is_demonstration


def _read_config(path: Path) -> Any:
    """Return the configuration, once it is known to be LLaVA's."""
    from transformers import LlavaConfig

    file = path / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{path} has no config.json: it is no checkpoint folder.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        architectures = content.get("architectures") or []
    except (ValueError, AttributeError):
        raise CheckpointError(f"{file} cannot be read: it is no JSON object.") from None
    if ARCHITECTURE not in architectures:
        found = ", ".join(map(str, architectures)) or content.get("model_type", "none")
        raise CheckpointError(
            f"{path} holds the architecture {found}; Taqrir loads {ARCHITECTURE} "
            "(a llava_llama checkpoint has to be converted first)."
        )
    try:
        return LlavaConfig.from_dict(content)
    except Exception as error:  # noqa: BLE001 - the validators raise what they like
        raise CheckpointError(f"{file} is no valid LLaVA configuration: {error}") from None


def _load_tokenizer(path: Path) -> Any:
    """Return the tokenizer, once it is known to have every special token of the prompts."""
    from transformers import AutoTokenizer

    if not (path / "tokenizer.json").is_file():
        raise CheckpointError(f"{path} has no tokenizer: tokenizer.json is missing.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise CheckpointError(f"The tokenizer in {path} cannot be read: {error}") from None
    known = tokenizer.get_vocab()
    missing = [token for token in (*SPECIAL_TOKENS, IMAGE) if token not in known]
    if missing:
        raise CheckpointError(
            f"The tokenizer in {path} lacks {', '.join(missing)}, which the prompts need."
        )
    return tokenizer


def _check_image_token(config: Any, tokenizer: Any, path: Path) -> None:
    """Compare the image token's id with the configuration, and both with the vocabulary."""
    image = tokenizer.convert_tokens_to_ids(IMAGE)
    if config.image_token_id != image:
        raise CheckpointError(
            f"{path}: config.json says that {IMAGE} has the id {config.image_token_id}, the "
            f"tokenizer says {image}."
        )
    if len(tokenizer) > config.text_config.vocab_size:
        raise CheckpointError(
            f"{path}: the tokenizer has {len(tokenizer)} tokens, the model room for "
            f"{config.text_config.vocab_size}."
        )


def _geometry(config: Any, path: Path) -> ImageGeometry:
    vision = config.vision_config
    if vision.model_type != "clip_vision_model":
        raise CheckpointError(
            f"{path} has a vision tower of type {vision.model_type}; Taqrir feeds CLIP towers."
        )
    return ImageGeometry(
        size=vision.image_size,
        patch_size=vision.patch_size,
        has_class_token=config.vision_feature_select_strategy == "full",
    )


def _context_tokens(config: Any, tokenizer: Any) -> int:
    """Return the shorter of what positions allow and what the model was trained on."""
    return int(min(config.text_config.max_position_embeddings, tokenizer.model_max_length))


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise CheckpointError(f"There is no kind of device called {device}.") from None
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise CheckpointError(f"The device {device} was asked for, and this machine has none.")
    return place


def _load_weights(path: Path, config: Any, device: torch.device) -> Any:
    from transformers import GenerationConfig, LlavaForConditionalGeneration

    dtype = torch.float32
    if device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    options: dict[str, Any] = {"device_map": {"": device}} if device.type == "cuda" else {}
    loaded: Any
    try:
        with _quiet():
            loaded = LlavaForConditionalGeneration.from_pretrained(
                path,
                config=config,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                # Reported below with our own sentence instead of raised with a table.
                ignore_mismatched_sizes=True,
                **options,
            )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - every library below has errors of its own
        raise CheckpointError(f"The weights in {path} cannot be loaded: {error}") from None
    model, info = loaded
    _check_keys(path, info)
    # The checkpoint's own file asks for sampling at 0.6: a draft must not depend on chance.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


def _check_keys(path: Path, info: dict[str, Any]) -> None:
    """Refuse weights that do not fit the model tensor by tensor."""
    faults = {
        "are missing": info.get("missing_keys"),
        "do not belong to the model": info.get("unexpected_keys"),
        "have another shape": [key[0] for key in info.get("mismatched_keys") or ()],
    }
    sentences = [f"{len(keys)} {what}: {_listed(keys)}" for what, keys in faults.items() if keys]
    if sentences:
        raise CheckpointError(f"Of the tensors in {path}, {'; '.join(sentences)}.")


def _listed(keys: Any) -> str:
    names = sorted(keys)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' load report and progress bar away: what it tells is raised by us."""
    from transformers.utils import logging as library

    logger = logging.getLogger("transformers")
    level, was_shown = logger.level, library.is_progress_bar_enabled()
    logger.setLevel(logging.CRITICAL)
    library.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if was_shown:
            library.enable_progress_bar()
