"""Which layout a checkpoint folder has, and what it becomes: one configuration for all of them.

- ``llava-hf``: `LlavaForConditionalGeneration` of transformers.
- ``llava_llama``, ``llava_mistral``: what LLaVA's own training writes, and BiMediX2 with it.
- ``adapter``: a LoRA adapter, on a base in one of the layouts above or on a bare Llama.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from model.adapters import ADAPTER_CONFIG, Adapter, read_adapter
from model.towers import local_folder, tower_config

ARCHITECTURE = "LlavaForConditionalGeneration"
CARD_NAME = "taqrir.json"

# LLaVA's own classes, and the language model that each of them wraps.
_LANGUAGE_MODELS = {
    "LlavaLlamaForCausalLM": "llama",
    "LlavaMistralForCausalLM": "mistral",
}
_BARE_MODELS = ("LlamaForCausalLM", "MistralForCausalLM")
_FEATURES = {"patch": "default", "cls_patch": "full"}
_SELECT_LAYER = -2
_NOT_OF_THE_TEXT = ("architectures", "auto_map", "vision_tower", "rope_scaling", "rope_theta")


class Layout(StrEnum):
    """How a folder names its tensors and describes itself."""

    HF = "llava-hf"
    LLAVA_LLAMA = "llava_llama"
    LLAVA_MISTRAL = "llava_mistral"
    ADAPTER = "adapter"


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What a folder is to become, from its small files alone.

    Attributes:
        architecture: The class that the folder names.
        config: A `LlavaConfig`; its vocabulary may still grow by the image token.
        tower_name: What `mm_vision_tower` says; empty in transformers' layout.
        tower: Folder of the vision tower's weights, for a checkpoint that has none inside.
        base: Folder of the adapter's base.
        trained_tokens: Longest row of tokens in training, where the folder says so.
    """

    folder: Path
    layout: Layout
    architecture: str
    config: Any
    tower_name: str = ""
    tower: Path | None = None
    base: Path | None = None
    adapter: Adapter | None = None
    trained_tokens: int | None = None

    @property
    def lacks_image_token(self) -> bool:
        """LLaVA's own layouts write pictures without a token of the vocabulary."""
        return bool(self.tower_name)

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer lies: an adapter's may be its base's."""
        if self.base and not (self.folder / "tokenizer.json").is_file():
            return self.base
        return self.folder

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that weights come from, the checkpoint's own first."""
        return tuple(folder for folder in (self.folder, self.base, self.tower) if folder)


def known_architectures() -> tuple[str, ...]:
    """Return the classes of config.json that Taqrir loads by its own tables."""
    return (ARCHITECTURE, *_LANGUAGE_MODELS)


def read_blueprint(folder: Path) -> Blueprint:
    """Read what a folder says of itself.

    Raises:
        CheckpointError: There is no such folder, it is no checkpoint, or of an architecture that
            Taqrir does not load.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder at {folder}.")
    if (folder / ADAPTER_CONFIG).is_file():
        return _adapter_blueprint(folder)
    content = read_config(folder)
    if "quantization_config" in content:
        raise CheckpointError(
            f"{folder} holds quantised weights (quantization_config in config.json); Taqrir loads "
            "bfloat16, float16 and float32."
        )
    architecture = _architecture(content)
    if architecture == ARCHITECTURE:
        return Blueprint(
            folder=folder,
            layout=Layout.HF,
            architecture=architecture,
            config=_checked_config(folder, content),
        )
    if architecture in _LANGUAGE_MODELS:
        return _llava_blueprint(folder, content, architecture)
    raise CheckpointError(
        f"{folder} holds the architecture {architecture}; Taqrir loads "
        f"{', '.join([ARCHITECTURE, *_LANGUAGE_MODELS])}."
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return `config.json`.

    Raises:
        CheckpointError: It is not there, or is no JSON object.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{folder} has no config.json: it is no checkpoint folder.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} cannot be read: it is no JSON object.")
    return content


def _architecture(content: Mapping[str, Any]) -> str:
    named = content.get("architectures")
    known = known_architectures()
    for name in named if isinstance(named, list) else []:
        if name in known:
            return str(name)
    return ", ".join(map(str, named or [])) or str(content.get("model_type", "none"))


def _checked_config(folder: Path, content: Mapping[str, Any]) -> Any:
    """Return a LLaVA configuration that Taqrir can feed."""
    from transformers import LlavaConfig

    try:
        config: Any = LlavaConfig.from_dict(dict(content))
    except Exception as error:  # noqa: BLE001 - the validators raise what they like
        raise CheckpointError(
            f"{folder}/config.json is no valid LLaVA configuration: {error}"
        ) from None
    if config.vision_config.model_type != "clip_vision_model":
        raise CheckpointError(
            f"{folder} has a vision tower of type {config.vision_config.model_type}; Taqrir feeds "
            "CLIP towers."
        )
    return config


def _llava_blueprint(folder: Path, content: Mapping[str, Any], architecture: str) -> Blueprint:
    """Read the configuration of LLaVA's own layouts.

    Source: LLaVA, `llava/model/llava_arch.py` and `multimodal_projector/builder.py`.
    """
    _check_training(folder, content)
    name = content.get("mm_vision_tower") or content.get("vision_tower") or ""
    if not isinstance(name, str):
        raise CheckpointError(f"{folder}/config.json: mm_vision_tower must be text.")
    kind = _LANGUAGE_MODELS[architecture]
    text = {
        key: value
        for key, value in content.items()
        if not key.startswith("mm_") and key not in _NOT_OF_THE_TEXT
    }
    rope = content.get("rope_scaling") or {"rope_type": "default"}
    text["rope_parameters"] = {"rope_theta": content.get("rope_theta", 10000.0), **rope}
    config = {
        "architectures": [ARCHITECTURE],
        "text_config": {**text, "model_type": kind},
        "vision_config": tower_config(name, folder),
        "projector_hidden_act": "gelu",
        "vision_feature_layer": content.get("mm_vision_select_layer", _SELECT_LAYER),
        "vision_feature_select_strategy": _FEATURES[
            content.get("mm_vision_select_feature", "patch")
        ],
        "pad_token_id": content.get("pad_token_id"),
        "tie_word_embeddings": content.get("tie_word_embeddings", False),
        "dtype": content.get("dtype", content.get("torch_dtype")),
    }
    trained = content.get("tokenizer_model_max_length")
    return Blueprint(
        folder=folder,
        layout=Layout(f"llava_{kind}"),
        architecture=architecture,
        config=_checked_config(folder, config),
        tower_name=name,
        tower=local_folder(name, folder),
        trained_tokens=trained if isinstance(trained, int) else None,
    )


def _check_training(folder: Path, content: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that was trained to be fed otherwise than Taqrir feeds it."""
    projector = content.get("mm_projector_type", "linear")
    feature = content.get("mm_vision_select_feature", "patch")
    aspect = str(content.get("image_aspect_ratio", "pad"))
    faults = {
        f"the projector {projector}, not mlp2x_gelu": projector != "mlp2x_gelu",
        f"the image features {feature}": feature not in _FEATURES,
        "pictures seen at several scales (s2)": bool(content.get("s2")),
        "image tokens between start and end marks": bool(content.get("mm_use_im_start_end")),
        f"pictures cut into tiles ({aspect})": aspect.startswith("anyres"),
    }
    found = [words for words, is_so in faults.items() if is_so]
    if found:
        raise CheckpointError(
            f"{folder} ({_architecture(content)}) was trained with {'; '.join(found)}: Taqrir "
            "would not show it pictures as it knows them."
        )


def _adapter_blueprint(folder: Path) -> Blueprint:
    adapter = read_adapter(folder)
    base = _base_folder(folder, adapter.base_name)
    if not (folder / "config.json").is_file():
        # An adapter on a model that is whole, such as a site's own.
        whole = read_blueprint(base)
        if whole.adapter:
            raise CheckpointError(f"{folder} is an adapter on {base}, which is one itself.")
        return replace(
            whole,
            folder=folder,
            layout=Layout.ADAPTER,
            base=base,
            adapter=adapter,
        )
    content = read_config(folder)
    architecture = _architecture(content)
    if architecture not in _LANGUAGE_MODELS:
        raise CheckpointError(
            f"{folder} is an adapter for the architecture {architecture}; Taqrir loads those for "
            f"{', '.join(_LANGUAGE_MODELS)}, or ones without a config.json."
        )
    named = _architecture(read_config(base))
    if named not in (*_BARE_MODELS, *_LANGUAGE_MODELS):
        raise CheckpointError(f"{folder} is an adapter on {base}, which holds {named}.")
    return replace(
        _llava_blueprint(folder, content, architecture),
        layout=Layout.ADAPTER,
        base=base,
        adapter=adapter,
    )


def _base_folder(folder: Path, name: str) -> Path:
    """Return the folder of an adapter's base: `taqrir.json` decides, then the adapter's own word.

    Raises:
        CheckpointError: There is none on this machine.
    """
    asked = read_card(folder).get("base", "")
    if not isinstance(asked, str):
        raise CheckpointError(f"{folder / CARD_NAME}: base must be the path of a folder.")
    found = local_folder(asked or name, folder)
    if found is None:
        raise CheckpointError(
            f"{folder} is an adapter on {asked or name or '(no name)'}, and there is no such "
            f'folder on this machine. Name it in {CARD_NAME}: {{"name": "...", "base": "..."}}, '
            "or put it beside the adapter."
        )
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """Return `taqrir.json`, empty where there is none.

    Raises:
        CheckpointError: It is no JSON object.
    """
    card = folder / CARD_NAME
    if not card.is_file():
        return {}
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{card} cannot be read: {error.strerror}.") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CheckpointError(f"{card} must be a JSON object with a name.")
    return content
