"""The codes of our results: what stands for a section, a language, a notice, out and back.

Source: LOINC as in our SRs, so that both say the same; HL7 v2.5.1 7.4.2 (OBX). The display names
are LOINC's; DICOM CID 7001 calls the same codes by the short words of a report's headings.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.report import Language, SectionKind

Code = tuple[str, str, str]

STUDY: Code = ("113014", "DICOM Study", "DCM")
# HL7 has no field for the language of a text; agree on this code with each site.
LANGUAGE: Code = ("LANG", "Report language", "99TAQRIR")
# Carries the notices; as the first text of a group a RIS view shows it above the rest.
NOTICE: Code = ("18748-4", "Diagnostic imaging study", "LN")
ADDENDUM: Code = ("55107-7", "Addendum Document", "LN")
PDF: Code = ("PDF", "Report as PDF", "99TAQRIR")
LINK: Code = ("LINK", "Reading page", "99TAQRIR")


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
    SectionKind.FINDINGS: (("59776-5", "Procedure findings Narrative", "LN"), 2),
    SectionKind.IMPRESSION: (
        ("19005-8", "Radiology Imaging study [Impression] (narrative)", "LN"),
        3,
    ),
    SectionKind.RECOMMENDATIONS: (
        ("18783-1", "Radiology Study recommendation (narrative)", "LN"),
        4,
    ),
    SectionKind.SUMMARY: (("55112-7", "Document summary", "LN"), 5),
}
# Places from here on are those of addenda, oldest first.
FIRST_ADDENDUM = 6
