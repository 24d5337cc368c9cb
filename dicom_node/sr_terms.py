"""Codes of our structured reports, with their meanings in both languages.

Translated are the meanings of headings and section elements, which viewers print above the text;
code values stay the same. A meaning is an LO: at most 64 bytes in UTF-8, since validators count
bytes, which is 32 Arabic letters.

Source: PS3.16 CID 5000, 7000, 7001, 7002, 7009, TID 1004, 1204, 2000, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from core.report import Language, SectionKind
from dicom_node.documents import KeyObjectTitle, Purpose

OUR_SCHEME = "99TAQRIR"


@dataclass(frozen=True, kw_only=True)
class Term:
    """A coded concept."""

    value: str
    scheme: str
    english: str
    arabic: str = ""

    def item(self, language: Language = Language.EN) -> Dataset:
        """Return the term as the item of a code sequence."""
        code = Dataset()
        code.CodeValue = self.value
        code.CodingSchemeDesignator = self.scheme
        code.CodeMeaning = self.meaning(language)
        return code

    def meaning(self, language: Language) -> str:
        """Return the meaning in a language, in English where it was not translated."""
        return self.arabic if language is Language.AR and self.arabic else self.english


def _ln(value: str, english: str, arabic: str) -> Term:
    return Term(value=value, scheme="LN", english=english, arabic=arabic)


def _dcm(value: str, english: str, arabic: str = "") -> Term:
    return Term(value=value, scheme="DCM", english=english, arabic=arabic)


TITLE = _ln("18748-4", "Diagnostic Imaging Report", "تقرير التصوير التشخيصي")
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")
LANGUAGES = {
    Language.EN: Term(value="en", scheme="RFC5646", english="English"),
    Language.AR: Term(value="ar", scheme="RFC5646", english="Arabic"),
}

OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE = _dcm("121007", "Device")
PERSON = _dcm("121006", "Person")
PERSON_NAME = _dcm("121008", "Person Observer Name")
PERSON_ORGANISATION = _dcm("121009", "Person Observer's Organization Name")
PERSON_ID = _dcm("128775", "Identifier within Person Observer's Role")
DEVICE_UID_TERM = _dcm("121012", "Device Observer UID")
DEVICE_NAME = _dcm("121013", "Device Observer Name")
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")

# CID 7001 and 7002 are baseline groups: a term of our own may stand where they have none.
NOTICE = Term(value="NOTICE", scheme=OUR_SCHEME, english="Notice", arabic="تنبيه")

SECTIONS: dict[SectionKind, tuple[Term, Term]] = {
    SectionKind.HISTORY: (
        _ln("55752-0", "Clinical Information", "المعلومات السريرية"),
        _ln("11329-0", "History", "السيرة المرضية"),
    ),
    SectionKind.FINDINGS: (
        _ln("59776-5", "Findings", "الموجودات"),
        _dcm("121071", "Finding", "موجودة"),
    ),
    SectionKind.IMPRESSION: (
        _ln("19005-8", "Impressions", "الانطباعات"),
        _dcm("121073", "Impression", "انطباع"),
    ),
    SectionKind.RECOMMENDATIONS: (
        _ln("18783-1", "Recommendations", "التوصيات"),
        _dcm("121075", "Recommendation", "توصية"),
    ),
    SectionKind.SUMMARY: (
        _ln("55112-7", "Summary", "الملخص"),
        _ln("55112-7", "Summary", "الملخص"),
    ),
}
# Each prior study a text of its own; left out unless an archive was asked and listed one.
COMPARISON = (
    _ln("18834-2", "Previous Findings", "الفحوصات السابقة"),
    _dcm("121069", "Previous Finding", "فحص سابق"),
)
# CID 7002 has no element of this name: the heading's own stands for it.
ADDENDUM = _ln("55107-7", "Addendum", "ملحق")
KEY_IMAGES = _ln("55113-5", "Key Images", "الصور الرئيسية")
# CID 7003 knows illustrations of a finding, baselines and measurements only. The frames are none of
# these: they are what the model was given.
SOURCE_IMAGE = _dcm("121322", "Source image for image processing operation", "صورة المصدر")

SOURCE_DOCUMENT = _dcm("121335", "Source Document")
PURPOSES = {
    Purpose.REPLACED: _dcm(Purpose.REPLACED, "Replaced report"),
    Purpose.ADDENDED: _dcm(Purpose.ADDENDED, "Addended report"),
    Purpose.PRELIMINARY: _dcm(Purpose.PRELIMINARY, "Preliminary report"),
}

KEY_OBJECT_TITLES = {
    KeyObjectTitle.OF_INTEREST: _dcm(KeyObjectTitle.OF_INTEREST, "Of Interest"),
    KeyObjectTitle.REJECTED_FOR_QUALITY: _dcm(
        KeyObjectTitle.REJECTED_FOR_QUALITY, "Rejected for Quality Reasons"
    ),
    KeyObjectTitle.REJECTED_FOR_SAFETY: _dcm(
        KeyObjectTitle.REJECTED_FOR_SAFETY, "Rejected for Patient Safety Reasons"
    ),
}
TITLE_MODIFIER = _dcm("113011", "Document Title Modifier")
# CID 7011 has faults of images and machines; a text that a reader does not want is none of them.
OTHER_FAILURE = _dcm("111220", "Other failure")
KEY_OBJECT_DESCRIPTION = _dcm("113012", "Key Object Description")
