"""Rings again for what is due, and takes back what a dead worker held.

The broker may lose every message: this loop is why no work is lost with it.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from core import outbox, store
from core.database import reading, writing
from core.errors import TransientError, TransitionError
from core.lifecycle import Event
from core.log import log
from core.queue_names import DELIVER_QUEUE, DRAFT_QUEUE, QUEUES
from worker.confirm import finish_confirming, start_confirming
from worker.orders import OrdersLoop
from worker.parts import Parts
from worker.purge import PurgeLoop
from worker.withdrawal import withdraw_ended

_log = log(__name__)
_BEAT_SECONDS = 15.0
# Archives that are being asked when we stop; what is not answered then is asked for again.
_FINISH_SECONDS = 3.0


class Sweep:
    """The loop; any number of them may run at once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._purge = PurgeLoop(parts)
        self._orders = OrdersLoop(parts)

    def run(self) -> None:
        """Sweep until `stop`."""
        self._purge.start()
        self._orders.start()
        pause = self._parts.settings.worker.sweep_seconds
        since_beat = _BEAT_SECONDS
        while not self._stopping.is_set():
            try:
                sweep_once(self._parts)
            except SQLAlchemyError:
                _log.exception("sweep_postponed")
            since_beat += pause
            if since_beat >= _BEAT_SECONDS:
                since_beat = 0.0
                for queue in QUEUES:
                    self._parts.doorbell.ring_beat(queue)
            self._stopping.wait(pause)
        finish_confirming(_FINISH_SECONDS)
        self._purge.stop()
        self._orders.stop()

    def stop(self) -> None:
        """End after the sweep at hand."""
        self._stopping.set()


def sweep_once(parts: Parts) -> None:
    """Take back expired claims and withdrawn drafts, ring for what is due, ask for confirmation."""
    _take_back(parts)
    withdraw_ended(parts)
    with reading(parts.engine) as session:
        at = parts.clock()
        studies = store.due_studies(session, at=at)
        deliveries = outbox.due(session, at=at)
    if studies and _is_unheard(parts, DRAFT_QUEUE, len(studies)):
        for study in studies:
            parts.doorbell.ring_study(study)
    if deliveries and _is_unheard(parts, DELIVER_QUEUE, len(deliveries)):
        for delivery in deliveries:
            parts.doorbell.ring_delivery(delivery)
    start_confirming(parts)


def _take_back(parts: Parts) -> None:
    worker = parts.settings.worker
    with reading(parts.engine) as session:
        expired = [study.id for study in store.expired_leases(session, at=parts.clock())]
    for study_id in expired:
        try:
            with writing(parts.engine) as session:
                study = store.get(session, study_id, lock=True)
                at = parts.clock()
                if study.lease_until is None or study.lease_until >= at:
                    # Renewed, or ended, since we looked.
                    continue
                store.fail_attempt(
                    session,
                    study,
                    Event.LEASE_EXPIRED,
                    at=at,
                    actor="sweep",
                    retry_at=at,
                    max_attempts=worker.max_attempts,
                    reason=f"the worker was silent for {timedelta(seconds=worker.lease_seconds)}",
                )
        except TransitionError:
            continue
        _log.warning("lease_expired", study=study_id)


def _is_unheard(parts: Parts, queue: str, due: int) -> bool:
    """Tell whether a queue holds fewer rings than there is work.

    Without this a long queue would be rung for in full at every sweep. A repeated ring is harmless,
    a missing one is noticed as soon as the queue has drained.
    """
    try:
        return parts.doorbell.waiting(queue) < due
    except TransientError:
        return False
