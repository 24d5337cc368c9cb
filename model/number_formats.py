"""How weights are kept in memory: in floating-point numbers of some size, or quantised by torchao.

Quantised are the matrices of the language model's layers, which are read at every token. Embedding,
head, vision tower and projector stay as they are.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from core.errors import CheckpointError

AUTO = "auto"
_FLOATS = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}
# Weights alone: what a layer computes with stays in bfloat16.
_QUANTISED = {
    "fp8": "Float8WeightOnlyConfig",
    "int8": "Int8WeightOnlyConfig",
    "int4": "Int4WeightOnlyConfig",
}


def check_weights(weights: str) -> None:
    """Refuse a format that nothing here makes, before anything is loaded.

    Raises:
        CheckpointError: It needs torchao, which is not installed.
    """
    if weights in _QUANTISED and find_spec("torchao") is None:
        raise CheckpointError(
            f'model.weights = "{weights}" needs the package torchao, which is not installed: '
            "pip install torchao, in the release that belongs to the installed torch."
        )


def number_format(device: torch.device, weights: str = AUTO) -> torch.dtype:
    """Return the format in which weights are loaded to a device."""
    if weights in _FLOATS:
        return _FLOATS[weights]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def quantize(model: Any, weights: str) -> None:
    """Quantise the language model's matrices in place, where that was asked for.

    Raises:
        CheckpointError: torchao cannot do it on this device, or lacks a package of its own.
    """
    if weights not in _QUANTISED:
        return
    # Optional, and not known to the type checker where it is not installed.
    import torchao.quantization as torchao  # type: ignore[import-not-found]

    try:
        recipe = getattr(torchao, _QUANTISED[weights])()
        torchao.quantize_(model.model.language_model.layers, recipe)
    except (ImportError, AssertionError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f'model.weights = "{weights}": torchao does not do it here: {str(error)[:200]}'
        ) from None
