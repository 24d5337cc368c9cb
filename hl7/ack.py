"""Acknowledgements: ours to what we receive, and a peer's to what we send.

Source: HL7 v2.5.1 2.9.2, 2.14.1 (MSA), table 0008.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.errors import UnreadableMessageError
from hl7.er7 import WRITTEN_VERSIONS, Er7Writer, parse


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

    Raises:
        UnreadableMessageError: It holds none.
    """
    message = parse(data)
    code = message.text("MSA", 1).strip()
    if code not in set(AckCode):
        raise UnreadableMessageError("The answer holds no MSA segment with a known code.")
    return Ack(
        code=AckCode(code),
        control_id=message.text("MSA", 2).strip(),
        text=message.text("MSA", 3) or message.text("ERR", 8),
    )


def build_ack(message: bytes, code: AckCode, *, created_at: datetime, text: str = "") -> bytes:
    """Return the answer to a message.

    To one that cannot be read the answer is AR with an empty MSA-2, under a header of our own. The
    answer's own MSH-10 is derived, so that the same message gets the same answer again.

    Raises:
        ValueError: `created_at` is naive.
    """
    time = to_hl7_time(created_at)
    try:
        received = parse(message)
        header = {n: received.text("MSH", n) for n in (3, 4, 5, 6, 10, 11)}
        trigger, version = received.text("MSH", 9, 2), received.segments[0].version
    except UnreadableMessageError:
        code, header, trigger, version = AckCode.AR, dict.fromkeys((4, 5, 6, 10), ""), "", "2.5.1"
    if version not in WRITTEN_VERSIONS:
        version = "2.5.1"
    writer = Er7Writer("ACK", version=version)
    writer.add(
        "MSH",
        {
            3: header.get(5) or "TAQRIR",
            4: header[6],
            5: header.get(3, ""),
            6: header[4],
            7: time,
            9: ("ACK", trigger, "ACK") if trigger else "ACK",
            10: hashlib.sha256(message).hexdigest()[:20],
            11: header.get(11) or "P",
            12: version,
            18: "UNICODE UTF-8",
        },
    )
    writer.add("MSA", {1: code, 2: header[10], 3: text})
    return writer.encode()


def to_hl7_time(moment: datetime) -> str:
    """Return an aware moment as HL7 writes it, to the second, with its offset.

    Raises:
        ValueError: The moment is naive: a peer could only guess what it means.
    """
    if moment.utcoffset() is None:
        raise ValueError("a moment without a time zone")
    return moment.strftime("%Y%m%d%H%M%S%z")[:19]
