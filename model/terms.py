"""The lexicon, read from `lexicon/terms.yaml` into tables of phrases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.report import Language
from model.words import CLAUSE_ENDS, Word, arabic_forms, fold, words

LEXICON = Path(__file__).parent / "lexicon" / "terms.yaml"

Forms = tuple[frozenset[str], ...]
# What only looks like a term of its kind: never told, but it hides the shorter one.
_NEUTRAL = "neutral"
# Written between two words of an entry: up to three others may stand there ("heart .. enlarged").
_GAP = " .. "
_LONGEST_GAP = 3
_LEVEL_LINKS = ("through", "also", "between", "signal")


class Kind(StrEnum):
    """What a phrase is to the checks."""

    SIDE = "side"
    NEGATION = "negation"
    FINDING = "finding"
    PLACE = "place"
    UNIT = "unit"
    NUMBER = "number"
    PAIR = "pair"
    ONE = "one"
    NUMBERED = "numbered"
    JOINT = "joint"
    PERCEIVED = "perceived"
    PLAINLY = "plainly"
    LASTING = "lasting"
    OPENER = "opener"
    QUALIFIER = "qualifier"
    QUALITY = "quality"
    NORMAL = "normal"
    BEFORE_NORMAL = "before_normal"
    AROUND_NORMAL = "around_normal"
    ABNORMAL = "abnormal"
    ORDINAL = "ordinal"
    SPINE = "spine"
    LEVEL_NOUN = "level_noun"
    THROUGH = "through"
    ALSO = "also"
    BETWEEN = "between"
    SIGNAL = "signal"
    POSSIBLE = "possible"
    COMPARES = "compares"
    NO_PRIOR = "no_prior"
    SEX = "sex"
    AGE = "age"
    AGE_BEFORE = "age_before"
    AGE_AFTER = "age_after"
    REGION = "region"
    CLAIM = "claim"
    TITLE = "title"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Term:
    """One entry in one language.

    Attributes:
        name: Which side, kind of negation, finding, place, unit, number, joint, claim and so on.
        phrase: For each of its words the forms that a word of the text must share one with; an
            empty set stands for a gap.
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

    @property
    def name(self) -> str:
        """The term's name."""
        return self.term.name


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The terms of one language, and quick ways to them by their first word.

    Attributes:
        own_waw: Arabic words whose first و is their own, no attached "and".
    """

    language: Language
    by_first: dict[str, tuple[Term, ...]]
    own_waw: frozenset[str] = frozenset()

    def matches(self, row: tuple[Word, ...], kinds: frozenset[Kind]) -> tuple[Match, ...]:
        """Return the terms of some kinds in reading order, the longest at each place.

        The neutral ones are left out, with what they hide.
        """
        found: list[Match] = []
        position = 0
        while position < len(row):
            match = self._longest_at(row, position, kinds)
            if match is not None and match.name != _NEUTRAL:
                found.append(match)
            position = match.end if match else position + 1
        return tuple(found)

    def starts(self, row: tuple[Word, ...], kinds: frozenset[Kind]) -> dict[int, Match]:
        """Return the same by where they start."""
        return {match.start: match for match in self.matches(row, kinds)}

    def joins(self, word: Word) -> bool:
        """Tell whether an attached "and" opens an Arabic word."""
        whole = fold(word.text)
        return word.joins and not {whole, whole.removesuffix("ا")} & self.own_waw

    def _longest_at(
        self, row: tuple[Word, ...], position: int, kinds: frozenset[Kind]
    ) -> Match | None:
        best: tuple[int, int] | None = None
        chosen: Term | None = None
        # The word as it stands comes first: لاستبعاد is not استبعاد.
        for form in sorted(row[position].forms, key=lambda form: (-len(form), form)):
            for term in self.by_first.get(form, ()):
                end = _end_of(term.phrase, row, position) if term.kind in kinds else None
                if end is not None and (best is None or (len(term.phrase), end) > best):
                    best, chosen = (len(term.phrase), end), term
        if chosen is None or best is None:
            return None
        text = " ".join(word.text for word in row[position : best[1]])
        return Match(term=chosen, start=position, end=best[1], text=text)


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the spine.

    Attributes:
        letters: What its vertebrae are abbreviated by, folded.
        letter: What we write for it.
        last: Its last vertebra or root.
    """

    letters: frozenset[str]
    letter: str
    last: int


@dataclass(frozen=True, kw_only=True)
class BodyRegion:
    """A region of the body.

    Attributes:
        codes: Values of Body Part Examined (0018,0015) that mean it.
        near: Regions that a report of it may well speak of.
    """

    codes: frozenset[str]
    near: frozenset[str]


def _end_of(phrase: Forms, row: tuple[Word, ...], position: int) -> int | None:
    """Return where a phrase that starts at a position ends; None where it does not fit."""
    for index, forms in enumerate(phrase):
        if not forms:
            return _end_over_gap(phrase[index + 1 :], row, position)
        if position >= len(row) or not row[position].forms & forms:
            return None
        position += 1
    return position


def _end_over_gap(rest: Forms, row: tuple[Word, ...], position: int) -> int | None:
    """Return where the rest of a phrase ends after up to three words of the same clause.

    A colon right behind the phrase's beginning ends no clause: "Heart: not enlarged."
    """
    if position < len(row) and row[position].text == ":":
        position += 1
    for skipped in range(_LONGEST_GAP + 1):
        if any(word.text in CLAUSE_ENDS for word in row[position : position + skipped]):
            return None
        end = _end_of(rest, row, position + skipped)
        if end is not None:
            return end
    return None


def _phrase(text: str, language: Language) -> Forms:
    """Return an entry's words; an article written in the lexicon is as good as none."""
    phrase: list[frozenset[str]] = []
    for part in text.split(_GAP):
        row = words(part, language)
        forms = [w.forms if language is Language.EN else frozenset({_lemma(w)}) for w in row]
        phrase += [frozenset[str](), *forms] if phrase else forms
    return tuple(phrase)


def _lemma(word: Word) -> str:
    """Return the form that a text's word must have among its own: less the article only."""
    whole = max(word.forms, key=len)
    bare = whole.removeprefix("ال")
    return bare if len(bare) > 1 and bare in arabic_forms(whole) else whole


def _entries(content: dict[str, Any]) -> list[tuple[Kind, str, dict[str, Any]]]:
    """Return every entry of the file as (kind, name, phrases by language)."""
    numbers, level_words = content["numbers"], content["level_words"]
    tables: tuple[tuple[Kind, dict[str, Any]], ...] = (
        (Kind.SIDE, content["sides"]),
        (Kind.NEGATION, content["negation"]),
        (Kind.FINDING, content["findings"]),
        *((Kind.PLACE, group) for group in content["places"].values()),
        (Kind.JOINT, content["joints"]),
        *((Kind(name), {name: entry}) for name, entry in content["modifiers"].items()),
        (Kind.QUALITY, content["qualities"]),
        (Kind.UNIT, numbers["units"]),
        (Kind.NUMBER, numbers["words"]),
        (Kind.PAIR, numbers["pairs"]),
        (Kind.ONE, numbers["ones"]),
        (Kind.NUMBERED, {"numbered": numbers["numbered"]}),
        (Kind.ORDINAL, numbers["ordinals"]),
        (Kind.SPINE, content["levels"]),
        (Kind.LEVEL_NOUN, {"noun": level_words["noun"]}),
        *((Kind(name), {name: level_words[name]}) for name in _LEVEL_LINKS),
        (Kind.POSSIBLE, content["uncertainty"]),
        *((Kind(name), {name: entry}) for name, entry in content["comparison"].items()),
        (Kind.SEX, content["sexes"]),
        (Kind.AGE, content["ages"]),
        *((Kind(f"age_{name}"), {name: entry}) for name, entry in content["age_words"].items()),
        (Kind.REGION, content["regions"]),
        *((Kind(name), {_NEUTRAL: entry}) for name, entry in content["neutral"].items()),
        (Kind.CLAIM, content["claims"]),
        (Kind.TITLE, {"title": content["titles"]}),
        (Kind.UNFINISHED, {"unfinished": content["unfinished"]}),
    )
    return [(kind, str(name), entry) for kind, table in tables for name, entry in table.items()]


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(LEXICON.read_text(encoding="utf-8"))
    return content


@cache
def place_groups() -> dict[str, str]:
    """Return the group of each part of the body."""
    return {name: group for group, row in _content()["places"].items() for name in row}


@cache
def grave_findings() -> frozenset[str]:
    """Return the findings that no normal study has."""
    return frozenset(_content()["grave"])


@cache
def spine() -> dict[str, Region]:
    """Return the regions of the spine by name."""
    return {
        name: Region(
            letters=frozenset(fold(letter) for letter in entry["letters"]),
            letter=entry["letters"][0],
            last=entry["last"],
        )
        for name, entry in _content()["levels"].items()
    }


@cache
def ages() -> dict[str, tuple[int, int]]:
    """Return the least and the greatest age, in years, that each word of an age fits."""
    return {name: (entry["least"], entry["most"]) for name, entry in _content()["ages"].items()}


@cache
def body_regions() -> dict[str, BodyRegion]:
    """Return the regions of the body that a header's Body Part Examined names."""
    return {
        name: BodyRegion(codes=frozenset(entry["dicom"]), near=frozenset(entry["near"]))
        for name, entry in _content()["regions"].items()
    }


@cache
def lexicon(language: Language) -> Lexicon:
    """Return the lexicon of a language; the file is read once a process."""
    content = _content()
    by_first: dict[str, list[Term]] = {}
    for kind, name, entry in _entries(content):
        for text in entry.get(language.value, ()):
            term = Term(kind=kind, name=name, phrase=_phrase(text, language))
            for form in term.phrase[0]:
                by_first.setdefault(form, []).append(term)
    return Lexicon(
        language=language,
        by_first={form: tuple(terms) for form, terms in by_first.items()},
        own_waw=frozenset(fold(word) for word in content["own_waw"]),
    )
