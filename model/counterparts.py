"""Which statements of a finding mean the same one: by its side, its place and its level."""

from __future__ import annotations

from model.statements import Statement


def lie_apart(one: Statement, other: Statement) -> bool:
    """Tell whether both name a side, a level or places of one group, and other ones."""
    ours, theirs = one.spot, other.spot
    return not all(_fit(ours[kind], theirs[kind]) for kind in ours.keys() & theirs)


def lie_together(one: Statement, other: Statement) -> bool:
    """Tell whether both name a side, a level or places of one group, and none that differs."""
    return bool(one.spot.keys() & other.spot) and not lie_apart(one, other)


def _fit(ours: set[str], theirs: set[str]) -> bool:
    """Tell whether one may be a part of the other: L4 and L5 of L3 to S1."""
    return ours <= theirs or theirs <= ours
