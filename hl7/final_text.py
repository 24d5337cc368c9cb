"""The whole text of a final report on the feed, and whom its message names.

What an order needs of such a report reads `hl7.orders`; this is for those who want every word.

Source: HL7 v2.5.1 7.4.2 (OBX), table 0085 (OBX-11); LOINC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.instructions import NoteReport
from hl7.er7 import Er7Segment, parse
from hl7.escape import unescape
from hl7.orders import final_reports

_TEXTS = frozenset({"TX", "FT", "ST"})
# Deleted, wrong, not asked for: such a line is no part of the report.
_VOID = frozenset({"D", "W", "X", "N"})
_HEADINGS = (
    ("FINDINGS:", re.compile("59776-5|18782-3|(?:^|[&^])FIND|finding", re.IGNORECASE)),
    ("IMPRESSION:", re.compile("19005-8|(?:^|[&^])IMP(?:$|[&^])|impression", re.IGNORECASE)),
    ("RECOMMENDATIONS:", re.compile("18783-1|(?:^|[&^])REC(?:$|[&^])|recommend", re.IGNORECASE)),
    ("HISTORY:", re.compile("55752-0|clinical (?:info|history)", re.IGNORECASE)),
)
_VALUE_TYPE, _CODE, _STATUS = 2, 3, 11
# Fields of people: the patient and relatives, who ordered, read, typed, and was told.
_PEOPLE = {
    "PID": (2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 18, 19, 21),
    "PV1": (7, 8, 9, 17, 19, 52),
    "ORC": (2, 3, 10, 11, 12, 19),
    "OBR": (2, 3, 10, 16, 18, 19, 20, 28, 32, 33, 34, 35),
    "OBX": (16, 25),
}


@dataclass(frozen=True, kw_only=True)
class FinalText:
    """One final report.

    Attributes:
        text: Its lines, a heading before each part that the message marks by a code.
        names: Names, numbers and dates of the people in the message.
    """

    note: NoteReport
    text: str = field(repr=False)
    names: tuple[str, ...] = field(repr=False)


def read_final_texts(content: bytes, *, default_charset: str = "utf-8") -> tuple[FinalText, ...]:
    """Return the final reports of a result message.

    Raises:
        UnreadableMessageError: It is none, or cannot be understood.
    """
    message = parse(content, default_charset=default_charset)
    return tuple(
        FinalText(
            note=note, text="\n".join(_lines(segments)).strip(), names=tuple(_names(segments))
        )
        for note, segments in final_reports(message)
    )


def _lines(segments: Sequence[Er7Segment]) -> Iterator[str]:
    under = ""
    for segment in segments:
        fields = segment.line.split(segment.delimiters.field)
        fields += [""] * (_STATUS + 1 - len(fields))
        is_text = segment.name == "OBX" and fields[_VALUE_TYPE] in _TEXTS
        if not is_text or fields[_STATUS] in _VOID:
            continue
        heading = next((name for name, code in _HEADINGS if code.search(fields[_CODE])), "")
        if heading and heading != under:
            yield heading
        under = heading
        for number in range(len(segment.repetitions(5))):
            yield from segment.text(5, rep=number + 1).splitlines()


def _names(segments: Sequence[Er7Segment]) -> Iterator[str]:
    for segment in segments:
        fields = segment.line.split(segment.delimiters.field)
        marks = segment.delimiters
        parts = re.escape(marks.component + marks.subcomponent + marks.repetition)
        for number in _PEOPLE.get(segment.name, ()):
            raw = fields[number] if number < len(fields) else ""
            for part in re.split(f"[{parts}]", raw):
                if text := unescape(part, marks, segment.charset).strip():
                    yield text
