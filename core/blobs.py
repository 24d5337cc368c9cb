"""Where instance files live: a folder that survives crashes, and the names in it.

```
partial/NAME        being written; emptied at the start, for nobody was told Success
inbox/NAME.dcm      whole, answered Success, not yet indexed: the write-ahead log;
                    NAME is moment-association-serial-size, in hexadecimal digits
studies/STUDY/SERIES/SOP-DIGEST.dcm   indexed: a row points here
quarantine/NAME.dcm received, but no row could be made of it; never deleted
```

A file is written in `partial/`, renamed into the inbox, and then file and folder are synced, before
anybody is told Success. In this order one commit of the file system's journal carries the data, the
size and the name, which halves the price of durability. The inbox may therefore hold, after a power
cut, a file that never was answered and is not whole: its name says the size that it must have.

The indexer syncs and links a file into `studies/`, commits its rows and only then removes the inbox
entry, so that a crash at any point leaves either an inbox entry (indexed again, to the same rows)
or a finished index entry. Names in the inbox sort by the moment at which the object was whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import itertools
import os
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Enough of a SHA-256 to tell two contents under one UID apart in a file name; rows hold all of it.
_NAME_DIGITS = 16
_SERIALS = itertools.count()
# Names that sort by their moment.
_IN_INBOX = re.compile(r"[0-9a-f]{16}-[^-]*-[0-9a-f]+-[0-9a-f]+\.dcm")
# sync_file_range(2), where there is one: Python has no name for it.
_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


@dataclass(frozen=True, kw_only=True)
class WaitingFile:
    """A file in the inbox.

    Attributes:
        arrived_ns: When it was whole, in nanoseconds since the epoch.
        association: Which association brought it.
        size_bytes: How large it must be; another size was torn by a power cut.
    """

    path: Path
    arrived_ns: int
    association: str
    size_bytes: int


def describe(path: Path) -> WaitingFile | None:
    """Return what an inbox file's name says; of another's file, what the folder says of it."""
    try:
        moment, association, _, size = path.name.removesuffix(".dcm").split("-")
        arrived_ns, size_bytes = int(moment, 16), int(size, 16)
    except ValueError:
        try:
            entry = path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(entry.st_mode):
            return None
        arrived_ns, association, size_bytes = entry.st_mtime_ns, "", entry.st_size
    return WaitingFile(
        path=path, arrived_ns=arrived_ns, association=association, size_bytes=size_bytes
    )


class Incoming:
    """An object on its way into the inbox: write to `descriptor`, then `keep` or `discard`."""

    def __init__(self, files: InstanceFiles, association: str) -> None:
        self._files = files
        self._association = association
        # The serial makes the name unique: two objects may be whole in the same nanosecond.
        self._serial = next(_SERIALS)
        self._path = f"{files.partial_text}/{association}-{self._serial:x}"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)

    def start_writing(self) -> None:
        """Let the disk begin with what was written, without waiting for it; a hint, no promise."""
        if _sync_file_range is not None:
            _sync_file_range(self.descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)

    def keep(self, *, is_synced: bool = True) -> Path:
        """Move the object into the inbox, durably; return where it is.

        Args:
            is_synced: Wait for the disk; else it outlives every process, but no power cut.

        Raises:
            OSError: The disk is full or fails; nothing is left.
        """
        try:
            size = os.fstat(self.descriptor).st_size
            name = f"{time.time_ns():016x}-{self._association}-{self._serial:x}-{size:x}.dcm"
            final = f"{self._files.inbox_text}/{name}"
            os.rename(self._path, final)  # noqa: PTH104  paths as objects cost more than the call
            self._path = final
            if is_synced:
                os.fsync(self.descriptor)
                sync_folder(self._files.inbox)
        except BaseException:
            self.discard()
            raise
        self._close()
        return Path(final)

    def discard(self) -> None:
        """Forget an object that was not answered Success; may be called again."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108  as above
        self._close()

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class InstanceFiles:
    """The folders of one installation."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox = root / "inbox"
        self.studies = root / "studies"
        self.quarantine = root / "quarantine"
        self.partial = root / "partial"
        self.inbox_text, self.partial_text = str(self.inbox), str(self.partial)

    def prepare(self, leftovers_of: str | None = "") -> None:
        """Make the folders; remove what a crash left half written (it was never answered).

        Args:
            leftovers_of: How the names of the associations begin whose objects are removed: those
                of one receiving process that was restarted, while others go on. None: nothing is.
        """
        for folder in (self.inbox, self.studies, self.quarantine, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        if leftovers_of is not None:
            for leftover in self.partial.glob(f"{leftovers_of}*"):
                leftover.unlink(missing_ok=True)

    def incoming(self, association: str) -> Incoming:
        """Begin an object.

        Raises:
            OSError: The disk is full or fails.
        """
        return Incoming(self, association)

    def waiting(self, most: int | None = None) -> list[WaitingFile]:
        """Return the inbox's files, oldest first; so many at most, where many may wait."""
        with os.scandir(self.inbox) as entries:
            found_names = (entry.name for entry in entries)
            names = sorted(found_names) if most is None else heapq.nsmallest(most, found_names)
        found = (describe(self.inbox / name) for name in names)
        return [file for file in found if file is not None]

    def oldest_arrival_ns(self) -> int | None:
        """Return when the oldest file of the inbox was whole; None where it is empty."""
        asked = []
        oldest = ""
        with os.scandir(self.inbox) as entries:
            for entry in entries:
                name = entry.name
                if not _IN_INBOX.fullmatch(name):
                    asked.append(name)
                elif not oldest or name < oldest:
                    oldest = name
        if oldest:
            asked.append(oldest)
        found = (describe(self.inbox / name) for name in asked)
        return min((file.arrived_ns for file in found if file is not None), default=None)

    def link(self, path: Path, study_uid: str, series_uid: str, sop_uid: str, digest: str) -> str:
        """Give an inbox file its place in `studies/`; return that path relative to the root.

        The place is durable only after `sync_places`. The UIDs must have been validated: they
        become names of folders.

        Raises:
            FileNotFoundError: The file is gone: its receiver took it back, or it was indexed.
            OSError: The disk is full or fails.
        """
        folder = self.studies / study_uid / series_uid
        target = folder / f"{sop_uid}-{digest[:_NAME_DIGITS]}.dcm"
        with contextlib.suppress(FileExistsError):
            try:
                os.link(path, target)
            except FileNotFoundError:
                # A new series; where the file itself is gone, the second attempt says so again.
                folder.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
        return str(target.relative_to(self.root))

    def sync_places(self, relatives: Iterable[str]) -> None:
        """Make the places of linked files durable, each folder once.

        Also where the folders were there before: a crash may have come between making and syncing.
        """
        series = {self.resolve(relative).parent for relative in relatives}
        for folder in [*series, *{folder.parent for folder in series}]:
            sync_folder(folder)
        if series:
            sync_folder(self.studies)

    def forget(self, path: Path) -> None:
        """Remove an inbox entry whose rows are committed."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Move a file of which no row can be made to the quarantine; nothing there is replaced.

        Raises:
            FileNotFoundError: It is gone.
            OSError: The disk fails.
        """
        target = self.quarantine / path.name
        for number in itertools.count(1):
            try:
                os.link(path, target, follow_symlinks=False)
                break
            except FileExistsError:
                target = self.quarantine / f"{path.name}.{number}"
        path.unlink(missing_ok=True)
        return target

    def resolve(self, relative: str) -> Path:
        """Return where an indexed file is."""
        return self.root / relative

    def free_bytes(self) -> int:
        """Return the disk's free bytes for us."""
        return self.free_and_total_bytes()[0]

    def free_and_total_bytes(self) -> tuple[int, int]:
        """Return the disk's free bytes for us, and how many it has."""
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable: a renamed file is safe only then (POSIX fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
