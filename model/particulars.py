"""What a sentence says of each finding beside its side: of what kind, where and how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from model.sides import Anchor, Ruler, nearest

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Particulars:
    """What belongs to one finding, for no other of its clause is nearer.

    Attributes:
        qualities: Such as a denial may be limited to.
        places: Parts of the body, sizes and the like.
        lengths: In millimetres.
        is_sure: Nothing that parts clauses stands between it and any of these.
    """

    qualities: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    lengths: frozenset[Decimal] = frozenset()
    is_sure: bool = True


NO_PARTICULARS = Particulars()


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a sentence names that may belong to a finding."""

    qualities: Sequence[Anchor]
    places: Sequence[Anchor]
    levels: Sequence[Anchor]
    lengths: Sequence[tuple[Decimal, int, int]]


def read_particulars(
    anchors: Sequence[Anchor], around: Surroundings, measure: Ruler
) -> tuple[Particulars, ...]:
    """Return what belongs to each finding of a sentence; a quality of another clause to none."""
    qualities = _owned(around.qualities, anchors, measure)
    places = _owned(around.places, anchors, measure)
    levels = _owned(around.levels, anchors, measure)
    lengths = _owned(around.lengths, anchors, measure)
    return tuple(
        Particulars(
            qualities=frozenset(name for a, name, is_sure in qualities if a == anchor and is_sure),
            places=frozenset(name for a, name, _ in places if a == anchor),
            levels=frozenset(name for a, name, _ in levels if a == anchor),
            lengths=frozenset(value for a, value, _ in lengths if a == anchor),
            is_sure=all(is_sure for a, _, is_sure in (*places, *levels, *lengths) if a == anchor),
        )
        for anchor in anchors
    )


def _owned(
    things: Sequence[tuple[_T, int, int]], anchors: Sequence[Anchor], measure: Ruler
) -> list[tuple[Anchor, _T, bool]]:
    """Return things with the finding nearest to each, and whether both are of one clause.

    A finding of its own clause is preferred, however near one of the next clause is.
    """
    owned = []
    for thing, start, end in things if anchors else ():
        together = [a for a in anchors if measure.are_together((start, end), a[1:])]
        owner = nearest((start, end), together or anchors, measure)
        owned.append((owner, thing, bool(together)))
    return owned
