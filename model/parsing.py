"""Model text becomes sections; not one letter of it is dropped.

Models write headings as they like: ``FINDINGS:``, ``**Findings**``, ``## النتائج``, ``1) Impression
-``, ``[FINDINGS]``, ``Findings / النتائج:``, several on one line.
What stands before the first heading counts as findings; a heading that is not known is text like
any other and stays where it is. A lost sentence is worse than an odd place for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from core.report import Finding, Language, Section, SectionKind, Severity

_HEADINGS = {
    SectionKind.HISTORY: (
        "history", "clinical history", "indication", "indications", "clinical indication",
        "clinical information", "clinical details", "reason for examination", "reason for exam",
        "التاريخ المرضي", "القصة السريرية", "المعلومات السريرية", "دواعي الفحص", "سبب الفحص",
        "التاريخ السريري", "داعي الفحص",
    ),
    SectionKind.FINDINGS: (
        "findings", "finding", "imaging findings", "radiological findings", "radiologic findings",
        "radiographic findings", "key findings",
        "النتائج", "نتائج", "الموجودات", "موجودات", "المشاهدات", "الموجودات الشعاعية",
        "الموجودات الإشعاعية", "النتائج الشعاعية", "النتائج الإشعاعية", "نتائج الفحص",
        "نتائج الأشعة", "الملاحظات",
    ),
    SectionKind.IMPRESSION: (
        "impression", "impressions", "conclusion", "conclusions", "opinion", "final impression",
        "overall impression", "diagnostic impression", "clinical impression", "interpretation",
        "الانطباع", "انطباع", "الانطباعات", "الخلاصة", "الاستنتاج", "الاستنتاجات",
        "الخلاصة التشخيصية", "الرأي", "الانطباع التشخيصي", "الانطباع العام", "الانطباع النهائي",
    ),
    SectionKind.RECOMMENDATIONS: (
        "recommendation", "recommendations", "recommendation(s)", "suggestions", "advice",
        "التوصيات", "توصيات", "التوصية", "توصية", "المقترحات",
    ),
    SectionKind.SUMMARY: (
        "summary", "الملخص", "ملخص", "الموجز", "موجز",
    ),
}  # fmt: skip
# How one Arabic letter may be written in another's place, and marks that nobody needs to write.
_ALIKE = {"ا": "اأإآ", "ي": "يى", "ة": "ةه"}
_WRITTEN_AS = {letter: plain for plain, letters in _ALIKE.items() for letter in letters}
_VOWEL_MARKS = "\u0640\u064b-\u0652"


def _folded(name: str) -> str:
    """Return a heading's name by which it is known, however it was written."""
    bare = re.sub(f"[{_VOWEL_MARKS}]", "", " ".join(name.split()).lower())
    return "".join(_WRITTEN_AS.get(letter, letter) for letter in bare)


def _pattern(name: str) -> str:
    """Return what finds a name in all its spellings."""
    pieces = []
    for letter in _folded(name):
        if letter == " ":
            pieces.append(r"\s{1,3}")
        elif letter.isascii():
            pieces.append(re.escape(letter))
        else:
            pieces.append(f"[{_ALIKE.get(letter, letter)}][{_VOWEL_MARKS}]*")
    return "".join(pieces)


_KINDS = {_folded(name): kind for kind, names in _HEADINGS.items() for name in names}
_NAME = "(?i:" + "|".join(_pattern(name) for name in sorted(_KINDS, key=len, reverse=True)) + ")"
_MARKS = r"[#*_\s>]*"
_NUMBER = r"\(?(?:[0-9٠-٩۰-۹]{1,2}|[IVX]{1,4}|[A-Da-d])[.):\-]\)?|أولا[:،]|ثانيا[:،]|ثالثا[:،]"
# What stands before a name: marks, a bullet, a number, a bracket; nothing in it grows without end.
_LEAD = rf"{_MARKS}(?:(?:[-–—•=~+]{{1,20}}|{_NUMBER}|<(?:b|strong|h\d)>|[\[【«]){_MARKS}){{0,2}}"
# The same heading in the other language, or a second one with it.
_SECOND = rf"(?:\s?(?:[/|&(]|-\s|(?i:and)\s|و)\s?{_NAME}\)?)?"
_CLOSE = rf"{_MARKS}(?:[\]】»]|[-–—=~]{{2,20}}|</(?:b|strong|h\d)>)?{_MARKS}"
# A heading opens its line: then a colon or dash and text, or nothing more. Capitals need none.
_HEADING = re.compile(
    rf"^{_LEAD}(?:(?P<name>{_NAME}){_SECOND}{_CLOSE}"
    rf"(?:[:：]{_MARKS}(?:</(?:b|strong|h\d)>)?{_MARKS}|\s[-–—]\s*|[-–—]\s*$|$)"
    r"|(?P<capitals>[A-Z]{6,20})\s(?=[A-Z][a-z]|[*-]))(?P<rest>.*)$",
    re.DOTALL,
)
# One that follows a sentence on its line begins with a capital and has its colon.
_WITHIN_LINE = re.compile(
    rf"(?<=[.!?؟;؛])[ *_]+(?=\*{{0,2}}(?=[A-Z\u0600-\u06ff]){_NAME}{_SECOND}\*{{0,2}}\s?[:：])"
)
# No heading is longer, marks included.
_HEADING_LETTERS = 200
# Formatting characters that shape Arabic words are text; those that turn its direction are not.
_JOINERS = frozenset("\u200c\u200d")


@dataclass(frozen=True, kw_only=True)
class ParsedText:
    """Sections in reading order, and what was noticed on the way."""

    sections: tuple[Section, ...]
    findings: tuple[Finding, ...]


def clean(text: str, language: Language) -> tuple[str, tuple[Finding, ...]]:
    """Return text without control and direction characters, and a note if there were any.

    They have no place in a report: a direction override can turn ``12`` into ``21`` on a screen.
    Line breaks become line feeds and tabs become spaces; letters and their marks stay as they are.
    """
    unified = re.sub("\r\n|[\r\x0b\x0c\x85\u2028\u2029]", "\n", text).replace("\t", " ")
    removed = sorted({c for c in unified if _is_unwanted(c)})
    if not removed:
        return unified, ()
    kept = "".join(c for c in unified if not _is_unwanted(c))
    names = tuple(f"U+{ord(c):04X}" for c in removed)
    message = f"Control or direction characters were removed: {', '.join(names)}."
    note = Finding(
        code="CONTROL_CHARACTERS",
        severity=Severity.NOTE,
        message=message,
        language=language,
        words=names,
    )
    return kept, (note,)


def _is_unwanted(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")
        and character != "\n"
        and character not in _JOINERS
    )


def parse_report(text: str, language: Language) -> ParsedText:
    """Return the sections of a report.

    Sections of one kind are joined; the order is that of reading. A report without any heading is
    all findings, and the missing impression is for the checks to tell.
    """
    cleaned, findings = clean(text, language)
    parts: dict[SectionKind, list[str]] = {}
    kind = SectionKind.FINDINGS
    for line in _lines(cleaned):
        heading = _heading(line)
        if heading:
            kind = _kind_in_report(heading[0])
            rest = _without_marks(heading[1]).rstrip()
            parts.setdefault(kind, []).extend([rest] if rest else [])
        else:
            parts.setdefault(kind, []).append(line.rstrip())
    texts = {kind: _joined(parts.get(kind, [])) for kind in SectionKind}
    sections = tuple(Section(kind=k, text=t) for k, t in texts.items() if t)
    return ParsedText(sections=sections, findings=findings)


def _lines(text: str) -> Iterator[str]:
    """Give a text's lines, each heading at the beginning of one."""
    for line in text.split("\n"):
        match = _HEADING.match(line, 0, _HEADING_LETTERS)
        start = match.start("rest") if match else 0
        yield from (line[:start] + _WITHIN_LINE.sub("\n", line[start:])).split("\n")


def _heading(line: str) -> tuple[SectionKind, str] | None:
    """Return a line's heading and what follows it; None where it opens with none."""
    match = _HEADING.match(line, 0, _HEADING_LETTERS)
    if match is None:
        return None
    kind = _KINDS.get(_folded(match["name"] or match["capitals"]))
    return (kind, line[match.start("rest") :]) if kind else None


def _kind_in_report(kind: SectionKind) -> SectionKind:
    """Return what a section is; a report's own "summary" is its impression: ours is asked for."""
    return SectionKind.IMPRESSION if kind is SectionKind.SUMMARY else kind


def parse_summary(text: str, language: Language) -> ParsedText:
    """Return a summary as one section, a heading of its own at the start taken off."""
    cleaned, findings = clean(text, language)
    first, _, others = cleaned.strip().partition("\n")
    heading = _heading(first)
    if heading and heading[0] is SectionKind.SUMMARY:
        cleaned = f"{_without_marks(heading[1])}\n{others}"
    joined = _joined(cleaned.split("\n"))
    sections = (Section(kind=SectionKind.SUMMARY, text=joined),) if joined else ()
    return ParsedText(sections=sections, findings=findings)


def _without_marks(rest: str) -> str:
    """Return what follows a heading on its line, less the closing stars of a bold one."""
    return re.sub(r"^[*_\s]+(?=\S)", "", rest) if rest.strip("*_ ") else ""


def _joined(lines: list[str]) -> str:
    """Return lines as one text: no blank lines at the ends, never two in a row."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
