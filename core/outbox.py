"""The outbox: recording a draft and all that has to be sent of it is one transaction.

A delivery is claimed by a lease, like a study. Artifacts get their bytes before the first attempt
and are never made again: every resend is those bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core import channels, patients, store
from core.lifecycle import DeliveryState
from core.tables import Artifact, Delivery, Draft, Study

# Kinds of destination that keep a patient's messages in the order of their sending.
_IN_TURN = "ris:"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One object that a draft becomes, and where it goes.

    Attributes:
        kind: ``sr`` or ``oru``.
        uid: SOP Instance UID or MSH-10.
        destinations: Names such as ``pacs:main``.
    """

    kind: str
    language: str
    uid: str
    destinations: tuple[str, ...]


def plan(session: Session, draft: Draft, planned: Sequence[Planned], *, at: datetime) -> None:
    """Insert artifacts and deliveries of a draft; the caller's transaction commits them with it."""
    for item in planned:
        artifact = Artifact(draft_id=draft.id, kind=item.kind, language=item.language, uid=item.uid)
        session.add(artifact)
        session.flush()
        for destination in item.destinations:
            session.add(
                Delivery(
                    study_id=draft.study_id,
                    draft_id=draft.id,
                    artifact_id=artifact.id,
                    destination=destination,
                    state=DeliveryState.PENDING,
                    created_at=at,
                    next_attempt_at=at,
                )
            )


def due(
    session: Session, *, at: datetime, study: int | None = None, delivery: int | None = None
) -> Sequence[int]:
    """Return ids of deliveries to attempt now, oldest first; of all, of a study, or of one.

    Of one study and destination only the first unfinished one is due: an Arabic SR refers to the
    English one and must not overtake it. An information system gets all of a patient's messages in
    turn. A destination that cannot be reached, or that has had its
    share, is left alone (`core.channels`). While a merge is pending nothing is due.
    """
    query = select(Delivery.id).where(
        Delivery.state == DeliveryState.PENDING,
        Delivery.next_attempt_at <= at,
        or_(Delivery.lease_until.is_(None), Delivery.lease_until < at),
        ~_is_preceded(),
        ~_is_preceded_for_patient(),
        ~channels.is_held(at),
        ~patients.pending(),
    )
    if study is not None:
        query = query.where(Delivery.study_id == study)
    if delivery is not None:
        query = query.where(Delivery.id == delivery)
    return session.scalars(query.order_by(Delivery.id)).all()


def _is_preceded() -> ColumnElement[bool]:
    """Return the condition that an earlier delivery of the same study goes there first."""
    earlier = aliased(Delivery)
    return (
        select(earlier.id)
        .where(
            earlier.study_id == Delivery.study_id,
            earlier.destination == Delivery.destination,
            earlier.state == DeliveryState.PENDING,
            earlier.id < Delivery.id,
        )
        .exists()
    )


def _is_preceded_for_patient() -> ColumnElement[bool]:
    """Return the condition that an earlier message of the same patient goes there first."""
    earlier, other, own = aliased(Delivery), aliased(Study), aliased(Study)
    return (
        select(earlier.id)
        .join(other, other.id == earlier.study_id)
        .join(own, own.patient_id == other.patient_id)
        .where(
            own.id == Delivery.study_id,
            own.patient_id != "",
            Delivery.destination.startswith(_IN_TURN),
            earlier.destination == Delivery.destination,
            earlier.state == DeliveryState.PENDING,
            earlier.id < Delivery.id,
        )
        .exists()
    )


def claim(
    session: Session,
    delivery: int,
    *,
    owner: str,
    at: datetime,
    lease: timedelta,
    pace: Callable[[str], int] = lambda _name: 0,
) -> Delivery | None:
    """Take a due delivery; None where it is not due or somebody else has it.

    From now on the peer may have the object. The row that is returned says whether it might have
    had it before; its sender puts that right, and gives it back with the end of the attempt.

    `pace` says how many attempts in a minute a destination wants at most, 0: as many as it takes.
    """
    # Locked before the look: two senders may both find it due, and the slower one would then read
    # the claim of the quicker one as the row's own past.
    row = session.get(Delivery, delivery, with_for_update=True)
    if row is None or not due(session, at=at, delivery=delivery):
        return None
    name = row.destination
    if not channels.enter(session, name, at=at, lease=lease, per_minute=pace(name)):
        return None
    written = session.execute(
        update(Delivery)
        .where(
            Delivery.id == delivery,
            Delivery.state == DeliveryState.PENDING,
            Delivery.lease_owner.is_not_distinct_from(row.lease_owner),
            Delivery.attempts == row.attempts,
        )
        .values(
            lease_owner=owner,
            lease_until=at + lease,
            attempts=Delivery.attempts + 1,
            first_attempt_at=func.coalesce(Delivery.first_attempt_at, at),
            is_out=True,
        )
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", written).rowcount != 1:
        return None
    was_out = row.is_out
    session.refresh(row)
    session.expunge(row)
    row.is_out = was_out
    return row


def keep_content(
    session: Session,
    artifact: Artifact,
    content: bytes,
    *,
    header_digest: str = "",
    sent_as: dict[str, Any] | None = None,
) -> bytes:
    """Store an artifact's bytes before they are first sent; return the ones that stand.

    Of two senders that render at once the first wins, and both send its bytes. `sent_as` is what a
    withdrawal repeats, whoever the study is of by then.
    """
    session.execute(
        update(Artifact)
        .where(Artifact.id == artifact.id, Artifact.content.is_(None))
        .values(
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            header_digest=header_digest,
            sent_as=sent_as or {},
        )
        .execution_options(synchronize_session=False)
    )
    session.refresh(artifact)
    return cast("bytes", artifact.content)


def finish(
    session: Session,
    delivery: Delivery,
    state: DeliveryState,
    *,
    at: datetime,
    actor: str,
    reason: str = "",
    is_doubtful: bool = False,
    is_out: bool | None = None,
) -> None:
    """End an attempt: SENT, PARKED or DROPPED, with the peer's own words.

    `is_out` says whether the peer has the object, or may have it; None: nothing new is known.
    """
    values: dict[str, Any] = {
        "state": state,
        "reason": reason,
        "lease_owner": None,
        "lease_until": None,
    }
    if state is DeliveryState.SENT:
        # Its archive is asked for confirmation from the beginning.
        values |= {"sent_at": at, "commitment_asks": 0, "is_doubtful": is_doubtful}
    if is_out is not None:
        values["is_out"] = is_out
    if _write(session, delivery, values):
        _note(session, delivery, f"delivery_{state.lower()}", at=at, actor=actor, reason=reason)


def postpone(
    session: Session,
    delivery: Delivery,
    *,
    at: datetime,
    until: datetime,
    actor: str,
    reason: str,
    is_out: bool | None = None,
) -> None:
    """End an attempt that failed and may succeed later; `is_out` as in `finish`."""
    values: dict[str, Any] = {
        "next_attempt_at": until,
        "reason": reason,
        "lease_owner": None,
        "lease_until": None,
    }
    if is_out is not None:
        values["is_out"] = is_out
    is_news = reason != delivery.reason
    if _write(session, delivery, values) and is_news:
        # The timeline says once what is wrong, not once an attempt for three days.
        _note(session, delivery, "delivery_postponed", at=at, actor=actor, reason=reason)


def _write(session: Session, delivery: Delivery, values: dict[str, Any]) -> bool:
    """Write an attempt's end if the lease is still ours."""
    written = session.execute(
        update(Delivery)
        .where(
            Delivery.id == delivery.id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.lease_owner.is_not_distinct_from(delivery.lease_owner),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount == 1


def _note(
    session: Session, delivery: Delivery, event: str, *, at: datetime, actor: str, reason: str
) -> None:
    artifact = cast("Artifact", session.get(Artifact, delivery.artifact_id))
    store.note(
        session,
        delivery.study_id,
        event,
        at=at,
        actor=actor,
        destination=delivery.destination,
        kind=artifact.kind,
        language=artifact.language,
        uid=artifact.uid,
        attempts=delivery.attempts,
        reason=reason,
    )


def drop_pending(session: Session, study: int, *, at: datetime, actor: str, reason: str) -> None:
    """Drop what of a study was not sent yet: its draft is no longer the study's own.

    What is being sent this moment is left to its sender, who knows how it ends and looks whether
    the draft is current before every attempt.
    """
    pending = session.scalars(
        select(Delivery).where(
            Delivery.study_id == study,
            Delivery.state == DeliveryState.PENDING,
            or_(Delivery.lease_until.is_(None), Delivery.lease_until < at),
        )
    ).all()
    for delivery in pending:
        finish(session, delivery, DeliveryState.DROPPED, at=at, actor=actor, reason=reason)


def park(
    session: Session, uid: str, *, destination: str | None, at: datetime, actor: str, reason: str
) -> int:
    """Park an object's PENDING deliveries because a person said so; return how many.

    What is being sent this moment is left to its sender.
    """
    query = (
        select(Delivery)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .where(
            Artifact.uid == uid,
            Delivery.state == DeliveryState.PENDING,
            or_(Delivery.lease_until.is_(None), Delivery.lease_until < at),
        )
    )
    if destination is not None:
        query = query.where(Delivery.destination == destination)
    waiting = session.scalars(query).all()
    for delivery in waiting:
        finish(session, delivery, DeliveryState.PARKED, at=at, actor=actor, reason=reason)
    return len(waiting)


def retry_parked(session: Session, study: int, *, at: datetime, actor: str) -> int:
    """Make a study's PARKED deliveries PENDING again; return how many."""
    parked = session.scalars(
        select(Delivery)
        .join(Draft, Draft.id == Delivery.draft_id)
        # A text that was purged cannot be sent any more.
        .where(
            Delivery.study_id == study, Delivery.state == DeliveryState.PARKED, Draft.report != ""
        )
    ).all()
    for delivery in parked:
        delivery.state = DeliveryState.PENDING
        delivery.next_attempt_at = at
        delivery.first_attempt_at = None
        delivery.renewed_at = at
        delivery.dismissed_at = None
        delivery.is_doubtful = False
        delivery.commitment_denials = 0
        _note(session, delivery, "delivery_retried", at=at, actor=actor, reason="")
    session.flush()
    return len(parked)


def hurry(session: Session, study: int, *, at: datetime) -> int:
    """Make a study's waiting deliveries due at once; return how many."""
    channels.release(session, study)
    written = session.execute(
        update(Delivery)
        .where(Delivery.study_id == study, Delivery.state == DeliveryState.PENDING)
        .values(next_attempt_at=at)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount


def deliveries_of(session: Session, study: int) -> Sequence[tuple[Delivery, Artifact]]:
    """Return a study's deliveries with what they carry, oldest first."""
    rows = session.execute(
        select(Delivery, Artifact)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .where(Delivery.study_id == study)
        .order_by(Delivery.id)
    ).all()
    return [(row[0], row[1]) for row in rows]


def count_deliveries(session: Session) -> dict[tuple[str, DeliveryState], int]:
    """Return how many deliveries each destination has in each state."""
    rows = session.execute(
        select(Delivery.destination, Delivery.state, func.count()).group_by(
            Delivery.destination, Delivery.state
        )
    )
    return {(row[0], DeliveryState(row[1])): row[2] for row in rows}
