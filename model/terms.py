"""The lexicon, read from `lexicon/terms.yaml` into tables of phrases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.report import Language
from model.words import Word, arabic_forms, words

LEXICON = Path(__file__).parent / "lexicon" / "terms.yaml"

Forms = tuple[frozenset[str], ...]


class Kind(StrEnum):
    """What a phrase is to the checks: the lexicon's tables."""

    SIDE = "side"
    NEGATION = "negation"
    FINDING = "finding"
    UNIT = "unit"
    NUMBER = "number"
    DUAL = "dual"
    JOINT = "joint"


@dataclass(frozen=True, kw_only=True)
class Term:
    """One entry in one language.

    Attributes:
        name: Which side, kind of negation, finding, unit or number.
        phrase: For each of its words the forms that a word of the text must share one with.
    """

    kind: Kind
    name: str
    phrase: Forms


@dataclass(frozen=True, kw_only=True)
class Match:
    """A term found in a row of words, from `start` up to but not including `end`."""

    term: Term
    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The terms of one language, and quick ways to them by their first word."""

    language: Language
    by_first: dict[str, tuple[Term, ...]]

    def matches(self, row: tuple[Word, ...], kinds: frozenset[Kind]) -> tuple[Match, ...]:
        """Return the terms of some kinds in reading order: the longest at each place."""
        found: list[Match] = []
        position = 0
        while position < len(row):
            term = self._longest_at(row, position, kinds)
            if term is None:
                position += 1
                continue
            end = position + len(term.phrase)
            text = " ".join(word.text for word in row[position:end])
            found.append(Match(term=term, start=position, end=end, text=text))
            position = end
        return tuple(found)

    def _longest_at(
        self, row: tuple[Word, ...], position: int, kinds: frozenset[Kind]
    ) -> Term | None:
        candidates = {
            id(term): term for form in row[position].forms for term in self.by_first.get(form, ())
        }
        fitting = [
            term
            for term in candidates.values()
            if term.kind in kinds and _fits(term, row[position : position + len(term.phrase)])
        ]
        return max(fitting, key=lambda term: len(term.phrase), default=None)


def _fits(term: Term, row: tuple[Word, ...]) -> bool:
    return len(row) == len(term.phrase) and all(
        word.forms & forms for word, forms in zip(row, term.phrase, strict=True)
    )


def _phrase(text: str, language: Language) -> Forms:
    """Return an entry's words; an article written in the lexicon is as good as none."""
    row = words(text, language)
    if language is Language.EN:
        return tuple(word.forms for word in row)
    return tuple(frozenset({_lemma(word)}) for word in row)


def _lemma(word: Word) -> str:
    """Return the form that a text's word must have among its own: less the article only."""
    whole = max(word.forms, key=len)
    bare = whole.removeprefix("ال")
    return bare if len(bare) > 1 and bare in arabic_forms(whole) else whole


def _entries(content: dict[str, Any]) -> list[tuple[Kind, str, dict[str, list[str]]]]:
    """Return every entry of the file as (kind, name, phrases by language)."""
    numbers = content["numbers"]
    tables = {
        Kind.SIDE: content["sides"],
        Kind.NEGATION: content["negation"],
        Kind.FINDING: content["findings"],
        Kind.JOINT: content["joints"],
        Kind.UNIT: numbers["units"],
        Kind.DUAL: numbers["duals"],
        Kind.NUMBER: numbers["words"],
    }
    return [
        (kind, str(name), entry) for kind, rows in tables.items() for name, entry in rows.items()
    ]


@cache
def lexicon(language: Language) -> Lexicon:
    """Return the lexicon of a language; the file is read once a process."""
    content = yaml.safe_load(LEXICON.read_text(encoding="utf-8"))
    by_first: dict[str, list[Term]] = {}
    for kind, name, entry in _entries(content):
        for text in entry[language.value]:
            term = Term(kind=kind, name=name, phrase=_phrase(text, language))
            for form in term.phrase[0]:
                by_first.setdefault(form, []).append(term)
    return Lexicon(
        language=language, by_first={form: tuple(terms) for form, terms in by_first.items()}
    )
