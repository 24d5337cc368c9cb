"""One attempt of one delivery: claim, look again, render once, verify, send, write how it ended.

Reasons, in which a peer's own words may stand, go into the timeline and never into the log.
What can go wrong here never stops another delivery: a destination that is down postpones its own
rows, one that refuses parks them with its words.

Two layers of retry: a connection that breaks is tried again at once, within the attempt; whatever
outlasts that waits in the row, for seconds that double to minutes.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from core import channels, outbox, versions
from core.database import reading, writing
from core.errors import (
    NoConnectionError,
    PeerRefusedError,
    PeerUnreachableError,
    PermanentError,
    TransientError,
    UnclearAnswerError,
)
from core.lifecycle import DeliveryState
from core.log import log
from core.tables import Artifact, Delivery
from worker import auditing, before_sending
from worker.destinations import Destination, find_destination
from worker.destinations.base import Receipt, Source
from worker.parts import Parts
from worker.sources import source_of

_log = log(__name__)
# A claim covers connecting, sending and waiting for the answer, with room for a slow disk.
_LEASE_TIMEOUTS = 4
# A failure that took longer was no hiccup of the network; the task's own retries are for that.
_QUICK_FAILURE_SECONDS = 2.0


def deliver(parts: Parts, delivery_id: int) -> bool:
    """Attempt a delivery if it is due; True where it is out of the way (sent, parked, dropped)."""
    delivery = _claim(parts, delivery_id)
    if delivery is None:
        return False
    receipt, obstacle = Receipt(), ""
    try:
        obstacle = before_sending.look(parts, delivery)
        if not obstacle:
            receipt = _attempt(parts, delivery)
    except TransientError as error:
        return _postpone(parts, delivery, error)
    except PermanentError as error:
        problem: PermanentError | None = error
    except Exception as error:  # noqa: BLE001  the delivery's border: one row never stops another
        _log.error("delivery_crashed", delivery=delivery.id, exc_info=error)
        return _postpone(parts, delivery, TransientError(f"unexpected {type(error).__name__}"))
    else:
        problem = None
    if obstacle:
        _drop(parts, delivery, obstacle)
    else:
        _end(parts, delivery, receipt, problem)
    _ring_next(parts, delivery)
    return True


def _claim(parts: Parts, delivery_id: int) -> Delivery | None:
    delivery = parts.settings.delivery
    tries = 1 + delivery.quick_retries
    lease = timedelta(seconds=delivery.timeout_seconds * (_LEASE_TIMEOUTS + tries))
    with writing(parts.engine) as session:
        return outbox.claim(
            session,
            delivery_id,
            owner=parts.name,
            at=parts.clock(),
            lease=lease,
            pace=lambda name: _per_minute(parts, name),
        )


def _per_minute(parts: Parts, name: str) -> int:
    destination = find_destination(parts.settings, name)
    return destination.per_minute if destination is not None else 0


def _attempt(parts: Parts, delivery: Delivery) -> Receipt:
    """Send one object; return the peer's yes.

    Raises:
        TransientError, PermanentError: It was not sent, or nobody knows whether it was.
    """
    destination = find_destination(parts.settings, delivery.destination)
    if destination is None:
        raise PermanentError(f"{delivery.destination} is no longer in the settings")
    with reading(parts.engine) as session:
        source, content = source_of(parts, session, delivery)
    if content is None:
        rendered = destination.render(source)
        # Proved before it is kept: what is kept stays as it is, and the order may not.
        destination.verify(rendered, source)
        content = _keep(parts, delivery, rendered, source)
        if content == rendered:
            return _send(parts, delivery, destination, content)
    destination.verify(content, replace(source, is_fixed=True))
    return _send(parts, delivery, destination, content)


def _send(parts: Parts, delivery: Delivery, destination: Destination, content: bytes) -> Receipt:
    """Send; where the network hiccups, send the same bytes again at once."""
    settings = parts.settings.delivery
    pause = settings.quick_retry_seconds
    for _ in range(settings.quick_retries):
        began = time.monotonic()
        try:
            return _try(delivery, destination, content)
        except PeerUnreachableError:
            if time.monotonic() - began > _QUICK_FAILURE_SECONDS:
                raise
        time.sleep(pause)
        pause *= 2
    return _try(delivery, destination, content)


def _try(delivery: Delivery, destination: Destination, content: bytes) -> Receipt:
    """Send once; note in the delivery whether the peer may have the object now."""
    was_out, delivery.is_out = delivery.is_out, True
    try:
        return destination.send(content)
    except (NoConnectionError, PeerRefusedError):
        # It has nothing of this try; what an earlier one left open stays so.
        delivery.is_out = was_out
        raise


def _keep(parts: Parts, delivery: Delivery, rendered: bytes, source: Source) -> bytes:
    """Store an object's bytes before its first attempt; return the ones that stand."""
    digest = versions.header_digest(source.header)
    sent_as = {"header": asdict(source.header), "order": asdict(source.order)}
    with writing(parts.engine) as session:
        artifact = session.get_one(Artifact, delivery.artifact_id)
        return outbox.keep_content(
            session, artifact, rendered, header_digest=digest, sent_as=sent_as
        )


def _postpone(parts: Parts, delivery: Delivery, error: TransientError) -> bool:
    """Write a failure that may pass, or give up after hours of them; True where given up."""
    limits = parts.settings.delivery
    at = parts.clock()
    with writing(parts.engine) as session:
        failing_since = _note_channel(parts, session, delivery, error, at=at)
        since = min(delivery.first_attempt_at or at, failing_since or at)
        if at - since > timedelta(hours=limits.give_up_hours):
            why = f"given up after {limits.give_up_hours:g} h: {error}"
            _finish(parts, session, delivery, DeliveryState.PARKED, why, words=error.words)
            return True
        wait = _wait(parts, delivery.attempts)
        until = at + timedelta(seconds=wait)
        outbox.postpone(
            session,
            delivery,
            at=at,
            until=until,
            actor=parts.name,
            reason=_in_words(str(error), error.words),
            is_out=delivery.is_out,
        )
    _log.warning(
        "delivery_postponed",
        delivery=delivery.id,
        destination=delivery.destination,
        seconds=wait,
    )
    return False


def _wait(parts: Parts, failures: int) -> float:
    """Return the seconds before the next attempt after so many failures in a row."""
    limits = parts.settings.delivery
    # 2**failures overflows no float here, but would cost a huge integer after days of attempts.
    return min(limits.retry_seconds * 2.0 ** min(failures - 1, 32), limits.retry_max_seconds)


def _note_channel(
    parts: Parts, session: Session, delivery: Delivery, error: TransientError, *, at: datetime
) -> datetime | None:
    """Note what a failure says of the destination; return since when this delivery waits for it.

    It waits while another one is tried in its place, but not from before it was made or was to be
    sent again. None: the destination was there until now.
    """
    name = delivery.destination
    if not isinstance(error, PeerUnreachableError):
        channels.answer(session, name)
        return None
    failures, since = channels.failures(session, name)
    until = at + timedelta(seconds=_wait(parts, failures + 1))
    channels.fail(session, name, at=at, until=until)
    return None if since is None else max(since, delivery.renewed_at or delivery.created_at)


def _drop(parts: Parts, delivery: Delivery, reason: str) -> None:
    with writing(parts.engine) as session:
        channels.let_go(session, delivery.destination, at=parts.clock())
        _finish(parts, session, delivery, DeliveryState.DROPPED, reason)


def _end(
    parts: Parts, delivery: Delivery, receipt: Receipt, problem: PermanentError | None
) -> None:
    with writing(parts.engine) as session:
        is_back = False
        if problem is None or isinstance(problem, PeerRefusedError | UnclearAnswerError):
            is_back = channels.answer(session, delivery.destination)
        else:
            channels.let_go(session, delivery.destination, at=parts.clock())
        if problem is None:
            _finish(parts, session, delivery, DeliveryState.SENT, receipt.note, receipt=receipt)
        else:
            words = problem.words
            _finish(parts, session, delivery, DeliveryState.PARKED, str(problem), words=words)
    if is_back:
        _log.info("destination_is_back", destination=delivery.destination)


def _in_words(sentence: str, words: str) -> str:
    """Return a sentence, with the peer's own words behind it."""
    return f"{sentence} It said: {words}" if words else sentence


def _finish(
    parts: Parts,
    session: Session,
    delivery: Delivery,
    state: DeliveryState,
    reason: str,
    *,
    words: str = "",
    receipt: Receipt | None = None,
) -> None:
    """Write how an attempt ended; a peer's own words may name a patient, and are not audited."""
    outbox.finish(
        session,
        delivery,
        state,
        at=parts.clock(),
        actor=parts.name,
        reason=_in_words(reason, words),
        is_doubtful=receipt is not None and receipt.is_doubtful,
        is_out=delivery.is_out,
    )
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
        due = set(outbox.due(session, at=parts.clock(), study=delivery.study_id))
        rows = outbox.deliveries_of(session, delivery.study_id)
    for row, _artifact in rows:
        if row.id in due and row.destination == delivery.destination:
            parts.doorbell.ring_delivery(row.id)
