"""The events that Taqrir audits, each as PS3.15 A.5.3 wants it told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from core.audit_messages import (
    APPLICATION,
    DESTINATION,
    DESTINATION_MEDIA,
    SOURCE,
    URI,
    Action,
    AlertSubject,
    AuditMessage,
    Code,
    Outcome,
    Participant,
    PatientObject,
    QueryObject,
    StudyObject,
)

_APPLICATION_ACTIVITY = Code("110100", "Application Activity")
_INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
_INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
_STUDY_DELETED = Code("110105", "DICOM Study Deleted")
_EXPORT = Code("110106", "Export")
_QUERY = Code("110112", "Query")
_SECURITY_ALERT = Code("110113", "Security Alert")
_USER_AUTHENTICATION = Code("110114", "User Authentication")
_START = Code("110120", "Application Start")
_STOP = Code("110121", "Application Stop")
_LOGIN = Code("110122", "Login")
_NODE_AUTHENTICATION = Code("110126", "Node Authentication")
_USE_OF_RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
_RECORDING_STOPPED = Code("110133", "Audit Recording Stopped")


class Alert(StrEnum):
    """What a security alert is about."""

    ASSOCIATION_REFUSED = "association refused"
    TLS_FAILED = "TLS handshake failed"
    USER_REFUSED = "user identity refused"
    ORDERS_REFUSED = "HL7 connection refused"
    FORGED_REPORT = "storage commitment report that nobody asked for, or from a stranger"
    AUDIT_GAP = "audit messages could not be written"


_ALERT_TYPES = {
    Alert.ASSOCIATION_REFUSED: _NODE_AUTHENTICATION,
    Alert.TLS_FAILED: _NODE_AUTHENTICATION,
    Alert.USER_REFUSED: _NODE_AUTHENTICATION,
    Alert.ORDERS_REFUSED: _NODE_AUTHENTICATION,
    Alert.FORGED_REPORT: _USE_OF_RESTRICTED_FUNCTION,
    Alert.AUDIT_GAP: _RECORDING_STOPPED,
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """An application entity on the other side.

    Attributes:
        address: IP address or host name; empty where it is not known any more.
    """

    ae_title: str
    address: str = ""

    def participant(self, role: Code | None = None, *, is_requestor: bool = False) -> Participant:
        """Return it as one that took part; its process number is not known to us."""
        return Participant(
            user=self.ae_title or self.address,
            ae_title=self.ae_title,
            role=role,
            is_requestor=is_requestor,
            address=self.address,
        )


@dataclass(frozen=True, kw_only=True)
class StudyInstances:
    """Instances of one study and one patient, counted."""

    study_uid: str
    patient_id: str
    patient_issuer: str = ""
    accession_numbers: tuple[str, ...] = ()
    sop_classes: Mapping[str, int]

    def objects(self) -> tuple[StudyObject, PatientObject]:
        """Return study and patient as a message names them."""
        return (
            StudyObject(
                study_uid=self.study_uid,
                accession_numbers=self.accession_numbers,
                sop_classes=self.sop_classes,
            ),
            PatientObject(number=self.patient_id, issuer=self.patient_issuer),
        )


def us(
    ae_title: str, role: Code | None = None, *, name: str = "", is_requestor: bool = False
) -> Participant:
    """Return this process as one that took part."""
    return Participant(
        user=str(os.getpid()),
        ae_title=ae_title,
        name=name,
        role=role,
        is_requestor=is_requestor,
    )


def application_activity(
    ae_title: str, component: str, *, at: datetime, is_start: bool
) -> AuditMessage:
    """Return that a part of Taqrir started or stopped (A.5.3.1)."""
    return AuditMessage(
        event=_APPLICATION_ACTIVITY,
        action=Action.EXECUTE,
        at=at,
        types=(_START if is_start else _STOP,),
        participants=(us(ae_title, APPLICATION, name=component),),
    )


def received(
    ae_title: str, peer: Node, study: StudyInstances, *, at: datetime, is_new: bool
) -> AuditMessage:
    """Return that a peer stored instances to us (A.5.3.7); Read: we held all of them already."""
    return AuditMessage(
        event=_INSTANCES_TRANSFERRED,
        action=Action.CREATE if is_new else Action.READ,
        at=at,
        participants=(
            peer.participant(SOURCE, is_requestor=True),
            us(ae_title, DESTINATION),
        ),
        objects=study.objects(),
    )


def sent(
    ae_title: str,
    peer: Node,
    study: StudyInstances,
    *,
    at: datetime,
    outcome: Outcome,
    description: str = "",
) -> AuditMessage:
    """Return that we stored instances to a peer, or failed to (A.5.3.7).

    The action is Read: what the receiver held before is not known to us.
    """
    return AuditMessage(
        event=_INSTANCES_TRANSFERRED,
        action=Action.READ,
        at=at,
        outcome=outcome,
        description=description,
        participants=(us(ae_title, SOURCE, is_requestor=True), peer.participant(DESTINATION)),
        objects=study.objects(),
    )


def report_decided(
    ae_title: str,
    study: StudyInstances,
    *,
    reader: str,
    name: str,
    account: str,
    at: datetime,
    description: str,
) -> AuditMessage:
    """Return that a person signed, corrected, addended or rejected a report (A.5.3.6).

    Both who answers for it and who was at the keyboard take part.
    """
    return AuditMessage(
        event=_INSTANCES_ACCESSED,
        action=Action.UPDATE,
        at=at,
        description=description,
        participants=(
            Participant(user=reader, name=name, is_requestor=True),
            Participant(user=account, name="operating system account"),
            us(ae_title, APPLICATION),
        ),
        objects=study.objects(),
    )


def consent_decided(
    ae_title: str, study: StudyInstances, *, account: str, at: datetime, description: str
) -> AuditMessage:
    """Return that an operator said whether a study may train a model (A.5.3.6)."""
    return AuditMessage(
        event=_INSTANCES_ACCESSED,
        action=Action.UPDATE,
        at=at,
        description=description,
        participants=(
            Participant(user=account, name="operating system account", is_requestor=True),
            us(ae_title, APPLICATION),
        ),
        objects=study.objects(),
    )


def exported(
    ae_title: str, study: StudyInstances, *, account: str, folder: Path, at: datetime
) -> AuditMessage:
    """Return that what is known of a study was written to a folder outside of ours (A.5.3.4)."""
    return AuditMessage(
        event=_EXPORT,
        action=Action.READ,
        at=at,
        participants=(
            Participant(
                user=account, name="operating system account", role=SOURCE, is_requestor=True
            ),
            us(ae_title, SOURCE),
            Participant(user=folder.as_uri(), role=DESTINATION_MEDIA, medium=URI),
        ),
        objects=study.objects(),
    )


def study_deleted(
    ae_title: str, study: StudyInstances, *, at: datetime, actor: str
) -> AuditMessage:
    """Return that a study was removed (A.5.3.8), by retention or by an operator."""
    return AuditMessage(
        event=_STUDY_DELETED,
        action=Action.DELETE,
        at=at,
        participants=(us(ae_title, name=actor, is_requestor=True),),
        objects=study.objects(),
    )


def query(ae_title: str, peer: Node, asked: QueryObject, *, at: datetime) -> AuditMessage:
    """Return that we asked a peer (A.5.3.10)."""
    return AuditMessage(
        event=_QUERY,
        action=Action.EXECUTE,
        at=at,
        participants=(us(ae_title, SOURCE, is_requestor=True), peer.participant(DESTINATION)),
        objects=(asked,),
    )


def security_alert(
    ae_title: str,
    alert: Alert,
    description: str,
    *,
    at: datetime,
    peer: Node | None = None,
    outcome: Outcome = Outcome.SERIOUS_FAILURE,
) -> AuditMessage:
    """Return that somebody was kept out, or that the trail has a gap (A.5.3.11).

    A minor or serious failure says that the system stayed safe, a major one that it may not have.
    """
    words = f"{alert}: {description}" if description else str(alert)
    performers = (peer.participant(),) if peer is not None else ()
    return AuditMessage(
        event=_SECURITY_ALERT,
        action=Action.EXECUTE,
        at=at,
        types=(_ALERT_TYPES[alert],),
        outcome=outcome,
        description=words,
        participants=(us(ae_title, is_requestor=True), *performers),
        objects=(AlertSubject(node=ae_title, description=words),),
    )


def user_authentication(
    ae_title: str, user: str, peer: Node, *, at: datetime, is_accepted: bool
) -> AuditMessage:
    """Return that a user identity was given with an association (A.5.3.12, PS3.7 D.3.3.7)."""
    person = Participant(
        user=user, ae_title=peer.ae_title, is_requestor=True, address=peer.address or "unknown"
    )
    return AuditMessage(
        event=_USER_AUTHENTICATION,
        action=Action.EXECUTE,
        at=at,
        types=(_LOGIN,),
        outcome=Outcome.SUCCESS if is_accepted else Outcome.SERIOUS_FAILURE,
        participants=(person, us(ae_title)),
    )
