"""Several LoRA adapters on one model in memory, as PEFT's layers, one switched on at a time.

An adapter that comes alone may be merged into its base when that is loaded (`model.adapters`). Kept
apart, adapters share the base's memory, and a site's rules choose between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from model.adapters import Adapter, read_adapter
from model.key_table import name_in_between
from model.weights import is_finite

_SHOWN = 3


class SiteAdapters:
    """The adapters on one model."""

    def __init__(self, model: Any, folders: Mapping[str, Path]) -> None:
        """Read the adapters into the model, none of them switched on.

        Args:
            model: A `LlavaForConditionalGeneration`; changed in place.
            folders: Adapter folders by their names.

        Raises:
            CheckpointError: A folder is no LoRA adapter, does not fit the model, or brings weights
                that would change it for the other adapters too.
        """
        from peft.tuners.lora import LoraLayer

        for name, folder in folders.items():
            _add(model, name, check_adapter(name, folder), folder)
        self._layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
        model.requires_grad_(requires_grad=False)
        model.eval()
        self._current: str | None = None
        self.switch("")

    def switch(self, name: str) -> None:
        """Switch one adapter on and the others off; all of them for the empty name."""
        if name == self._current:
            return
        for layer in self._layers:
            has_it = name in layer.lora_A
            layer.enable_adapters(enabled=has_it)
            if has_it:
                layer.set_adapter(name, inference_mode=True)
        self._current = name


def check_adapter(name: str, folder: Path) -> Adapter:
    """Return an adapter that can be switched, from its headers.

    Raises:
        CheckpointError: It is none, or brings whole weights.
    """
    adapter = read_adapter(folder)
    extra = [*adapter.whole, *adapter.strangers]
    if (folder / "non_lora_trainables.bin").is_file():
        extra.append("non_lora_trainables.bin")
    if extra:
        raise CheckpointError(
            f"The adapter {name} in {folder} brings more than LoRA matrices "
            f"({', '.join(extra[:_SHOWN])}), which cannot be switched on and off: set model.path "
            "to its folder, so that it is merged."
        )
    return adapter


def _add(model: Any, name: str, adapter: Adapter, folder: Path) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    weights = {name_in_between(key) or key: key for key in _matrices(model)}
    strangers = [weight for weight in adapter.matrices if weight not in weights]
    if strangers:
        raise CheckpointError(
            f"The adapter {name} in {folder} changes {len(strangers)} weights that the model does "
            f"not have: {', '.join(sorted(strangers)[:_SHOWN])}."
        )
    shapes = {key: tuple(tensor.shape) for key, tensor in _matrices(model).items()}
    for weight in adapter.matrices:
        if fault := adapter.faults(weight, shapes[weights[weight]]):
            raise CheckpointError(f"The adapter {name} in {folder} does not fit: {fault}.")
    modules = {weight: weights[weight].removesuffix(".weight") for weight in adapter.matrices}
    pairs = adapter.read_matrices()
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.rank,
        target_modules=[_plain(module) for module in modules.values()],
        # The scale is written below, rank by rank: patterns were resolved when it was read.
        rank_pattern={_plain(modules[w]): len(pairs[w][0]) for w in modules},
        init_lora_weights=False,
    )
    with warnings.catch_warnings():
        # PEFT asks transformers for a property that has a new name there.
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, model, adapter_name=name)
    for weight, (a, b) in pairs.items():
        layer = model.get_submodule(_plain(modules[weight]))
        if not (is_finite(a) and is_finite(b)):
            raise CheckpointError(f"The adapter {name} in {folder} holds NaN or infinite numbers.")
        place = layer.base_layer.weight
        for half, values in ((layer.lora_A[name], a), (layer.lora_B[name], b)):
            half.weight = torch.nn.Parameter(
                values.to(device=place.device, dtype=place.dtype), requires_grad=False
            )
        layer.scaling[name] = adapter.scale(weight)


def _matrices(model: Any) -> dict[str, torch.Tensor]:
    """Return the model's weights under the names that they had before any adapter came."""
    return {
        key.replace(".base_layer.", "."): value
        for key, value in model.state_dict().items()
        if ".lora_" not in key
    }


def _plain(module: str) -> str:
    return module.removesuffix(".base_layer")
