"""The grade, type or class of a thing: its Roman number, its letter, or both ("stage IIIA")."""

from __future__ import annotations

import re
from decimal import Decimal

from core.report import Language
from model.terms import Kind, lexicon
from model.words import CLAUSE_ENDS, Word, fold

# One is left out: the other language may leave it to the noun, and "I" is a word.
_ROMAN = {"ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
_ROMAN_NUMBER = re.compile(r"([ivx]+)([a-f]?)")
# Here it cannot be the word "I", and the letter would be lost without it.
_ONE_WITH_LETTER = re.compile(r"I([A-Fa-f])")
_RANGE_MARKS = frozenset({"to", "-", "–", "—", "الي", "and", "or", "او"})
_LETTERS = {letter: letter.upper() for letter in "abcdef"}
# Of "C5" and "D12".
_VERTEBRAE = frozenset("cd")
# As `fold` leaves them. و is "and".
_ARABIC_LETTERS = {"ا": "A", "ب": "B", "ج": "C", "د": "D", "ه": "E"}


def places_of_grades(row: tuple[Word, ...], language: Language) -> frozenset[int]:
    """Return where a grade may stand: right behind "type", "Bosniak" and so on, or their colon."""
    ends = {m.end for m in lexicon(language).matches(row, frozenset({Kind.NUMBERED}))}
    return frozenset(end + (end < len(row) and row[end].text == ":") for end in ends)


def read_roman(row: tuple[Word, ...], grades: frozenset[int]) -> list[tuple[int, Decimal, str]]:
    """Return (place, value, letter) of each Roman number behind a word such as "grade".

    Behind another one, too: "grade II to III". "IV contrast" is none.
    """
    behind = set(grades)
    values: list[tuple[int, Decimal, str]] = []
    for index, word in enumerate(row):
        found = _read_number(word.text) if index in behind else None
        if found is None:
            continue
        value, letter = found
        values.append((index, value, letter or letter_behind(row, index)))
        is_range = index + 1 < len(row) and fold(row[index + 1].text) in _RANGE_MARKS
        behind |= {index + 1, index + 2} if is_range else {index + 1}
    return values


def _read_number(text: str) -> tuple[Decimal, str] | None:
    one = _ONE_WITH_LETTER.fullmatch(text)
    if one is not None:
        return Decimal(1), one[1].upper()
    found = _ROMAN_NUMBER.fullmatch(fold(text))
    if found is None or found[1] not in _ROMAN:
        return None
    return Decimal(_ROMAN[found[1]]), found[2].upper()


def letter_behind(row: tuple[Word, ...], index: int) -> str:
    """Return the letter behind a grade's number: the A of "4A" and of الفئة 4 أ."""
    letter = _letter_at(row, index + 1)
    if not letter:
        return ""
    word = row[index + 1]
    is_meant = word.is_glued or word.text.isupper() or fold(word.text) in _ARABIC_LETTERS
    return letter if is_meant else ""


def read_letters(row: tuple[Word, ...], grades: frozenset[int]) -> list[tuple[int, str]]:
    """Return (place, letter) of each letter that is a grade by itself: "type A", النوع ب.

    A small "a" is one only where nothing follows that it could be the article of.
    """
    return [
        (index, letter)
        for index in sorted(grades)
        if (letter := _letter_at(row, index))
        and (row[index].text != "a" or index + 1 == len(row) or row[index + 1].text in CLAUSE_ENDS)
    ]


def _letter_at(row: tuple[Word, ...], index: int) -> str:
    """Return the letter of a grade that stands somewhere; that of "C5" is a vertebra's."""
    if index >= len(row):
        return ""
    folded = fold(row[index].text)
    following = row[index + 1 : index + 2]
    if folded in _VERTEBRAE and following and following[0].is_glued:
        return ""
    return _LETTERS.get(folded, "") or _ARABIC_LETTERS.get(folded, "")
