"""Durable files become rows: new, duplicate, late, or another patient's.

Pure domain over a session: the caller has read the objects' headers and linked their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import ordering, outbox, patients, store
from core.index_rows import ADMITTED_IMAGE, IndexRows, StudyEntry
from core.lifecycle import DECIDED, Event, State
from core.received import Admission, Outcome, ReceivedInstance
from core.tables import Instance, Study

__all__ = [
    "Admission",
    "Outcome",
    "ReceivedInstance",
    "count_admitted_images",
    "record",
    "record_all",
    "withhold_for_conflict",
]

_URGENT = "stat"
_OTHER_PATIENT = "it names another patient than the study; its attributes were not taken"


def record(session: Session, received: ReceivedInstance, *, actor: str = "node") -> Outcome:
    """Write one object into the index and let its study react, as `record_all` does."""
    (outcome,) = record_all(session, [received], actor=actor)
    return outcome


def record_all(
    session: Session, objects: Sequence[ReceivedInstance], *, actor: str = "node"
) -> list[Outcome]:
    """Write objects into the index, in their order, and let their studies react.

    What comes last under a UID is current; a resend of what is current has no effect. A late image
    (new by UID or by content, admitted, not ours, after the study left RECEIVING) makes a study
    version. Our own objects, non-images and images that are not admitted are stored and listed in
    the timeline and change neither state nor version: a PACS that routes our SR back must not start
    a loop.

    Raises:
        sqlalchemy.exc.IntegrityError: Another process added the same study; try again.
    """
    batch = _Batch(session, objects, actor)
    outcomes = [batch.take(received) for received in objects]
    batch.finish()
    return outcomes


def count_admitted_images(session: Session, study: int) -> int:
    """Return how many of a study's current images may start a draft."""
    query = select(func.count()).select_from(Instance)
    return session.scalar(query.where(Instance.study_id == study, *ADMITTED_IMAGE)) or 0


class _Batch:
    """Objects that are taken in with one transaction."""

    def __init__(self, session: Session, objects: Sequence[ReceivedInstance], actor: str) -> None:
        self._session = session
        self._actor = actor
        self._rows = IndexRows(session, objects)

    def take(self, received: ReceivedInstance) -> Outcome:
        """Take the next object in."""
        study = self._rows.study(received)
        known = self._rows.content(received)
        if known is not None and (known.is_current or known.study_id != study.row.id):
            return Outcome.DUPLICATE
        is_own = received.is_own or self._rows.is_own_uid(received.sop_instance_uid)
        is_asked = received.is_image and not is_own
        is_refused = is_asked and not received.admission.is_admitted
        is_first_refusal = is_refused and self._rows.is_first_refusal(received)
        has_changed = self._rows.put(received, is_own=is_own)
        # It holds something again, be it an object of ours, so that it may be purged again.
        study.row.purged_at = None
        is_first, study.is_new = study.is_new, False
        if is_first:
            self._note(Event.INSTANCE_STORED, study, received, state=State.RECEIVING)
        if not is_own:
            self._take_attributes(study, received)
        if has_changed:
            self._note("content_changed", study, received)
        if is_asked and not is_refused:
            return self._take_image(study, received)
        if is_refused:
            self._take_refused(study, received, is_first=is_first_refusal)
        elif not is_first:
            self._note("own_object_noted" if is_own else "non_image_noted", study, received)
        self._refuse_other_patient(study, received)
        return Outcome.NOTED

    def finish(self) -> None:
        """Write what is still in memory only, and look for the orders of renumbered studies.

        Of one that is RECEIVING, its completion does.
        """
        self._rows.flush()
        for study in self._rows.studies():
            if study.renumbered_at is not None and study.row.state != State.RECEIVING:
                at = study.renumbered_at
                ordering.meet(self._session, study.row, at=at, actor=self._actor)

    def _note(self, event: str, study: StudyEntry, received: ReceivedInstance, **more: str) -> None:
        store.note(
            self._session,
            study.row.id,
            event,
            at=received.received_at,
            actor=self._actor,
            **_detail(received),
            **more,
        )

    def _take_attributes(self, study: StudyEntry, received: ReceivedInstance) -> None:
        if received.study != study.newest:
            if self._is_of_another_patient(study.row, received):
                self._note("other_patient_noted", study, received, reason=_OTHER_PATIENT)
            else:
                before = _accession(study.row)
                _take_attributes(study.row, received)
                if _accession(study.row) != before:
                    study.renumbered_at = received.received_at
                patients.identify(self._session, study.row)
            study.newest = received.study
        reason = received.text_problem
        if reason and self._rows.is_first_text_problem(study, reason):
            self._note("text_problem", study, received, reason=reason)

    def _is_of_another_patient(self, row: Study, received: ReceivedInstance) -> bool:
        """Tell whether an object would give what a person decided on to another patient.

        What was signed, and the withdrawal of what was rejected, stay with the patient whom the
        person read of; only the information system can say that it is another number's by now.
        Before a decision the newest object is believed: a conflict is withheld.
        """
        if row.state not in DECIDED:
            return False
        return patients.is_another(self._session, row, received.study.patient)

    def _take_image(self, study: StudyEntry, received: ReceivedInstance) -> Outcome:
        _take_admission(study, received.admission)
        row, at = study.row, received.received_at
        if row.state == State.RECEIVING:
            _prolong(row, at)
            return Outcome.STORED
        self._rows.flush()
        changes: dict[str, Any] = {"last_instance_at": at}
        if row.state in DECIDED:
            changes["needs_addendum"] = True
        else:
            changes |= {
                "version": row.version + 1,
                "attempts": 0,
                "next_attempt_at": None,
                "reason": "",
                "reason_code": "",
            }
            reason = "a late image came"
            outbox.drop_pending(self._session, row.id, at=at, actor=self._actor, reason=reason)
        store.advance(
            self._session,
            row,
            Event.LATE_INSTANCE,
            at=at,
            actor=self._actor,
            changes=changes,
            detail=_detail(received),
        )
        return Outcome.LATE

    def _take_refused(
        self, study: StudyEntry, received: ReceivedInstance, *, is_first: bool
    ) -> None:
        """Say once for a series why its images start no draft: there may be thousands of them."""
        # The study is still being sent, whatever this image is.
        _prolong(study.row, received.received_at)
        if is_first:
            why = {"rule": received.admission.rule, "reason": received.admission.reason}
            self._note("image_not_admitted", study, received, series=received.series_uid, **why)

    def _refuse_other_patient(self, study: StudyEntry, received: ReceivedInstance) -> None:
        """Withhold a study at once when something that is no late image names another patient.

        While a study is RECEIVING the rule waits for its completion, which looks again.
        """
        patient = received.study.patient
        if (
            study.row.state not in {State.QUEUED, State.DRAFTING, State.IN_REVIEW}
            or (patient.id, patient.issuer) in study.harmless
        ):
            return
        self._rows.flush()
        if store.has_patient_conflict(self._session, study.row.id):
            at = received.received_at
            withhold_for_conflict(self._session, study.row, at=at, actor=self._actor)
        else:
            study.harmless.add((patient.id, patient.issuer))


def _detail(received: ReceivedInstance) -> dict[str, str]:
    return {"uid": received.sop_instance_uid, "sop_class": received.sop_class_uid}


def _prolong(study: Study, at: datetime) -> None:
    """Begin the quiet time of a study that still receives anew."""
    if study.state == State.RECEIVING and at > study.last_instance_at:
        study.last_instance_at = at


def _take_admission(study: StudyEntry, admission: Admission) -> None:
    """Let the first admitted image say lane and options; a later one may only hasten the study.

    A study that is in haste already, as an order may say before any image comes, stays so.
    """
    row = study.row
    if not study.has_admitted:
        row.rule, row.options = admission.rule, dict(admission.options)
    if row.priority != _URGENT and (not study.has_admitted or admission.priority == _URGENT):
        row.priority = admission.priority
    study.has_admitted = True


def _accession(study: Study) -> tuple[str, str]:
    return study.accession_number, study.accession_issuer


def _take_attributes(study: Study, received: ReceivedInstance) -> None:
    """Let the newest object's filled attributes stand for the study."""
    header, patient = received.study, received.study.patient
    newest = {
        "patient_id": patient.id,
        "patient_issuer": patient.issuer,
        "patient_name": patient.name,
        "patient_name_bytes": received.patient_name_bytes,
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


def withhold_for_conflict(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Move a study with two patients to WITHHELD; nothing of it is sent."""
    outbox.drop_pending(session, study.id, at=at, actor=actor, reason="patient conflict")
    changes = {
        "reason_code": "PATIENT_CONFLICT",
        "reason": "patient conflict: objects of this Study Instance UID name different patients",
    }
    event = Event.IDENTITY_CONFLICT
    store.advance(session, study, event, at=at, actor=actor, changes=changes, detail=changes)
