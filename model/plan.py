"""Which tensor of which file becomes which weight: every key accounted for, before one is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from model.adapters import read_extra_weights
from model.key_table import (
    EMBEDDING_WEIGHT,
    HEAD_WEIGHT,
    PREFIXES,
    TOWER,
    TOWER_PREFIXES,
    is_dropped,
    name_in_between,
)
from model.layouts import Blueprint, Layout
from model.prompts import IMAGE
from model.weights import TensorEntry, open_tensors, read_entries, weight_files

_NAMES_SHOWN = 5
# Rows that are added to the vocabulary fill it up to a multiple of this: matrix units like it so.
_VOCABULARY_STEP = 64
_WEIGHT_FORMATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_BY_VOCABULARY = (EMBEDDING_WEIGHT, HEAD_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a checkpoint becomes a model in memory.

    Attributes:
        config: A `LlavaConfig` with the final vocabulary and the image token's id.
        targets: Each weight of the model by its name in between: its name in memory.
        entries: Where each weight comes from.
        dropped: Tensors of the files that are known and not needed.
    """

    blueprint: Blueprint
    config: Any
    targets: Mapping[str, str]
    entries: Mapping[str, TensorEntry]
    dropped: tuple[TensorEntry, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every weight file, in the order in which they are read."""
        adapter = self.blueprint.adapter
        own = dict.fromkeys(entry.file for entry in self.entries.values())
        return (*own, *(file for file in (adapter.files if adapter else ()) if file not in own))

    @property
    def parameter_count(self) -> int:
        """How many numbers the weights in the files hold."""
        return sum(entry.count for entry in self.entries.values())

    def in_reading_order(self) -> list[str]:
        """Return the weights' names in between, file after file."""
        order = {file: number for number, file in enumerate(self.files)}
        return sorted(self.entries, key=lambda name: order[self.entries[name].file])

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Give every weight, merged and grown, in the order of reading.

        Raises:
            CheckpointError: A file cannot be read.
        """
        adapter = self.blueprint.adapter
        matrices = adapter.read_matrices() if adapter else {}
        for file, names in groupby(
            self.in_reading_order(), key=lambda name: self.entries[name].file
        ):
            with open_tensors(file) as tensor:
                for name in names:
                    weight = tensor(self.entries[name].key)
                    if adapter:
                        weight = adapter.merged(name, weight, matrices)
                    yield name, self._grown(name, weight)

    def row_count(self, name: str) -> int:
        """Return how many rows a weight has in the model; 1 for a single number."""
        if name in _BY_VOCABULARY:
            return int(self.config.text_config.vocab_size)
        return next(iter(self.entries[name].shape), 1)

    def _grown(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a weight with all the rows that the model has.

        A row that no checkpoint has is the mean of the others, as LLaVA's training starts one. A
        token with such a row in the head is never the most likely: its logit is the mean of all.
        """
        more = self.row_count(name) - len(tensor) if tensor.ndim else 0
        if more <= 0:
            return tensor
        mean = tensor.float().mean(dim=0, keepdim=True).to(tensor.dtype)
        return torch.cat([tensor, mean.expand(more, -1)])  # (V, D)


def empty_model(config: Any) -> Any:
    """Return the model without memory for its weights; what it computes itself is there."""
    from accelerate import init_empty_weights  # type: ignore[import-untyped]
    from transformers import LlavaForConditionalGeneration

    with init_empty_weights(include_buffers=False):
        return LlavaForConditionalGeneration(config)


def _shapes_only(config: Any) -> Any:
    """Return the model without any memory at all, for weights of any size."""
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        return LlavaForConditionalGeneration(config)


def make_plan(blueprint: Blueprint, tokenizer: Any) -> Plan:
    """Compare what the files hold with what the model needs.

    Raises:
        CheckpointError: A tensor is missing, too many, of another shape or of a format that is no
            weight; or a file is missing or cut short.
    """
    found = _Found(blueprint)
    config = _grown_config(blueprint, tokenizer)
    shapes: dict[str, tuple[int, ...]] = {}
    targets: dict[str, str] = {}
    for key, value in _shapes_only(config).state_dict().items():
        name = name_in_between(key) or key
        shapes[name], targets[name] = tuple(value.shape), key
    if config.tie_word_embeddings and HEAD_WEIGHT not in found.entries:
        del shapes[HEAD_WEIGHT], targets[HEAD_WEIGHT]
    if not any(name.startswith(TOWER) for name in found.entries):
        raise CheckpointError(
            f"{blueprint.folder} has no weights of the vision tower, and there is no folder "
            f"for {blueprint.tower_name or 'it'}: put that folder beside the checkpoint."
        )
    if faults := found.faults(shapes):
        raise CheckpointError(f"Of the tensors in {blueprint.folder}, {'; '.join(faults)}.")
    return Plan(
        blueprint=blueprint,
        config=config,
        targets=targets,
        entries={name: found.entries[name] for name in targets},
        dropped=tuple(found.dropped),
    )


def _grown_config(blueprint: Blueprint, tokenizer: Any) -> Any:
    """Return the configuration with room for the image token, where the layout has none."""
    from transformers import LlavaConfig

    config: Any = LlavaConfig.from_dict(blueprint.config.to_dict())
    if blueprint.lacks_image_token:
        image = tokenizer.convert_tokens_to_ids(IMAGE)
        config.image_token_id = image
        if image >= config.text_config.vocab_size:
            steps = -(-(image + 1) // _VOCABULARY_STEP)
            config.text_config.vocab_size = steps * _VOCABULARY_STEP
    config.image_seq_length = (
        config.vision_config.image_size // config.vision_config.patch_size
    ) ** 2
    return config


class _Found:
    """What the files of a checkpoint hold, by names in between."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.entries: dict[str, TensorEntry] = {}
        self.dropped: list[TensorEntry] = []
        self._strangers: list[str] = []
        self._twice: list[str] = []
        self._blueprint = blueprint
        # Later ones win: an adapter's whole tensors replace the base's.
        if blueprint.base:
            self._take(_entries_in(blueprint.base))
        else:
            self._take(_entries_in(blueprint.folder))
        if blueprint.adapter:
            self.entries |= blueprint.adapter.whole
            self._strangers += blueprint.adapter.strangers
            self._take_extra(read_extra_weights(blueprint.folder))
        if blueprint.tower and not any(name.startswith(TOWER) for name in self.entries):
            self._take(
                (entry for file in weight_files(blueprint.tower) for entry in read_entries(file)),
                TOWER_PREFIXES,
            )

    def _take(self, entries: Iterable[TensorEntry], prefixes: Mapping[str, str] = PREFIXES) -> None:
        for entry in entries:
            name = name_in_between(entry.key, prefixes)
            if is_dropped(entry.key, prefixes):
                self.dropped.append(entry)
            elif name is None:
                self._strangers.append(entry.key)
            elif name in self.entries:
                self._twice.append(entry.key)
            else:
                self.entries[name] = entry

    def _take_extra(self, extra: Mapping[str, TensorEntry]) -> None:
        for key, entry in extra.items():
            name = name_in_between(key)
            if is_dropped(key):
                self.dropped.append(entry)
            elif name is None:
                self._strangers.append(entry.key)
            else:
                self.entries[name] = entry

    def faults(self, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Return what does not fit a model with weights of these shapes, in words."""
        unknown = [self.entries[name].key for name in self.entries if name not in shapes]
        shared = [name for name in shapes if name in self.entries]
        wanted = {name: self._wanted(name, shapes[name]) for name in shared}
        tables = {
            "are missing": [name for name in shapes if name not in self.entries],
            "do not belong to the model": [*unknown, *self._strangers],
            "stand there twice": self._twice,
            "have another shape": [
                f"{name} ({_edges(self.entries[name].shape)}, not {_edges(wanted[name])})"
                for name in shared
                if self.entries[name].shape != wanted[name]
            ],
            "are no floating-point numbers": [
                name for name in shared if self.entries[name].dtype not in _WEIGHT_FORMATS
            ],
            "cannot be changed by the adapter": self._adapter_faults(shapes),
        }
        return [f"{len(keys)} {what}: {_listed(keys)}" for what, keys in tables.items() if keys]

    def _wanted(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return a weight's shape in the files: without the rows that a load adds."""
        if name not in _BY_VOCABULARY or not self._blueprint.lacks_image_token:
            return shape
        rows = int(self._blueprint.config.text_config.vocab_size)
        if self._blueprint.layout is Layout.ADAPTER:
            # The base may lack tokens that came with the adapter's training.
            rows = min(rows, *self.entries[name].shape[:1])
        return (rows, *shape[1:])

    def _adapter_faults(self, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        adapter = self._blueprint.adapter
        if adapter is None:
            return []
        faults = []
        for name in adapter.matrices:
            shape = shapes.get(name)
            if shape is None or len(shape) != 2:  # noqa: PLR2004 - a matrix
                faults.append(f"{name}, which the model does not have")
            elif fault := adapter.faults(name, shape):
                faults.append(fault)
        return faults


def _entries_in(folder: Path) -> Iterator[TensorEntry]:
    for file in weight_files(folder):
        yield from read_entries(file)


def _edges(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _listed(keys: Iterable[str]) -> str:
    names = sorted(keys)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
