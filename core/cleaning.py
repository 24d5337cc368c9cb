"""Free text on its way to the model, less what names a patient.

An indication is typed by people, and people type names into it. What goes, by rule:

- every part of a name that is known (three letters or more), in the spellings of
  `core.spellings` and without the digits that tell twins apart (``SMITH^BABY 1``), every known
  number, and known dates in the forms in which dates are written;
- dates, and words with five digits or more (telephone, record and accession numbers): ``T12``,
  ``38.5``, ``120/80`` and ``2019`` stay;
- names in DICOM's form (``DOE^JANE``), addresses of mail and web;
- up to three names behind a title (``Mr``, ``Dr``, السيدة), and what stands behind a label
  (``Name:``, ``MRN:``, الاسم:) up to the next comma or line's end.

A name that nobody knows, without a title, cannot be told from a word and stays. So does one that is
known but written like a common word: ``على`` ("on") for ``علي``.

Each piece becomes ``[...]``: a gap that closes without a trace could turn a sentence around.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from core.spellings import AFTER, BEFORE, MARKS, literal, name_in, names

GAP = "[...]"
_SHORTEST_NUMBER, _DATE_DIGITS = 4, 8
_MOST_DIGITS = 4
# No indication is longer; what is beyond is dropped unread.
MAX_LETTERS = 10_000
# Letters that Arabic puts before a word without a space: "and", "so", "by", "for", "like".
_ATTACHED = "[وفبلك]?"
_LABELS = (
    "name", "mrn", "id", "id no", "patient id", "dob", "date of birth", "accession",
    "accession no", "accession number", "phone", "tel", "mobile", "address", "referred by",
    "الاسم", "اسم المريض", "اسم المريضة", "رقم الملف", "رقم الهوية", "تاريخ الميلاد", "الهاتف",
    "الجوال", "العنوان",
)  # fmt: skip
# MR, MS and DR in capitals are a modality, a disease and a modality.
_TITLES = "Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Doctor|Sheikh|(?:mr|mrs|ms|dr|prof)(?=\\.)"
_ARABIC_TITLES = (
    "السيد", "السيدة", "الآنسة", "الدكتور", "الدكتورة", "دكتور", "دكتورة", "الأستاذ", "الأستاذة",
    "الشيخ", r"د\.",
)  # fmt: skip
_NAME = r"[^\W\d_a-z\u0600-\u06ff][\w'\u2019-]*"
_ARABIC_NAME = rf"[\u0621-\u064a][\u0621-\u064a{MARKS}]+"
_ADDRESS = re.compile(r"https?://|www\.", re.IGNORECASE)
_RULES = (
    re.compile(rf"{BEFORE}(?:{'|'.join(_LABELS)})\.?\s*[:=#][^,;،؛\n]*", re.IGNORECASE),
    re.compile(rf"{BEFORE}\d{{1,4}}([-/.])\d{{1,2}}\1\d{{2,4}}{AFTER}"),
    re.compile(r"\+?\d(?:[ -]?\d){6,}"),
    re.compile(rf"{BEFORE}(?:{_TITLES})(?:\.\s*|\s+)\w[\w'\u2019-]*(?:\s+{_NAME}){{0,2}}"),
    re.compile(
        rf"{BEFORE}{_ATTACHED}(?:{'|'.join(_ARABIC_TITLES)})\s*{_ARABIC_NAME}"
        rf"(?:\s+{_ARABIC_NAME})?"
    ),
)


def without_identifiers(text: str, identifiers: Iterable[str] = ()) -> str:
    """Return text without what names a patient, by the rules above.

    Args:
        text: What somebody typed.
        identifiers: Names (carets or spaces between their parts), numbers, dates ``YYYYMMDD``.
    """
    cleaned = unicodedata.normalize("NFC", text[:MAX_LETTERS])
    for pattern in (*_known(identifiers), *_RULES):
        cleaned = pattern.sub(f" {GAP} ", cleaned)
    words = (GAP if _names(word) else word for word in re.findall(r"\S+|\s+", cleaned))
    cleaned = re.sub(r"[^\S\n]+", " ", "".join(words)).strip()
    gap = re.escape(GAP)
    return re.sub(rf"{gap}(?:\s*{gap})+", GAP, cleaned)


def _known(identifiers: Iterable[str]) -> Iterator[re.Pattern[str]]:
    """Give what finds the names, numbers and dates that are known."""
    for identifier in identifiers:
        plain = unicodedata.normalize("NFC", identifier).strip()
        name = name_in(plain)
        forms = list(names(name))
        if (name != plain or not forms) and len(plain) >= _SHORTEST_NUMBER:
            forms = [literal(plain), *forms]
        if len(plain) == _DATE_DIGITS and plain.isdigit():
            forms += map(literal, _dates(plain[:4], plain[4:6], plain[6:]))
        for form in forms:
            yield re.compile(form, re.IGNORECASE)


def _dates(year: str, month: str, day: str) -> list[str]:
    orders = ((year, month, day), (day, month, year), (month, day, year))
    return [mark.join(parts) for mark in "-/. " for parts in orders]


def _names(word: str) -> bool:
    """Tell whether a word is a name or address by its form, or a number too long to measure."""
    if any(sign in word for sign in "^@") or _ADDRESS.match(word):
        return True
    parts = word.strip(".,;:").split("/")  # 120/80 is a blood pressure
    return any(sum(c.isdigit() for c in p) > _MOST_DIGITS and "." not in p for p in parts)
