"""Synthetic frontal chest radiographs: a few shapes, one abnormality, and what a real film does.

Coordinates run from -1 to 1, x to the picture's right (the patient's left), y down. Brightness is a
sum of what lies in the beam: body, minus air in the lungs, plus heart, ribs and lesion. Nothing is
ever mirrored: the heart's side is what tells left from right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.demo.wording import Case, Pattern, Side, Zone

Field = NDArray[np.float32]

_ZONE_HEIGHTS = {Zone.UPPER: (-0.52, -0.32), Zone.MIDDLE: (-0.16, 0.06), Zone.LOWER: (0.2, 0.4)}
_MIDLINE = 0.1  # half the width of what lies between the lungs
# Edge of the drawing before it is turned into a film; the tower sees 112 pixels of it.
CANVAS = 160


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """A picture and the truth about it.

    Attributes:
        pixels: Array (H, W, 3), uint8.
        lesion: Array (H, W), 0 to 1: where the abnormality lies; all 0 where there is none.
    """

    case: Case
    pixels: NDArray[np.uint8]
    lesion: Field


@dataclass(frozen=True, kw_only=True, eq=False)
class _Anatomy:
    """The drawing's fields, each (CANVAS, CANVAS)."""

    x: Field
    y: Field
    lungs: dict[Side, Field]
    base: dict[Side, float]


def _soft(distance: Field, width: float) -> Field:
    """Return 1 inside (negative distance), 0 outside, with an edge of that width."""
    return np.asarray(1 / (1 + np.exp(np.clip(distance / width, -30, 30))), dtype=np.float32)


def _ellipse(x: Field, y: Field, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    """Return a rough signed distance from an ellipse's edge, negative inside."""
    across, down = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    return np.asarray((np.sqrt(across**2 + down**2) - 1) * min(radii), dtype=np.float32)


def _sign(side: Side) -> int:
    """Return where a side lies in the picture: the patient's right is on its left."""
    return -1 if side is Side.RIGHT else 1


def _coordinates(rng: np.random.Generator) -> tuple[Field, Field]:
    """Return the coordinates under a small turn, shift and scale: nobody stands quite straight."""
    row = np.linspace(-1, 1, CANVAS, dtype=np.float32)
    x, y = np.meshgrid(row, row)
    angle = rng.normal(0, 0.035)
    scale_x, scale_y = rng.uniform(0.78, 1.12), rng.uniform(0.8, 1.12)
    turned_x = (np.cos(angle) * x - np.sin(angle) * y) * scale_x + rng.normal(0, 0.05)
    turned_y = (np.sin(angle) * x + np.cos(angle) * y) * scale_y + rng.normal(0, 0.06)
    return turned_x.astype(np.float32), turned_y.astype(np.float32)


def _anatomy(rng: np.random.Generator) -> _Anatomy:
    x, y = _coordinates(rng)
    lungs, base = {}, {}
    for side in Side:
        sign = _sign(side)
        # The right dome stands higher, over the liver.
        dome = rng.normal(0.46, 0.05) - (0.05 if side is Side.RIGHT else 0.0)
        centre, radii = (sign * 0.43, 0.02), (rng.uniform(0.34, 0.4), rng.uniform(0.72, 0.8))
        outline = _ellipse(x, y, centre, radii)
        diaphragm = y - (dome + 1.1 * (x - sign * 0.38) ** 2)
        medial = (0.14 + 0.05 * (y + 0.3)) - sign * x
        shape = np.maximum(np.maximum(outline, diaphragm), medial)
        lungs[side] = _soft(shape, 0.014)
        base[side] = float(dome)
    return _Anatomy(x=x, y=y, lungs=lungs, base=base)


def _bones(anatomy: _Anatomy, rng: np.random.Generator) -> Field:
    """Return ribs, clavicles and spine."""
    x, y = anatomy.x, anatomy.y
    spacing, phase = rng.uniform(0.14, 0.18), rng.uniform(0, 1)
    cage = _soft(_ellipse(x, y, (0, 0.02), (0.86, 0.86)), 0.05)
    across = np.abs(x)
    posterior = np.cos(2 * np.pi * ((y + 0.5 * (across - 0.35) ** 2 - 0.1 * across) / spacing))
    anterior = np.cos(2 * np.pi * ((y - 0.75 * across) / (spacing * 1.25) + phase))
    ribs = 0.1 * np.clip(posterior, 0, 1) ** 3 + 0.06 * np.clip(anterior, 0, 1) ** 3
    clavicles = np.exp(-(((y + 0.66 - 0.22 * (0.5 - across)) / 0.035) ** 2)) * (across > _MIDLINE)
    spine = _soft(np.asarray(across - 0.11, dtype=np.float32), 0.03) * (
        0.22 + 0.03 * np.cos(2 * np.pi * y / 0.13)
    )
    strength = rng.uniform(0.7, 1.4)
    return np.asarray(strength * (ribs * cage + 0.1 * clavicles * cage) + spine, dtype=np.float32)


def _heart(anatomy: _Anatomy, case: Case, rng: np.random.Generator) -> Field:
    x, y = anatomy.x, anatomy.y
    if case.pattern is Pattern.CARDIOMEGALY:
        width, centre = rng.uniform(0.47, 0.58), 0.14
    else:
        width, centre = rng.uniform(0.24, 0.32), rng.uniform(0.09, 0.15)
    tilted = y - 0.25 * (x - centre)
    heart = _soft(_ellipse(x, tilted, (centre, 0.27), (width, rng.uniform(0.24, 0.32))), 0.015)
    vessels = _soft(_ellipse(x, y, (0.03, -0.1), (0.17, 0.5)), 0.02)
    knob = _soft(_ellipse(x, y, (0.15, -0.3), (0.07, 0.08)), 0.012)
    return np.maximum(np.maximum(heart, vessels), knob)


def _vessels(anatomy: _Anatomy, rng: np.random.Generator) -> Field:
    """Return hila and lung markings: smoothed noise, denser towards the middle."""
    grain = Image.fromarray(rng.normal(0, 1, (CANVAS // 2, CANVAS // 2)).astype(np.float32))
    fine = np.asarray(grain.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))
    x, y = anatomy.x, anatomy.y
    near_hilum = np.exp(-(((np.abs(x) - 0.2) / 0.22) ** 2) - ((y - 0.02) / 0.32) ** 2)
    hila = np.exp(-(((np.abs(x) - 0.21) / 0.07) ** 2) - ((y - 0.02) / 0.14) ** 2)
    texture = rng.uniform(0.01, 0.05) * fine * (0.3 + near_hilum)
    return np.asarray(texture + rng.uniform(0.05, 0.2) * hila, dtype=np.float32)


def _spot(side: Side, height: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """Return a place in the lung of that side, between two heights."""
    return _sign(side) * rng.uniform(0.3, 0.58), float(rng.uniform(*height))


def _lesion(anatomy: _Anatomy, case: Case, rng: np.random.Generator) -> Field:
    """Return the abnormality's extent, 0 to 1; a pneumothorax is drawn where the air stands."""
    x, y = anatomy.x, anatomy.y
    match case.pattern:
        case Pattern.NORMAL | Pattern.CARDIOMEGALY:
            return np.zeros_like(x)
        case Pattern.NODULE:
            return _nodule(anatomy, _sided(case), _ZONE_HEIGHTS[_zoned(case)], rng)
        case Pattern.NODULES:
            spots = [
                _nodule(anatomy, side, (-0.5, 0.45), rng)
                for side in Side
                for _ in range(int(rng.integers(2, 7)))
            ]
            return np.asarray(np.max(spots, axis=0), dtype=np.float32)
        case Pattern.CONSOLIDATION:
            side = _sided(case)
            centre = _spot(side, _ZONE_HEIGHTS[_zoned(case)], rng)
            radii = (rng.uniform(0.18, 0.28), rng.uniform(0.15, 0.21))
            ripple = 0.05 * np.sin(9 * x + rng.uniform(0, 6)) * np.cos(11 * y + rng.uniform(0, 6))
            edge = _ellipse(x, y, centre, radii) + ripple.astype(np.float32)
            return _soft(edge, 0.04) * anatomy.lungs[side]
        case Pattern.EFFUSION:
            side = _sided(case)
            level = anatomy.base[side] - rng.uniform(0.02, 0.3)
            # The meniscus climbs towards the chest wall.
            surface = level - 0.9 * np.clip(_sign(side) * x - 0.3, 0, 1) ** 1.5
            wall = _soft(_ellipse(x, y, (0, 0.02), (0.86, 0.86)), 0.02)
            return _soft(surface - y, 0.02) * wall * (_sign(side) * x > _MIDLINE)
        case Pattern.PNEUMOTHORAX:
            side = _sided(case)
            sign, depth = _sign(side), rng.uniform(0.1, 0.24)
            inner = _ellipse(x, y, (sign * (0.43 - depth), 0.1), (0.36, 0.7))
            return anatomy.lungs[side] * (1 - _soft(inner, 0.006))


def _nodule(
    anatomy: _Anatomy, side: Side, height: tuple[float, float], rng: np.random.Generator
) -> Field:
    radius = rng.uniform(0.07, 0.13)
    centre = _spot(side, height, rng)
    radii = (radius * rng.uniform(0.85, 1.15), radius)
    return _soft(_ellipse(anatomy.x, anatomy.y, centre, radii), 0.012)


def _sided(case: Case) -> Side:
    if case.side is None:
        raise ValueError(f"{case.pattern} needs a side")
    return case.side


def _zoned(case: Case) -> Zone:
    if case.zone is None:
        raise ValueError(f"{case.pattern} needs a zone")
    return case.zone


def _in_the_beam(case: Case, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return what weakens the beam, and the lesion's extent."""
    anatomy = _anatomy(rng)
    x, y, lungs = anatomy.x, anatomy.y, anatomy.lungs
    body = _soft(_ellipse(x, y, (0, 0.35), (1.02, 1.15)), 0.03)
    shoulders = _soft(_ellipse(x, y, (0, 0.12), (1.25, 1.02)), 0.04)
    neck = _soft(np.maximum(np.abs(x) - 0.26, y), 0.04)
    flesh = np.maximum(np.maximum(body, shoulders), neck)
    air = np.maximum(lungs[Side.RIGHT], lungs[Side.LEFT])
    heart = _heart(anatomy, case, rng)
    lesion = _lesion(anatomy, case, rng)
    depth = rng.uniform(0.45, 0.62)
    beam = 0.72 * flesh - depth * air * (1 - 0.92 * heart) + _vessels(anatomy, rng) * air
    beam += _bones(anatomy, rng) * flesh + 0.08 * heart
    beam += 0.16 * flesh * _soft(anatomy.base[Side.LEFT] - y, 0.1)
    if rng.random() < 0.4:  # noqa: PLR2004 - air in the stomach, as often as not
        stomach = _ellipse(x, y, (rng.uniform(0.25, 0.45), 0.74), (0.16, 0.1))
        beam -= 0.2 * _soft(stomach, 0.02)
    if case.pattern is Pattern.PNEUMOTHORAX:
        line = np.clip(lesion * (1 - lesion) * 4, 0, 1) * air
        beam += -0.1 * lesion + 0.12 * line
    elif case.pattern is Pattern.EFFUSION:
        beam += rng.uniform(0.85, 1.0) * lesion * depth * air
    elif case.pattern is not Pattern.CARDIOMEGALY:
        beam += rng.uniform(0.45, 0.8) * lesion * depth * np.clip(air + 0.2, 0, 1)
    else:
        lesion = heart
    return np.asarray(beam, dtype=np.float32), lesion


def _blurred(field: Field, radius: float) -> Field:
    """Return a field (values about 0 to 1) under a Gaussian blur."""
    image = Image.fromarray(np.clip(field * 200 + 20, 0, 255).astype(np.uint8))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    return np.asarray((blurred - 20) / 200, dtype=np.float32)


def _exposed(beam: Field, rng: np.random.Generator) -> Field:
    """Return the film, 0 (black) to 1: uneven exposure, contrast, blur, grain, collimation."""
    row = np.linspace(-1, 1, CANVAS, dtype=np.float32)
    uneven = rng.normal(0, 0.05) * row[None, :] + rng.normal(0, 0.05) * row[:, None]
    film = _blurred(beam + uneven.astype(np.float32), rng.uniform(0.2, 1.3))
    film = np.clip(film, 0, 1.3) / rng.uniform(0.95, 1.25)
    film = np.clip(film, 0, 1) ** rng.uniform(0.45, 1.3)
    floor, ceiling = rng.uniform(0, 0.45), rng.uniform(0.75, 1.0)
    film = floor + (ceiling - floor) * film
    film = film + rng.normal(0, rng.uniform(0.003, 0.025), film.shape).astype(np.float32)
    if rng.random() < 0.3:  # noqa: PLR2004 - a collimated edge, now and then
        top, bottom, left, right = (int(v) for v in rng.integers(0, 8, 4))
        mask = np.zeros_like(film)
        mask[top : CANVAS - bottom, left : CANVAS - right] = 1
        film = film * mask
    return np.asarray(film, dtype=np.float32)


def draw(case: Case, rng: np.random.Generator) -> Phantom:
    """Return a phantom that shows a case; the same generator state gives the same picture."""
    beam, lesion = _in_the_beam(case, rng)
    film = _exposed(beam, rng)
    # Films are seldom square: the same drawing is stretched by a little.
    width = int(CANVAS * rng.uniform(0.85, 1.1))
    grey = Image.fromarray(np.clip(film * 255, 0, 255).astype(np.uint8))
    extent = Image.fromarray((lesion * 255).astype(np.uint8))
    shape = (width, CANVAS)
    pixels = np.asarray(grey.resize(shape, Image.Resampling.BILINEAR))
    mask = np.asarray(extent.resize(shape, Image.Resampling.BILINEAR), dtype=np.float32)
    mask = mask / np.float32(255)
    return Phantom(case=case, pixels=np.repeat(pixels[:, :, None], 3, axis=2), lesion=mask)
