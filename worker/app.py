"""Celery: the tasks, and the worker processes that run them.

A task gets an id and asks the database what it means; everything that may be lost here is rung for
again by the sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init

from core import log, store
from core.database import writing
from core.process import die_with_parent
from core.queue import BEAT_TASK, DELIVER_TASK, DRAFT_TASK, make_app
from core.queue_names import DELIVER_QUEUE, DRAFT_QUEUE
from core.settings import Settings
from worker.deliver import deliver
from worker.drafting import DraftingThreads
from worker.hearing import HearingTest
from worker.parts import Parts

# Delivering waits for peers, so that a few processes keep a slow destination from holding up the
# rest.
_DELIVERING_PROCESSES = 3


def make_worker(
    parts: Parts,
    wake: Callable[[], None] = lambda: None,
    heard: Callable[[], None] = lambda: None,
) -> Celery:
    """Return the Celery application with its tasks.

    Args:
        parts: What the tasks work with.
        wake: Called for each ring for a study.
        heard: Called for each message of the drafting worker.
    """
    app = make_app(parts.settings)

    @app.task(name=DRAFT_TASK)
    def draft(study: int) -> None:
        # The number is for whoever looks into the queue; what comes next, the database says.
        del study
        heard()
        wake()

    @app.task(name=DELIVER_TASK)
    def deliver_one(delivery: int) -> None:
        deliver(parts, delivery)

    @app.task(name=BEAT_TASK)
    def beat(queue: str) -> None:
        heard()
        with writing(parts.engine) as session:
            store.beat(session, f"worker:{queue}", at=parts.clock())

    del draft, deliver_one, beat
    return app


def run_worker(settings: Settings, queue: str) -> int:
    """Consume a queue until told to stop; return the exit code."""
    setup_logging.connect(_keep_our_logging, weak=False)
    parts = Parts(settings=settings)
    return _draft(parts) if queue == DRAFT_QUEUE else _deliver(parts)


def _draft(parts: Parts) -> int:
    """Consume in the main thread; draft in threads that share the model and its batches."""
    threads = DraftingThreads(parts, parts.settings.model.in_flight)
    hearing = HearingTest(parts.doorbell, DRAFT_QUEUE)
    # Opened before a second thread could ask for them.
    _ = parts.name, parts.engine, parts.files, parts.drafter
    threads.start()
    hearing.start()
    app = make_worker(parts, wake=threads.wake, heard=hearing.heard)
    try:
        return _consume(app, DRAFT_QUEUE, pool="solo", concurrency=1)
    finally:
        hearing.stop()
        threads.stop()


def _deliver(parts: Parts) -> int:
    """Consume in the main process; deliver in children, which open what they need themselves."""
    worker_process_init.connect(_prepare_child, weak=False)
    app = make_worker(parts)
    return _consume(app, DELIVER_QUEUE, pool="prefork", concurrency=_DELIVERING_PROCESSES)


def _consume(app: Celery, queue: str, *, pool: str, concurrency: int) -> int:
    worker: Any = app.Worker(
        queues=[queue],
        concurrency=concurrency,
        pool=pool,
        hostname=f"{queue}@%h",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _keep_our_logging(**_: Any) -> None:
    """Keep Celery from setting up logging of its own; ours is in place."""
    log.configure()


def _prepare_child(**_: Any) -> None:
    die_with_parent()
