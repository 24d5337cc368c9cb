"""Errands: work that waits for a peer, a thread for each peer, so that none holds up another."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.log import log

_log = log(__name__)


class Errands:
    """Runs functions in threads of their own, never two under one key at once.

    A key is whatever tells peers apart; its last word names the thread. For work that the database
    remembers: whatever fails here is only logged, and due again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[tuple[str, ...], threading.Thread] = {}

    def start(self, key: tuple[str, ...], work: Callable[[], object]) -> bool:
        """Start some work; False where an errand under that key is still out."""
        with self._lock:
            if key in self._threads:
                return False
            thread = threading.Thread(target=self._run, args=(key, work), name=key[-1], daemon=True)
            self._threads[key] = thread
            thread.start()
            return True

    def is_out(self, key: tuple[str, ...]) -> bool:
        """Tell whether an errand is under way."""
        with self._lock:
            return key in self._threads

    def finish(self, seconds: float | None = None) -> None:
        """Wait until every errand is back, or for so many seconds each."""
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(seconds)

    def _run(self, key: tuple[str, ...], work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  the border of one peer's work
            _log.error("errand_failed", name=key[-1], exc_info=error)
        finally:
            with self._lock:
                self._threads.pop(key, None)
