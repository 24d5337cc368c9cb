"""What the header says of a study, and where a text says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from core.report import Finding, Language
from model.faults import NAMES, fault
from model.sides import LEFT, RIGHT
from model.statements import Statements
from model.terms import Kind, Match, ages, body_regions, lexicon
from model.words import Word, sentences, words

_SIDES = {"R": RIGHT, "L": LEFT}
_SEXES = frozenset("MF")
# How far from its number a word stands that makes it an age: "aged 45", يبلغ من العمر 45 عاما.
_REACH = 3
_OLDEST = 150


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is known of a study besides its pictures; what is empty is checked against nothing.

    Attributes:
        laterality: ``R`` or ``L`` where every image says the same (0020,0060), (0020,0062).
        body_part: Body Part Examined (0018,0015), where every image says the same.
        sex: Patient's Sex (0010,0040).
        age_band: Decade such as ``60-69``, ``90+``, as the model is told it.
        has_prior: An earlier study was at hand; None where nobody knows.
        identifiers: Names, numbers and dates that no text may repeat.
    """

    laterality: str = ""
    body_part: str = ""
    sex: str = ""
    age_band: str = ""
    has_prior: bool | None = None
    identifiers: tuple[str, ...] = field(default=(), repr=False)


def contradictions_of_facts(
    text: str, said: Statements, language: Language, facts: StudyFacts
) -> Iterator[Finding]:
    """Yield where one language's text contradicts the header.

    Source: DICOM PS3.3 C.7.1.1, C.7.3.1 and C.8.
    """
    row = words(text, language)
    yield from _laterality(said, language, facts.laterality)
    yield from _body_part(row, language, facts.body_part)
    yield from _sex(row, language, facts.sex)
    yield from _age(row, language, facts.age_band)
    if facts.has_prior is False:
        yield from _comparison(row, language)


def _laterality(said: Statements, language: Language, laterality: str) -> Iterator[Finding]:
    """Yield the other side, where the text does not name the pictures' own, or a finding on it."""
    own = _SIDES.get(laterality)
    if own is None or not said.side_counts:
        return
    contrary = {name for name, sides in said.sides.items() if own not in sides}
    if not said.side_counts[own] or contrary:
        message = f"The images are of the {own} side, the {NAMES[language]} text names the other."
        yield fault("LATERALITY_CONTRADICTED", message, language, said.side_words)


def _body_part(row: tuple[Word, ...], language: Language, body_part: str) -> Iterator[Finding]:
    """Yield words of other regions, where the text has none of the header's or of one beside it."""
    code = "".join(body_part.upper().split()).replace("_", "")
    own = {name for name, region in body_regions().items() if code in region.codes}
    if not own:
        return
    fitting = own | {near for name in own for near in body_regions()[name].near}
    found = lexicon(language).matches(row, frozenset({Kind.REGION}))
    if found and all(match.name not in fitting for match in found):
        message = f"The images are of {body_part}, the {NAMES[language]} text of something else."
        yield fault("BODY_PART_CONTRADICTED", message, language, _texts(found))


def _sex(row: tuple[Word, ...], language: Language, sex: str) -> Iterator[Finding]:
    if sex not in _SEXES:
        return
    found = lexicon(language).matches(row, frozenset({Kind.SEX}))
    other = [match for match in found if match.name != sex]
    if other:
        message = f"The {NAMES[language]} text does not fit the patient's sex."
        yield fault("SEX_CONTRADICTED", message, language, _texts(other))


def _age(row: tuple[Word, ...], language: Language, age_band: str) -> Iterator[Finding]:
    """Yield an age in years, or a word of an age, that does not fit the decade of the header."""
    low, _, high = age_band.removesuffix("+").partition("-")
    if not low.isdigit():
        return
    youngest, oldest = int(low), int(high) if high.isdigit() else _OLDEST
    known = lexicon(language)
    wrong = [
        match.text
        for match in known.matches(row, frozenset({Kind.AGE}))
        if youngest > ages()[match.name][1] or oldest < ages()[match.name][0]
    ]
    wrong += [f"{age}" for age in _ages_in_years(row, language) if not youngest <= age <= oldest]
    if wrong:
        message = f"The {NAMES[language]} text does not fit the patient's age."
        yield fault("AGE_CONTRADICTED", message, language, tuple(wrong[:5]))


def _ages_in_years(row: tuple[Word, ...], language: Language) -> Iterator[int]:
    """Yield the numbers of years beside a word of age."""
    known = lexicon(language)
    units = known.starts(row, frozenset({Kind.UNIT}))
    before = {match.end for match in known.matches(row, frozenset({Kind.AGE_BEFORE}))}
    after = {match.start for match in known.matches(row, frozenset({Kind.AGE_AFTER}))}
    for index, word in enumerate(row):
        if not (word.text.isascii() and word.text.isdigit() and len(word.text) <= 3):  # noqa: PLR2004
            continue
        unit = units.get(index + 1)
        is_years = unit is not None and unit.name == "year"
        follows = not before.isdisjoint(range(index - _REACH + 1, index + 1))
        if (is_years and (follows or index + 2 in after)) or (follows and unit is None):
            yield int(word.text)


def _comparison(row: tuple[Word, ...], language: Language) -> Iterator[Finding]:
    """Yield words that compare with an earlier study, where there is none."""
    known = lexicon(language)
    for sentence in sentences(row):
        found = known.matches(sentence, frozenset({Kind.COMPARES}))
        if found and not known.matches(sentence, frozenset({Kind.NO_PRIOR})):
            message = f"The {NAMES[language]} text compares, but no earlier study was at hand."
            yield fault("COMPARISON_WITHOUT_PRIOR", message, language, _texts(found))
            return


def _texts(found: Iterable[Match]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match.text for match in found))[:5]
