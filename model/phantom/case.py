"""What a phantom shows: findings of known kind, side, zone and size, drawn from a generator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

_Member = TypeVar("_Member")


class Kind(StrEnum):
    """What a phantom can show; the values are the lexicon's names (`model/lexicon/terms.yaml`)."""

    EFFUSION = "pleural_effusion"
    PNEUMOTHORAX = "pneumothorax"
    CONSOLIDATION = "consolidation"
    NODULE = "nodule"
    MASS = "mass"
    CARDIOMEGALY = "cardiomegaly"
    OEDEMA = "oedema"
    FRACTURE = "fracture"
    PACEMAKER = "pacemaker"
    TUBE = "endotracheal_tube"
    HERNIA = "hiatus_hernia"


class Side(StrEnum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class Zone(StrEnum):
    """Height in the lung."""

    UPPER = "upper"
    MIDDLE = "middle"
    LOWER = "lower"


class Size(StrEnum):
    """How much of a hemithorax is taken."""

    SMALL = "small"
    LARGE = "large"


class View(StrEnum):
    """Values of View Position (0018,5101)."""

    PA = "PA"
    AP = "AP"


SIDED = frozenset(
    {
        Kind.EFFUSION,
        Kind.PNEUMOTHORAX,
        Kind.CONSOLIDATION,
        Kind.NODULE,
        Kind.MASS,
        Kind.FRACTURE,
        Kind.PACEMAKER,
    }
)
ZONED = frozenset({Kind.CONSOLIDATION, Kind.NODULE, Kind.MASS})
SIZED = frozenset({Kind.EFFUSION, Kind.PNEUMOTHORAX})
# Each hides the other, or looks like it, where both lie on one side (or anywhere, for oedema).
_EXCLUSIVE = (
    {Kind.EFFUSION, Kind.PNEUMOTHORAX},
    {Kind.EFFUSION, Kind.CONSOLIDATION},
    {Kind.EFFUSION, Kind.MASS},
    {Kind.PNEUMOTHORAX, Kind.CONSOLIDATION},
    {Kind.PNEUMOTHORAX, Kind.MASS},
    {Kind.PNEUMOTHORAX, Kind.NODULE},
    {Kind.PNEUMOTHORAX, Kind.FRACTURE},
    {Kind.EFFUSION, Kind.NODULE},
    {Kind.CONSOLIDATION, Kind.NODULE},
    {Kind.CONSOLIDATION, Kind.MASS},
    {Kind.NODULE, Kind.MASS},
)
_NOT_WITH_OEDEMA = frozenset({Kind.CONSOLIDATION, Kind.NODULE, Kind.MASS, Kind.PNEUMOTHORAX})
_SHARES_OF_COUNT = (0.14, 0.34, 0.3, 0.16, 0.06)
_BOTH_SIDES = 0.25
_TUBE_LYING = 0.9
_LYING = 0.3
_PACEMAKER_RIGHT = 0.25


@dataclass(frozen=True, kw_only=True)
class PhantomFinding:
    """One finding; what does not apply to its kind is None."""

    kind: Kind
    side: Side | None = None
    zone: Zone | None = None
    size: Size | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """The truth about one phantom; no findings are a normal film."""

    findings: tuple[PhantomFinding, ...] = ()
    view: View = View.PA

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds that it shows."""
        return frozenset(finding.kind for finding in self.findings)

    def of(self, kind: Kind) -> tuple[PhantomFinding, ...]:
        """Return the findings of a kind, the right one first."""
        found = (finding for finding in self.findings if finding.kind is kind)
        return tuple(sorted(found, key=lambda f: f.side is Side.LEFT))

    def sides(self, kind: Kind) -> frozenset[str]:
        """Return the sides on which a kind is seen."""
        return frozenset(f.side.value for f in self.findings if f.kind is kind and f.side)


# What can be seen or not: each is one label of the vision tower's warm-up.
LABELS: tuple[PhantomFinding, ...] = tuple(
    PhantomFinding(kind=kind, side=side, zone=zone)
    for kind in Kind
    for side in (tuple(Side) if kind in SIDED else (None,))
    for zone in (tuple(Zone) if kind in ZONED else (None,))
)


def labels_of(case: Case) -> list[int]:
    """Return 1 for each of `LABELS` that a case shows, else 0."""
    shown = {(f.kind, f.side, f.zone) for f in case.findings}
    return [int((label.kind, label.side, label.zone) in shown) for label in LABELS]


def draw_case(rng: np.random.Generator) -> Case:
    """Return a case: no finding to four, of kinds that can be told apart in one picture."""
    count = int(rng.choice(len(_SHARES_OF_COUNT), p=_SHARES_OF_COUNT))
    findings: list[PhantomFinding] = []
    for _ in range(20):
        if len(findings) >= count:
            break
        drawn = _draw_finding(rng)
        if _fits(drawn, findings):
            findings.append(drawn)
        if drawn.kind is Kind.EFFUSION and rng.random() < _BOTH_SIDES:
            other = Side.LEFT if drawn.side is Side.RIGHT else Side.RIGHT
            second = PhantomFinding(kind=Kind.EFFUSION, side=other, size=_one_of(tuple(Size), rng))
            findings += [second] if _fits(second, findings) else []
    has_tube = any(f.kind is Kind.TUBE for f in findings)
    is_lying = rng.random() < (_TUBE_LYING if has_tube else _LYING)
    return Case(findings=tuple(findings), view=View.AP if is_lying else View.PA)


def _draw_finding(rng: np.random.Generator) -> PhantomFinding:
    kind = _one_of(tuple(Kind), rng)
    side = _one_of(tuple(Side), rng) if kind in SIDED else None
    if kind is Kind.PACEMAKER:
        side = Side.RIGHT if rng.random() < _PACEMAKER_RIGHT else Side.LEFT
    return PhantomFinding(
        kind=kind,
        side=side,
        zone=_one_of(tuple(Zone), rng) if kind in ZONED else None,
        size=_one_of(tuple(Size), rng) if kind in SIZED else None,
    )


def _fits(drawn: PhantomFinding, findings: list[PhantomFinding]) -> bool:
    """Tell whether a finding can be told apart beside those that are there."""
    for other in findings:
        if other.kind is drawn.kind and (
            drawn.kind is not Kind.EFFUSION or other.side is drawn.side
        ):
            return False
        pair = {other.kind, drawn.kind}
        if Kind.OEDEMA in pair and pair & _NOT_WITH_OEDEMA:
            return False
        if other.side is drawn.side and pair in _EXCLUSIVE:
            return False
    return True


def _one_of(members: tuple[_Member, ...], rng: np.random.Generator) -> _Member:
    return members[int(rng.integers(len(members)))]
