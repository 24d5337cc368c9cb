"""pynetdicom's reactor, held still for certain while we wait for answers.

The thread of an association looks for messages all the time and is to be paused while a request is
under way. pynetdicom tells that it is by a flag that is still set while the thread wakes up from
the pause before: a second request that follows the first at once finds it set, and then the thread
takes the answer off the queue and drops it ("Received unexpected C-FIND service message"). A match
that is lost that way is a missing image that nobody misses.

With `steady` the flag is set only while the thread really stands still.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association


def steady(association: Association) -> None:
    """Mend the pausing of an association's reactor; to be called before the first request."""
    association._reactor_checkpoint = _Checkpoint(association)  # noqa: SLF001  see above
    # Who passed the old checkpoint goes round once more before it is taken for paused.
    association._is_paused = False  # noqa: SLF001


class _Checkpoint(threading.Event):
    """Where the reactor waits; it keeps the association's flag true to what the thread does."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._turn = threading.Lock()
        self.set()

    def set(self) -> None:
        with self._turn:
            # From a handler, which the reactor itself runs, nothing is woken up.
            if threading.current_thread() is not self._association:
                self._association._is_paused = False  # noqa: SLF001
            super().set()

    def clear(self) -> None:
        with self._turn:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        with self._turn:
            if self.is_set():
                self._association._is_paused = False  # noqa: SLF001
                return True
        return super().wait(timeout)
