"""Where a sentence puts its findings: levels of the spine and parts of the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.report import Language
from model.levels import Level, by_range, read_levels
from model.sides import Anchor, Ruler, nearest
from model.terms import Kind, lexicon, place_groups
from model.words import Word

SPINE = "spine"
# Groups of the lexicon's places that say how large or of what kind something is, not where.
_QUALITIES = (
    "change", "age", "nature", "extent", "healing", "limit", "outline", "balance", "fitness",
    "steadiness", "signal", "echo", "density",
)  # fmt: skip
_CODES = {"size": "SIZE_MISMATCH"} | dict.fromkeys(_QUALITIES, "QUALITY_MISMATCH")
# What these tell is part of a finding's own words: "retrolisthesis".
_WITHIN_FINDINGS = frozenset({"slip"})


@dataclass(frozen=True, kw_only=True)
class Locations:
    """What a sentence names of the body.

    Attributes:
        places: Parts of the body and regions of the spine, those within a finding's own words left
            out: "hydronephrosis" and استسقاء كلوي name the same. Sizes and the like are
            among them.
        at_level: (finding, level) pairs, each level with the nearest finding, all of a range or
            disc with the same.
        at_place: (finding, part of the body) pairs, likewise.
        level_anchors: The levels by their places, each with the whole range or disc it is of.
        place_anchors: Parts of the body by their places.
    """

    levels: tuple[Level, ...] = ()
    places: frozenset[str] = frozenset()
    at_level: frozenset[tuple[str, str]] = frozenset()
    at_place: frozenset[tuple[str, str]] = frozenset()
    level_anchors: tuple[Anchor, ...] = ()
    place_anchors: tuple[Anchor, ...] = ()


NOWHERE = Locations()


def read_locations(
    row: tuple[Word, ...], language: Language, anchors: Sequence[Anchor], measure: Ruler
) -> Locations:
    """Return what a sentence names of the body, and which of its findings lies there."""
    levels = read_levels(row, language)
    taken = {index for _, start, end in anchors for index in range(start, end)}
    found = [
        (match.name, match.start, match.end)
        for match in lexicon(language).matches(row, frozenset({Kind.PLACE, Kind.SPINE}))
        if match.start not in taken or group_of(match.name) in _WITHIN_FINDINGS
    ]
    points = [
        (str(level), part[0].place, part[-1].place + 1)
        for part in by_range(levels, row, language)
        for level in part
    ]
    return Locations(
        levels=levels,
        places=frozenset({name for name, _, _ in found} | {level.region for level in levels}),
        at_level=_with_findings(points, anchors, measure),
        at_place=_with_findings(found, anchors, measure),
        level_anchors=tuple(points),
        place_anchors=tuple(found),
    )


def _with_findings(
    things: Sequence[Anchor], anchors: Sequence[Anchor], measure: Ruler
) -> frozenset[tuple[str, str]]:
    if not anchors:
        return frozenset()
    return frozenset(
        (nearest((start, end), anchors, measure)[0], name) for name, start, end in things
    )


def group_of(place: str) -> str:
    """Return the group of a part of the body; regions of the spine are one group."""
    return place_groups().get(place, SPINE)


def contrary(ours: frozenset[str], theirs: frozenset[str]) -> tuple[str, ...]:
    """Return the parts of one group that are named here only, where others are there only."""
    here, there = ours - theirs, theirs - ours
    groups = {group_of(place) for place in here} & {group_of(place) for place in there}
    return tuple(sorted(place for place in here | there if group_of(place) in groups))


def by_code(places: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return places by the code of the fault that lies in their differing."""
    codes = {place: _CODES.get(group_of(place), "PLACE_MISMATCH") for place in places}
    return {
        code: tuple(place for place in places if codes[place] == code)
        for code in sorted(set(codes.values()))
    }


def says_where(place: str) -> bool:
    """Tell whether it is a place, and no size, age or the like."""
    return group_of(place) not in _CODES


def is_size(place: str) -> bool:
    """Tell whether it says how large or how severe something is."""
    return _CODES.get(group_of(place)) == "SIZE_MISMATCH"
