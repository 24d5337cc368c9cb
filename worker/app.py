"""Celery: the tasks, and the worker processes that run them.

A task gets an id and asks the database what it means; everything that may be lost here is rung for
again by the sweep.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init

from core import log, store
from core.database import writing
from core.process import die_with_parent
from core.queue import (
    BEAT_TASK,
    DELIVER_QUEUE,
    DELIVER_TASK,
    DRAFT_QUEUE,
    DRAFT_TASK,
    make_app,
)
from core.settings import Settings
from worker.deliver import deliver
from worker.parts import Parts
from worker.pipeline import draft_next

# One drafting process: a model fills a device, and two on one would halve each other. Delivering
# waits for peers, so that a few processes keep a slow destination from holding up the rest.
_PROCESSES = {DRAFT_QUEUE: 1, DELIVER_QUEUE: 3}


def make_worker(parts: Parts) -> Celery:
    """Return the Celery application with its tasks."""
    app = make_app(parts.settings)

    @app.task(name=DRAFT_TASK)
    def draft(study: int) -> None:
        # The number is for whoever looks into the queue; what comes next, the database says.
        del study
        draft_next(parts)

    @app.task(name=DELIVER_TASK)
    def deliver_one(delivery: int) -> None:
        deliver(parts, delivery)

    @app.task(name=BEAT_TASK)
    def beat(queue: str) -> None:
        with writing(parts.engine) as session:
            store.beat(session, f"worker:{queue}", at=parts.clock())

    del draft, deliver_one, beat
    return app


def run_worker(settings: Settings, queue: str) -> int:
    """Consume a queue until told to stop; return the exit code.

    The pool forks: its main process only consumes and hands on, so that it keeps its connection
    alive however long a draft takes.
    """
    setup_logging.connect(_keep_our_logging, weak=False)
    worker_process_init.connect(_prepare_child, weak=False)
    app = make_worker(Parts(settings=settings))
    worker: Any = app.Worker(
        queues=[queue],
        concurrency=_PROCESSES[queue],
        pool="prefork",
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
