"""Phantoms as the vision tower's warm-up needs them: pictures, what they show, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model.phantom.anatomy import Field
from model.phantom.case import LABELS, Kind, labels_of
from model.phantom.phantoms import numbered_phantom
from model.phantom.ranges import TRAINING, Ranges
from model.vision import CLIP_MEAN, CLIP_STD, ImageGeometry

# Phantoms for training are drawn as small as the tower's picture allows.
FILM_SIZE = 160


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureSet:
    """Pictures and what is to be seen on them, small enough to keep in memory.

    Attributes:
        pictures: Array (N, S, S), uint8 grey; 0 stands for the padding around the film.
        covered: Array (N, P*P, K), uint8: how much of each patch each kind covers, 0 to 255.
        labels: Array (N, L), uint8: which of `LABELS` are seen.
    """

    pictures: NDArray[np.uint8]
    covered: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """Return grey pictures (N, S, S) as `model.vision.to_pixel_values` makes them: (N, 3, S, S).

    The padding has the mean colour, and so comes out as nought.
    """
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    grey = pictures[:, None].float()
    return torch.where(grey > 0, (grey / 255 - mean) / deviation, torch.zeros(1))


def make_pictures(
    count: int, seed: int, geometry: ImageGeometry, file: Path, ranges: Ranges = TRAINING
) -> PictureSet:
    """Return the first phantoms of a seed; they are drawn once, then read from `file`."""
    if not file.is_file():
        patches = geometry.size // geometry.patch_size
        pictures = np.empty((count, geometry.size, geometry.size), dtype=np.uint8)
        covered = np.zeros((count, patches**2, len(Kind)), dtype=np.uint8)
        labels = np.empty((count, len(LABELS)), dtype=np.uint8)
        for index in range(count):
            made = numbered_phantom(seed, index, size=FILM_SIZE, ranges=ranges)
            pictures[index] = picture_of(made.film, geometry.size)
            labels[index] = labels_of(made.case)
            for place, kind in enumerate(Kind):
                if kind in made.extents:
                    extent = _squared(made.extents[kind], made.film.shape)
                    covered[index, :, place] = _scaled(extent, patches, Image.Resampling.BOX).flat
        file.parent.mkdir(parents=True, exist_ok=True)
        written = file.with_suffix(".part.npz")
        np.savez(written, pictures=pictures, covered=covered, labels=labels)
        written.replace(file)
    with np.load(file) as held:
        return PictureSet(**{name: held[name] for name in ("pictures", "covered", "labels")})


def picture_of(film: Field, size: int) -> NDArray[np.uint8]:
    """Return a film as a padded square picture; 0 is the padding."""
    height, width = film.shape
    longer = max(height, width)
    shape = (round(width * size / longer), round(height * size / longer))
    grey = Image.fromarray(np.rint(film * 255).astype(np.uint8))
    scaled = np.asarray(grey.resize(shape, Image.Resampling.BICUBIC))
    picture = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - shape[1]) // 2, (size - shape[0]) // 2
    picture[top : top + shape[1], left : left + shape[0]] = np.maximum(scaled, 1)
    return picture


def _squared(extent: Field, shape: tuple[int, ...]) -> Field:
    """Return an extent stretched and padded as its film is."""
    height, width = shape
    stretched = np.asarray(
        Image.fromarray(extent).resize((width, height), Image.Resampling.BILINEAR)
    )
    longer = max(height, width)
    square = np.zeros((longer, longer), dtype=np.float32)
    top, left = (longer - height) // 2, (longer - width) // 2
    square[top : top + height, left : left + width] = stretched
    return square


def _scaled(extent: Field, size: int, how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(
        Image.fromarray(np.rint(np.clip(extent, 0, 1) * 255).astype(np.uint8)).resize(
            (size, size), how
        )
    )
