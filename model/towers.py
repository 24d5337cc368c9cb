"""The vision tower: its shape by its name, or from a folder of the site's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import CheckpointError

_CLIP = "clip_vision_model"
# CLIP ViT-L/14, the tower of LLaVA 1.5 and of BiMediX2. Source: OpenAI's published config.json.
_VIT_L_14 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_channels": 3,
    "patch_size": 14,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
BUILT_IN = {
    "openai/clip-vit-large-patch14-336": {**_VIT_L_14, "image_size": 336},
    "openai/clip-vit-large-patch14": {**_VIT_L_14, "image_size": 224},
}


def local_folder(name: str, checkpoint: Path) -> Path | None:
    """Return the folder that a name stands for on this machine, None where there is none.

    A path counts from the checkpoint's folder. A name such as `openai/clip-vit-large-patch14-336`
    stands for the folder `clip-vit-large-patch14-336` in the checkpoint's folder or beside it.
    """
    if not name:
        return None
    last = Path(name).name
    candidates = (checkpoint / name, checkpoint / last, checkpoint.resolve().parent / last)
    for folder in candidates:
        if (folder / "config.json").is_file() and folder.resolve() != checkpoint.resolve():
            return folder.resolve()
    return None


def tower_config(name: str, checkpoint: Path) -> dict[str, Any]:
    """Return the configuration of a vision tower; nothing is fetched.

    Args:
        name: `mm_vision_tower` of the checkpoint.
        checkpoint: The folder that names it.

    Raises:
        CheckpointError: The name is not built in and there is no folder for it, or the folder
            holds something other than CLIP.
    """
    folder = local_folder(name, checkpoint)
    if folder is None:
        if name in BUILT_IN:
            return {"model_type": _CLIP, **BUILT_IN[name]}
        raise CheckpointError(
            f"{checkpoint} names the vision tower {name or '(none)'}. Known by name are "
            f"{', '.join(BUILT_IN)}; any other CLIP tower must lie in a folder that "
            "mm_vision_tower names, or beside the checkpoint."
        )
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        # CLIPModel keeps its two halves apart, CLIPVisionModel is the one half alone.
        content = content["vision_config"] if content.get("model_type") == "clip" else content
        kind = content.get("model_type", _CLIP)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{folder}/config.json cannot be read: no JSON object.") from None
    if kind != _CLIP:
        raise CheckpointError(
            f"{folder} has a vision tower of type {kind}; Taqrir feeds CLIP towers."
        )
    return {**content, "model_type": _CLIP}
