"""What makes a draft fit to send: each check looks for one fault and names the words.

Severities are our defaults; a site may set others by code. A blocking finding keeps the draft from
every peer, so a check errs on the side of a false alarm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from core.report import Finding, Language, Section, SectionKind, Severity
from model.numbers import read_numbers
from model.statements import LEFT, RIGHT, Statements, read_statements
from model.words import fold

# By code, what a finding does unless a site says otherwise; docs/model.md lists the same.
SEVERITIES = {
    "EMPTY_SECTION": Severity.BLOCK,
    "CUT_OFF": Severity.BLOCK,
    "REPETITION": Severity.BLOCK,
    "WRONG_SCRIPT": Severity.BLOCK,
    "BROKEN_TEXT": Severity.BLOCK,
    "SIDE_MISMATCH": Severity.BLOCK,
    "NUMBER_MISMATCH": Severity.BLOCK,
    "NEGATION_MISMATCH": Severity.BLOCK,
    "ORIENTATION_UNKNOWN": Severity.BLOCK,
    "FINDING_MISSING": Severity.WARN,
    "CONTROL_CHARACTERS": Severity.NOTE,
}

_REQUIRED = (SectionKind.FINDINGS, SectionKind.IMPRESSION)
# A model in a loop repeats a phrase at once, or a whole sentence again and again.
_MAX_SAME_SENTENCE = 2
_MAX_IN_A_ROW = 2
_LONGEST_LOOP_WORDS = 12
_MIN_SENTENCE_WORDS = 3
_MAX_SAME_LETTER = 8
# Arabic reports keep Latin abbreviations (CT, PA, T12), English ones no Arabic at all.
_MIN_ARABIC_SHARE = 0.6
_MIN_LATIN_SHARE = 0.8
# English that goes on inside an Arabic sentence; a term in brackets is no fault.
_LATIN_PHRASE = re.compile(r"(?:\b[A-Za-z]*[a-z]{2}[A-Za-z]*\b[ \n]*){3}")
_NAMES = {Language.EN: "English", Language.AR: "Arabic"}


@dataclass(frozen=True, kw_only=True)
class WrittenText:
    """One answer of the model, as the checks need it.

    Attributes:
        raw: The answer as it came.
        sections: Its sections.
        is_complete: The model ended by itself.
        findings: What parsing noticed.
    """

    raw: str
    sections: tuple[Section, ...]
    is_complete: bool = True
    findings: tuple[Finding, ...] = ()

    @property
    def text(self) -> str:
        """All sections as one text."""
        return "\n".join(section.text for section in self.sections)


def check(
    *,
    reports: Mapping[Language, WrittenText],
    summaries: Mapping[Language, WrittenText],
    are_orientations_known: bool,
    severities: Mapping[str, Severity] | None = None,
) -> tuple[Finding, ...]:
    """Return all that is wrong with a draft.

    Args:
        reports: The report in each language in which it was written.
        summaries: The summary in each language.
        are_orientations_known: Left and right mean something in every picture.
        severities: By code, where they differ from `SEVERITIES`.

    Raises:
        ValueError: A severity is set for a code that no check has.
    """
    found: list[Finding] = []
    for part, required in ((reports, _REQUIRED), (summaries, (SectionKind.SUMMARY,))):
        for language, written in part.items():
            found += written.findings
            found += _form(written, language, required)
        found += _between_languages(part)
    for language, report in reports.items():
        found += _within_language(report, summaries.get(language), language)
    if not are_orientations_known:
        found += _sides_without_orientation(reports, summaries)
    chosen = _known(severities or {})
    return tuple(replace(f, severity=chosen.get(f.code, f.severity)) for f in found)


def _known(severities: Mapping[str, Severity]) -> Mapping[str, Severity]:
    unknown = sorted(severities.keys() - SEVERITIES.keys())
    if unknown:
        raise ValueError(f"no check has the code {', '.join(unknown)}")
    return severities


def _finding(
    code: str, message: str, language: Language | None = None, words: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        code=code, severity=SEVERITIES[code], message=message, language=language, words=words
    )


def _form(
    written: WrittenText, language: Language, required: tuple[SectionKind, ...]
) -> Iterator[Finding]:
    """Yield what is wrong with one answer by itself."""
    name = _NAMES[language]
    texts = {section.kind: section.text for section in written.sections}
    for kind in required:
        if not any(c.isalpha() for c in texts.get(kind, "")):
            yield _finding("EMPTY_SECTION", f"The {name} text has no {kind}.", language)
    if not written.is_complete:
        words = tuple(written.raw.split()[-3:])
        message = f"The {name} text was cut off at the length limit."
        yield _finding("CUT_OFF", message, language, words)
    repeated = _repeated(written.text)
    if repeated:
        yield _finding("REPETITION", f"The {name} text repeats itself.", language, (repeated,))
    strangers = {w: None for s in written.sections for w in _foreign_words(s.text, language)}
    if strangers:
        message = f"The {name} text is not all in its script."
        yield _finding("WRONG_SCRIPT", message, language, tuple(strangers))
    if "\N{REPLACEMENT CHARACTER}" in written.raw:
        broken = tuple(w for w in written.raw.split() if "\N{REPLACEMENT CHARACTER}" in w)[:5]
        yield _finding("BROKEN_TEXT", f"The {name} text has broken letters.", language, broken)


def _repeated(text: str) -> str:
    """Return what a text repeats as only a model in a loop does; empty where nothing."""
    letters = re.search(rf"([^\W\d_])\1{{{_MAX_SAME_LETTER},}}", text)
    if letters:
        return letters[0][:20]
    sentences = [" ".join(fold(s).split()) for s in re.split(r"[.!?؟\n]+", text)]
    counts = Counter(s for s in sentences if len(s.split()) >= _MIN_SENTENCE_WORDS)
    often = [sentence for sentence, count in counts.items() if count > _MAX_SAME_SENTENCE]
    return often[0] if often else _loop(fold(text).split())


def _loop(row: list[str]) -> str:
    """Return a phrase that follows upon itself more than twice."""
    for size in range(1, _LONGEST_LOOP_WORDS + 1):
        run = 0
        for index in range(size, len(row)):
            run = run + 1 if row[index] == row[index - size] else 0
            if run >= size * _MAX_IN_A_ROW and any(c.isalpha() for c in row[index]):
                return " ".join(row[index - size + 1 : index + 1])
    return ""


def _foreign_words(text: str, language: Language) -> tuple[str, ...]:
    """Return words of another script where there are too many of them."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return ()
    own = _is_arabic if language is Language.AR else _is_latin
    share = sum(map(own, letters)) / len(letters)
    least = _MIN_ARABIC_SHARE if language is Language.AR else _MIN_LATIN_SHARE
    has_arabic = language is Language.EN and any(map(_is_arabic, letters))
    phrase = _LATIN_PHRASE.search(re.sub(r"\([^)]*\)", "", text)) if own is _is_arabic else None
    if phrase:
        return tuple(phrase[0].split()[:5])
    if share >= least and not has_arabic:
        return ()
    foreign = [w for w in text.split() if any(c.isalpha() and not own(c) for c in w)]
    return tuple(foreign[:5])


def _is_arabic(letter: str) -> bool:
    return any(
        start <= letter <= end
        for start, end in (("\u0600", "\u06ff"), ("\u0750", "\u077f"), ("\ufb50", "\ufeff"))
    )


def _is_latin(letter: str) -> bool:
    return letter < "\u0250"


def _between_languages(part: Mapping[Language, WrittenText]) -> Iterator[Finding]:
    """Yield where the English and the Arabic text say different things."""
    if Language.EN not in part or Language.AR not in part:
        return
    texts = {language: part[language].text for language in (Language.EN, Language.AR)}
    said = {language: read_statements(text, language) for language, text in texts.items()}
    yield from _side_mismatches(said[Language.EN], said[Language.AR])
    yield from _negation_mismatches(said[Language.EN], said[Language.AR])
    yield from _missing_findings(said)
    yield from _number_mismatches(
        *(read_numbers(texts[language], language) for language in (Language.EN, Language.AR))
    )


def _side_mismatches(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield findings whose sides differ, then the sides of the whole text."""
    for name in sorted(english.sides.keys() & arabic.sides.keys()):
        if english.sides[name] != arabic.sides[name]:
            words = (*sorted(english.words_of[name]), *sorted(arabic.words_of[name]))
            message = (
                f"{_human(name)} is {_listed(english.sides[name])} in English and "
                f"{_listed(arabic.sides[name])} in Arabic."
            )
            yield _finding("SIDE_MISMATCH", message, words=words)
    if not _are_same_sides(english, arabic):
        message = (
            f"English names the sides {_ordered(english)}, Arabic {_ordered(arabic)}, in the "
            "order of the text."
        )
        words = (*english.side_words, *arabic.side_words)
        yield _finding("SIDE_MISMATCH", message, words=words)


def _are_same_sides(english: Statements, arabic: Statements) -> bool:
    """Return whether two texts name right and left alike.

    They do in the same order, as translations keep it: two nodules whose sides are exchanged have
    the same sides otherwise. A "both" may stand for "right and left", and against a bare dual or
    plural ("both lungs" and الرئتان): then sentences are counted instead, and right and left may
    differ by as many pairs as there are of those.
    """
    same_order = english.side_order == arabic.side_order
    if same_order and english.pairs == arabic.pairs:
        return True
    if not same_order and Counter(english.side_order) == Counter(arabic.side_order):
        return False
    right, left = (arabic.side_sentences[s] - english.side_sentences[s] for s in (RIGHT, LEFT))
    has_pairs = english.pairs or arabic.pairs or english.spare_pairs or arabic.spare_pairs
    return bool(has_pairs) and right == left and -arabic.spare_pairs <= right <= english.spare_pairs


def _number_mismatches(english: tuple[str, ...], arabic: tuple[str, ...]) -> Iterator[Finding]:
    if english == arabic:
        return
    only_english = tuple(sorted((Counter(english) - Counter(arabic)).elements()))
    only_arabic = tuple(sorted((Counter(arabic) - Counter(english)).elements()))
    if only_english or only_arabic:
        message = (
            f"Numbers differ: only in English {', '.join(only_english) or 'none'}; "
            f"only in Arabic {', '.join(only_arabic) or 'none'}."
        )
        yield _finding("NUMBER_MISMATCH", message, words=(*only_english, *only_arabic))
    else:
        message = "English and Arabic have the same numbers in another order."
        yield _finding("NUMBER_MISMATCH", message, words=(*english, *arabic))


def _negation_mismatches(english: Statements, arabic: Statements) -> Iterator[Finding]:
    for name in sorted(english.polarities.keys() & arabic.polarities.keys()):
        if english.polarities[name] != arabic.polarities[name]:
            words = (*sorted(english.words_of[name]), *sorted(arabic.words_of[name]))
            message = (
                f"{_human(name)} is {_said(english.polarities[name])} in English and "
                f"{_said(arabic.polarities[name])} in Arabic."
            )
            yield _finding("NEGATION_MISMATCH", message, words=words)


def _missing_findings(said: Mapping[Language, Statements]) -> Iterator[Finding]:
    """Yield what only one language speaks of; a synonym that the lexicon lacks looks the same."""
    for here, there in ((Language.EN, Language.AR), (Language.AR, Language.EN)):
        for name in sorted(said[here].polarities.keys() - said[there].polarities.keys()):
            message = f"{_human(name)} is not found in the {_NAMES[there]} text."
            words = tuple(sorted(said[here].words_of[name]))
            yield _finding("FINDING_MISSING", message, there, words)


def _within_language(
    report: WrittenText, summary: WrittenText | None, language: Language
) -> Iterator[Finding]:
    """Yield where an impression or a summary says what the text before it does not bear."""
    before, after = "", ""
    for section in report.sections:
        if section.kind is SectionKind.IMPRESSION:
            after = section.text
        else:
            before += f"{section.text}\n"
    yield from _against(before, after, language, f"The {_NAMES[language]} impression")
    if summary is not None:
        name = f"The {_NAMES[language]} summary"
        yield from _against(report.text, summary.text, language, name)


def _against(before: str, after: str, language: Language, name: str) -> Iterator[Finding]:
    """Yield polarities, sides and numbers of a later text that an earlier one does not have."""
    said, summed = read_statements(before, language), read_statements(after, language)
    for finding in sorted(said.polarities.keys() & summed.polarities.keys()):
        new = summed.polarities[finding] - said.polarities[finding]
        words = tuple(sorted(summed.words_of[finding]))
        if new:
            message = (
                f"{name} says that {_human(finding).lower()} is {_said(new)}; above it is not."
            )
            yield _finding("NEGATION_MISMATCH", message, language, words)
        elif summed.sides.get(finding, set()) - said.sides.get(finding, set()):
            message = f"{name} gives {_human(finding).lower()} a side that it has not above."
            yield _finding("SIDE_MISMATCH", message, language, words)
    numbers = Counter(read_numbers(after, language)).keys()
    unknown = tuple(sorted(numbers - set(read_numbers(before, language))))
    if unknown and name.endswith("summary"):
        message = f"{name} has numbers that its report does not have."
        yield _finding("NUMBER_MISMATCH", message, language, unknown)


def _sides_without_orientation(*parts: Mapping[Language, WrittenText]) -> Iterator[Finding]:
    """Yield the languages whose texts name a side that no picture can tell."""
    for language in Language:
        words = tuple(
            word
            for part in parts
            if language in part
            for word in read_statements(part[language].text, language).side_words
        )
        if words:
            message = (
                f"The {_NAMES[language]} text names a side, but a picture came without its "
                "orientation."
            )
            yield _finding("ORIENTATION_UNKNOWN", message, language, words)


def _human(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _ordered(said: Statements) -> str:
    pairs = [f"{said.pairs} x both"] if said.pairs else []
    return ", ".join([*said.side_order, *pairs]) or "not at all"


def _listed(sides: set[str]) -> str:
    return " and ".join(sorted(sides))


def _said(polarities: set[bool]) -> str:
    return " and ".join("affirmed" if p else "negated" for p in sorted(polarities))
