"""Studies in the database: claims, states, timelines, counts.

`advance()` is the only writer of `Study.state`. It says in one UPDATE which state (and version, and
lease) it believes the study to have, and writes the timeline's line in the same transaction: of two
workers that race, one gets the row and the other a `TransitionError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, case, func, or_, select, update
from sqlalchemy.orm import Session

from core import patients
from core.errors import TransitionError
from core.lifecycle import DECIDED, Event, State, next_state
from core.report import Patient, StudyHeader
from core.tables import AuditEvent, Draft, Heartbeat, Instance, Series, Study

# Lanes of the queue, as `[[rules]] priority` names them.
_STAT, _ROUTINE = "stat", "routine"


def note(
    session: Session,
    study: int | None,
    event: str,
    *,
    at: datetime,
    actor: str = "",
    state: str = "",
    **detail: Any,
) -> None:
    """Write a line into a study's timeline (or the installation's) that changes no state.

    Args:
        session: A writing session.
        study: Whose timeline; None for the installation's.
        event: What happened.
        at: When.
        actor: Who: a process, an operator.
        state: Only for a study's very first line: the state that it begins in.
        detail: Words for the timeline, no patient data.
    """
    session.add(
        AuditEvent(study_id=study, at=at, event=event, to_state=state, actor=actor, detail=detail)
    )


def advance(
    session: Session,
    study: Study,
    event: Event,
    *,
    at: datetime,
    actor: str = "",
    changes: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
) -> State:
    """Apply an event to a study: its state, other columns and the timeline's line, together.

    The UPDATE is guarded by what `study` was read as: state, version and lease owner.

    Args:
        session: A writing session.
        study: The row as read; refreshed with what was written.
        event: What happened.
        at: When.
        actor: Who: a process, an operator.
        changes: Other columns to set.
        detail: Words for the timeline, no patient data.

    Raises:
        TransitionError: The table does not join state and event, or somebody else was faster.
    """
    before = State(study.state)
    after = next_state(before, event)
    values = {"state": after, **(changes or {})}
    if after is not before:
        # A dismissal was of the state that it leaves.
        values |= {"state_changed_at": at, "dismissed_at": None}
    if after is not State.DRAFTING:
        values |= {"lease_owner": None, "lease_until": None}
    written = session.execute(
        update(Study)
        .where(
            Study.id == study.id,
            Study.state == before,
            Study.version == study.version,
            Study.lease_owner.is_not_distinct_from(study.lease_owner),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", written).rowcount != 1:
        raise TransitionError(f"study {study.id} is no longer {before}; {event} came too late")
    session.add(
        AuditEvent(
            study_id=study.id,
            at=at,
            event=event,
            from_state=before,
            to_state=after,
            actor=actor,
            detail=detail or {},
        )
    )
    session.flush()
    # Refreshes `study` where it belongs to this session; a claim read earlier stays as it was read.
    session.get(Study, study.id, populate_existing=True)
    return after


def get(session: Session, study: int, *, lock: bool = False) -> Study:
    """Return a study by its id; locked, nobody else writes it before the session's end.

    Raises:
        KeyError: There is none.
    """
    row = session.get(Study, study, with_for_update=lock)
    if row is None:
        raise KeyError(study)
    return row


def find(session: Session, text: str) -> Sequence[Study]:
    """Return the studies with a Study Instance UID or an accession number, newest last."""
    return session.scalars(
        select(Study)
        .where(or_(Study.study_uid == text, Study.accession_number == text))
        .order_by(Study.id)
    ).all()


def claim(session: Session, study: int, *, owner: str, at: datetime, lease: timedelta) -> Study:
    """Take a QUEUED study for drafting, for as long as the lease is renewed.

    Raises:
        TransitionError: It is not queued, not due yet, or somebody else took it.
    """
    row = session.get(Study, study, with_for_update=True)
    if row is None:
        raise TransitionError(f"study {study} does not exist")
    if row.next_attempt_at is not None and row.next_attempt_at > at:
        raise TransitionError(f"study {study} is not due yet")
    changes = {"lease_owner": owner, "lease_until": at + lease, "reason": "", "reason_code": ""}
    advance(session, row, Event.STARTED, at=at, actor=owner, changes=changes)
    return row


def renew(session: Session, study: Study, *, at: datetime, lease: timedelta) -> bool:
    """Keep a claim; False where it was lost (a late image, an expired lease)."""
    written = session.execute(
        update(Study)
        .where(
            Study.id == study.id,
            Study.state == State.DRAFTING,
            Study.version == study.version,
            Study.lease_owner == study.lease_owner,
        )
        .values(lease_until=at + lease)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount == 1


def fail_attempt(
    session: Session,
    study: Study,
    event: Event,
    *,
    at: datetime,
    actor: str,
    retry_at: datetime,
    max_attempts: int,
    reason: str,
) -> State:
    """Count a failed attempt (`failed_transient`, `lease_expired`); queue or fail the study."""
    attempts = study.attempts + 1
    detail = {"reason": reason, "attempts": attempts}
    if attempts >= max_attempts:
        changes = {"attempts": attempts, "reason_code": "ATTEMPTS_EXHAUSTED", "reason": reason}
        event = Event.ATTEMPTS_EXHAUSTED
    else:
        changes = {"attempts": attempts, "next_attempt_at": retry_at}
    return advance(session, study, event, at=at, actor=actor, changes=changes, detail=detail)


def retry(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Queue a study again because a person said so.

    A study version that already has a recorded draft (it was withdrawn by a patient conflict, say)
    gets a new version, since a version is drafted once.

    Raises:
        TransitionError: The study is in a state that is not retried, or its images were removed.
    """
    if study.purged_at is not None:
        raise TransitionError(f"the images of {study.study_uid} were removed; send them again")
    recorded = session.scalar(
        select(func.count())
        .select_from(Draft)
        .where(
            Draft.study_id == study.id,
            Draft.study_version == study.version,
            Draft.is_withheld.is_(False),
        )
    )
    changes: dict[str, Any] = {
        "attempts": 0,
        "next_attempt_at": None,
        "reason": "",
        "reason_code": "",
        "version": study.version + 1 if recorded else study.version,
    }
    advance(session, study, Event.RETRIED_BY_OPERATOR, at=at, actor=actor, changes=changes)


def instances_of(session: Session, study: int) -> Sequence[Instance]:
    """Return a study's current objects, in the order in which they came."""
    return session.scalars(
        select(Instance)
        .where(Instance.study_id == study, Instance.is_current)
        .order_by(Instance.id)
    ).all()


def paths_of(session: Session, study: int, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """Return where the current content of some of a study's objects lies in the data folder.

    Of that study only: another one may hold an object of the same UID, and it is another picture.
    """
    rows = session.execute(
        select(Instance.sop_instance_uid, Instance.path).where(
            Instance.study_id == study,
            Instance.sop_instance_uid.in_(sop_instance_uids),
            Instance.is_current,
        )
    )
    return {row[0]: row[1] for row in rows}


def has_patient_conflict(session: Session, study: int) -> bool:
    """Tell whether a study's objects name different patients.

    Different Patient IDs do, an empty one beside a filled one too; different issuers do where both
    are given. Numbers that were merged are one. Names and birth dates are never compared.

    Once a person has decided, the patient of the decision counts too: all objects may have come
    again under another number.
    """
    rows = session.execute(
        select(Instance.patient_id, Instance.patient_issuer)
        .where(Instance.study_id == study, Instance.is_current, Instance.is_own.is_(False))
        .distinct()
    ).all()
    known = [patients.current(session, Patient(id=row[0], issuer=row[1])) for row in rows]
    decided = get(session, study)
    if rows and decided.state in DECIDED:
        known.append(patients.patient_of(decided))
    return len({p.id for p in known}) > 1 or len({p.issuer for p in known if p.issuer}) > 1


def header_of(session: Session, study: Study) -> StudyHeader:
    """Return what SR and ORU repeat of a study, as its newest object says it.

    The patient is the one that the information system knows by now (`core.patients`).
    Modality and body part are those of its first images: a report may have come before them.
    """
    first = session.scalars(
        select(Series)
        .join(Instance, Instance.series_id == Series.id)
        .where(Series.study_id == study.id, Instance.is_image, Instance.is_own.is_(False))
        .order_by(Series.id)
    ).first()
    return StudyHeader(
        study_uid=study.study_uid,
        patient=Patient(
            id=study.patient_id,
            issuer=study.patient_issuer,
            name=study.patient_name,
            birth_date=study.patient_birth_date,
            sex=study.patient_sex,
        ),
        study_id=study.study_id,
        accession_number=study.accession_number,
        accession_issuer=study.accession_issuer,
        study_date=study.study_date,
        study_time=study.study_time,
        description=study.description,
        referring_physician=study.referring_physician,
        modality=first.modality if first else "",
        body_part=first.body_part if first else "",
    )


def timeline(session: Session, study: int) -> Sequence[AuditEvent]:
    """Return all that happened to a study, oldest first."""
    return session.scalars(
        select(AuditEvent).where(AuditEvent.study_id == study).order_by(AuditEvent.id)
    ).all()


def count_states(session: Session) -> dict[State, int]:
    """Return how many studies are in each state; their sum is the number received."""
    counts = dict.fromkeys(State, 0)
    for state, number in session.execute(select(Study.state, func.count()).group_by(Study.state)):
        counts[State(state)] = number
    return counts


def due_studies(session: Session, *, at: datetime, limit: int | None = None) -> Sequence[int]:
    """Return ids of QUEUED studies that may be drafted now: stat before routine, oldest first."""
    return session.scalars(
        select(Study.id)
        .where(
            Study.state == State.QUEUED,
            or_(Study.next_attempt_at.is_(None), Study.next_attempt_at <= at),
        )
        .order_by(case((Study.priority == _STAT, 0), else_=1), Study.state_changed_at, Study.id)
        .limit(limit)
    ).all()


def count_queued(session: Session) -> dict[str, int]:
    """Return how many QUEUED studies wait in each lane."""
    rows = session.execute(
        select(Study.priority, func.count())
        .where(Study.state == State.QUEUED)
        .group_by(Study.priority)
    )
    return dict.fromkeys((_STAT, _ROUTINE), 0) | {row[0]: row[1] for row in rows}


def expired_leases(session: Session, *, at: datetime) -> Sequence[Study]:
    """Return DRAFTING studies whose worker has not renewed its claim in time."""
    return session.scalars(
        select(Study).where(Study.state == State.DRAFTING, Study.lease_until < at)
    ).all()


def beat(session: Session, name: str, *, at: datetime) -> None:
    """Note that a process is alive and takes work."""
    session.merge(Heartbeat(name=name, beat_at=at))


def heartbeats(session: Session) -> dict[str, datetime]:
    """Return the last sign of life of each process."""
    return {row.name: row.beat_at for row in session.scalars(select(Heartbeat))}
