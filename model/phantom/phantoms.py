"""A phantom: a case, its film, and where on the film each finding lies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.phantom.anatomy import (
    Anatomy,
    Field,
    draw_anatomy,
    draw_bones,
    draw_flesh,
    draw_markings,
    ellipse,
    soft,
)
from model.phantom.case import Case, Kind, Side, draw_case
from model.phantom.film import expose
from model.phantom.lesions import draw_finding
from model.phantom.ranges import TRAINING, Ranges, draw

DEFAULT_SIZE = 224
_STOMACH_AIR = 0.4


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """A film and the truth about it.

    Attributes:
        film: Array (H, W), 0 (black) to 1 (white), in display orientation.
        extents: For each kind that it shows, array (S, S) from 0 to 1: where it lies on the film
            before that was stretched to its width.
    """

    case: Case
    film: Field
    extents: dict[Kind, Field] = field(default_factory=dict)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The film as a picture, (H, W, 3)."""
        grey = np.rint(self.film * 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)


def draw_phantom(
    case: Case,
    rng: np.random.Generator,
    *,
    size: int = DEFAULT_SIZE,
    ranges: Ranges = TRAINING,
) -> Phantom:
    """Return a phantom that shows a case; the same generator state gives the same film.

    Args:
        case: What it shows.
        rng: Where every number is drawn from.
        size: Height of the film in pixels.
        ranges: From where the numbers are drawn.
    """
    anatomy = draw_anatomy(case, size, ranges, rng)
    beam = _body(anatomy, ranges, rng)
    extents: dict[Kind, Field] = {}
    for finding in case.findings:
        added, extent = draw_finding(finding, anatomy, ranges, rng)
        beam += added
        known = extents.get(finding.kind)
        extents[finding.kind] = extent if known is None else np.maximum(known, extent)
    film = expose(beam, ranges, rng)
    # Films are seldom square: the same drawing is stretched by a little.
    width = int(size * draw(ranges.stretch, rng))
    stretched = Image.fromarray(film).resize((width, size), Image.Resampling.BILINEAR)
    return Phantom(case=case, film=np.clip(np.asarray(stretched), 0, 1), extents=extents)


def _body(anatomy: Anatomy, ranges: Ranges, rng: np.random.Generator) -> Field:
    """Return what weakens the beam in a chest without a finding of the lungs."""
    flesh, air, heart = draw_flesh(anatomy), anatomy.air, anatomy.heart
    beam = 0.72 * flesh - anatomy.depth * air * (1 - 0.92 * heart)
    beam += draw_markings(anatomy, rng) * air
    beam += draw_bones(anatomy, ranges, rng) * flesh + 0.08 * heart
    beam += 0.14 * flesh * soft(anatomy.base[Side.LEFT] - anatomy.y, 0.1)
    if rng.random() < _STOMACH_AIR:
        at = (float(rng.uniform(0.25, 0.45)), 0.74)
        beam -= 0.2 * soft(ellipse(anatomy.x, anatomy.y, at, (0.16, 0.1)), 0.02)
    return np.asarray(beam, dtype=np.float32)


def numbered_phantom(
    seed: int, index: int, *, size: int = DEFAULT_SIZE, ranges: Ranges = TRAINING
) -> Phantom:
    """Return the phantom of a seed and a number, always the same."""
    rng = np.random.default_rng([seed, index])
    return draw_phantom(draw_case(rng), rng, size=size, ranges=ranges)
