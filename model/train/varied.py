"""Pictures a little otherwise each time, so that no model learns them by heart."""

from __future__ import annotations

import numpy as np
import torch

# As shares of the side, and in deviations of a normalised picture: less than what two films of one
# chest differ by.
_MOST_MOVED = 0.025
_CONTRAST, _BRIGHTNESS, _MOST_GRAIN = 0.15, 0.12, 0.15


def varied(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return normalised pictures (N, 3, S, S) moved, lit and grained otherwise; nothing is turned.

    What a picture is moved away from its edge shows the mean colour, as its padding does.
    """
    return torch.stack([_varied(picture, rng) for picture in pictures])


def _varied(picture: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    size = picture.shape[-1]
    most = round(_MOST_MOVED * size)
    down, right = (int(step) for step in rng.integers(-most, most + 1, 2))
    moved = torch.zeros_like(picture)
    moved[:, max(down, 0) : size + min(down, 0), max(right, 0) : size + min(right, 0)] = picture[
        :, max(-down, 0) : size - max(down, 0), max(-right, 0) : size - max(right, 0)
    ]
    light = float(rng.uniform(1 - _CONTRAST, 1 + _CONTRAST)), float(rng.normal(0, _BRIGHTNESS))
    grain = rng.normal(0, rng.uniform(0, _MOST_GRAIN), (size, size)).astype(np.float32)
    return moved * light[0] + light[1] + torch.from_numpy(grain)
