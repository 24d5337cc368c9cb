"""From what weakens the beam to a film, and from a film to the values that a detector stores."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.phantom.anatomy import Field
from model.phantom.ranges import Ranges, draw

_REFERENCE = 160  # pixels of the picture that grain and blur are given for
_COLLIMATED = 0.3
_WIDEST_EDGE = 0.05


class Photometric(StrEnum):
    """Values of Photometric Interpretation (0028,0004)."""

    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredFilm:
    """A film as a detector stores it.

    Attributes:
        values: Array (H, W), uint8 where `bits` is 8, else uint16.
        bits: Bits Stored (0028,0101).
        window: Centre and width that show the whole film.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    photometric: Photometric
    window: tuple[float, float]


def expose(beam: Field, ranges: Ranges, rng: np.random.Generator) -> Field:
    """Return the film, 0 (black) to 1: uneven exposure, blur, contrast, grain, collimation."""
    size = len(beam)
    row = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = (np.float32(v) for v in rng.normal(0, 0.04, 2))
    film = beam + (across * row)[None, :] + (down * row)[:, None]
    film = _blurred(film, draw(ranges.blur, rng) * size / _REFERENCE)
    film = np.clip(film, 0, 1.3) / np.float32(rng.uniform(0.95, 1.2))
    film = np.minimum(film, 1) ** np.float32(draw(ranges.gamma, rng))
    floor, ceiling = draw(ranges.floor, rng), draw(ranges.ceiling, rng)
    # Scaled down to the tower's picture, finer grain weakens by as much as it is stronger here.
    grain = draw(ranges.grain, rng) * size / _REFERENCE
    noise = rng.standard_normal(film.shape, dtype=np.float32)
    film = np.float32(floor) + np.float32(ceiling - floor) * film + np.float32(grain) * noise
    if rng.random() < _COLLIMATED:
        top, bottom, left, right = (int(v) for v in rng.uniform(0, _WIDEST_EDGE, 4) * size)
        mask = np.zeros_like(film)
        mask[top : size - bottom, left : size - right] = 1
        film = film * mask
    return np.asarray(np.clip(film, 0, 1), dtype=np.float32)


def _blurred(field: Field, radius: float) -> Field:
    """Return a field (values about 0 to 1) under a Gaussian blur."""
    image = Image.fromarray(np.clip(field * 180 + 25, 0, 255).astype(np.uint8))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    return np.asarray((blurred - 25) / 180, dtype=np.float32)


def store(film: Field, bits: int, photometric: Photometric) -> StoredFilm:
    """Return a film as stored values.

    Args:
        film: Array (H, W), 0 (black) to 1 (white).
        bits: 8 to 16.
        photometric: `MONOCHROME1` stores white as the smallest value.

    Raises:
        ValueError: No such number of bits.
    """
    if not 8 <= bits <= 16:  # noqa: PLR2004 - Bits Stored of a DX image (PS3.3 C.8.11.3)
        raise ValueError(f"a film is stored in 8 to 16 bits, not in {bits}")
    most = 2**bits - 1
    shown = 1 - film if photometric is Photometric.MONOCHROME1 else film
    values = np.rint(shown * most)
    return StoredFilm(
        values=values.astype(np.uint8) if bits == 8 else values.astype(np.uint16),  # noqa: PLR2004
        bits=bits,
        photometric=photometric,
        window=((most + 1) / 2, float(most + 1)),
    )
