"""The body of a synthetic frontal chest radiograph: lungs, heart, bones, markings.

Coordinates run from -1 to 1, x to the picture's right (the patient's left), y down. Brightness is
a sum of what lies in the beam: flesh, minus air in the lungs, plus heart, ribs and lesions. Nothing
is ever mirrored: the heart's side is what tells left from right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.phantom.case import Case, Kind, Side, View
from model.phantom.ranges import Ranges, draw

Field = NDArray[np.float32]

MIDLINE = 0.1  # half the width of what lies between the lungs
LUNG_CENTRE = 0.43
_FAR_OUTSIDE = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """A body's fields, each (S, S), and its measures.

    Attributes:
        x: Distance from the midline of each point, the patient's left positive.
        y: Height of each point, downwards.
        lungs: Extent of each lung, 0 to 1.
        base: Height of each diaphragm.
        heart: Extent of heart and great vessels, 0 to 1.
        cage: Signed distance from the chest wall, negative inside.
        depth: How much less a lung weakens the beam than flesh.
    """

    x: Field
    y: Field
    lungs: dict[Side, Field]
    base: dict[Side, float]
    heart: Field
    cage: Field
    depth: float

    @property
    def air(self) -> Field:
        """Extent of both lungs."""
        return np.maximum(self.lungs[Side.RIGHT], self.lungs[Side.LEFT])


def soft(distance: Field, width: float) -> Field:
    """Return 1 inside (negative distance), 0 outside, with an edge of that width."""
    return np.asarray(
        1 / (1 + np.exp(np.clip(distance / width, -_FAR_OUTSIDE, _FAR_OUTSIDE))), dtype=np.float32
    )


def ellipse(x: Field, y: Field, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    """Return a rough signed distance from an ellipse's edge, negative inside."""
    across, down = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    return np.asarray((np.sqrt(across**2 + down**2) - 1) * min(radii), dtype=np.float32)


def sign(side: Side) -> int:
    """Return where a side lies in the picture: the patient's right is on its left."""
    return -1 if side is Side.RIGHT else 1


def _coordinates(size: int, ranges: Ranges, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return the coordinates under a small tilt, shift, scale and turn: nobody stands straight."""
    row = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(row, row)
    angle = draw(ranges.angle, rng)
    scale_x, scale_y = draw(ranges.scale, rng), draw(ranges.scale, rng)
    tilted_x = (np.cos(angle) * x - np.sin(angle) * y) / scale_x + draw(ranges.shift, rng)
    tilted_y = (np.sin(angle) * x + np.cos(angle) * y) / scale_y + draw(ranges.shift, rng)
    # A patient who is turned shows one lung broader than the other.
    turned = tilted_x * (1 + draw(ranges.turn, rng) * np.sign(tilted_x))
    return turned.astype(np.float32), tilted_y.astype(np.float32)


def draw_anatomy(case: Case, size: int, ranges: Ranges, rng: np.random.Generator) -> Anatomy:
    """Return the body of a case; a patient who lies has a broader heart and higher diaphragms."""
    x, y = _coordinates(size, ranges, rng)
    lungs, base = {}, {}
    rise = 0.06 if case.view is View.AP else 0.0
    for side in Side:
        toward = sign(side)
        # The right dome stands higher, over the liver.
        dome = draw(ranges.dome, rng) - rise - (0.05 if side is Side.RIGHT else 0.0)
        radii = (draw(ranges.lung_width, rng), float(rng.uniform(0.72, 0.8)))
        outline = ellipse(x, y, (toward * LUNG_CENTRE, 0.02), radii)
        diaphragm = y - (dome + 1.1 * (x - toward * 0.38) ** 2)
        medial = (0.14 + 0.05 * (y + 0.3)) - toward * x
        lungs[side] = soft(np.maximum(np.maximum(outline, diaphragm), medial), 0.014)
        base[side] = float(dome)
    return Anatomy(
        x=x,
        y=y,
        lungs=lungs,
        base=base,
        heart=_heart(x, y, case, rng),
        cage=ellipse(x, y, (0, 0.02), (0.86, 0.86)),
        depth=draw(ranges.lungs, rng),
    )


def _heart(x: Field, y: Field, case: Case, rng: np.random.Generator) -> Field:
    if Kind.CARDIOMEGALY in case.kinds:
        width, centre = rng.uniform(0.47, 0.58), 0.14
    else:
        width, centre = rng.uniform(0.24, 0.32), rng.uniform(0.09, 0.15)
        width += 0.03 * (case.view is View.AP)
    tilted = np.asarray(y - 0.25 * (x - centre), dtype=np.float32)
    heart = soft(ellipse(x, tilted, (centre, 0.27), (width, rng.uniform(0.24, 0.32))), 0.015)
    vessels = soft(ellipse(x, y, (0.03, -0.1), (0.17, 0.5)), 0.02)
    knob = soft(ellipse(x, y, (0.15, -0.3), (0.07, 0.08)), 0.012)
    return np.maximum(np.maximum(heart, vessels), knob)


def draw_flesh(anatomy: Anatomy) -> Field:
    """Return the extent of trunk, shoulders and neck."""
    x, y = anatomy.x, anatomy.y
    trunk = ellipse(x, y, (0, 0.35), (1.02, 1.15))
    shoulders = ellipse(x, y, (0, 0.12), (1.25, 1.02))
    neck = np.asarray(np.maximum(np.abs(x) - 0.26, y), dtype=np.float32)
    return soft(np.minimum(np.minimum(trunk, shoulders), neck), 0.035)


def draw_bones(anatomy: Anatomy, ranges: Ranges, rng: np.random.Generator) -> Field:
    """Return ribs, clavicles and spine."""
    x, y = anatomy.x, anatomy.y
    spacing, phase = rng.uniform(0.14, 0.18), rng.uniform(0, 1)
    cage = soft(anatomy.cage, 0.05)
    across = np.abs(x)
    posterior = np.cos(2 * np.pi * ((y + 0.5 * (across - 0.35) ** 2 - 0.1 * across) / spacing))
    anterior = np.cos(2 * np.pi * ((y - 0.75 * across) / (spacing * 1.25) + phase))
    ribs = 0.1 * np.maximum(posterior, 0) ** 3 + 0.06 * np.maximum(anterior, 0) ** 3
    clavicles = np.exp(-(((y + 0.66 - 0.22 * (0.5 - across)) / 0.035) ** 2)) * (across > MIDLINE)
    middle = soft(np.asarray(across - 0.11, dtype=np.float32), 0.03)
    spine = middle * (0.2 + 0.03 * np.cos(2 * np.pi * y / 0.13))
    trachea = soft(np.maximum(across - 0.05, y + 0.28), 0.015)
    strength = draw(ranges.ribs, rng)
    bones = strength * cage * (ribs + 0.1 * clavicles) + spine - 0.14 * trachea
    return np.asarray(bones, dtype=np.float32)


def draw_markings(anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Return hila and lung markings: smoothed noise, denser towards the middle."""
    x, y = anatomy.x, anatomy.y
    size = len(x)
    # Drawn on a grid of its own, so that a larger picture shows the same markings, not finer ones.
    grain = Image.fromarray(rng.normal(0, 1, (80, 80)).astype(np.float32))
    fine = np.asarray(grain.resize((size, size), Image.Resampling.BICUBIC))
    across, down = np.abs(x), y - np.float32(0.02)
    near_hilum = np.exp(-(((across - 0.2) / 0.22) ** 2) - (down / 0.32) ** 2)
    hila = np.exp(-(((across - 0.21) / 0.07) ** 2) - (down / 0.14) ** 2)
    texture = rng.uniform(0.01, 0.045) * fine * (0.3 + near_hilum)
    return np.asarray(texture + rng.uniform(0.05, 0.17) * hila, dtype=np.float32)
