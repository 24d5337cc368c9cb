"""The numbers of a text, in digits of either script, in words, and in Arabic's dual forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from core.report import Language
from model.terms import Kind, Match, lexicon
from model.words import Word, fold, words

_KINDS = frozenset({Kind.UNIT, Kind.NUMBER, Kind.DUAL})
# A list's own numbering at the start of a line says nothing about the patient.
_LIST_MARK = re.compile(r"^\s*[\d٠-٩۰-۹]{1,2}[.)\-](?=\s)", re.MULTILINE)
_DIGITS = {ord(c): str(i % 10) for i, c in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
_MILLIMETRES = {"mm": 1, "cm": 10}
_RANGE_MARKS = frozenset({"x", "×", "to", "الي", "في"})
_TENS = range(20, 100, 10)
_NO_UNIT = "noun"


@dataclass(frozen=True, kw_only=True)
class _Quantity:
    """A number in the row of words, from `start` up to but not including `end`."""

    start: int
    end: int
    value: Decimal
    unit: str = ""


def read_numbers(text: str, language: Language) -> tuple[str, ...]:
    """Return the numbers in reading order, such as ``15 mm`` or ``3``; lengths in millimetres."""
    row = words(_LIST_MARK.sub("", text).translate(_DIGITS), language)
    found = lexicon(language).matches(row, _KINDS)
    units = {match.start: match.term.name for match in found if match.term.kind is Kind.UNIT}
    quantities = [
        *(_in_digits(index, word) for index, word in enumerate(row) if _is_number(word)),
        *(_in_words(match) for match in found if match.term.kind is not Kind.UNIT),
    ]
    joined = _compounds(sorted(quantities, key=lambda quantity: quantity.start), row)
    return tuple(_written(quantity) for quantity in _with_units(joined, row, units))


def _is_number(word: Word) -> bool:
    return _NUMBER.fullmatch(word.text) is not None


def _in_digits(index: int, word: Word) -> _Quantity:
    return _Quantity(start=index, end=index + 1, value=_value(word.text))


def _in_words(match: Match) -> _Quantity:
    if match.term.kind is Kind.DUAL:
        unit = "" if match.term.name == _NO_UNIT else match.term.name
        return _Quantity(start=match.start, end=match.end, value=Decimal(2), unit=unit)
    return _Quantity(start=match.start, end=match.end, value=Decimal(match.term.name))


def _value(text: str) -> Decimal:
    """Return a number as written: a comma before exactly three digits parts thousands."""
    unified = text.replace("٫", ".").replace("٬", "")
    unified = re.sub(r",(?=\d{3}(?!\d))", "", unified).replace(",", ".")
    if unified.count(".") > 1:  # a date or a version: compared by its digits
        unified = unified.replace(".", "")
    return Decimal(unified)


def _compounds(quantities: list[_Quantity], row: tuple[Word, ...]) -> list[_Quantity]:
    """Return the quantities with "twenty five" and "خمسة وعشرون" put together."""
    result: list[_Quantity] = []
    for quantity in quantities:
        last = result[-1] if result else None
        if last and last.end == quantity.start and _are_one(last, quantity, row):
            result[-1] = _Quantity(
                start=last.start, end=quantity.end, value=last.value + quantity.value
            )
        else:
            result.append(quantity)
    return result


def _are_one(first: _Quantity, second: _Quantity, row: tuple[Word, ...]) -> bool:
    if _is_number(row[first.start]) or _is_number(row[second.start]):
        return False
    is_english = first.value in _TENS and second.value < min(_TENS)
    return is_english or (second.value in _TENS and row[second.start].joins)


def _with_units(
    quantities: list[_Quantity], row: tuple[Word, ...], units: dict[int, str]
) -> list[_Quantity]:
    """Return each number with its unit; in ``2 x 3 cm`` the first takes that of the second."""
    result: list[_Quantity] = []
    following: _Quantity | None = None
    for quantity in reversed(quantities):
        unit = quantity.unit or units.get(quantity.end, "")
        if not unit and following is not None:
            between = row[quantity.end : following.start]
            if len(between) == 1 and fold(between[0].text) in _RANGE_MARKS:
                unit = following.unit
        following = _Quantity(
            start=quantity.start, end=quantity.end, value=quantity.value, unit=unit
        )
        result.append(following)
    return result[::-1]


def _written(quantity: _Quantity) -> str:
    value, unit = quantity.value, quantity.unit
    if unit in _MILLIMETRES:
        value, unit = value * _MILLIMETRES[unit], "mm"
    return f"{value.normalize():f} {unit}".strip()
