"""Where received files live: a folder that is durable before anything else knows of it.

```
inbox/NAME.dcm                      received, answered Success, not yet indexed: the write-ahead log
studies/STUDY/SERIES/SOP-DIGEST.dcm indexed: a row points here
quarantine/NAME.dcm                 received, but no row could be made of it; never deleted
partial/                            being written; emptied at the start
```

A file enters the inbox whole (written, synced, renamed, folder synced). The indexer links it into
`studies/`, commits its rows and only then removes the inbox entry, so that a crash at any point
leaves either an inbox entry (indexed again, to the same rows) or a finished index entry.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Enough of a SHA-256 to tell two contents under one UID apart in a file name; rows hold all of it.
_NAME_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file in the inbox.

    Attributes:
        digest: SHA-256 over the data set and its transfer syntax, not over the file meta header,
            in which the sender's name stands.
    """

    path: Path
    digest: str
    size_bytes: int


class InstanceFiles:
    """The folders of one installation."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox = root / "inbox"
        self.studies = root / "studies"
        self.quarantine = root / "quarantine"
        self.partial = root / "partial"

    def prepare(self) -> None:
        """Make the folders; remove what a crash left half written (it was never answered)."""
        for folder in (self.inbox, self.studies, self.quarantine, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.partial.iterdir():
            leftover.unlink(missing_ok=True)

    def receive(
        self,
        *,
        header: bytes,
        body: Iterable[bytes | memoryview],
        salt: str,
        inspect: Callable[[Path], None] = lambda _path: None,
    ) -> ReceivedFile:
        """Write a file durably into the inbox.

        Args:
            header: Preamble and file meta information.
            body: The data set as it came, in pieces.
            salt: The transfer syntax, so that equal bytes in another one differ.
            inspect: Looks at the whole file before it counts; what it raises refuses the file.

        Raises:
            OSError: The disk is full or fails; nothing partial is left.
        """
        name = f"{uuid.uuid4().hex}.dcm"
        partial = self.partial / name
        digest = hashlib.sha256(salt.encode("ascii"))
        size = len(header)
        try:
            with partial.open("xb") as file:
                file.write(header)
                for piece in body:
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            inspect(partial)
            final = self.inbox / name
            partial.rename(final)
            sync_folder(self.inbox)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return ReceivedFile(path=final, digest=digest.hexdigest(), size_bytes=size)

    def waiting(self) -> Iterator[Path]:
        """Yield the inbox's files, oldest first."""
        entries = [
            (e.stat().st_mtime_ns, Path(e.path)) for e in os.scandir(self.inbox) if e.is_file()
        ]
        for _, path in sorted(entries):
            yield path

    def link(self, path: Path, study_uid: str, series_uid: str, sop_uid: str, digest: str) -> str:
        """Give an inbox file its place in `studies/`; return that path relative to the root.

        The UIDs must have been validated: they become names of folders.
        """
        folder = self.studies / study_uid / series_uid
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{sop_uid}-{digest[:_NAME_DIGITS]}.dcm"
        with contextlib.suppress(FileExistsError):
            os.link(path, target)
        for made in (folder, folder.parent, self.studies):
            sync_folder(made)
        return str(target.relative_to(self.root))

    def forget(self, path: Path) -> None:
        """Remove an inbox entry whose rows are committed."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Move a file of which no row can be made to the quarantine."""
        target = self.quarantine / path.name
        path.rename(target)
        return target

    def resolve(self, relative: str) -> Path:
        """Return where an indexed file is."""
        return self.root / relative

    def free_bytes(self) -> int:
        """Return the disk's free bytes for us."""
        return shutil.disk_usage(self.root).free


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable: a renamed file is safe only then (POSIX fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
