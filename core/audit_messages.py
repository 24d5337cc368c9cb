"""Audit messages by DICOM PS3.15 A.5: what is said of an event, and its XML.

The schema is the one of A.5.1, the meaning of each field that of A.5.2 and A.5.3. Every value may
come from a stranger (an AE title, a patient's number), so every value passes `visible`: nothing
breaks the line, and nothing that XML forbids reaches it. The XML is plain ASCII: letters beyond it
stand as character references, so a message needs no byte order mark and survives any collector.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from xml.etree import ElementTree as ET

# No value of ours is longer; what a peer says may be, and receivers must take 32768 octets only.
_LONGEST_VALUE = 256
_LONGEST_QUERY = 8192
_MOST_ACCESSIONS = 16
_MOST_SOP_CLASSES = 64
# The schema wants a number of every patient and study, also of one that has none.
_NO_NUMBER = "none"


class Outcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


class Action(StrEnum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


@dataclass(frozen=True)
class Code:
    """A coded value: code, coding scheme, meaning."""

    code: str
    meaning: str
    scheme: str = "DCM"


SOURCE = Code("110153", "Source Role ID")
DESTINATION = Code("110152", "Destination Role ID")
APPLICATION = Code("110150", "Application")
DESTINATION_MEDIA = Code("110154", "Destination Media")
URI = Code("110037", "URI")
_STUDY_INSTANCE_UID = Code("110180", "Study Instance UID")
_SOP_CLASS_UID = Code("110181", "SOP Class UID")
_NODE_ID = Code("110182", "Node ID")
_PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")


@dataclass(frozen=True, kw_only=True)
class Participant:
    """Somebody or something that took part: A.5.2.1 and A.5.2.2.

    Attributes:
        user: A process number, a user's name or whatever else tells them apart.
        ae_title: Its AE title; empty where it has none.
        name: What a person would call it.
        address: An IP address or a host name.
        medium: Which kind of medium it is, of one that is a medium.
    """

    user: str
    ae_title: str = ""
    name: str = ""
    role: Code | None = None
    is_requestor: bool = False
    address: str = ""
    medium: Code | None = None


@dataclass(frozen=True, kw_only=True)
class StudyObject:
    """A study that instances belong to: no instance is named, only how many of which SOP class."""

    study_uid: str
    accession_numbers: tuple[str, ...] = ()
    sop_classes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class PatientObject:
    """The patient of a study, by number alone: the name tells a reader of the trail nothing more.

    Attributes:
        issuer: Who gave the number; follows it as in HL7 CX, ``NUMBER^^^ISSUER``.
    """

    number: str
    issuer: str = ""


@dataclass(frozen=True, kw_only=True)
class QueryObject:
    """A query: the SOP class that was asked and the identifier, encoded as it was sent."""

    sop_class_uid: str
    identifier: bytes
    transfer_syntax_uid: str


@dataclass(frozen=True, kw_only=True)
class AlertSubject:
    """The node that a security alert is about, and the alert in words."""

    node: str
    description: str


AuditObject = StudyObject | PatientObject | QueryObject | AlertSubject


@dataclass(frozen=True, kw_only=True)
class AuditMessage:
    """One event, as PS3.15 A.5 wants it told."""

    event: Code
    action: Action
    at: datetime
    participants: tuple[Participant, ...]
    outcome: Outcome = Outcome.SUCCESS
    types: tuple[Code, ...] = ()
    description: str = ""
    objects: tuple[AuditObject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuditSource:
    """Who reports: AuditSourceIdentification.

    Attributes:
        site: AuditEnterpriseSiteID, left out where empty.
        source: AuditSourceID.
    """

    site: str
    source: str


def visible(value: str, longest: int = _LONGEST_VALUE) -> str:
    r"""Return a value without what XML 1.0 forbids, what breaks lines or what no reader would see.

    Such a character becomes its escape, ``\x1b``: evidence that is hidden would be none.
    """
    # A lone surrogate, or one of the noncharacters that end the basic plane, is not printable.
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value[:longest])
    return shown if len(value) <= longest else shown + "..."


def to_xml(message: AuditMessage, source: AuditSource) -> bytes:
    """Return a message as one line of ASCII XML, without declaration and line feed."""
    root = ET.Element("AuditMessage")
    event = _add(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=message.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=message.outcome,
    )
    _add_code(event, "EventID", message.event)
    for kind in message.types:
        _add_code(event, "EventTypeCode", kind)
    if message.description:
        _add(event, "EventOutcomeDescription").text = visible(message.description)
    for participant in message.participants:
        _add_participant(root, participant)
    reporter = _add(
        root,
        "AuditSourceIdentification",
        AuditEnterpriseSiteID=source.site,
        AuditSourceID=source.source,
    )
    # An application server process (A.5.1.2.1).
    _add(reporter, "AuditSourceTypeCode", **{"csd-code": "4"})
    for item in message.objects:
        _add_object(root, item)
    line: bytes = ET.tostring(root, encoding="us-ascii")
    return line


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    """Append an element; attributes without a value, or of spaces only, are left out."""
    kept = {name: visible(value) for name, value in attributes.items() if value.strip(" ")}
    return ET.SubElement(parent, tag, kept)


def _add_code(parent: ET.Element, tag: str, code: Code) -> None:
    attributes = {
        "csd-code": code.code,
        "codeSystemName": code.scheme,
        "originalText": code.meaning,
    }
    _add(parent, tag, **attributes)


def _add_participant(root: ET.Element, participant: Participant) -> None:
    title, address = participant.ae_title.strip(" "), participant.address.strip(" ")
    element = _add(
        root,
        "ActiveParticipant",
        UserID=participant.user.strip(" ") or "unknown",
        AlternativeUserID=title and f"AETITLES={title}",
        UserName=participant.name,
        UserIsRequestor=str(participant.is_requestor).lower(),
        NetworkAccessPointID=address,
        NetworkAccessPointTypeCode=address and _address_kind(address),
    )
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role)
    if participant.medium is not None:
        _add_code(_add(element, "MediaIdentifier"), "MediaType", participant.medium)


def _address_kind(address: str) -> str:
    """Return NetworkAccessPointTypeCode: 1 a machine's name, 2 an IP address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _add_object(root: ET.Element, item: AuditObject) -> None:
    match item:
        case StudyObject():
            _add_study(root, item)
        case PatientObject():
            number = item.number.strip(" ")
            if number and item.issuer:
                number += f"^^^{item.issuer}"
            _begin_object(root, number, kind="1", role="1", code=_PATIENT_NUMBER, name="")
        case QueryObject():
            element = _begin_object(
                root, item.sop_class_uid, kind="2", role="3", code=_SOP_CLASS_UID, name=None
            )
            query = _add(element, "ParticipantObjectQuery")
            query.text = _base64(item.identifier[:_LONGEST_QUERY])
            _add_detail(element, "TransferSyntax", item.transfer_syntax_uid)
        case AlertSubject():
            element = _begin_object(
                root, item.node, kind="2", role="13", code=_NODE_ID, name=item.node
            )
            _add_detail(element, "Alert Description", visible(item.description))


def _begin_object(
    root: ET.Element, number: str, *, kind: str, role: str, code: Code, name: str | None
) -> ET.Element:
    """Append an object; its name is None where a query takes the name's place."""
    element = _add(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=number.strip(" ") or _NO_NUMBER,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _add_code(element, "ParticipantObjectIDTypeCode", code)
    if name is not None:
        _add(element, "ParticipantObjectName").text = visible(name)
    return element


def _add_detail(element: ET.Element, kind: str, value: str) -> None:
    detail = _add(element, "ParticipantObjectDetail", type=kind)
    # Not through `visible`: in base64 nothing needs escaping, and nothing may be cut.
    detail.set("value", _base64(value.encode()))


def _add_study(root: ET.Element, study: StudyObject) -> None:
    element = _begin_object(
        root, study.study_uid, kind="2", role="3", code=_STUDY_INSTANCE_UID, name=study.study_uid
    )
    description = _add(element, "ParticipantObjectDescription")
    numbers = [number for number in study.accession_numbers if number.strip(" ")]
    for number in numbers[:_MOST_ACCESSIONS]:
        _add(description, "Accession", Number=number)
    counts = sorted(study.sop_classes.items())
    for uid, count in counts[:_MOST_SOP_CLASSES]:
        _add(description, "SOPClass", UID=uid, NumberOfInstances=str(count))
    if rest := sum(count for _uid, count in counts[_MOST_SOP_CLASSES:]):
        _add(description, "SOPClass", NumberOfInstances=str(rest))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
