"""Which sides a sentence names, and what it puts on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from core.report import Language
from model.terms import Kind, Match, lexicon
from model.words import CLAUSE_ENDS, Word

RIGHT, LEFT = "right", "left"
_BOTH, _PERHAPS_BOTH = "bilateral", "perhaps_bilateral"
# How many words a clause's end weighs when the nearest finding of a side is looked for.
_JOINT_WEIGHT = 3

# A thing in a sentence: its name, its first word and the word behind its last.
Anchor = tuple[str, int, int]
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The sides that a sentence names.

    Attributes:
        named: Every term that names a side or both, in reading order.
        spare_pairs: How many dual or plural forms may mean "both".
        are_compared: Both, of which one has more: "bilateral, left greater than right".
        has_direction: From one side to the other: "right to left", من اليسار إلى اليمين.
    """

    named: tuple[Match, ...]
    spare_pairs: int
    has_direction: bool = False
    are_compared: bool = False

    @property
    def order(self) -> tuple[str, ...]:
        """The sides in reading order, "both" as right and left."""
        return tuple(side for match in self.named for side in sides_of(match))

    @property
    def counts(self) -> Counter[str]:
        """How often each side is named; a "both" counts for each."""
        return Counter(self.order)

    @property
    def words(self) -> tuple[str, ...]:
        """The words that name right or left."""
        return tuple(match.text for match in self.named if match.name != _BOTH)

    @property
    def apart(self) -> frozenset[str]:
        """The sides that are named by a word of their own, not by "both".

        Of two that are only compared, the first: "bilateral, left greater than right".
        """
        names = [match.name for match in self.named if match.name != _BOTH]
        return frozenset(names[:1] if self.are_compared else names)

    @property
    def are_apart(self) -> bool:
        """Right and left are each named by a word of its own."""
        return {RIGHT, LEFT} <= {match.name for match in self.named}

    @property
    def are_together(self) -> bool:
        """Nothing but "and" or "or" stands between the sides: "left or right"."""
        return not self.has_direction and all(
            later.start - earlier.end <= 1
            for earlier, later in zip(self.named, self.named[1:], strict=False)
        )


def read_sides(row: tuple[Word, ...], language: Language) -> Sides:
    """Return the sides that a sentence names."""
    found = lexicon(language).matches(row, frozenset({Kind.SIDE}))
    named = tuple(match for match in found if match.name != _PERHAPS_BOTH)
    through = lexicon(language).starts(row, frozenset({Kind.THROUGH}))
    return Sides(
        named=named,
        has_direction=any(
            later.start - earlier.end == 1 and earlier.end in through
            for earlier, later in pairwise(named)
        ),
        are_compared=_are_compared(row, named, language),
        spare_pairs=sum(
            match.name == _PERHAPS_BOTH and not _is_spent(row, match, found, language)
            for match in found
        ),
    )


def _are_compared(row: tuple[Word, ...], named: Sequence[Match], language: Language) -> bool:
    """Tell whether right and left stand in one clause beside a "both", nothing else between."""
    apart = [match for match in named if match.name != _BOTH]
    if sorted(match.name for match in apart) != [LEFT, RIGHT] or apart == list(named):
        return False
    parting = lexicon(language).starts(row, frozenset({Kind.JOINT, Kind.FINDING}))
    return not any(
        index in parting or row[index].text in CLAUSE_ENDS
        for index in range(apart[0].end, apart[1].start)
    )


def _is_spent(
    row: tuple[Word, ...], pair: Match, found: Sequence[Match], language: Language
) -> bool:
    """Tell whether a pair lies on one side: the two lobes of الفصين العلوي والسفلي الأيمنين."""
    findings = lexicon(language).starts(row, frozenset({Kind.FINDING}))
    sides = {match.start for match in found if match.name in (RIGHT, LEFT)}
    for index in range(pair.end, len(row)):
        if index in sides:
            return True
        if row[index].text in CLAUSE_ENDS or index in findings:
            return False
    return False


def sides_of(match: Match) -> tuple[str, ...]:
    """Return the sides that a term names."""
    return (RIGHT, LEFT) if match.name == _BOTH else (match.name,)


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """Measures how far words of a sentence are apart; what parts clauses parts words further.

    Attributes:
        ends: For each number of words, how far they reach from the sentence's start.
    """

    ends: tuple[int, ...]
    looks_back: bool

    def distance(self, place: Span, thing: Span) -> tuple[int, int]:
        """Return how far a thing is from a place; on a tie English looks ahead and Arabic back."""
        if thing[0] >= place[1]:
            return self.ends[thing[0] + 1] - self.ends[place[1]], int(self.looks_back)
        return self.ends[place[0] + 1] - self.ends[thing[1]], int(not self.looks_back)

    def are_together(self, place: Span, thing: Span) -> bool:
        """Tell whether nothing that parts clauses stands between a place and a thing."""
        first, last = sorted((place, thing))
        return self.ends[last[0] + 1] - self.ends[first[1]] <= last[0] + 1 - first[1]


def ruler(row: tuple[Word, ...], language: Language) -> Ruler:
    """Return the measure of a sentence."""
    known = lexicon(language)
    parting = known.starts(row, frozenset({Kind.JOINT}))
    weights = (
        1 + _JOINT_WEIGHT * (index in parting or word.text in CLAUSE_ENDS or known.joins(word))
        for index, word in enumerate(row)
    )
    return Ruler(ends=tuple(accumulate(weights, initial=0)), looks_back=language is Language.AR)


def give_sides(
    anchors: Sequence[Anchor], sides: Sides, measure: Ruler, judged: Sequence[Anchor] = ()
) -> list[tuple[Anchor, str]]:
    """Return (thing, side) pairs: one side goes to all things, each of both to the nearest.

    Of both, a side goes to none where its clause calls it normal or not and names no thing: "the
    right kidney is normal, and a calculus is in the left".
    """
    pairs = [(match, side) for match in sides.named for side in sides_of(match)]
    if not anchors or not pairs:
        return []
    if len({side for _, side in pairs}) == 1:
        return [(anchor, pairs[0][1]) for anchor in anchors]
    pairs = [
        (match, side) for match, side in pairs if not _is_judged(match, anchors, judged, measure)
    ]
    return [(nearest((match.start, match.end), anchors, measure), side) for match, side in pairs]


def _is_judged(
    side: Match, anchors: Sequence[Anchor], judged: Sequence[Anchor], measure: Ruler
) -> bool:
    """Tell whether what is normal or not stands in the clause of a side, and no thing does."""
    place = (side.start, side.end)
    in_clause = [any(measure.are_together(place, a[1:]) for a in row) for row in (judged, anchors)]
    return in_clause == [True, False]


def side_of_each(
    anchors: Sequence[Anchor], sides: Sides, measure: Ruler
) -> list[tuple[Anchor, str]]:
    """Return for each thing the side nearest to it, where a sentence names right and left apart."""
    return [(anchor, match.name) for anchor, match in side_beside_each(anchors, sides, measure)]


def side_beside_each(
    anchors: Sequence[Anchor], sides: Sides, measure: Ruler
) -> list[tuple[Anchor, Match]]:
    """Return the same, each with the word that names its side."""
    named = [match for match in sides.named if match.name != _BOTH]
    return [
        (anchor, min(named, key=lambda m: measure.distance((m.start, m.end), anchor[1:])))
        for anchor in anchors
    ]


def nearest(place: Span, anchors: Sequence[Anchor], measure: Ruler) -> Anchor:
    """Return the thing nearest to a place."""
    return min(anchors, key=lambda anchor: measure.distance(place, anchor[1:]))
