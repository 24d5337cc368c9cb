"""What the data folder holds, in files and bytes, and how much the disk has left.

The indexed objects are summed by the database: walking a million files would take minutes. The
folders beside them are small as long as all is well; they are walked, by a server not more often
than once a minute.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.blobs import InstanceFiles
from core.settings import Settings
from core.tables import Instance

# What a received object passes, and where it waits to be deleted.
WALKED_FOLDERS = ("inbox", "partial", "quarantine", "removing")
_CACHE_SECONDS = 60.0
_MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FolderUse:
    """What a folder holds."""

    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """The data folder and its disk.

    Attributes:
        folders: `studies` and the walked ones.
        minimum_free_bytes: The watermark: with less nothing is taken any more.
    """

    folders: dict[str, FolderUse]
    free_bytes: int
    total_bytes: int
    minimum_free_bytes: int

    @property
    def is_full(self) -> bool:
        """Whether associations are refused for want of room."""
        return self.free_bytes < self.minimum_free_bytes


class DiskGauge:
    """Measures one data folder; walks it again only when what it knows is a minute old."""

    def __init__(
        self,
        settings: Settings,
        *,
        seconds: float = _CACHE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._files = InstanceFiles(settings.data_dir)
        self._seconds = seconds
        self._now = now
        self._walked_at: float | None = None
        self._walked: dict[str, FolderUse] = {}

    def measure(self, session: Session) -> DiskUse:
        """Return what there is.

        Raises:
            OSError: The data folder cannot be read.
        """
        free, total = self._files.free_and_total_bytes()
        node = self._settings.node
        minimum = max(node.minimum_free_mb * _MEGABYTE, total * node.minimum_free_percent / 100)
        return DiskUse(
            folders={"studies": _indexed(session), **self._walk()},
            free_bytes=free,
            total_bytes=total,
            minimum_free_bytes=int(minimum),
        )

    def _walk(self) -> dict[str, FolderUse]:
        now = self._now()
        if self._walked_at is None or now - self._walked_at >= self._seconds:
            root = self._files.root
            self._walked = {name: size_of_folder(root / name) for name in WALKED_FOLDERS}
            self._walked_at = now
        return self._walked


def _indexed(session: Session) -> FolderUse:
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(Instance.size_bytes), 0)).select_from(Instance)
    ).one()
    return FolderUse(files=row[0], bytes=int(row[1]))


def size_of_folder(folder: Path) -> FolderUse:
    """Return what a folder and the folders in it hold; nothing where it is not there."""
    files = size = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            # A file may go while it is looked at.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    inner = size_of_folder(Path(entry.path))
                    files, size = files + inner.files, size + inner.bytes
                else:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
    return FolderUse(files=files, bytes=size)
