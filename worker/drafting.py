"""Several studies are drafted at once: threads that take them from the database.

A ring only wakes a thread, and which study comes next says the database. So Celery's part is done
in a moment however long a draft takes: it holds no message while the broker is away, and a beat
that waits behind a hundred rings is answered at once.
"""

from __future__ import annotations

import threading

from core.log import log
from worker.parts import Parts
from worker.pipeline import claim_next, draft_claimed

_log = log(__name__)


class DraftingThreads:
    """Threads that draft while there is something due."""

    def __init__(self, parts: Parts, count: int) -> None:
        """Start nothing yet."""
        self._parts = parts
        self._condition = threading.Condition()
        self._rings = 0
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"draft-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Let one more thread look for what is due.

        Rings that come while all are at work count up to the number of threads: each of them looks
        once more when it has drafted all it found.
        """
        with self._condition:
            self._rings = min(self._rings + 1, len(self._threads))
            self._condition.notify()

    def stop(self) -> None:
        """Take nothing more, and wait for the drafts under way."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while self._is_woken():
            try:
                while not self._is_stopping and (study := claim_next(self._parts)):
                    draft_claimed(self._parts, study)
            except Exception:  # noqa: BLE001 - a thread that ended would be missed by nobody
                # The database was away, say. What is due is rung for again by the sweep.
                _log.exception("drafting_interrupted")

    def _is_woken(self) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: self._rings or self._is_stopping)
            self._rings -= 1
            return not self._is_stopping
