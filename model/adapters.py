"""LoRA adapters: what a folder of PEFT's says, and the change that it makes to a weight.

A weight W with adapter matrices A (rank, in) and B (out, rank) becomes W + scale * B A. Kinds of
adapters with other formulas (DoRA and the like) are refused by name.

Source: Hu et al., LoRA, arXiv 2106.09685, section 4.1; rank-stabilised scale: arXiv 2312.03732.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from model.key_table import name_in_between
from model.weights import TensorEntry, open_tensors, read_entries, weight_files

ADAPTER_CONFIG = "adapter_config.json"
EXTRA_WEIGHTS = "non_lora_trainables.bin"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_WRAPPER = re.compile(r"^base_model\.model\.")
# PEFT writes the adapter's own name ("default") or leaves it out.
_MATRIX = re.compile(r"\.lora_(?P<which>[AB])(\.default)?\.weight$")
_SAVED_WHOLE = re.compile(r"\.modules_to_save(\.default)?\.")
# Settings under which W + scale * B A is not what the adapter means.
_OTHER_FORMULAS = (
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "use_qalora",
    "alora_invocation_tokens",
)

# Weight by its name in between, to A (rank, in) and B (out, rank).
Matrices = Mapping[str, tuple[torch.Tensor, ...]]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA adapter, read from its folder.

    Attributes:
        rank: Rank of every pair whose module no pattern names.
        base_name: What the adapter was trained on: a folder, or a name on a hub.
        matrices: Module's weight, by its name in between, to its entries "A" and "B".
        whole: Tensors that the adapter brings whole, by their names in between.
        strangers: Keys that no layout has.
    """

    folder: Path
    rank: int
    alpha: float
    base_name: str
    is_rank_stabilised: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    files: tuple[Path, ...]
    matrices: Mapping[str, Mapping[str, TensorEntry]]
    modules: Mapping[str, str]
    whole: Mapping[str, TensorEntry] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()

    def scale(self, weight: str) -> float:
        """Return what the product B A is multiplied by."""
        module = self.modules[weight]
        rank = _by_pattern(self.rank_pattern, module, self.rank)
        alpha = _by_pattern(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)

    def faults(self, weight: str, shape: tuple[int, ...]) -> str:
        """Return what is wrong with the pair for a weight of a shape, empty where nothing is."""
        pair = self.matrices[weight]
        if set(pair) != {"A", "B"}:
            return f"{weight} has only lora_{''.join(pair)}"
        rank = _by_pattern(self.rank_pattern, self.modules[weight], self.rank)
        wanted = ((rank, shape[-1]), (shape[0], rank))
        if (pair["A"].shape, pair["B"].shape) != wanted:
            return f"{weight} has matrices {pair['A'].shape} and {pair['B'].shape}, not {wanted}"
        return ""

    def read_matrices(self) -> Matrices:
        """Return the adapter's matrices: tens of megabytes, read once.

        Raises:
            CheckpointError: A file cannot be read.
        """
        read: dict[tuple[Path, str], torch.Tensor] = {}
        for file in self.files:
            with open_tensors(file) as tensor:
                for pair in self.matrices.values():
                    for entry in pair.values():
                        if entry.file == file:
                            read[file, entry.key] = tensor(entry.key).float()
        return {
            weight: tuple(read[pair[which].file, pair[which].key] for which in "AB")
            for weight, pair in self.matrices.items()
        }

    def merged(self, weight: str, tensor: torch.Tensor, matrices: Matrices) -> torch.Tensor:
        """Return a weight with the adapter's change, in the weight's own number format.

        The sum is made in float32: bfloat16 has too few digits for a small change.
        """
        if weight not in matrices:
            return tensor
        a, b = matrices[weight]
        change = (b @ a) * self.scale(weight)  # (out, rank) x (rank, in) -> (out, in)
        return (tensor.float() + change).to(tensor.dtype)


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """Return a module's own value; patterns are regular expressions for the name's end."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter's settings and headers.

    Raises:
        CheckpointError: It is no LoRA adapter, is of a kind that is not merged here, or its files
            are missing or damaged.
    """
    config = _read_config(folder / ADAPTER_CONFIG)
    files = weight_files(folder, _WEIGHTS)
    matrices: dict[str, dict[str, TensorEntry]] = {}
    modules: dict[str, str] = {}
    whole: dict[str, TensorEntry] = {}
    strangers: list[str] = []
    for entry in (entry for file in files for entry in read_entries(file)):
        key = _WRAPPER.sub("", entry.key)
        module, is_matrix = _MATRIX.subn("", key)
        target = f"{module}.weight" if is_matrix else _SAVED_WHOLE.sub(".", key)
        name = name_in_between(target)
        if name is None or ".lora_" in name:
            strangers.append(entry.key)
        elif found := _MATRIX.search(key):
            matrices.setdefault(name, {})[found["which"]] = entry
            modules[name] = module
        else:
            whole[name] = entry
    return Adapter(
        folder=folder,
        rank=config["r"],
        alpha=config["lora_alpha"],
        base_name=config.get("base_model_name_or_path") or "",
        is_rank_stabilised=bool(config.get("use_rslora")),
        rank_pattern=config.get("rank_pattern") or {},
        alpha_pattern=config.get("alpha_pattern") or {},
        files=files,
        matrices=matrices,
        modules=modules,
        whole=whole,
        strangers=tuple(strangers),
    )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind, rank, alpha = config["peft_type"], config["r"], config["lora_alpha"]
        bias, base = config.get("bias", "none"), config.get("base_model_name_or_path")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{file} is no configuration of a LoRA adapter.") from None
    others = [name for name in _OTHER_FORMULAS if config.get(name)]
    others += [f"bias = {bias}"] if bias != "none" else []
    if kind != "LORA" or others:
        raise CheckpointError(
            f"{file} describes an adapter of the kind {', '.join([str(kind), *others])}; "
            "Taqrir merges plain LoRA."
        )
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise CheckpointError(f"{file}: r must be a whole number above 0, lora_alpha a number.")
    if not isinstance(base, str | None):
        raise CheckpointError(f"{file}: base_model_name_or_path must be text.")
    return dict(config)


def read_extra_weights(folder: Path) -> dict[str, TensorEntry]:
    """Return what LLaVA trained whole beside the adapter, by names without PEFT's wrapping.

    Its script writes `base_model.model.model.mm_projector.0.weight`, and older ones one `model.`
    less or more.
    """
    file = folder / EXTRA_WEIGHTS
    if not file.is_file():
        return {}
    entries = {entry.key.removeprefix("base_model."): entry for entry in read_entries(file)}
    if any(key.startswith("model.model.") for key in entries):
        entries = {key.removeprefix("model."): entry for key, entry in entries.items()}
    return entries
