"""Listener, follower and sender in one process, so that one signal ends all three anywhere."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from core import database, log, outbox
from core.process import die_with_parent
from core.settings_file import load
from core.settings_orders import OrdersSettings
from harness.site import RecordingBell
from hl7.listener import OrdersListener
from worker.deliver import deliver
from worker.orders import OrdersLoop
from worker.parts import Parts

# A server that has imported everything forks the processes: to start one anew takes seconds.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


def start_process(config: Path, port: int, log_file: Path) -> BaseProcess:
    """Start the three on an installation's settings."""
    # Until Python 3.13 the server does not look for what it preloads where we look.
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(sys.path))
    process = _context.Process(target=_serve, args=(config, port, log_file))
    process.start()
    return process


def _serve(config: Path, port: int, log_file: Path) -> None:
    die_with_parent()
    with log_file.open("a", encoding="utf-8") as stream:
        log.configure(stream)
        settings = load(config, {})
        orders = OrdersSettings(port=port)
        parts = Parts(settings=settings.model_copy(update={"orders": orders}))
        vars(parts)["doorbell"] = RecordingBell()
        OrdersListener(parts.settings, parts.engine).start()
        OrdersLoop(parts).start()
        while True:
            # A sending task that fails on the database is rung for again by the sweep.
            try:
                with database.reading(parts.engine) as session:
                    due = outbox.due(session, at=parts.clock())
                for delivery in due:
                    deliver(parts, delivery)
            except SQLAlchemyError:
                log.log(__name__).exception("sending_failed")
            time.sleep(0.02)
