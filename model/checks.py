"""What makes a draft fit to send: each check looks for one fault and names the words.

Severities are our defaults; a site may set others by code. A blocking finding keeps the draft from
every peer, so a check errs on the side of a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from core.report import Finding, Language, Section, SectionKind, Severity
from model.agreement import Sections, compare_languages
from model.claims import claims
from model.consistency import contradictions
from model.facts import StudyFacts, contradictions_of_facts
from model.faults import NAMES, SEVERITIES, fault
from model.form import foreign_words, repetition
from model.statements import Statements, joined, read_statements

__all__ = ["SEVERITIES", "StudyFacts", "WrittenText", "check"]

# Longer than any report; what is beyond it is not read, and the draft is blocked.
MAX_LETTERS = 40_000
_LONGEST_LENGTH_MM, _MAX_PERCENT = 600, 100
_REQUIRED = (SectionKind.FINDINGS, SectionKind.IMPRESSION)


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

    @property
    def is_too_long(self) -> bool:
        """It has more letters than are read."""
        return max(len(self.raw), len(self.text)) > MAX_LETTERS

    def shortened(self) -> WrittenText:
        """Return the same with no more letters than are read."""
        if not self.is_too_long:
            return self
        left, sections = MAX_LETTERS, []
        for section in self.sections:
            sections.append(replace(section, text=section.text[:left]))
            left -= len(sections[-1].text)
        return replace(self, raw=self.raw[:MAX_LETTERS], sections=tuple(sections))


def check(
    *,
    reports: Mapping[Language, WrittenText],
    summaries: Mapping[Language, WrittenText],
    are_orientations_known: bool,
    severities: Mapping[str, Severity] | None = None,
    facts: StudyFacts | None = None,
) -> tuple[Finding, ...]:
    """Return all that is wrong with a draft.

    Args:
        reports: The report in each language in which it was written.
        summaries: The summary in each language.
        are_orientations_known: Left and right mean something in every picture.
        severities: By code, where they differ from `SEVERITIES`.
        facts: What the header says; nothing is compared with it where None.

    Raises:
        ValueError: No check has a code of `severities`.
    """
    chosen = severities or {}
    unknown = sorted(chosen.keys() - SEVERITIES.keys())
    if unknown:
        raise ValueError(f"no check has the code {', '.join(unknown)}")
    known = facts or StudyFacts()
    found: list[Finding] = []
    found += _too_long((*reports.items(), *summaries.items()))
    reports = {language: written.shortened() for language, written in reports.items()}
    summaries = {language: written.shortened() for language, written in summaries.items()}
    for part, required in ((reports, _REQUIRED), (summaries, (SectionKind.SUMMARY,))):
        for language, written in part.items():
            found += written.findings
            found += _form(written, language, required)
            found += claims(written.text, language, known.identifiers)
    read = _read(reports), _read(summaries)
    found += _content(*read, are_orientations_known)
    for language in Language:
        texts = [part[language].text for part in (reports, summaries) if language in part]
        said = joined(s for part in read for s in part.get(language, {}).values())
        found += contradictions_of_facts("\n".join(texts), said, language, known)
        found += _implausible(said, language)
    if any(f.code == "PATIENT_DATA" for f in found):
        found = [_unquoted(f) for f in found]
    return tuple(replace(f, severity=chosen.get(f.code, f.severity)) for f in found)


def _unquoted(finding: Finding) -> Finding:
    """Return a finding that quotes nothing, for the words may be a patient's data."""
    if finding.code == "PATIENT_DATA":
        return finding
    message = "Its words are not quoted beside data of the patient."
    return replace(finding, message=message, words=())


def _too_long(texts: tuple[tuple[Language, WrittenText], ...]) -> Iterator[Finding]:
    for language, written in texts:
        if written.is_too_long:
            message = f"The {NAMES[language]} text is longer than {MAX_LETTERS} letters."
            yield fault("TOO_LONG", message, language)


def _implausible(said: Statements, language: Language) -> Iterator[Finding]:
    """Yield a vertebra that no spine has, and values that nothing in a body has."""
    wrong = [str(level) for s in said.sentences for level in s.locations.levels if not level.exists]
    wrong += [
        str(quantity)
        for quantity in said.quantities
        if (quantity.unit == "mm" and quantity.value > _LONGEST_LENGTH_MM)
        or (quantity.unit == "percent" and quantity.value > _MAX_PERCENT)
    ]
    if wrong:
        message = f"The {NAMES[language]} text has a value that cannot be."
        yield fault("IMPLAUSIBLE_VALUE", message, language, tuple(dict.fromkeys(wrong))[:5])


def _form(
    written: WrittenText, language: Language, required: tuple[SectionKind, ...]
) -> Iterator[Finding]:
    """Yield what is wrong with one answer by itself."""
    name = NAMES[language]
    texts = {section.kind: section.text for section in written.sections}
    for kind in required:
        if not any(c.isalpha() for c in texts.get(kind, "")):
            yield fault("EMPTY_SECTION", f"The {name} text has no {kind}.", language)
    if not written.is_complete:
        words = tuple(written.raw.split()[-3:])
        message = f"The {name} text was cut off at the length limit."
        yield fault("CUT_OFF", message, language, words)
    repeated = repetition(written.text)
    if repeated:
        yield fault("REPETITION", f"The {name} text repeats itself.", language, (repeated,))
    for section in written.sections:
        strangers = foreign_words(section.text, language)
        if strangers:
            message = f"The {section.kind} of the {name} text is not all in its script."
            yield fault("WRONG_SCRIPT", message, language, strangers)
    if "\N{REPLACEMENT CHARACTER}" in written.raw:
        broken = tuple(w for w in written.raw.split() if "\N{REPLACEMENT CHARACTER}" in w)[:5]
        yield fault("BROKEN_TEXT", f"The {name} text has broken letters.", language, broken)


def _read(part: Mapping[Language, WrittenText]) -> dict[Language, Sections]:
    """Return what the sections of each language say."""
    return {
        language: {
            section.kind: read_statements(section.text, language) for section in written.sections
        }
        for language, written in part.items()
    }


def _content(
    reports: dict[Language, Sections],
    summaries: dict[Language, Sections],
    are_orientations_known: bool,  # noqa: FBT001 - passed on as it came
) -> Iterator[Finding]:
    """Yield where texts contradict one another, or name what no picture can tell."""
    for part in (reports, summaries):
        if len(part) == len(Language):
            yield from compare_languages(part[Language.EN], part[Language.AR])
    for language in Language:
        report, summary = reports.get(language, {}), summaries.get(language, {})
        yield from _within(report, summary, language)
        if not are_orientations_known:
            yield from _sides_without_orientation((report, summary), language)


def _within(report: Sections, summary: Sections, language: Language) -> Iterator[Finding]:
    """Yield where the sections of one language contradict one another.

    What the history says of earlier days is no part of it.
    """
    nothing = Statements()
    findings = report.get(SectionKind.FINDINGS, nothing)
    impression = report.get(SectionKind.IMPRESSION, nothing)
    yield from contradictions(findings, impression, language, part="impression", base="findings")
    seen = joined(said for kind, said in report.items() if kind is not SectionKind.HISTORY)
    summed = joined(summary.values())
    yield from contradictions(seen, summed, language, part="summary", base="report")
    if report and summary:
        known = {str(q) for q in joined(report.values()).quantities}
        new = {str(q) for q in summed.quantities if not q.is_small and not q.is_one} - known
        if new:
            message = f"The {NAMES[language]} summary has numbers that its report does not have."
            yield fault("NUMBER_MISMATCH", message, language, tuple(sorted(new)))


def _sides_without_orientation(
    parts: tuple[Sections, ...], language: Language
) -> Iterator[Finding]:
    """Yield the words of a language that name a side that no picture can tell."""
    words = tuple(word for part in parts for said in part.values() for word in said.side_words)
    if words:
        message = (
            f"The {NAMES[language]} text names a side, but a picture came without its orientation."
        )
        yield fault("ORIENTATION_UNKNOWN", message, language, words)
