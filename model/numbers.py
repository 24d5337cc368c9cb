"""The numbers of a sentence with their units, in digits, in words or in the form of the noun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from core.report import Language
from model.terms import Kind, Match, lexicon
from model.words import Word, fold

_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
_MILLIMETRES = {"mm": 1, "cm": 10}
_TIMES = frozenset({"week", "month", "year"})
_RANGE_MARKS = frozenset({"x", "×", "to", "-", "–", "—", "الي", "في", "and", "or", "او", "و"})
_TENS = frozenset(Decimal(n) for n in range(20, 100, 10))
_COUNT = "count"
_SPOKEN = frozenset({Kind.NUMBER, Kind.ORDINAL})
# One is left out: the other language may leave it to the noun, and "I" is a word.
_ROMAN = {"ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
# "IIIA": a stage's own letter.
_ROMAN_NUMBER = re.compile(r"([ivx]+)[a-d]?")
# No measurement has more; a model in a loop may write a million.
_MAX_DIGITS = 24


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number with its unit.

    Attributes:
        unit: As the lexicon names it; lengths are in ``mm``; empty for a count.
        place: Which word of the sentence it is.
    """

    value: Decimal
    unit: str
    place: int

    @property
    def is_small(self) -> bool:
        """One or two things: often said by the noun, so never demanded of the other language."""
        return self.value in (1, 2) and not self.unit

    @property
    def is_one(self) -> bool:
        """One thing, week, month or year, which a noun says without a number."""
        return self.value == 1 and (not self.unit or self.unit in _TIMES)

    def __str__(self) -> str:
        return f"{self.value.normalize():f} {self.unit}".strip()


def read_quantities(row: tuple[Word, ...], language: Language) -> tuple[Quantity, ...]:
    """Return the numbers of a sentence, in reading order."""
    known = lexicon(language)
    counted = known.starts(row, frozenset({Kind.UNIT, Kind.NUMBER, Kind.ORDINAL, Kind.PAIR}))
    units = {m.start: m.name for m in counted.values() if m.term.kind is Kind.UNIT}
    values = sorted(_values(row, counted) + _roman(row, language))
    found = _with_units(row, values, units)
    taken = {place + 1 for place, _ in values}
    pairs = [m for m in counted.values() if m.term.kind is Kind.PAIR]
    ones = known.matches(row, frozenset({Kind.ONE}))
    found += [_quantity(Decimal(2), "" if m.name == _COUNT else m.name, m.start) for m in pairs]
    found += [_quantity(Decimal(1), m.name, m.start) for m in ones if m.start not in taken]
    return tuple(sorted(found, key=lambda quantity: quantity.place))


def _values(row: tuple[Word, ...], counted: dict[int, Match]) -> list[tuple[int, Decimal]]:
    """Return (place of the last word, value) of each number; twenty and five are twenty-five."""
    values: list[tuple[int, Decimal]] = []
    spoken: set[int] = set()
    for index, word in enumerate(row):
        match = counted.get(index)
        if _NUMBER.fullmatch(word.text):
            values += [(index, value) for value in _digits(word.text)]
        elif match is not None and match.term.kind in _SPOKEN:
            value = Decimal(match.name)
            if values and index - 1 in spoken and _is_compound(values[-1][1], value):
                value += values.pop()[1]
            spoken.add(match.end - 1)
            values.append((match.end - 1, value))
    return values


def _roman(row: tuple[Word, ...], language: Language) -> list[tuple[int, Decimal]]:
    """Return (place, value) of each Roman number behind a word such as "grade", or behind another.

    "IV contrast" is none.
    """
    behind = {m.end for m in lexicon(language).matches(row, frozenset({Kind.NUMBERED}))}
    values: list[tuple[int, Decimal]] = []
    for index, word in enumerate(row):
        found = _ROMAN_NUMBER.fullmatch(fold(word.text))
        if found is None or found[1] not in _ROMAN or index not in behind:
            continue
        values.append((index, Decimal(_ROMAN[found[1]])))
        is_range = index + 1 < len(row) and fold(row[index + 1].text) in _RANGE_MARKS
        behind |= {index + 1, index + 2} if is_range else {index + 1}
    return values


def _is_compound(first: Decimal, second: Decimal) -> bool:
    tens, ones = max(first, second), min(first, second)
    return tens in _TENS and 1 <= ones <= 9  # noqa: PLR2004 - the digits


def _with_units(
    row: tuple[Word, ...], values: list[tuple[int, Decimal]], units: dict[int, str]
) -> list[Quantity]:
    """Return each number with its unit; in ``2 x 3 cm`` the first takes that of the second."""
    result: list[Quantity] = []
    following: tuple[int, str] | None = None
    for index, value in reversed(values):
        unit = units.get(index + 1, "")
        if not unit and following is not None:
            between = row[index + 1 : following[0]]
            if len(between) == 1 and fold(between[0].text) in _RANGE_MARKS:
                unit = following[1]
        result.append(_quantity(value, unit, index))
        following = (index, unit)
    return result


def _digits(text: str) -> tuple[Decimal, ...]:
    """Return a number as written: a comma before exactly three digits parts thousands.

    A date or a version, with two points or more, is its parts.
    """
    if len(text) > _MAX_DIGITS:
        return tuple(Decimal(part[:_MAX_DIGITS]) for part in re.findall(r"\d+", text))
    unified = text.replace("٫", ".").replace("٬", "")
    unified = re.sub(r",(?=\d{3}(?!\d))", "", unified).replace(",", ".")
    if unified.count(".") > 1:
        return tuple(Decimal(part) for part in unified.split("."))
    return (Decimal(unified),)


def _quantity(value: Decimal, unit: str, place: int) -> Quantity:
    if unit in _MILLIMETRES:
        value, unit = value * _MILLIMETRES[unit], "mm"
    return Quantity(value=value, unit=unit, place=place)
