"""Findings as they weaken the beam: each adds brightness or takes it away, and says where.

Each function returns (what is added to the beam, extent from 0 to 1), both (S, S).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from model.phantom.anatomy import LUNG_CENTRE, MIDLINE, Anatomy, Field, ellipse, sign, soft
from model.phantom.case import Kind, PhantomFinding, Side, Size, Zone
from model.phantom.ranges import Ranges, draw

Drawn = tuple[Field, Field]

_ZONE_HEIGHTS = {Zone.UPPER: (-0.52, -0.34), Zone.MIDDLE: (-0.14, 0.04), Zone.LOWER: (0.2, 0.38)}
_EFFUSION_DEPTHS = {Size.SMALL: (0.06, 0.14), Size.LARGE: (0.24, 0.46)}
_PNEUMOTHORAX_DEPTHS = {Size.SMALL: (0.09, 0.14), Size.LARGE: (0.19, 0.28)}


def draw_finding(
    finding: PhantomFinding, anatomy: Anatomy, ranges: Ranges, rng: np.random.Generator
) -> Drawn:
    """Return one finding's brightness and extent."""
    strength = draw(ranges.lesions, rng) * anatomy.depth
    return _DRAWERS[finding.kind](finding, anatomy, strength, rng)


def _side_of(finding: PhantomFinding) -> Side:
    if finding.side is None:
        raise ValueError(f"{finding.kind} needs a side")
    return finding.side


def _spot(finding: PhantomFinding, rng: np.random.Generator) -> tuple[float, float]:
    """Return a place in the lung: of the finding's side, at the height of its zone."""
    if finding.zone is None:
        raise ValueError(f"{finding.kind} needs a zone")
    height = rng.uniform(*_ZONE_HEIGHTS[finding.zone])
    # The lung is narrow at its top.
    widest = 0.52 if finding.zone is Zone.UPPER else 0.6
    return sign(_side_of(finding)) * float(rng.uniform(0.3, widest)), float(height)


def _open_lung(anatomy: Anatomy, side: Side) -> Field:
    """Return the extent of a lung where the heart does not stand before it."""
    return np.asarray(anatomy.lungs[side] * (1 - 0.92 * anatomy.heart), dtype=np.float32)


def _effusion(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    del strength
    side = _side_of(finding)
    toward = sign(side)
    level = anatomy.base[side] - rng.uniform(*_EFFUSION_DEPTHS[finding.size or Size.SMALL])
    # The meniscus climbs towards the chest wall.
    surface = level - 0.9 * np.clip(toward * anatomy.x - 0.3, 0, 1) ** 1.5
    extent = soft(surface - anatomy.y, 0.02) * soft(anatomy.cage, 0.02)
    extent = np.asarray(extent * (toward * anatomy.x > MIDLINE), dtype=np.float32)
    added = rng.uniform(0.85, 1.0) * anatomy.depth * extent * _open_lung(anatomy, side)
    return np.asarray(added, dtype=np.float32), extent


def _pneumothorax(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    del strength
    side = _side_of(finding)
    depth = rng.uniform(*_PNEUMOTHORAX_DEPTHS[finding.size or Size.SMALL])
    centre = (sign(side) * (LUNG_CENTRE - depth), 0.1)
    inside = soft(ellipse(anatomy.x, anatomy.y, centre, (0.36, 0.7)), 0.006)
    extent = anatomy.lungs[side] * (1 - inside)
    line = np.clip(extent * (1 - extent) * 4, 0, 1) * anatomy.lungs[side]
    return np.asarray(0.14 * line - 0.13 * extent, dtype=np.float32), extent


def _consolidation(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    radii = (rng.uniform(0.18, 0.28), rng.uniform(0.15, 0.2))
    waves = rng.uniform(0, 6, 2).astype(np.float32)
    ripple = 0.06 * np.sin(9 * anatomy.x + waves[0]) * np.cos(11 * anatomy.y + waves[1])
    edge = ellipse(anatomy.x, anatomy.y, _spot(finding, rng), radii) + ripple
    extent = soft(edge.astype(np.float32), 0.045) * anatomy.lungs[_side_of(finding)]
    return strength * extent * _open_lung(anatomy, _side_of(finding)), extent


def _round(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return a nodule (up to 3 cm of a chest 30 cm wide) or a mass."""
    is_mass = finding.kind is Kind.MASS
    radius = rng.uniform(0.15, 0.2) if is_mass else rng.uniform(0.06, 0.095)
    radii = (radius * rng.uniform(0.9, 1.1), radius)
    extent = soft(ellipse(anatomy.x, anatomy.y, _spot(finding, rng), radii), 0.01)
    added = 1.1 * strength * extent * np.clip(anatomy.air + 0.2, 0, 1)
    return np.asarray(added, dtype=np.float32), extent


def _oedema(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return haze around both hila, and short lines at the lungs' lower edges (Kerley B)."""
    del finding
    across = np.abs(anatomy.x)
    middle, radii = rng.uniform(-0.06, 0.1), (rng.uniform(0.19, 0.25), rng.uniform(0.28, 0.38))
    haze = np.exp(-(((across - 0.32) / radii[0]) ** 2) - ((anatomy.y - middle) / radii[1]) ** 2)
    lines = np.maximum(np.cos(2 * np.pi * anatomy.y / 0.07), 0) ** 4
    lines *= (across > 0.58) & (anatomy.y > 0.05)  # noqa: PLR2004 - at the lower edges
    extent = np.asarray(haze * anatomy.air, dtype=np.float32)
    added = (0.85 * strength * haze + 0.12 * lines) * anatomy.air * (1 - 0.92 * anatomy.heart)
    return np.asarray(added, dtype=np.float32), extent


def _fracture(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return a lateral rib in two pieces: bright ends, a dark gap, a step between them."""
    del strength
    side = _side_of(finding)
    toward = sign(side)
    centre = (toward * rng.uniform(0.6, 0.68), rng.uniform(-0.3, 0.2))
    slope, step = rng.uniform(0.25, 0.6), rng.uniform(0.045, 0.06)
    along = toward * (anatomy.x - centre[0])
    off = anatomy.y - centre[1] - slope * along - step * np.sign(along)
    ends = np.exp(-((off / 0.024) ** 2)) * soft(np.abs(along) - 0.13, 0.01)
    gap = np.exp(-((along / 0.016) ** 2)) * soft(np.abs(anatomy.y - centre[1]) - 0.08, 0.015)
    extent = soft(ellipse(anatomy.x, anatomy.y, (centre[0], centre[1]), (0.15, 0.12)), 0.01)
    added = rng.uniform(0.3, 0.4) * ends * (1 - gap) - 0.22 * gap
    return np.asarray(added, dtype=np.float32), extent


def _pacemaker(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return a generator under the clavicle and a lead to the heart's apex."""
    del strength
    side = _side_of(finding)
    toward = sign(side)
    at = (toward * rng.uniform(0.5, 0.62), rng.uniform(-0.56, -0.44))
    half = (rng.uniform(0.09, 0.12), rng.uniform(0.07, 0.09))
    outline = np.maximum(np.abs(anatomy.x - at[0]) - half[0], np.abs(anatomy.y - at[1]) - half[1])
    box = soft(outline.astype(np.float32), 0.008)
    # From the generator over the superior vena cava, on the right, to the apex, on the left.
    apex = (rng.uniform(0.18, 0.3), rng.uniform(0.36, 0.46))
    points = [at, (-0.06, at[1] + 0.12), (-0.1, 0.05), apex]
    lead = np.min([_segment(anatomy, *ends) for ends in pairwise(points)], 0)
    wire = soft(np.asarray(lead - 0.012, dtype=np.float32), 0.006)
    added = 0.8 * np.maximum(box, 0.5 * wire)
    return np.asarray(added, dtype=np.float32), np.maximum(box, wire)


def _segment(anatomy: Anatomy, start: tuple[float, float], end: tuple[float, float]) -> Field:
    """Return the distance of each point from a straight piece between two points."""
    run = np.array(end, dtype=np.float32) - np.array(start, dtype=np.float32)
    x, y = anatomy.x - np.float32(start[0]), anatomy.y - np.float32(start[1])
    share = np.clip((x * run[0] + y * run[1]) / float(run @ run), 0, 1)
    return np.asarray(np.hypot(x - share * run[0], y - share * run[1]), dtype=np.float32)


def _tube(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return a tube in the trachea, its tip above the carina."""
    del finding, strength
    lean, tip = rng.uniform(-0.03, 0.03), rng.uniform(-0.42, -0.3)
    across = np.abs(anatomy.x - lean * (anatomy.y + 0.6))
    extent = soft(np.maximum(across - 0.02, anatomy.y - tip), 0.008)
    return np.asarray(rng.uniform(0.38, 0.5) * extent, dtype=np.float32), extent


def _hernia(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return a stomach behind the heart: a round wall, air above a level of fluid."""
    del finding, strength
    centre = (rng.uniform(0.0, 0.14), rng.uniform(0.34, 0.44))
    edge = ellipse(anatomy.x, anatomy.y, centre, (rng.uniform(0.14, 0.18), rng.uniform(0.12, 0.15)))
    extent = soft(edge, 0.01)
    wall = np.exp(-((edge / 0.018) ** 2))
    fluid = soft(centre[1] + np.float32(0.01) - anatomy.y, 0.008)
    added = 0.16 * wall + extent * (0.12 * fluid - 0.34 * (1 - fluid))
    return np.asarray(added, dtype=np.float32), extent


def _cardiomegaly(
    finding: PhantomFinding, anatomy: Anatomy, strength: float, rng: np.random.Generator
) -> Drawn:
    """Return nothing to add: the heart was drawn large already."""
    del finding, strength, rng
    return np.zeros_like(anatomy.x), anatomy.heart


_DRAWERS: dict[Kind, Callable[[PhantomFinding, Anatomy, float, np.random.Generator], Drawn]] = {
    Kind.EFFUSION: _effusion,
    Kind.PNEUMOTHORAX: _pneumothorax,
    Kind.CONSOLIDATION: _consolidation,
    Kind.NODULE: _round,
    Kind.MASS: _round,
    Kind.CARDIOMEGALY: _cardiomegaly,
    Kind.OEDEMA: _oedema,
    Kind.FRACTURE: _fracture,
    Kind.PACEMAKER: _pacemaker,
    Kind.TUBE: _tube,
    Kind.HERNIA: _hernia,
}
