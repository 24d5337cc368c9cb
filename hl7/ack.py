"""Acknowledgements: ours to what we receive, and a peer's to what we send.

Source: HL7 v2.5.1 2.9.2, 2.14.1 (MSA), table 0008.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.errors import UnreadableMessageError
from hl7.er7 import parse
from hl7.escape import DEFAULT, Delimiters, one_line
from hl7.header import Header, read_header

# Conditions of table 0357 that we give.
_SEGMENT_ERROR = 100
_CONDITIONS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    200: "Unsupported message type",
    207: "Application internal error",
}


class AckCode(StrEnum):
    """MSA-1: the first letter is the mode (application, commit), the second the answer."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"


@dataclass(frozen=True, kw_only=True)
class Ack:
    """What a peer answered.

    Attributes:
        code: MSA-1.
        control_id: MSA-2, the MSH-10 of the message that is answered.
        text: MSA-3, else ERR-8; a peer may quote a patient in it, so it goes in no log.
    """

    code: AckCode
    control_id: str
    text: str = field(default="", repr=False)


def read_ack(data: bytes) -> Ack:
    """Return the answer that a message holds.

    The answer counts, whatever set its words are in: many a system never fills MSH-18, or writes
    there what no table knows. Words that cannot be read are left out.

    Raises:
        UnreadableMessageError: It holds none.
    """
    try:
        message = parse(data)
        code, control_id = message.text("MSA", 1), message.text("MSA", 2)
        text = message.text("MSA", 3) or message.text("ERR", 8)
    except UnreadableMessageError:
        (code, control_id), text = _answer_in_ascii(data), ""
    if code.strip() not in set(AckCode):
        raise UnreadableMessageError("The answer holds no MSA segment with a known code.")
    return Ack(code=AckCode(code.strip()), control_id=control_id.strip(), text=text)


def _answer_in_ascii(data: bytes) -> tuple[str, str]:
    """Return MSA-1 and MSA-2 of an answer that cannot be decoded: both are ASCII in every set.

    Raises:
        UnreadableMessageError: It does not begin with MSH.
    """
    marks = read_header(data).delimiters
    for line in re.split("[\r\n]", data.decode("latin-1")):
        name, *fields = line.split(marks.field)
        if name == "MSA":
            code, control_id = (field.split(marks.component)[0] for field in [*fields, "", ""][:2])
            return code, control_id
    return "", ""


def build_ack(
    message: bytes, code: AckCode, *, created_at: datetime, text: str = "", error: int = 207
) -> bytes:
    """Return the answer to a message.

    To one that cannot be read the answer is AR with an empty MSA-2, under a header of our own. The
    answer's own MSH-10 is derived, so that the same message gets the same answer again. It is
    written in the delimiters and the character set of the message, whose names it repeats.

    Args:
        message: What is answered, without its frame.
        code: MSA-1.
        created_at: MSH-7.
        text: MSA-3 and ERR-8: ASCII words of ours.
        error: ERR-3 of a negative answer (table 0357); 207 is an application error.

    Raises:
        ValueError: `created_at` is naive.
    """
    try:
        header = read_header(message)
    except UnreadableMessageError as fault:
        header = Header(delimiters=DEFAULT, fields=())
        code, text, error = AckCode.AR, text or str(fault), _SEGMENT_ERROR
    marks = header.delimiters
    said = _ascii(text, marks)
    component, field_ = marks.component, marks.field
    trigger = header.first(9, 2)
    msh = [
        "MSH",
        # MSH-2 as it came, without a truncation mark that was left out.
        header.raw(2) or "^~\\&",
        header.raw(5) or "TAQRIR",
        header.raw(6),
        header.raw(3),
        header.raw(4),
        to_hl7_time(created_at),
        "",
        component.join(("ACK", trigger, "ACK")) if trigger else "ACK",
        hashlib.sha256(message).hexdigest()[:20],
        header.first(11) or "P",
        header.first(12) or "2.5.1",
        *([""] * 5),
        header.raw(18) or "UNICODE UTF-8",
    ]
    segments = [msh, ["MSA", code, header.raw(10), said]]
    if code not in {AckCode.AA, AckCode.CA}:
        condition = component.join((str(error), _ascii(_CONDITIONS[error], marks), "HL70357"))
        segments.append(["ERR", "", "", condition, "E", "", "", "", said])
    lines = (field_.join(fields).rstrip(field_) for fields in segments)
    return "".join(f"{line}\r" for line in lines).encode("latin-1")


def _ascii(text: str, marks: Delimiters) -> str:
    """Return words of ours as they may stand between a peer's delimiters."""
    names = {
        marks.field: "F",
        marks.component: "S",
        marks.repetition: "R",
        marks.escape: "E",
        marks.subcomponent: "T",
    }
    mark = marks.escape if marks.escape.isascii() else ""
    escapes = {ord(c): f"{mark}{name}{mark}" if mark else " " for c, name in names.items()}
    plain = one_line(text).encode("ascii", "replace").decode()
    return plain.translate(escapes)


def to_hl7_time(moment: datetime) -> str:
    """Return an aware moment as HL7 writes it, to the second, with its offset.

    Raises:
        ValueError: The moment is naive: a peer could only guess what it means.
    """
    if moment.utcoffset() is None:
        raise ValueError("a moment without a time zone")
    return moment.strftime("%Y%m%d%H%M%S%z")[:19]
