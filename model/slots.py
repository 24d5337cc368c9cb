"""Keys and values of every sequence in flight: a row each, filled from the left.

A row starts at position 0 whatever its neighbours do, so that nothing is padded on the left, and a
sequence joins or leaves without the others being moved. Memory is taken once for a number of rows
and a length, and grows with what is asked for: its addresses stay the same from step to step, which
a captured CUDA graph needs.

It takes the place of a transformers `Cache`: attention layers call `update` and nothing else, since
positions and a mask of four dimensions are handed to the model ready-made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

# Lengths are rounded up to this, so that growing is rare.
_LENGTH_STEP = 256


@dataclass(frozen=True, kw_only=True)
class SlotShape:
    """What one position of one row takes.

    Attributes:
        window: Positions that a token sees, where the model was trained with a sliding window.
    """

    layers: int
    heads: int
    head_size: int
    window: int | None = None

    @classmethod
    def of(cls, text_config: Any) -> SlotShape:
        """Return the shape for a Llama's or Mistral's configuration."""
        head_size = getattr(text_config, "head_dim", None)
        return cls(
            layers=text_config.num_hidden_layers,
            heads=text_config.num_key_value_heads,
            head_size=head_size or text_config.hidden_size // text_config.num_attention_heads,
            window=getattr(text_config, "sliding_window", None),
        )


class SlotCache:
    """The rows; `look_at` says which of them the next forward pass writes and reads."""

    def __init__(self, shape: SlotShape, device: torch.device, dtype: torch.dtype) -> None:
        """Take no memory yet."""
        self._shape = shape
        self._device = device
        self._dtype = dtype
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self.rows = 0
        self.length = 0
        self._write: tuple[torch.Tensor, torch.Tensor] | None = None
        self._read: slice | torch.Tensor = slice(0)
        self._read_length = 0

    @property
    def scratch(self) -> int:
        """The position behind every row's end that idle rows write to; nobody reads it."""
        return self.length

    def fit(self, rows: int, length: int) -> bool:
        """Make room for rows of a length; True where the memory moved.

        Raises:
            torch.OutOfMemoryError: There is not enough; what was there is kept.
        """
        if rows <= self.rows and length <= self.length:
            return False
        rows = max(rows, self.rows)
        length = max(-(-length // _LENGTH_STEP) * _LENGTH_STEP, self.length)
        size = (rows, self._shape.heads, length + 1, self._shape.head_size)

        def grown(old: torch.Tensor | None) -> torch.Tensor:
            # Zeros: what an idle row reads must be a number.
            new = torch.zeros(size, device=self._device, dtype=self._dtype)
            if old is not None:
                new[: self.rows, :, : self.length] = old[:, :, : self.length]
            return new

        for tensors in (self._keys, self._values):
            # Layer by layer, the old one let go at once: the peak is one layer above the new size.
            for layer in range(self._shape.layers):
                if layer < len(tensors):
                    tensors[layer] = grown(tensors[layer])
                else:
                    tensors.append(grown(None))
        self.rows, self.length = rows, length
        return True

    def clear(self) -> None:
        """Let the memory go."""
        self._keys, self._values = [], []
        self.rows = self.length = 0
        self._write = None

    def look_at(
        self,
        rows: torch.Tensor,
        positions: torch.Tensor,
        *,
        read_length: int,
        is_dense: bool,
    ) -> None:
        """Say what the next forward pass works on.

        Args:
            rows: Row of each sequence of the batch, (B,).
            positions: Where each token is written, (B, T).
            read_length: How many positions are read, the written ones among them.
            is_dense: The rows are 0 to B - 1, and are read where they lie, without a copy.
        """
        self._write = (rows[:, None], positions)
        self._read = slice(len(rows)) if is_dense else rows
        self._read_length = read_length

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new keys and values, return all that the batch may see.

        Args:
            keys: (B, H, T, D).
            values: (B, H, T, D).
            layer_idx: Which layer.

        Returns:
            Keys and values, (B, H, S, D).
        """
        if self._write is None:
            raise RuntimeError("look_at comes first")
        rows, positions = self._write
        for all_rows, new in ((self._keys, keys), (self._values, values)):
            all_rows[layer_idx][rows, :, positions] = new.transpose(1, 2)  # (B, T, H, D)
        return (
            self._keys[layer_idx][self._read, :, : self._read_length],
            self._values[layer_idx][self._read, :, : self._read_length],
        )

    def mask(self, positions: torch.Tensor) -> torch.Tensor:
        """Return what each token may see: itself and what stands before it in its row.

        Args:
            positions: (B, T).

        Returns:
            Booleans, (B, 1, T, S).
        """
        columns = torch.arange(self._read_length, device=self._device)
        seen = columns <= positions[:, None, :, None]  # (B, 1, T, S)
        if self._shape.window is None:
            return seen
        return seen & (columns > positions[:, None, :, None] - self._shape.window)

    def copy_start(self, source: int, target: int, length: int) -> None:
        """Copy the first positions of a row to another row."""
        if source == target:
            return
        for tensors in (self._keys, self._values):
            for tensor in tensors:
                tensor[target, :, :length] = tensor[source, :, :length]
