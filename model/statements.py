"""What a text says: which findings, affirmed or negated, and on which side.

No grammar is parsed. A negation holds for the findings after it until a word that ends it ("but",
"there is", "لكن") or something new begins behind a comma. A sentence that names one side gives it
to all its findings; one that names both gives each side to the nearest finding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from core.report import Language
from model.terms import Kind, Match, lexicon
from model.words import CLAUSE_ENDS, Word, sentences, words

RIGHT, LEFT = "right", "left"

_MEANING = frozenset({Kind.SIDE, Kind.NEGATION, Kind.FINDING})
_JOINTS = frozenset({Kind.JOINT})
# How many words a clause's end weighs when the nearest finding of a side is looked for.
_JOINT_WEIGHT = 3
_COMMAS = frozenset("،,")


@dataclass(kw_only=True)
class Statements:
    """All that a text says of findings and sides.

    Attributes:
        polarities: By finding, whether it is affirmed (True), negated (False) or both.
        sides: By finding, the sides that its affirmed mentions are given.
        words_of: By finding, the words that named it.
        side_order: Right and left as they are named, a repetition with no finding in between once.
        side_words: The words that named them.
        pairs: How many sentences say "both".
        spare_pairs: How many sentences may say it by a dual or plural alone.
        side_sentences: By side, how many sentences name it; a "both" names each.
    """

    polarities: dict[str, set[bool]] = field(default_factory=dict)
    sides: dict[str, set[str]] = field(default_factory=dict)
    words_of: dict[str, set[str]] = field(default_factory=dict)
    side_order: list[str] = field(default_factory=list)
    side_words: list[str] = field(default_factory=list)
    pairs: int = 0
    spare_pairs: int = 0
    side_sentences: Counter[str] = field(default_factory=Counter)


def read_statements(text: str, language: Language) -> Statements:
    """Return what a text says in its language."""
    said = Statements()
    for row in sentences(words(text, language)):
        found = lexicon(language).matches(row, _MEANING)
        affirmed = []
        for match, is_affirmed in _with_polarity(row, found, language):
            name = match.term.name
            said.polarities.setdefault(name, set()).add(is_affirmed)
            said.words_of.setdefault(name, set()).add(match.text)
            affirmed += [match] if is_affirmed else []
        named = [match for match in found if match.term.kind is Kind.SIDE]
        for name, side in _assigned(row, affirmed, named, language):
            said.sides.setdefault(name, set()).add(side)
        _count_sides(said, found, named)
    return said


def _count_sides(said: Statements, found: tuple[Match, ...], named: list[Match]) -> None:
    """Add a sentence's sides to what the text says."""
    kinds = {match.term.name for match in named}
    said.pairs += "bilateral" in kinds
    said.spare_pairs += "perhaps_bilateral" in kinds
    said.side_sentences.update({side for match in named for side in _sides_of(match)})
    last: Match | None = None
    for match in found:
        if match.term.kind is Kind.FINDING:
            last = None
        elif match.term.kind is Kind.SIDE and match.term.name in (RIGHT, LEFT):
            said.side_words.append(match.text)
            _append_side(said.side_order, match, last)
            last = match


def _append_side(order: list[str], match: Match, last: Match | None) -> None:
    """Add a side to the order: a repetition once, "left or right" always as right, left."""
    name = match.term.name
    if last is None:
        order.append(name)
    elif name != last.term.name and match.start - last.end <= 1:
        order[-1:] = [RIGHT, LEFT]
    elif name != last.term.name:
        order.append(name)


def _sides_of(match: Match) -> tuple[str, ...]:
    match match.term.name:
        case "bilateral":
            return (RIGHT, LEFT)
        case "perhaps_bilateral":
            return ()
        case side:
            return (side,)


class _Scope:
    """Walks through one sentence and keeps whether what comes next is negated."""

    def __init__(self, row: tuple[Word, ...], found: tuple[Match, ...], language: Language) -> None:
        joints = lexicon(language).matches(row, _JOINTS)
        self._row = row
        self._language = language
        self._ors = [match.start for match in joints if match.term.name == "or"]
        self._ands = {match.start for match in joints if match.term.name == "and"}
        self._finding_starts = [m.start for m in found if m.term.kind is Kind.FINDING]
        self._is_negated = False
        self._negation_end = -1
        self._next_only = -1
        self._scope_start = 0
        self.result: list[tuple[Match, bool]] = []

    def take(self, match: Match) -> None:
        """Take the sentence's next term."""
        if match.term.kind is Kind.FINDING:
            if self._is_new(match):
                self._end()
            self.result.append((match, not self._is_negated and self._next_only != match.start))
        elif match.term.kind is Kind.NEGATION:
            self._take_negation(match)

    def _take_negation(self, match: Match) -> None:
        name = match.term.name
        if name == "after" or self._looks_back(match):
            earlier = self.result[self._scope_start :]
            self.result[self._scope_start :] = [(finding, False) for finding, _ in earlier]
        elif name in ("before", "either"):
            if not self._is_negated:
                self._scope_start = len(self.result)
            self._is_negated, self._negation_end = True, match.end
        elif name == "next":
            self._next_only = match.end
        elif name == "ends" and match.start != self._negation_end:
            # "ليس هناك" is one negation: a word that ends one does not do so right behind it.
            self._end()
        elif name == "fresh" and self._is_behind_joint(match.start):
            self._end()

    def _end(self) -> None:
        self._is_negated, self._scope_start = False, len(self.result)

    def _looks_back(self, match: Match) -> bool:
        """Whether a negation stands behind what it negates: "absent", or after a colon."""
        if any(start >= match.end for start in self._finding_starts):
            return False
        is_answer = match.start > 0 and self._row[match.start - 1].text == ":"
        return match.term.name == "either" or (match.term.name == "before" and is_answer)

    def _is_new(self, match: Match) -> bool:
        """Whether an Arabic finding behind a comma begins something new: a list says ولا or أو."""
        return (
            self._language is Language.AR
            and match.start > 0
            and self._row[match.start - 1].text in _COMMAS
            and match.start != self._negation_end
            and not self._goes_on_to_or(match.start)
        )

    def _is_behind_joint(self, start: int) -> bool:
        is_joined = start > 0 and (self._row[start - 1].text in _COMMAS or start - 1 in self._ands)
        return is_joined and not self._goes_on_to_or(start)

    def _goes_on_to_or(self, start: int) -> bool:
        return any(place > start for place in self._ors)


def _with_polarity(
    row: tuple[Word, ...], found: tuple[Match, ...], language: Language
) -> list[tuple[Match, bool]]:
    """Return a sentence's findings, each with whether it is affirmed."""
    scope = _Scope(row, found, language)
    for match in found:
        scope.take(match)
    return scope.result


def _assigned(
    row: tuple[Word, ...], affirmed: list[Match], named: list[Match], language: Language
) -> list[tuple[str, str]]:
    """Return (finding, side) pairs of a sentence."""
    pairs = [(match, side) for match in named for side in _sides_of(match)]
    if not affirmed:
        return []
    if len({side for _, side in pairs}) == 1:
        return [(finding.term.name, pairs[0][1]) for finding in affirmed]
    weights = _weights(row, language)
    return [
        (min(affirmed, key=lambda f: _distance(place, f, weights, language)).term.name, side)
        for place, side in pairs
    ]


def _weights(row: tuple[Word, ...], language: Language) -> list[int]:
    """Return for each word how far it parts its neighbours."""
    parting = {match.start for match in lexicon(language).matches(row, _JOINTS)}
    return [
        1 + _JOINT_WEIGHT * (index in parting or word.text in CLAUSE_ENDS or word.joins)
        for index, word in enumerate(row)
    ]


def _distance(
    place: Match, finding: Match, weights: list[int], language: Language
) -> tuple[int, int]:
    """Return how far a side is from a finding; on a tie English looks ahead and Arabic back."""
    if finding.start >= place.end:
        return sum(weights[place.end : finding.start + 1]), int(language is Language.AR)
    return sum(weights[finding.end : place.start + 1]), int(language is Language.EN)
