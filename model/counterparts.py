"""Which statements of a finding mean the same one: by its side, its place and its level."""

from __future__ import annotations

from model.locations import group_of, says_where
from model.statements import Statement

_SIDE, _LEVEL = "side", "level"


def lie_apart(one: Statement, other: Statement) -> bool:
    """Tell whether both name a side, a level or places of one group, and other ones."""
    ours, theirs = _spot(one), _spot(other)
    return not all(_fit(ours[kind], theirs[kind]) for kind in ours.keys() & theirs)


def lie_together(one: Statement, other: Statement) -> bool:
    """Tell whether both name a side, a level or places of one group, and none that differs."""
    return bool(_spot(one).keys() & _spot(other)) and not lie_apart(one, other)


def _spot(statement: Statement) -> dict[str, set[str]]:
    """Return where a finding lies, by the kind of the place: its side, its level, its lobe."""
    spot: dict[str, set[str]] = {}
    named = [(_SIDE, side) for side in statement.sides]
    named += [(_LEVEL, level) for level in statement.particulars.levels]
    named += [(group_of(p), p) for p in statement.particulars.places if says_where(p)]
    for kind, name in named:
        spot.setdefault(kind, set()).add(name)
    return spot


def _fit(ours: set[str], theirs: set[str]) -> bool:
    """Tell whether one may be a part of the other: L4 and L5 of L3 to S1."""
    return ours <= theirs or theirs <= ours
