"""The checks of a draft, once more over a text that a person is about to sign.

A reader answers for what the text says, so that the checks only warn; but where English and Arabic
are signed together and say different things, one of them is wrong for certain.
"""

from __future__ import annotations

from dataclasses import replace

from core.report import Finding, Language, Narrative, Report, SectionKind, Severity
from model.checks import WrittenText, check


def recheck(report: Report, signed: tuple[Language, ...]) -> tuple[Finding, ...]:
    """Return what the checks say of the signed texts; blocking only where they disagree."""
    narratives = [n for n in report.narratives if n.language in signed]
    found = check(
        reports={n.language: _written(n, is_summary=False) for n in narratives},
        summaries={
            n.language: _written(n, is_summary=True)
            for n in narratives
            if n.text_of(SectionKind.SUMMARY)
        },
        # Which side is which, the reader has seen.
        are_orientations_known=True,
    )
    return tuple(_softened(finding) for finding in found)


def _written(narrative: Narrative, *, is_summary: bool) -> WrittenText:
    sections = tuple(
        section
        for section in narrative.sections
        if (section.kind is SectionKind.SUMMARY) is is_summary
    )
    return WrittenText(raw="\n".join(section.text for section in sections), sections=sections)


def _softened(finding: Finding) -> Finding:
    is_disagreement = finding.language is None
    if finding.severity is Severity.BLOCK and not is_disagreement:
        return replace(finding, severity=Severity.WARN)
    return finding
