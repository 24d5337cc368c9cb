"""A report as MDM, a document: the alternative to ORU for a RIS that keeps documents.

A document has a number of its own. What a peer was sent last decides the next event, since an edit
(T08) and a change of status (T04) are for a document that is not available for patient care, and
one that is available is replaced (T10) by another with a number of its own, which names the first:

| The peer has | draft | signed | corrected, addended | withdrawn |
|---|---|---|---|---|
| nothing, or a cancelled one | T02 | T02 | T02 | T11 |
| a draft (unavailable) | T08 | T04 | T04 | T11 |
| a final one (available) | T10 | T10 | T10 | T10 |

Source: HL7 v2.5.1 chapter 9.6 (events), 9.7.1 (TXA), tables 0270, 0271, 0273.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.report import ReportStatus, standing
from hl7.ack import to_hl7_time
from hl7.er7 import Er7Writer, Value, parse
from hl7.result import Envelope, Result
from hl7.result_segments import (
    add_header,
    add_observations,
    add_order,
    add_patient,
    order_numbers,
    signer,
    study_time,
)

# Before 2.5 the structure has no place for an order; its numbers stand in TXA all the same.
_WITHOUT_ORDER = ("2.3.1", "2.4")
# PPN has the time of the act behind 14 components of name and number.
_PPN_TIME = 15


class Event(StrEnum):
    """MSH-9.2: what happens to the document."""

    ORIGINAL = "T02"
    STATUS_CHANGE = "T04"
    EDIT = "T08"
    REPLACEMENT = "T10"
    CANCEL = "T11"


class Availability(StrEnum):
    """TXA-19, table 0273: a draft is never available for patient care."""

    UNAVAILABLE = "UN"
    AVAILABLE = "AV"
    CANCELLED = "CA"


@dataclass(frozen=True, kw_only=True)
class Document:
    """What happens to which document.

    Attributes:
        number: TXA-12.
        parent: TXA-13, the document that this one replaces.
    """

    event: Event
    number: str
    parent: str = ""


def availability_of(status: ReportStatus) -> Availability:
    """Return TXA-19 of a report."""
    if standing(status).is_final:
        return Availability.AVAILABLE
    is_withdrawn = status is ReportStatus.WITHDRAWN
    return Availability.CANCELLED if is_withdrawn else Availability.UNAVAILABLE


def completion_of(status: ReportStatus) -> str:
    """Return TXA-17, table 0271: authenticated, or in progress."""
    return "AU" if standing(status).is_final else "IP"


def next_document(
    status: ReportStatus, *, control_id: str, predecessor: bytes | None = None
) -> Document:
    """Return which document a message is about.

    Args:
        status: What the message says of the report.
        control_id: Its MSH-10, which becomes the number of a document that begins with it.
        predecessor: The message about it that the peer took last, if any.

    Raises:
        UnreadableMessageError: The predecessor is no message.
    """
    number, known = control_id, ""
    if predecessor is not None:
        message = parse(predecessor)
        number, known = message.text("TXA", 12), message.text("TXA", 19)
    match known, status:
        case Availability.AVAILABLE, _:
            return Document(event=Event.REPLACEMENT, number=control_id, parent=number)
        case Availability.UNAVAILABLE, ReportStatus.DRAFT:
            return Document(event=Event.EDIT, number=number)
        case _, ReportStatus.WITHDRAWN:
            return Document(event=Event.CANCEL, number=number)
        case Availability.UNAVAILABLE, _:
            return Document(event=Event.STATUS_CHANGE, number=number)
        case _:
            return Document(event=Event.ORIGINAL, number=control_id)


def build_mdm(result: Result, envelope: Envelope, predecessor: bytes | None = None) -> bytes:
    r"""Return a result as an MDM message, segments ended by ``\r``.

    The same arguments give the same bytes.

    Raises:
        As `hl7.oru.build_oru`.
    """
    document = next_document(result.status, control_id=envelope.control_id, predecessor=predecessor)
    has_content = document.event is not Event.CANCEL
    structure = "MDM_T02" if has_content else "MDM_T01"
    writer = Er7Writer(structure, version=result.layout.version)
    add_header(writer, result, envelope, ("MDM", document.event.value, structure))
    writer.add("EVN", {1: document.event.value, 2: envelope.time})
    add_patient(writer, result, is_visit_required=True)
    if result.layout.version not in _WITHOUT_ORDER:
        add_order(writer, result, envelope)
    _add_document(writer, result, envelope, document)
    if has_content:
        add_observations(writer, result, envelope)
    return writer.encode(result.layout.codec)


def _add_document(
    writer: Er7Writer, result: Result, envelope: Envelope, document: Document
) -> None:
    numbers = order_numbers(result)
    fields: dict[int, Value] = {
        1: "1",
        2: "DI",
        3: result.layout.text_type,
        4: study_time(result),
        6: envelope.time,
        12: (document.number, "TAQRIR"),
        13: (document.parent, "TAQRIR") if document.parent else "",
        14: numbers[2],
        15: numbers[3],
        17: completion_of(result.status),
        19: availability_of(result.status).value,
    }
    signature = result.report.signature
    if standing(result.status).is_final and signature is not None:
        who = signer(result)
        blanks = [""] * (_PPN_TIME - 1 - len(who))
        fields[9] = who
        fields[22] = (*who, *blanks, to_hl7_time(signature.signed_at))
    writer.add("TXA", fields)
