"""The numbers of a sentence with their units, in digits, in words or in the form of the noun."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from core.report import Language
from model.grades import letter_behind, places_of_grades, read_letters, read_roman
from model.terms import Kind, Match, lexicon
from model.words import Word, fold

_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
_MILLIMETRES = {"mm": 1, "cm": 10}
_PERCENT_SIGNS = frozenset("%٪")
_TIMES = frozenset({"week", "month", "year"})
_RANGE_MARKS = frozenset({"x", "×", "to", "-", "–", "—", "الي", "في", "and", "or", "او", "و"})
_TENS = frozenset(Decimal(n) for n in range(20, 100, 10))
_COUNT = "count"
_SPOKEN = frozenset({Kind.NUMBER, Kind.ORDINAL})
# What a letter without a number is worth, which nothing shows.
_NO_VALUE = Decimal(0)
# No measurement has more; a model in a loop may write a million.
_MAX_DIGITS = 24


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number with its unit.

    Attributes:
        unit: As the lexicon names it; lengths are in ``mm``; empty for a count.
        place: Which word of the sentence it is.
        letter: Of a grade: the A of "stage IIIA". "Type A" has nothing else.
    """

    value: Decimal
    unit: str
    place: int
    letter: str = ""

    @property
    def is_small(self) -> bool:
        """One or two things: often said by the noun, so never demanded of the other language."""
        return self.value in (1, 2) and not self.unit and not self.letter

    @property
    def is_one(self) -> bool:
        """One thing, week, month or year, which a noun says without a number."""
        is_plain = not self.unit and not self.letter
        return self.value == 1 and (is_plain or self.unit in _TIMES)

    def __str__(self) -> str:
        number = f"{self.value.normalize():f}" if self.value or not self.letter else ""
        return f"{number}{self.letter} {self.unit}".strip()


def read_quantities(row: tuple[Word, ...], language: Language) -> tuple[Quantity, ...]:
    """Return the numbers of a sentence, in reading order."""
    known = lexicon(language)
    counted = known.starts(row, frozenset({Kind.UNIT, Kind.NUMBER, Kind.ORDINAL, Kind.PAIR}))
    units = _units(row, counted)
    grades = places_of_grades(row, language)
    roman = read_roman(row, grades)
    values = sorted(_values(row, counted) + [(place, value) for place, value, _ in roman])
    letters = {place: letter_behind(row, place) for place, _ in values if place in grades}
    letters |= {place: letter for place, _, letter in roman}
    found = [
        replace(quantity, letter=letters.get(quantity.place, ""))
        for quantity in _with_units(row, values, units)
    ]
    found += [
        Quantity(value=_NO_VALUE, unit="", place=place, letter=letter)
        for place, letter in read_letters(row, grades)
    ]
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
    # The 3 of "cm3".
    of_units = {
        index
        for m in counted.values()
        if m.term.kind is Kind.UNIT
        for index in range(m.start, m.end)
    }
    for index, word in enumerate(row):
        if index in of_units:
            continue
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


def _units(row: tuple[Word, ...], counted: dict[int, Match]) -> dict[int, str]:
    """Return each unit by the place behind its number, a percent sign before it moved there."""
    units = {m.start: m.name for m in counted.values() if m.term.kind is Kind.UNIT}
    for place in range(len(row) - 1):
        is_sign = place in units and row[place].text in _PERCENT_SIGNS
        if is_sign and _is_number(row, place + 1) and not _is_number(row, place - 1):
            units[place + 2] = units.pop(place)
    return units


def _is_number(row: tuple[Word, ...], index: int) -> bool:
    return index >= 0 and _NUMBER.fullmatch(row[index].text) is not None


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
