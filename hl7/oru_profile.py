"""The codes of our ORU: what stands for a section, a language, a notice, on the way out and back.

Source: LOINC as in our SRs, so that both say the same; HL7 v2.5.1 7.4.2 (OBX).
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import PermanentError
from core.report import Language, Narrative, Report, ReportStatus, SectionKind, standing
from hl7.escape import normalise_lines

Code = tuple[str, str, str]

STUDY: Code = ("113014", "DICOM Study", "DCM")
# HL7 has no field for the language of a text; agree on this code with each site.
LANGUAGE: Code = ("LANG", "Report language", "99TAQRIR")
# Carries the notices; as the first text of a group a RIS view shows it above the rest.
NOTICE: Code = ("18748-4", "Diagnostic imaging study", "LN")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The OBX segments of one language.

    Attributes:
        number: OBX-4 of the group; its texts are ``1.0``, ``1.1`` and so on.
        name: The language in English.
    """

    number: int
    name: str


GROUPS = {
    Language.EN: Group(number=1, name="English"),
    Language.AR: Group(number=2, name="Arabic"),
}
# By section: its code, and its place in OBX-4 (0 is the notice).
SECTIONS: dict[SectionKind, tuple[Code, int]] = {
    SectionKind.HISTORY: (("55752-0", "Clinical information", "LN"), 1),
    SectionKind.FINDINGS: (("59776-5", "Procedure findings", "LN"), 2),
    SectionKind.IMPRESSION: (
        ("19005-8", "Radiology Imaging study [Impression] (narrative)", "LN"),
        3,
    ),
    SectionKind.RECOMMENDATIONS: (("18783-1", "Radiology Study recommendation", "LN"), 4),
    SectionKind.SUMMARY: (("55112-7", "Document summary", "LN"), 5),
}
# What OBR-25 and OBX-11 may say of a report; the first is `core.report.standing`'s own word. A site
# may ask for P though it means "verified", never for anything that reads as final.
ALLOWED_STATUSES: dict[ReportStatus, tuple[str, ...]] = {
    status: (standing(status).result_status,) for status in ReportStatus
} | {ReportStatus.DRAFT: ("R", "P")}


def allowed_status(report: Report, result_status: str | None) -> str:
    """Return OBR-25; a site's own word only where it does not say more than the report is."""
    if result_status is None:
        return standing(report.status).result_status
    allowed = ALLOWED_STATUSES[report.status]
    if result_status not in allowed:
        raise PermanentError(
            f"A {report.status} cannot be sent as {result_status!r}: allowed are {allowed}."
        )
    return result_status


def written_sections(narrative: Narrative) -> list[tuple[SectionKind, str]]:
    """Return what is written of a narrative: sections that hold a letter, lines normalised."""
    return [(s.kind, normalise_lines(s.text)) for s in narrative.sections if s.text.strip()]
