"""Right and left exchanged in a text: in all of it, or for some of its findings.

No word is invented, and nothing is exchanged where it is unsure: a text that our own reading does
not find to say just the same of the other side is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache

from core.report import Language
from model.sides import LEFT, RIGHT, read_sides
from model.statements import Statements, read_statements
from model.words import sentences, words

_ENGLISH = ("right", "left"), ("rightward", "leftward"), ("rightwards", "leftwards")
_ARABIC = (
    *(("أيمن", "أيسر"), ("ايمن", "ايسر"), ("يمنى", "يسرى"), ("يمين", "يسار"), ("يميني", "يساري")),
    *(("يمينية", "يسارية"), ("أيمنين", "أيسرين"), ("أيمنان", "أيسران"), ("يمنيين", "يسريين")),
    ("يمنيان", "يسريان"),
)
_OTHER = {
    one: other
    for pair in (*_ENGLISH, *(tuple(w.title() for w in p) for p in _ENGLISH), *_ARABIC)
    for one, other in (pair, pair[::-1])
} | {"RIGHT": "LEFT", "LEFT": "RIGHT"}
_SIDE = re.compile(rf"(?<!\w)((?:[وف]?[بلك]?(?:ال|لل)?)?)({'|'.join(_OTHER)})(?!\w)")
# "The drain was left in place": no side.
_VERB = re.compile(r"\b(?:is|are|was|were|be|been|being|has|have|had) left\b(?!-)", re.IGNORECASE)
_EXCHANGED = {RIGHT: LEFT, LEFT: RIGHT}
# What parts sentences, and the items of a sentence that is a list; they are kept.
_SENTENCES = re.compile(r"(?<=[.!?؟\n])")
_ITEMS = re.compile(r"(?<=[,،:;؛])")
_ARABIC_LETTER = re.compile(r"[\u0621-\u064a]")


def language_of(text: str) -> Language:
    """Return the language that a text of training is written in."""
    return Language.AR if _ARABIC_LETTER.search(text) else Language.EN


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, with their marks; together they are the text."""
    return _SENTENCES.split(text)


def items_of(sentence: str) -> list[str]:
    """Return the items of a list; a piece that names no finding goes with the one before."""
    language = language_of(sentence)
    items: list[str] = []
    for piece in _ITEMS.split(sentence):
        if items and not read(piece, language).all:
            items[-1] += piece
        else:
            items.append(piece)
    return items


@lru_cache(maxsize=4096)
def exchanged(text: str) -> str | None:
    """Return a text with right and left exchanged; None where that is unsure.

    A side may stand there in other words ("RUL"), and "left" may be a verb.
    """
    if _VERB.search(text):
        return None
    turned = _SIDE.sub(lambda found: found[1] + _OTHER[found[2]], text)
    for language in Language:
        wanted = [_EXCHANGED.get(side, side) for side in _named(text, language)]
        if _named(turned, language) != wanted:
            return None
    return turned


def side_spans(text: str) -> list[tuple[int, int]]:
    """Return where the words stand that `exchanged` exchanges: first letter, behind the last."""
    return [found.span() for found in _SIDE.finditer(text)]


def exchanged_for(text: str, findings: AbstractSet[str]) -> str | None:
    """Return a text with the sides of some findings exchanged; None where that is unsure.

    A sentence, or an item of a list, must name such findings alone or none of them, and afterwards
    our reading of the text must put just those findings on the other side.
    """
    language = language_of(text)
    pieces = []
    for sentence in sentences_of(text):
        parts = [sentence] if _is_of_one_kind(sentence, findings, language) else items_of(sentence)
        for part in parts:
            said = _sided(part, language).keys()
            if not _is_of_one_kind(part, findings, language):
                return None
            turned = exchanged(part) if said and said <= findings else part
            if turned is None:
                return None
            pieces.append(turned)
    turned = "".join(pieces)
    wanted = {
        name: {_EXCHANGED[side] for side in sides} if name in findings else sides
        for name, sides in _sided(text, language).items()
    }
    return turned if _sided(turned, language) == wanted else None


def sided_findings(text: str) -> list[str]:
    """Return the findings that a text puts on a side, in order of their names."""
    return sorted(_sided(text, language_of(text)))


@lru_cache(maxsize=16384)
def read(text: str, language: Language) -> Statements:
    """Return what a text says; the same pieces are asked for again and again."""
    return read_statements(text, language)


def _sided(text: str, language: Language) -> dict[str, set[str]]:
    return read(text, language).sides


def _is_of_one_kind(text: str, findings: AbstractSet[str], language: Language) -> bool:
    """Tell whether what a text puts on sides is all, or not at all, among some findings."""
    said = _sided(text, language).keys()
    return said <= findings or said.isdisjoint(findings)


def _named(text: str, language: Language) -> list[str]:
    rows = sentences(words(text, language))
    return [match.name for row in rows for match in read_sides(row, language).named]
