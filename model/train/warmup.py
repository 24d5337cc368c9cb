"""The vision tower's warm-up: it learns to see, by labels, what the phantoms show.

BiMediX2's CLIP tower comes trained; a toy's has to be. It is trained on what is seen and on which
patches each kind covers, through heads that are thrown away afterwards. The features are the ones
that LLaVA reads: the patches of the last layer but one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from model.phantom.case import LABELS, Kind
from model.train.pictures import PictureSet, normalised

_MAP_WEIGHT = 3.0
_FARTHEST = 3  # pixels that a picture is moved by
# Small things cover little of a patch: what is covered counts from here on as all of it.
_COVER = 0.25


class PictureBatches:
    """The warm-up's samples, moved and made lighter or darker a little."""

    def __init__(self, data: PictureSet) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def order(self, rng: np.random.Generator, together: int) -> list[int]:
        """Return an order of all samples."""
        del together
        return rng.permutation(len(self)).tolist()

    def batch(self, rows: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pictures (B, 3, S, S), coverage (B, P*P, K) and labels (B, L)."""
        rng = np.random.default_rng(seed)
        pictures = torch.from_numpy(self._data.pictures[rows])
        across, down = rng.integers(-_FARTHEST, _FARTHEST + 1, 2)
        pictures = torch.roll(pictures, (int(down), int(across)), (1, 2))
        values = normalised(pictures) * float(rng.uniform(0.85, 1.15))
        values = values + float(rng.uniform(-0.15, 0.15)) * (pictures > 0)[:, None]
        covered = torch.from_numpy(self._data.covered[rows]).float() / 255
        labels = torch.from_numpy(self._data.labels[rows]).float()
        return values, covered, labels


class WarmUp(nn.Module):
    """Tower and heads: takes a batch of `PictureBatches`, returns the loss."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.model.vision_tower
        self.layer = model.config.vision_feature_layer
        # What stands behind the layer that is read learns nothing.
        for unread in (*self.tower.encoder.layers[self.layer + 1 :], self.tower.post_layernorm):
            unread.requires_grad_(requires_grad=False)
        width = model.config.vision_config.hidden_size
        self.labels = nn.Linear(2 * width, len(LABELS))
        self.maps = nn.Linear(width, len(Kind))

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the mean loss of a batch."""
        values, covered, labels = batch
        patches = patch_features(self.tower, self.layer, values)
        seen, maps = self.heads(patches)
        target = (covered / _COVER).clamp(max=1)
        return functional.binary_cross_entropy_with_logits(
            seen, labels
        ) + _MAP_WEIGHT * functional.binary_cross_entropy_with_logits(maps, target)

    def heads(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of labels (B, L) and of coverage (B, P*P, K)."""
        pooled = torch.cat([patches.mean(1), patches.amax(1)], dim=-1)  # (B, 2 D)
        return self.labels(pooled), self.maps(patches)


def patch_features(tower: Any, layer: int, values: torch.Tensor) -> torch.Tensor:
    """Return the tower's patches as the projector is given them: (B, P*P, D).

    Args:
        tower: A `CLIPVisionModel`.
        layer: Which of its states is read, counted from the last (-1); layers behind it are not
            run.
        values: Pictures (B, 3, S, S).
    """
    layers = tower.encoder.layers
    tower.encoder.layers = layers[: len(layers) + 1 + layer]
    try:
        return tower(values, output_hidden_states=True).hidden_states[-1][:, 1:]
    finally:
        tower.encoder.layers = layers
