"""The audit trail's files: one a day, one message a line, never changed and never removed by us.

```
audit/YYYY-MM-DD.xml.log   the day (UTC) of writing; mode 0600 in a folder of mode 0700
audit/unwritten            there while messages could not be written; its age says since when
audit/shipped.json         how far each file was sent to the audit repository
```

Several processes append at once: each takes a lock on the file for one write. What a killed process
or a full disk left of a line is ended before the next one is written, so that it spoils no other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

_SUFFIX = ".xml.log"
_DAY_PATTERN = "[0-9]" * 4 + "-" + "[0-9]" * 2 + "-" + "[0-9]" * 2 + _SUFFIX
_LINE_END = b"\n"
# A writer holds the lock for microseconds; one that is stopped in between must not stop reception.
_LOCK_ATTEMPTS = 50
_LOCK_PAUSE_SECONDS = 0.005


class AuditFiles:
    """The folder `audit/` of one installation.

    Args:
        root: The data folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "audit"
        self._mark = self.folder / "unwritten"

    def append(self, line: bytes, *, at: datetime) -> None:
        """Add one message to its day's file.

        The operating system has it when this returns: it survives the death of any process; it is
        not waited for the disk.

        Raises:
            OSError: It was not written; nothing of it is left behind.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{at.astimezone(UTC):%Y-%m-%d}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with _locked(descriptor):
                _append(descriptor, line + _LINE_END)
        finally:
            os.close(descriptor)

    def days(self) -> list[Path]:
        """Return the files of all days, oldest first."""
        return sorted(self.folder.glob(_DAY_PATTERN))

    def mark_unwritten(self) -> None:
        """Leave a sign that messages are missing, as well as a failing disk allows."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # An empty file needs no block: it can often be made on a full disk. Its age is kept.
            os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def unmark_unwritten(self) -> None:
        """Take the sign away: the gap itself stands in the trail now."""
        with contextlib.suppress(OSError):
            self._mark.unlink()

    def unwritten_since(self) -> datetime | None:
        """Return since when messages are missing; None where none are."""
        try:
            return datetime.fromtimestamp(self._mark.stat().st_mtime, tz=UTC)
        except OSError:
            return None


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a file against other writers; closing the descriptor lets it go.

    Raises:
        OSError: Somebody else holds it for too long.
    """
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            yield
            return
    raise OSError(errno.EDEADLK, "the audit file stays locked")


def _append(descriptor: int, line: bytes) -> None:
    """Write a whole line at a file's end, or nothing."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != _LINE_END:
        line = _LINE_END + line
    try:
        is_whole = os.write(descriptor, line) == len(line)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if not is_whole:
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, "the disk took only a part of the line")
