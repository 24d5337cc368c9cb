"""Model text becomes sections; not one letter of it is dropped.

Models write headings as they like: ``FINDINGS:``, ``**Findings**``, ``## النتائج``, ``Impression
-``.
What stands before the first heading counts as findings; a heading that is not known is text like
any other and stays where it is. A lost sentence is worse than an odd place for it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.report import Finding, Language, Section, SectionKind, Severity

_HEADINGS = {
    SectionKind.HISTORY: (
        "history", "clinical history", "indication", "clinical indication", "clinical information",
        "التاريخ المرضي", "القصة السريرية", "المعلومات السريرية", "دواعي الفحص", "سبب الفحص",
    ),
    SectionKind.FINDINGS: (
        "findings", "finding", "النتائج", "نتائج", "الموجودات", "موجودات", "المشاهدات",
        "الموجودات الشعاعية", "نتائج الفحص",
    ),
    SectionKind.IMPRESSION: (
        "impression", "impressions", "conclusion", "conclusions", "opinion",
        "الانطباع", "انطباع", "الانطباعات", "الخلاصة", "الاستنتاج", "الخلاصة التشخيصية", "الرأي",
    ),
    SectionKind.RECOMMENDATIONS: (
        "recommendation", "recommendations", "التوصيات", "توصيات", "التوصية",
    ),
    SectionKind.SUMMARY: ("summary", "الملخص", "ملخص", "الموجز", "موجز"),
}  # fmt: skip
_KINDS = {name: kind for kind, names in _HEADINGS.items() for name in names}
_NAME = "|".join(sorted((re.escape(name) for name in _KINDS), key=len, reverse=True))
# A heading opens its line: marks, a known name, then a colon or dash and text, or nothing more.
_MARKS = r"[#*_\s>]*"
_HEADING = re.compile(
    rf"^{_MARKS}(?P<name>{_NAME}){_MARKS}(?:[:：]{_MARKS}|\s[-–—]\s*|[-–—]\s*$|$)(?P<rest>.*)$",
    re.IGNORECASE,
)
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
    for line in cleaned.split("\n"):
        match = _HEADING.match(line)
        if match:
            kind = _kind_in_report(match["name"])
            rest = _without_marks(match["rest"]).rstrip()
            parts.setdefault(kind, []).extend([rest] if rest else [])
        else:
            parts.setdefault(kind, []).append(line.rstrip())
    texts = {kind: _joined(parts.get(kind, [])) for kind in SectionKind}
    sections = tuple(Section(kind=k, text=t) for k, t in texts.items() if t)
    return ParsedText(sections=sections, findings=findings)


def _kind_in_report(name: str) -> SectionKind:
    """Return a heading's kind; a report's own "summary" is its impression: ours is asked for."""
    kind = _KINDS[name.lower()]
    return SectionKind.IMPRESSION if kind is SectionKind.SUMMARY else kind


def parse_summary(text: str, language: Language) -> ParsedText:
    """Return a summary as one section, a heading of its own at the start taken off."""
    cleaned, findings = clean(text, language)
    first, _, others = cleaned.strip().partition("\n")
    match = _HEADING.match(first)
    if match and _KINDS[match["name"].lower()] is SectionKind.SUMMARY:
        cleaned = f"{_without_marks(match['rest'])}\n{others}"
    joined = _joined(cleaned.split("\n"))
    sections = (Section(kind=SectionKind.SUMMARY, text=joined),) if joined else ()
    return ParsedText(sections=sections, findings=findings)


def _without_marks(rest: str) -> str:
    """Return what follows a heading on its line, less the closing stars of a bold one."""
    return re.sub(r"^[*_\s]+(?=\S)", "", rest) if rest.strip("*_ ") else ""


def _joined(lines: list[str]) -> str:
    """Return lines as one text: no blank lines at the ends, never two in a row."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
