"""The levels of the spine that a sentence names: "L4", "fourth lumbar", القطنية الرابعة."""

from __future__ import annotations

from dataclasses import dataclass

from core.report import Language
from model.terms import Kind, Lexicon, Match, lexicon, spine
from model.words import Word, fold

_RANGE_MARKS = frozenset("-–—")
_JOINING_MARKS = frozenset("/،,")
_ORDINAL_ENDINGS = frozenset({"st", "nd", "rd", "th"})
# Nothing above is meant for a level, whatever the letter before it.
_HIGHEST = 20
# "T1" and "T2" are also signals of magnetic resonance, with a word that says so this near.
_SIGNAL_LETTER, _SIGNALS, _SIGNAL_REACH = "t", frozenset({1, 2}), 2
_TERMS = frozenset({Kind.ORDINAL, Kind.LEVEL_NOUN, Kind.THROUGH, Kind.ALSO, Kind.UNIT, Kind.SIGNAL})
# How far "between" stands before the first of two levels, and the second behind it.
_BETWEEN_REACH, _NEXT_REACH = 3, 4


@dataclass(frozen=True, kw_only=True)
class Level:
    """A vertebra, a root or one end of a disc.

    Attributes:
        region: As the lexicon names it: ``lumbar``.
        place: Which word of the sentence it is.
    """

    region: str
    number: int
    place: int

    def __str__(self) -> str:
        return f"{spine()[self.region].letter}{self.number}"

    @property
    def exists(self) -> bool:
        """The region has as many vertebrae."""
        return 1 <= self.number <= spine()[self.region].last


def read_levels(row: tuple[Word, ...], language: Language) -> tuple[Level, ...]:
    """Return the levels of a sentence in reading order, those of a range one by one."""
    reader = _Reader(row, language)
    return tuple(sorted(reader.lettered() + reader.spoken(), key=lambda level: level.place))


def by_range(
    levels: tuple[Level, ...], row: tuple[Word, ...], language: Language
) -> tuple[tuple[Level, ...], ...]:
    """Return the levels of a sentence parted into ranges and discs: "L4-L5" is one thing."""
    known = lexicon(language)
    through = known.starts(row, frozenset({Kind.THROUGH}))
    between = known.starts(row, frozenset({Kind.BETWEEN}))
    parts: list[list[Level]] = []
    for level in levels:
        last = parts[-1][-1].place if parts else None
        if last is not None and (
            level.place == last
            or last + 1 in through
            or row[last + 1].text in _RANGE_MARKS | {"/"}
            or (
                level.place - last <= _NEXT_REACH
                and not between.keys().isdisjoint(range(last - _BETWEEN_REACH, last))
            )
        ):
            parts[-1].append(level)
        else:
            parts.append([level])
    return tuple(tuple(part) for part in parts)


class _Reader:
    """Reads the levels of one sentence."""

    def __init__(self, row: tuple[Word, ...], language: Language) -> None:
        known: Lexicon = lexicon(language)
        self.known = known
        self.row = row
        self.language = language
        self.terms = {kind: known.starts(row, frozenset({kind})) for kind in (*_TERMS, Kind.SPINE)}
        self.ordinal_ends = {match.end: match for match in self.terms[Kind.ORDINAL].values()}
        self.letters = {
            letter: name for name, region in spine().items() for letter in region.letters
        }

    def lettered(self) -> list[Level]:
        """Return the levels with a letter, and what a dash or a stroke adds to them: "L4/5"."""
        levels: list[Level] = []
        for index in range(len(self.row) - 1):
            level = self._letter_at(index)
            if level is None:
                continue
            joined = bool(levels) and index == levels[-1].place + 2
            if joined and self._is_through(index - 1):
                levels += _between(levels[-1], level)
            levels.append(level)
            levels += self._bare_after(level)
        return levels

    def spoken(self) -> list[Level]:
        """Return the levels whose region is a word, from the numbers beside it."""
        levels: list[Level] = []
        for match in self.terms[Kind.SPINE].values():
            before, after = self._before(match), self._after(match)
            numbers = (after or before) if self.language is Language.AR else (before or after)
            levels += [
                Level(region=match.name, number=number, place=match.start)
                for number in numbers
                if 1 <= number <= _HIGHEST
            ]
        return levels

    def _letter_at(self, index: int) -> Level | None:
        """Return the level that begins with a letter at a place; "T2 signal" is none."""
        letter, number = fold(self.row[index].text), self._digits(index + 1)
        region = self.letters.get(letter)
        if region is None or number is None or not self.row[index + 1].is_glued:
            return None
        if letter == _SIGNAL_LETTER and number in _SIGNALS and self._is_signal(index):
            return None
        return Level(region=region, number=number, place=index + 1)

    def _is_signal(self, index: int) -> bool:
        near = range(index - _SIGNAL_REACH, index + 2 + _SIGNAL_REACH)
        is_stage = index + 2 < len(self.row) and fold(self.row[index + 2].text) == "n"
        return is_stage or not self.terms[Kind.SIGNAL].keys().isdisjoint(near)

    def _bare_after(self, level: Level) -> list[Level]:
        """Return the level of a bare number behind a dash or a stroke: the 5 of "L4-5"."""
        mark, place = level.place + 1, level.place + 2
        number = self._digits(place)
        if number is None or self.row[mark].text not in _RANGE_MARKS | {"/"}:
            return []
        if place + 1 in self.terms[Kind.UNIT] or number <= level.number:
            return []
        last = Level(region=level.region, number=number, place=place)
        return [*(_between(level, last) if self._is_through(mark) else []), last]

    def _digits(self, index: int) -> int | None:
        if not 0 <= index < len(self.row):
            return None
        text = self.row[index].text
        is_number = text.isascii() and text.isdigit() and len(text) <= 2  # noqa: PLR2004 - digits
        return int(text) if is_number and 1 <= int(text) <= _HIGHEST else None

    def _before(self, match: Match) -> list[int]:
        """Return the ordinals that stand before a region: "fourth and fifth lumbar"."""
        numbers: list[int] = []
        position = match.start
        while position > 0:
            found = self._ordinal_ending_at(position)
            if found is None:
                break
            number, position = found
            numbers = [number, *numbers]
            if not self._is_connector(position - 1):
                break
            position -= 1
            numbers = [-1, *numbers] if self._is_through(position) else numbers
        return _spread(numbers)

    def _ordinal_ending_at(self, end: int) -> tuple[int, int] | None:
        """Return (number, first word) of an ordinal that ends before a word."""
        match = self.ordinal_ends.get(end)
        if match is not None:
            return int(match.name), match.start
        if end > 1 and fold(self.row[end - 1].text) in _ORDINAL_ENDINGS:
            number = self._digits(end - 2)
            return (number, end - 2) if number is not None else None
        return None

    def _after(self, match: Match) -> list[int]:
        """Return the numbers behind a region: القطنية من الثالثة إلى الخامسة."""
        numbers: list[int] = []
        position = match.end
        while position < len(self.row):
            noun = self.terms[Kind.LEVEL_NOUN].get(position)
            found = self._number_at(position)
            if found is not None and not numbers and self.known.joins(self.row[position]):
                break  # القطنية والأولى العجزية: "and" begins another region's number
            if found is not None:
                number, position = found
                numbers.append(number)
            elif noun is not None and not numbers:
                position = noun.end
            elif self._is_connector(position):
                if self._is_through(position):
                    numbers.append(-1)
                position += 1
            else:
                break
        return _spread(numbers)

    def _number_at(self, index: int) -> tuple[int, int] | None:
        """Return (number, word behind it) of an ordinal or a number without a unit."""
        match = self.terms[Kind.ORDINAL].get(index)
        if match is not None:
            return int(match.name), match.end
        number = self._digits(index)
        if number is None or index + 1 in self.terms[Kind.UNIT]:
            return None
        return number, index + 1

    def _is_connector(self, index: int) -> bool:
        if not 0 <= index < len(self.row):
            return False
        is_mark = self.row[index].text in _JOINING_MARKS
        return is_mark or index in self.terms[Kind.ALSO] or self._is_through(index)

    def _is_through(self, index: int) -> bool:
        if not 0 <= index < len(self.row):
            return False
        return self.row[index].text in _RANGE_MARKS or index in self.terms[Kind.THROUGH]


def _between(first: Level, last: Level) -> list[Level]:
    """Return the levels between two of one region."""
    if first.region != last.region:
        return []
    return [
        Level(region=first.region, number=number, place=last.place)
        for number in range(first.number + 1, last.number)
    ]


def _spread(numbers: list[int]) -> list[int]:
    """Return numbers with each mark of -1 replaced by what lies between its neighbours."""
    spread: list[int] = []
    for index, number in enumerate(numbers):
        if number > 0:
            spread.append(number)
        elif spread and index + 1 < len(numbers):
            spread += range(spread[-1] + 1, numbers[index + 1])
    return spread
