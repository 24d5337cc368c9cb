"""The phantoms that the demonstration model is trained on, drawn once and kept in a file."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model.demo.architecture import GEOMETRY
from model.demo.phantoms import Phantom, draw
from model.demo.wording import Case, Pattern, Side, Zone, draw_case
from model.vision import CLIP_MEAN, CLIP_STD, pad_to_square

log = logging.getLogger(__name__)

_PROCESSES = 2
_PATCHES = GEOMETRY.size // GEOMETRY.patch_size


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomSet:
    """Phantoms ready for the tower.

    Attributes:
        pixels: Tensor (N, 3, S, S), uint8, padded and scaled.
        lesions: Tensor (N, P*P), 0 to 1: how much of each patch the abnormality covers.
        labels: Tensor (N, 3): index of pattern, side (0 none) and zone (0 none).
    """

    pixels: torch.Tensor
    lesions: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def case(self, index: int) -> Case:
        """Return the truth about one phantom."""
        pattern, side, zone = (int(v) for v in self.labels[index])
        return Case(
            pattern=tuple(Pattern)[pattern],
            side=tuple(Side)[side - 1] if side else None,
            zone=tuple(Zone)[zone - 1] if zone else None,
        )


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures (N, 3, S, S) as `model.vision.to_pixel_values` would make them."""
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / deviation


def phantom(seed: int, index: int) -> Phantom:
    """Return the phantom of a seed and an index, always the same."""
    rng = np.random.default_rng([seed, index])
    return draw(draw_case(rng), rng)


def _scaled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pad_to_square(pixels))
    return np.asarray(image.resize((GEOMETRY.size, GEOMETRY.size), Image.Resampling.BICUBIC))


def _row(seed: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], list[int]]:
    made = phantom(seed, index)
    mask = np.repeat((made.lesion * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    height, width = made.lesion.shape
    square = np.zeros((max(height, width), max(height, width)), dtype=np.uint8)
    top, left = (square.shape[0] - height) // 2, (square.shape[1] - width) // 2
    square[top : top + height, left : left + width] = mask[:, :, 0]
    patches = Image.fromarray(square).resize((_PATCHES, _PATCHES), Image.Resampling.BOX)
    case = made.case
    labels = [
        tuple(Pattern).index(case.pattern),
        tuple(Side).index(case.side) + 1 if case.side else 0,
        tuple(Zone).index(case.zone) + 1 if case.zone else 0,
    ]
    covered = np.asarray(patches, dtype=np.float32).reshape(-1) / np.float32(255)
    return _scaled(made.pixels).transpose(2, 0, 1), covered, labels


def _rows(
    seed: int, start: int, stop: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    torch.set_num_threads(1)
    pixels, lesions, labels = zip(*(_row(seed, i) for i in range(start, stop)), strict=True)
    return np.stack(pixels), np.stack(lesions), np.array(labels)


def make_phantoms(count: int, seed: int, file: Path) -> PhantomSet:
    """Return `count` phantoms; they are drawn once, then read from `file`."""
    if not file.is_file():
        step = 250
        starts = range(0, count, step)
        with ProcessPoolExecutor(_PROCESSES) as pool:
            futures = [pool.submit(_rows, seed, s, min(s + step, count)) for s in starts]
            parts = []
            for number, future in enumerate(futures, start=1):
                parts.append(future.result())
                log.info("phantoms %d of %d", min(number * step, count), count)
        arrays = [torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)]
        torch.save(arrays, file)
    pixels, lesions, labels = torch.load(file, weights_only=True)
    return PhantomSet(pixels=pixels, lesions=lesions, labels=labels)
