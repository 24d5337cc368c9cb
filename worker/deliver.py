"""One attempt of one delivery: claim, look again, render once, verify, send, write how it ended.

Reasons, in which a peer's own words may stand, go into the timeline and never into the log.
What can go wrong here never stops another delivery: a destination that is down postpones its own
rows, one that refuses parks them with its words.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, outbox, store
from core.database import reading, writing
from core.errors import PermanentError, TransientError
from core.lifecycle import DeliveryState
from core.log import log
from core.report import from_json
from core.tables import Artifact, Delivery, Draft
from worker import auditing
from worker.destinations import find_destination
from worker.destinations.base import EarlierDocument, Receipt, Source
from worker.parts import Parts

_log = log(__name__)
# A claim covers connecting, sending and waiting for the answer, with room for a slow disk.
_LEASE_TIMEOUTS = 4


def deliver(parts: Parts, delivery_id: int) -> bool:
    """Attempt a delivery if it is due; True where it is out of the way (sent, parked, dropped)."""
    lease = timedelta(seconds=parts.settings.delivery.timeout_seconds * _LEASE_TIMEOUTS)
    with writing(parts.engine) as session:
        at = parts.clock()
        delivery = outbox.claim(session, delivery_id, owner=parts.name, at=at, lease=lease)
        if delivery is None:
            return False
        if not outbox.is_current(session, delivery):
            reason = "the draft was superseded or withheld before it was sent"
            _finish(parts, session, delivery, DeliveryState.DROPPED, reason)
            return True
    try:
        note = _attempt(parts, delivery).note
    except TransientError as error:
        return _postpone(parts, delivery, str(error))
    except PermanentError as error:
        end, note = DeliveryState.PARKED, str(error)
    except Exception as error:  # noqa: BLE001  the delivery's border: one row never stops another
        _log.error("delivery_crashed", delivery=delivery.id, exc_info=error)
        return _postpone(parts, delivery, f"unexpected {type(error).__name__}")
    else:
        end = DeliveryState.SENT
    with writing(parts.engine) as session:
        _finish(parts, session, delivery, end, note)
    _ring_next(parts, delivery)
    return True


def _attempt(parts: Parts, delivery: Delivery) -> Receipt:
    """Send one object; return the peer's yes.

    Raises:
        TransientError, PermanentError: It was not sent, or nobody knows whether it was.
    """
    destination = find_destination(parts.settings, delivery.destination)
    if destination is None:
        raise PermanentError(f"{delivery.destination} is no longer in the settings")
    source, content = _read(parts, delivery)
    if content is None:
        content = _keep(parts, delivery, destination.render(source))
    destination.verify(content, source)
    return destination.send(content)


def _read(parts: Parts, delivery: Delivery) -> tuple[Source, bytes | None]:
    """Return what an object is made of, and its bytes where an attempt has made them."""
    with reading(parts.engine) as session:
        draft = session.get_one(Draft, delivery.draft_id)
        artifact = session.get_one(Artifact, delivery.artifact_id)
        source = Source(
            report=from_json(draft.report),
            header=store.header_of(session, store.get(session, delivery.study_id)),
            kind=artifact.kind,
            language=artifact.language,
            uid=artifact.uid,
            report_version=draft.report_version,
            created_at=draft.created_at,
            predecessor=_predecessor(session, delivery, draft, artifact),
            order=ordering.reference_of(session, delivery.study_id),
        )
        return source, artifact.content


def _keep(parts: Parts, delivery: Delivery, rendered: bytes) -> bytes:
    """Store an object's bytes before its first attempt; return the ones that stand."""
    with writing(parts.engine) as session:
        artifact = session.get_one(Artifact, delivery.artifact_id)
        return outbox.keep_content(session, artifact, rendered)


def _predecessor(
    session: Session, delivery: Delivery, draft: Draft, artifact: Artifact
) -> EarlierDocument | None:
    """Return the newest earlier document of the same kind and language that a peer has.

    One that this very destination has goes before all others.
    """
    is_at_hand = Delivery.destination == delivery.destination
    found = session.execute(
        select(Artifact, Draft.report_version, Delivery.destination)
        .join(Draft, Draft.id == Artifact.draft_id)
        .join(Delivery, Delivery.artifact_id == Artifact.id)
        .where(
            Draft.study_id == draft.study_id,
            Draft.report_version < draft.report_version,
            Artifact.kind == artifact.kind,
            Artifact.language == artifact.language,
            Delivery.state.in_([DeliveryState.SENT, DeliveryState.CONFIRMED]),
        )
        .order_by(is_at_hand.desc(), Draft.report_version.desc())
    ).first()
    if found is None:
        return None
    earlier, report_version, name = found
    return EarlierDocument(
        uid=earlier.uid, report_version=report_version, destination=name, content=earlier.content
    )


def _postpone(parts: Parts, delivery: Delivery, reason: str) -> bool:
    """Write a failure that may pass, or give up after hours of them; True where given up."""
    limits = parts.settings.delivery
    at = parts.clock()
    since = delivery.first_attempt_at or at
    if at - since > timedelta(hours=limits.give_up_hours):
        with writing(parts.engine) as session:
            words = f"given up after {limits.give_up_hours:g} h: {reason}"
            _finish(parts, session, delivery, DeliveryState.PARKED, words)
        return True
    # 2**attempts overflows no float here, but would cost a huge integer after days of attempts.
    wait = min(
        limits.retry_seconds * 2.0 ** min(delivery.attempts - 1, 32), limits.retry_max_seconds
    )
    with writing(parts.engine) as session:
        until = at + timedelta(seconds=wait)
        outbox.postpone(session, delivery, at=at, until=until, actor=parts.name, reason=reason)
    _log.warning(
        "delivery_postponed",
        delivery=delivery.id,
        destination=delivery.destination,
        seconds=wait,
    )
    return False


def _finish(
    parts: Parts, session: Session, delivery: Delivery, state: DeliveryState, reason: str
) -> None:
    outbox.finish(session, delivery, state, at=parts.clock(), actor=parts.name, reason=reason)
    auditing.tell_delivery(parts, session, delivery, state, reason)
    _log.info(
        "delivery_ended",
        delivery=delivery.id,
        destination=delivery.destination,
        state=state,
    )


def _ring_next(parts: Parts, delivery: Delivery) -> None:
    """Ring for what waited behind this delivery: a destination gets a study's objects in turn."""
    with reading(parts.engine) as session:
        due = set(outbox.due(session, at=parts.clock()))
        rows = outbox.deliveries_of(session, delivery.study_id)
    for row, _artifact in rows:
        if row.id in due and row.destination == delivery.destination:
            parts.doorbell.ring_delivery(row.id)
