"""How finished a report is, and all that the outside is told of it: one table, no exceptions to it.

Every draft flag in DICOM and HL7 comes from `standing()`.

Source: PS3.3 C.17.2; HL7 v2.5.1 tables 0038, 0085, 0123.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """Languages of a narrative, by RFC 5646 tag."""

    EN = "en"
    AR = "ar"


class ReportStatus(StrEnum):
    """How finished a report is.

    SIGNED, CORRECTED and ADDENDED are final: a radiologist answers for them. CORRECTED takes the
    place of a signed report, ADDENDED adds to one. WITHDRAWN is a draft that nobody may use.
    """

    DRAFT = "draft"
    SIGNED = "signed"
    CORRECTED = "corrected"
    ADDENDED = "addended"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the outside is told of a report's status.

    Attributes:
        completion_flag: DICOM (0040,A491).
        verification_flag: DICOM (0040,A493).
        preliminary_flag: DICOM (0040,A496).
        result_status: HL7 OBR-25 and OBX-11, table 0123 and 0085.
        order_status: HL7 ORC-5, table 0038.
        mark: First words of a series description, at most 20 letters with a language behind it.
        notices: The sentence that every rendering carries first, by language.
        is_final: A radiologist answers for the text.
    """

    completion_flag: str
    verification_flag: str
    preliminary_flag: str
    result_status: str
    order_status: str
    mark: str
    notices: dict[Language, str]
    is_final: bool = False


def _final(result_status: str, mark: str, english: str, arabic: str) -> Standing:
    return Standing(
        completion_flag="COMPLETE",
        verification_flag="VERIFIED",
        preliminary_flag="FINAL",
        result_status=result_status,
        order_status="CM",
        mark=mark,
        notices={Language.EN: english, Language.AR: arabic},
        is_final=True,
    )


_STANDINGS = {
    ReportStatus.DRAFT: Standing(
        completion_flag="PARTIAL",
        verification_flag="UNVERIFIED",
        preliminary_flag="PRELIMINARY",
        # R, not P: P means "verified, early", R "stored, not yet verified" (HL7 table 0123).
        result_status="R",
        order_status="IP",
        mark="AI DRAFT",
        notices={
            Language.EN: (
                "AI DRAFT - NOT VERIFIED. "
                "This is not a report until a radiologist has reviewed and signed it."
            ),
            Language.AR: (
                "مسودة من الذكاء الاصطناعي - لم يتم التحقق منها. "
                "هذه ليست تقريرا قبل أن يراجعها ويوقعها طبيب الأشعة."
            ),
        },
    ),
    ReportStatus.SIGNED: _final("F", "SIGNED", "SIGNED REPORT.", "تقرير موقع."),
    ReportStatus.CORRECTED: _final(
        "C",
        "CORRECTED",
        "CORRECTED REPORT. It takes the place of an earlier signed report.",
        "تقرير مصحح. يحل محل تقرير موقع سابق.",
    ),
    # C: the whole text goes out again, so the receiver must put it in the place of the first one.
    ReportStatus.ADDENDED: _final(
        "C",
        "ADDENDED",
        "REPORT WITH ADDENDUM. It takes the place of an earlier signed report.",
        "تقرير مع ملحق. يحل محل تقرير موقع سابق.",
    ),
    ReportStatus.WITHDRAWN: Standing(
        completion_flag="PARTIAL",
        verification_flag="UNVERIFIED",
        preliminary_flag="PRELIMINARY",
        result_status="X",
        # The order itself goes on: somebody will report the study.
        order_status="IP",
        mark="WITHDRAWN DRAFT",
        notices={
            Language.EN: (
                "WITHDRAWN AI DRAFT - DO NOT USE. "
                "It was rejected by a radiologist or a newer text took its place."
            ),
            Language.AR: (
                "مسودة مسحوبة من الذكاء الاصطناعي - لا تستخدم. "
                "رفضها طبيب الأشعة أو حل محلها نص أحدث."
            ),
        },
    ),
}


def standing(status: ReportStatus) -> Standing:
    """Return what the outside is told of a status: the one source of every draft flag."""
    return _STANDINGS[status]
