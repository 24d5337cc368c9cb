"""A toy tower's first weights: waves for patches and for places, so that little has to be learnt.

Random filters of a small tower see hardly more than each patch's mean grey. It begins instead with
the lowest waves of the discrete cosine transform, each scaled to how strongly it varies over the
pictures, and with places told by sines and cosines (Vaswani et al. 2017, in two directions).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.train.pictures import normalised

_CHANNELS = 3
_PLACE_STRENGTH = 0.5


def start_tower(tower: Any, pictures: NDArray[np.uint8]) -> None:
    """Give a tower's patches and places their first weights, in place.

    Args:
        tower: A `CLIPVisionModel`.
        pictures: Array (N, S, S) of `PictureSet`: some hundred are enough.
    """
    embeddings = tower.embeddings
    weight = embeddings.patch_embedding.weight  # (D, 3, P, P)
    waves = _waves(weight.shape[2], weight.shape[0])
    with torch.no_grad():
        weight.copy_((waves / _CHANNELS)[:, None].expand_as(weight))
        values = embeddings.patch_embedding(normalised(torch.from_numpy(pictures)))
        spread = values.std((0, 2, 3))
        weight /= spread[:, None, None, None]
        patches = values.shape[-1]
        places = _places(patches, weight.shape[0])
        embeddings.position_embedding.weight[1:] = _PLACE_STRENGTH * places


def _waves(size: int, count: int) -> torch.Tensor:
    """Return the lowest waves of a patch: (count, size, size)."""
    at = np.arange(size)
    rows = np.cos(np.pi * (at[None] + 0.5) * np.arange(size)[:, None] / size)  # (frequency, place)
    pairs = sorted(
        ((down, across) for down in range(size) for across in range(size)),
        key=lambda pair: pair[0] ** 2 + pair[1] ** 2,
    )
    chosen = [np.outer(rows[down], rows[across]) for down, across in pairs[:count]]
    return torch.from_numpy(np.stack(chosen)).float() / size


def _places(patches: int, width: int) -> torch.Tensor:
    """Return sines and cosines of each patch's row and column: (patches * patches, width)."""
    quarter = width // 4
    rates = np.pi / 2 ** (np.arange(quarter) * 4 / quarter)
    angles = np.arange(patches)[:, None] * rates[None]
    line = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)  # (patches, width / 2)
    down = np.repeat(line, patches, axis=0)
    across = np.tile(line, (patches, 1))
    return torch.from_numpy(np.concatenate([down, across], axis=1)).float()
