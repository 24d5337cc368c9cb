"""Notices a consumer that lives on without hearing.

Celery workers have been seen to stay connected and take nothing any more after their broker came
back. A ring is answered in milliseconds here, so that messages which wait while none is taken prove
that nobody listens.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from core.errors import TransientError
from core.log import log
from core.queue import Doorbell

_log = log(__name__)
_LOOK_SECONDS = 5.0
_DEAF_LOOKS = 6
# A consumer that is stopped ends what is at hand; one that does not even hear that is ended.
_STOP_SECONDS = 60.0
_EXIT_CODE = 75  # sysexits.h, EX_TEMPFAIL: the supervisor starts it again


class HearingTest:
    """Compares what waits in a queue with what was taken from it."""

    def __init__(
        self, doorbell: Doorbell, queue: str, on_deaf: Callable[[], None] | None = None
    ) -> None:
        """Look at nothing yet."""
        self._doorbell = doorbell
        self._queue = queue
        self._on_deaf = on_deaf or _end
        self._heard = threading.Event()
        self._ended = threading.Event()
        self._silent_looks = 0

    def heard(self) -> None:
        """A message was taken."""
        self._heard.set()

    def start(self) -> None:
        """Look now and then until `stop`."""
        threading.Thread(target=self._run, name="hearing", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> bool:
        """Look once; True where messages have waited for too long and none was taken."""
        was_heard = self._heard.is_set()
        self._heard.clear()
        try:
            waits = self._doorbell.waiting(self._queue) > 0
        except TransientError:
            # Nobody hears a broker that is away.
            waits = False
        self._silent_looks = self._silent_looks + 1 if waits and not was_heard else 0
        return self._silent_looks >= _DEAF_LOOKS

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if self.look():
                _log.error("consumer_deaf", seconds=_DEAF_LOOKS * _LOOK_SECONDS)
                self._on_deaf()
                return


def _end() -> None:
    """End this process, so that it is started again."""
    threading.Timer(_STOP_SECONDS, os._exit, (_EXIT_CODE,)).start()
    os.kill(os.getpid(), signal.SIGTERM)
