"""What a text says, sentence by sentence: findings, affirmed or denied, sides and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from core.report import Language
from model.locations import NOWHERE, Locations, group_of, read_locations, says_where
from model.numbers import Quantity, read_quantities
from model.particulars import NO_PARTICULARS, Particulars, Surroundings, read_particulars
from model.polarity import Tone, read_mentions, read_tone
from model.qualities import read_qualities
from model.relations import NO_RELATIONS, Named, Relations, read_relations
from model.sides import Anchor, Ruler, Sides, give_sides, nearest, read_sides, ruler, side_of_each
from model.terms import Kind, lexicon, place_groups
from model.words import Word, fold, sentences, words

_T = TypeVar("_T")
# The dual of the nominative and of the other cases; a plural may end alike.
_DUAL_ENDINGS = ("ان", "ين")
_SHORTEST_DUAL = 5
# Groups of the lexicon's places that name a direction, no part that lies on a side.
_DIRECTIONS = frozenset({"depth", "breadth", "length", "line", "relation", "approach", "height"})


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A finding as one sentence states it.

    Attributes:
        apart: Those of its sides that the sentence names by a word of their own, not by "both".
        may_be_both: A dual or plural of the sentence may mean right and left.
        limits: To which of its kind a denial is limited: ``acute``.
        particulars: What belongs to it.
    """

    finding: str
    text: str
    is_affirmed: bool
    is_qualified: bool
    sides: frozenset[str]
    apart: frozenset[str]
    may_be_both: bool
    limits: frozenset[str] = frozenset()
    particulars: Particulars = NO_PARTICULARS

    @cached_property
    def spot(self) -> dict[str, set[str]]:
        """Where it lies, by the kind of the place: on which side, at which level, in which lobe."""
        places = [(group_of(p), p) for p in self.particulars.places if says_where(p)]
        places += [("side", side) for side in self.sides]
        places += [("level", level) for level in self.particulars.levels]
        return _by_name(places)


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """All that one sentence says.

    Attributes:
        placed: Parts of the body, numbers and what is normal or not, with the side each is put on,
            where the sentence names right and left apart.
        relations: What it says of each thing, to be gathered over sentences.
        measured: Findings with the lengths that belong to each.
        sized: Findings with the lengths next to them, whatever else the sentence names.
        dual_words: Arabic words that may be duals, by which two things can be meant.
        locations: Levels and parts of the body.
        is_hedged: Something is called possible only.
    """

    statements: tuple[Statement, ...]
    sides: Sides
    quantities: tuple[Quantity, ...]
    tone: Tone
    placed: frozenset[tuple[str, str]] = frozenset()
    relations: Relations = NO_RELATIONS
    measured: frozenset[tuple[str, str]] = frozenset()
    sized: frozenset[tuple[str, Quantity]] = frozenset()
    dual_words: int = 0
    locations: Locations = NOWHERE
    is_hedged: bool = False

    @property
    def findings(self) -> frozenset[str]:
        """The findings that it names."""
        return frozenset(statement.finding for statement in self.statements)


@dataclass(frozen=True, kw_only=True)
class Statements:
    """All that a text says."""

    sentences: tuple[Sentence, ...] = ()

    @cached_property
    def all(self) -> tuple[Statement, ...]:
        """Every finding of every sentence."""
        return tuple(s for sentence in self.sentences for s in sentence.statements)

    @property
    def affirmed(self) -> frozenset[str]:
        """The findings that are affirmed somewhere."""
        return frozenset(said.finding for said in self.all if said.is_affirmed)

    @property
    def normal(self) -> tuple[str, ...]:
        """The words that call something normal."""
        return tuple(word for s in self.sentences for word in s.tone.normal)

    @property
    def abnormal(self) -> tuple[str, ...]:
        """The words that say that something is not normal."""
        return tuple(word for s in self.sentences for word in s.tone.abnormal)

    @cached_property
    def polarities(self) -> dict[str, set[bool]]:
        """By finding, whether it is affirmed (True), denied (False) or both."""
        return _by_name((s.finding, s.is_affirmed) for s in self.all)

    @cached_property
    def sides(self) -> dict[str, set[str]]:
        """By finding, the sides that its affirmed mentions are given."""
        return _by_name((s.finding, side) for s in self.all if s.is_affirmed for side in s.sides)

    @cached_property
    def sides_apart(self) -> dict[str, set[str]]:
        """By finding, those of its sides that are named by a word of their own."""
        return _by_name((s.finding, side) for s in self.all if s.is_affirmed for side in s.apart)

    @cached_property
    def perhaps_both(self) -> frozenset[str]:
        """The affirmed findings that a dual or plural may put on both sides."""
        return frozenset(s.finding for s in self.all if s.is_affirmed and s.may_be_both)

    @cached_property
    def words_of(self) -> dict[str, set[str]]:
        """By finding, the words that named it."""
        return _by_name((s.finding, s.text) for s in self.all)

    @cached_property
    def side_counts(self) -> Counter[str]:
        """How often right and left are named; a "both" counts for each."""
        return sum((s.sides.counts for s in self.sentences), Counter[str]())

    @cached_property
    def apart(self) -> frozenset[str]:
        """The sides that are named by a word of their own, not by "both"."""
        return frozenset(side for s in self.sentences for side in s.sides.apart)

    @property
    def spare_pairs(self) -> int:
        """How many dual and plural forms may mean "both"."""
        return sum(s.sides.spare_pairs for s in self.sentences)

    @property
    def side_words(self) -> tuple[str, ...]:
        """The words that name right or left."""
        return tuple(word for s in self.sentences for word in s.sides.words)

    @cached_property
    def levels(self) -> frozenset[str]:
        """The levels of the spine that it names."""
        return frozenset(str(level) for s in self.sentences for level in s.locations.levels)

    @cached_property
    def places(self) -> frozenset[str]:
        """The parts of the body that it names."""
        return frozenset(place for s in self.sentences for place in s.locations.places)

    @cached_property
    def levels_of(self) -> dict[str, set[str]]:
        """By finding, the levels next to it."""
        return _by_name(pair for s in self.sentences for pair in s.locations.at_level)

    @cached_property
    def places_of(self) -> dict[str, set[str]]:
        """By finding, the parts of the body next to it."""
        return _by_name(pair for s in self.sentences for pair in s.locations.at_place)

    @cached_property
    def lengths_of(self) -> dict[str, set[Quantity]]:
        """By finding, the lengths next to it."""
        return _by_name(pair for s in self.sentences for pair in s.sized)

    @cached_property
    def hedged(self) -> frozenset[str]:
        """The affirmed findings of the sentences that call something possible only."""
        return frozenset(
            said.finding
            for s in self.sentences
            if s.is_hedged
            for said in s.statements
            if said.is_affirmed
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every number with its unit."""
        return tuple(quantity for s in self.sentences for quantity in s.quantities)


def read_statements(text: str, language: Language) -> Statements:
    """Return what a text says in its language."""
    rows = sentences(words(text, language))
    return Statements(sentences=tuple(_read(row, language) for row in rows))


def joined(parts: Iterable[Statements]) -> Statements:
    """Return what several texts say as one."""
    return Statements(sentences=tuple(s for part in parts for s in part.sentences))


def _read(row: tuple[Word, ...], language: Language) -> Sentence:
    mentions = read_mentions(row, language)
    anchors = [(m.match.name, m.match.start, m.match.end) for m in mentions]
    sides = read_sides(row, language)
    quantities = read_quantities(row, language)
    measure = ruler(row, language)
    tone = read_tone(row, language)
    given = give_sides(anchors, sides, measure, tone.judged)
    things = _things(row, quantities, language)
    is_hedged = bool(lexicon(language).matches(row, frozenset({Kind.POSSIBLE})))
    locations = read_locations(row, language, anchors, measure)
    named = Named(
        mentions=mentions,
        things=[*things, *tone.judged],
        places=[thing for thing in things if thing[0] in locations.places],
        levels=locations.levels,
        quantities=quantities,
    )
    if len({name for name, _, _ in tone.judged}) > 1:
        things += tone.judged
    around = Surroundings(
        qualities=() if is_hedged else read_qualities(row, lexicon(language)),
        places=locations.place_anchors,
        levels=locations.level_anchors,
        lengths=[(q.value, q.place, q.place + 1) for q in quantities if q.unit == "mm"],
    )
    particulars = read_particulars(anchors, around, measure)
    sides_at = [frozenset(side for a, side in given if a == anchor) for anchor in anchors]
    return Sentence(
        statements=tuple(
            Statement(
                finding=mention.match.name,
                text=mention.match.text,
                is_affirmed=mention.is_affirmed,
                is_qualified=mention.is_qualified,
                sides=its_sides,
                apart=its_sides & sides.apart,
                may_be_both=sides.spare_pairs > 0,
                limits=mention.limits,
                particulars=its_particulars,
            )
            for mention, its_sides, its_particulars in zip(
                mentions, sides_at, particulars, strict=True
            )
        ),
        sides=sides,
        quantities=quantities,
        tone=tone,
        placed=frozenset(_placed(things, sides, measure)),
        relations=read_relations(named, sides, measure),
        measured=frozenset(_measured(quantities, anchors, measure)),
        sized=frozenset(_sized(quantities, anchors, measure)),
        dual_words=_count_duals(row, language),
        locations=locations,
        is_hedged=is_hedged,
    )


def _things(
    row: tuple[Word, ...], quantities: tuple[Quantity, ...], language: Language
) -> list[Anchor]:
    """Return what may lie on a side: parts of the body and numbers."""
    parts = lexicon(language).matches(row, frozenset({Kind.PLACE}))
    things = [
        (match.name, match.start, match.end)
        for match in parts
        if place_groups()[match.name] not in _DIRECTIONS
    ]
    things += [(str(q), q.place, q.place + 1) for q in quantities if not q.is_one]
    return things


def _placed(things: list[Anchor], sides: Sides, measure: Ruler) -> Iterable[tuple[str, str]]:
    """Yield things with their sides."""
    if sides.are_apart:
        for thing, side in side_of_each(things, sides, measure):
            yield thing[0], side


def _measured(
    quantities: tuple[Quantity, ...], anchors: list[Anchor], measure: Ruler
) -> Iterable[tuple[str, str]]:
    """Yield findings with their lengths, where a sentence names several findings."""
    lengths = [q for q in quantities if q.unit == "mm"]
    if len({anchor[0] for anchor in anchors}) > 1:
        for length in lengths:
            place = (length.place, length.place + 1)
            yield nearest(place, anchors, measure)[0], str(length)


def _sized(
    quantities: tuple[Quantity, ...], anchors: list[Anchor], measure: Ruler
) -> Iterable[tuple[str, Quantity]]:
    """Yield findings with the lengths next to them."""
    for length in quantities:
        if anchors and length.unit == "mm":
            yield nearest((length.place, length.place + 1), anchors, measure)[0], length


def _count_duals(row: tuple[Word, ...], language: Language) -> int:
    if language is not Language.AR:
        return 0
    return sum(
        len(word.text) >= _SHORTEST_DUAL and fold(word.text).endswith(_DUAL_ENDINGS) for word in row
    )


def _by_name(pairs: Iterable[tuple[str, _T]]) -> dict[str, set[_T]]:
    gathered: dict[str, set[_T]] = {}
    for name, value in pairs:
        gathered.setdefault(name, set()).add(value)
    return gathered
