"""What a sentence says of each thing that it names: side, level, length, whether it is there.

A relation is sure where nothing that parts clauses stands between the two: two sentences joined by
"and" have little to do with one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.levels import Level
from model.numbers import Quantity
from model.polarity import Mention
from model.sides import Anchor, Ruler, Sides, nearest, side_beside_each, sides_of


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One value of one thing."""

    thing: str
    value: str
    is_sure: bool


@dataclass(frozen=True, kw_only=True)
class Relations:
    """What a sentence says of the things that it names.

    Attributes:
        sides: Of parts of the body, numbers, what is normal or not, and findings; a finding that is
            denied is another thing than the same affirmed.
        polarities: Of a finding at a part of the body or at a level, whether it is affirmed.
        levels: Of findings.
        lengths: Of findings.
    """

    sides: frozenset[Relation] = frozenset()
    polarities: frozenset[Relation] = frozenset()
    levels: frozenset[Relation] = frozenset()
    lengths: frozenset[Relation] = frozenset()


NO_RELATIONS = Relations()


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a sentence names, each with its place.

    Attributes:
        things: Parts of the body, numbers, what is normal and what is not.
        places: The parts of the body among them that are no part of a finding's own words.
    """

    mentions: Sequence[Mention]
    things: Sequence[Anchor]
    places: Sequence[Anchor]
    levels: Sequence[Level]
    quantities: Sequence[Quantity]


def read_relations(named: Named, sides: Sides, measure: Ruler) -> Relations:
    """Return what a sentence says of what it names."""
    levels = [(str(level), level.place, level.place + 1) for level in named.levels]
    lengths = [(str(q), q.place, q.place + 1) for q in named.quantities if q.unit == "mm"]
    return Relations(
        sides=frozenset(_sides(named, sides, measure)),
        polarities=frozenset(
            Relation(
                thing=f"{_human(mention)} ({anchor[0]})",
                value="affirmed" if mention.is_affirmed else "denied",
                is_sure=is_sure,
            )
            for mention, anchor, is_sure in _with_mentions(
                [*named.places, *levels], named.mentions, measure
            )
        ),
        levels=_values(levels, named.mentions, measure),
        lengths=_values(lengths, named.mentions, measure),
    )


def _values(
    anchors: Sequence[Anchor], mentions: Sequence[Mention], measure: Ruler
) -> frozenset[Relation]:
    return frozenset(
        Relation(thing=_human(mention), value=anchor[0], is_sure=is_sure)
        for mention, anchor, is_sure in _with_mentions(anchors, mentions, measure)
    )


def _with_mentions(
    anchors: Sequence[Anchor], mentions: Sequence[Mention], measure: Ruler
) -> Iterable[tuple[Mention, Anchor, bool]]:
    """Yield each thing with the finding next to it."""
    by_span = {(m.match.name, m.match.start, m.match.end): m for m in mentions}
    for anchor in anchors if mentions else ():
        found = nearest(anchor[1:], tuple(by_span), measure)
        yield by_span[found], anchor, measure.are_together(anchor[1:], found[1:])


def _sides(named: Named, sides: Sides, measure: Ruler) -> Iterable[Relation]:
    """Yield what lies on a side: all on the only one, else each side with what is next to it."""
    findings = [
        (_human(m) if m.is_affirmed else f"no {_human(m)}", m.match.start, m.match.end)
        for m in named.mentions
    ]
    if sides.are_apart:
        pairs = side_beside_each(named.things, sides, measure)
        rows = [row for row in (named.things, findings) if row]
        pairs += [(nearest((m.start, m.end), row, measure), m) for m in sides.named for row in rows]
    else:
        pairs = [(thing, match) for thing in (*named.things, *findings) for match in sides.named]
    for thing, match in pairs:
        is_sure = measure.are_together((match.start, match.end), thing[1:])
        for side in sides_of(match):
            yield Relation(thing=thing[0], value=side, is_sure=is_sure)


def _human(mention: Mention) -> str:
    return mention.match.name.replace("_", " ")
