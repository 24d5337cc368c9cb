"""One durable file becomes rows: new, duplicate, late, or another patient's.

Pure domain over a session: the caller has read the object's header and linked its file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import outbox, store
from core.lifecycle import Event, State
from core.report import Patient, StudyHeader
from core.tables import Artifact, Instance, Series, Study


class Outcome(StrEnum):
    """What an object meant for its study."""

    DUPLICATE = "duplicate"
    STORED = "stored"
    LATE = "late"
    NOTED = "noted"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What the site's rules say of one object.

    Attributes:
        is_admitted: It may start a draft.
        rule: The name of the rule that decided; empty where none of the site's did.
        reason: A sentence for the timeline and for `taqrir rules test`, no patient data.
        priority: The lane in the queue: ``stat`` or ``routine``.
        options: What the rule sets for the model: ``max_images``, ``max_new_tokens``.
    """

    is_admitted: bool = True
    rule: str = ""
    reason: str = ""
    priority: str = "routine"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance:
    """What the index keeps of one object.

    Attributes:
        study: Patient and study attributes as this object says them.
        is_image: A person could look at it: only such objects make a study version.
        is_own: The object itself says that we made it.
        header: All that selection needs, as plain data.
    """

    study: StudyHeader
    series_uid: str
    series_description: str
    sop_class_uid: str
    sop_instance_uid: str
    digest: str
    path: str
    size_bytes: int
    sender: str
    received_at: datetime
    is_image: bool
    is_own: bool
    header: dict[str, Any]
    association: str = ""
    admission: Admission = Admission()


def record(session: Session, received: ReceivedInstance, *, actor: str = "node") -> Outcome:
    """Write one object into the index and let its study react.

    A late image (new, not ours, after the study left RECEIVING) makes a study version. Our own
    objects and non-images are stored and listed in the timeline and change neither state nor
    version: a PACS that routes our SR back must not start a loop.
    """
    if is_known(session, received.sop_instance_uid, received.digest):
        return Outcome.DUPLICATE
    is_own = received.is_own or _is_our_uid(session, received.sop_instance_uid)
    study, is_new = _find_or_add_study(session, received)
    replaced = _supersede(session, study.id, received.sop_instance_uid)
    _add_instance(session, study, received, is_own=is_own)
    if not is_own:
        _take_attributes(study, received.study)
    at = received.received_at
    detail = {"uid": received.sop_instance_uid, "sop_class": received.sop_class_uid}
    if replaced:
        store.note(session, study.id, "content_changed", at=at, actor=actor, **detail)
    session.flush()
    if is_new:
        event, state = Event.INSTANCE_STORED, State.RECEIVING
        store.note(session, study.id, event, at=at, actor=actor, state=state, **detail)
    if received.is_image and not is_own:
        return _take_image(session, study, at=at, actor=actor, detail=detail)
    if not is_new:
        kind = "own_object_noted" if is_own else "non_image_noted"
        store.note(session, study.id, kind, at=at, actor=actor, **detail)
    _refuse_other_patient(session, study, at=at, actor=actor)
    return Outcome.NOTED


def is_known(session: Session, sop_instance_uid: str, digest: str) -> bool:
    """Tell whether this very content already stands in the index."""
    query = select(Instance.id).where(
        Instance.sop_instance_uid == sop_instance_uid, Instance.digest == digest
    )
    return session.scalar(query) is not None


def _is_our_uid(session: Session, uid: str) -> bool:
    return session.scalar(select(Artifact.id).where(Artifact.uid == uid)) is not None


def _find_or_add_study(session: Session, received: ReceivedInstance) -> tuple[Study, bool]:
    uid = received.study.study_uid
    study = session.scalar(select(Study).where(Study.study_uid == uid).with_for_update())
    if study is not None:
        return study, False
    at = received.received_at
    study = Study(
        study_uid=uid,
        state=State.RECEIVING,
        sender=received.sender,
        created_at=at,
        state_changed_at=at,
        last_instance_at=at,
    )
    session.add(study)
    session.flush()
    return study, True


def _supersede(session: Session, study: int, sop_instance_uid: str) -> bool:
    """Make room for another content of a UID: the earlier one is kept, but no longer current."""
    earlier = session.scalars(
        select(Instance).where(
            Instance.study_id == study,
            Instance.sop_instance_uid == sop_instance_uid,
            Instance.is_current,
        )
    ).all()
    for row in earlier:
        session.execute(update(Instance).where(Instance.id == row.id).values(is_current=False))
    return bool(earlier)


def _add_instance(
    session: Session, study: Study, received: ReceivedInstance, *, is_own: bool
) -> None:
    series = session.scalar(
        select(Series).where(Series.study_id == study.id, Series.series_uid == received.series_uid)
    )
    if series is None:
        series = Series(
            study_id=study.id,
            series_uid=received.series_uid,
            modality=received.study.modality,
            description=received.series_description,
            body_part=received.study.body_part,
        )
        session.add(series)
        session.flush()
    session.add(
        Instance(
            study_id=study.id,
            series_id=series.id,
            sop_instance_uid=received.sop_instance_uid,
            sop_class_uid=received.sop_class_uid,
            digest=received.digest,
            path=received.path,
            size_bytes=received.size_bytes,
            sender=received.sender,
            received_at=received.received_at,
            is_image=received.is_image,
            is_own=is_own,
            patient_id=received.study.patient.id,
            patient_issuer=received.study.patient.issuer,
            header=received.header,
            association=received.association,
        )
    )


def _take_attributes(study: Study, header: StudyHeader) -> None:
    """Let the newest object's filled attributes stand for the study."""
    patient: Patient = header.patient
    newest = {
        "patient_id": patient.id,
        "patient_issuer": patient.issuer,
        "patient_name": patient.name,
        "patient_birth_date": patient.birth_date,
        "patient_sex": patient.sex,
        "study_id": header.study_id,
        "accession_number": header.accession_number,
        "accession_issuer": header.accession_issuer,
        "study_date": header.study_date,
        "study_time": header.study_time,
        "description": header.description,
        "referring_physician": header.referring_physician,
    }
    for column, value in newest.items():
        if value:
            setattr(study, column, value)


def _take_image(
    session: Session, study: Study, *, at: datetime, actor: str, detail: dict[str, Any]
) -> Outcome:
    if study.state == State.RECEIVING:
        study.last_instance_at = at
        return Outcome.STORED
    changes: dict[str, Any] = {"last_instance_at": at}
    if study.state in {State.SIGNED, State.REJECTED}:
        changes["needs_addendum"] = True
    else:
        changes |= {
            "version": study.version + 1,
            "attempts": 0,
            "next_attempt_at": None,
            "reason": "",
            "reason_code": "",
        }
        outbox.drop_pending(session, study.id, at=at, actor=actor, reason="a late image came")
    store.advance(
        session, study, Event.LATE_INSTANCE, at=at, actor=actor, changes=changes, detail=detail
    )
    return Outcome.LATE


def _refuse_other_patient(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Withhold a study at once when a non-image names another patient.

    While a study is RECEIVING the rule waits for its completion, which looks again.
    """
    if study.state not in {State.QUEUED, State.DRAFTING, State.IN_REVIEW}:
        return
    if store.has_patient_conflict(session, study.id):
        withhold_for_conflict(session, study, at=at, actor=actor)


def withhold_for_conflict(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Move a study with two patients to WITHHELD; nothing of it is sent."""
    outbox.drop_pending(session, study.id, at=at, actor=actor, reason="patient conflict")
    changes = {
        "reason_code": "PATIENT_CONFLICT",
        "reason": "patient conflict: objects of this Study Instance UID name different patients",
    }
    event = Event.IDENTITY_CONFLICT
    store.advance(session, study, event, at=at, actor=actor, changes=changes, detail=changes)
