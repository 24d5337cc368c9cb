"""Removing a study's files so that a crash at any point is made good by the next purge.

```
removing/STUDY/         the study is being purged: made before its rows go, away after its files
removing/STUDY/NUMBER/  what is being deleted
```

The folder in `removing/` is a mark that outlives a crash. Rows go first, so that none ever points
to a missing file. Then, while nobody can add an object to the study (its row is locked), all files
that no row points to are moved aside, which is one rename; deleting them takes as long as it takes.
What a crash leaves is a mark, and whoever finds one does the last two steps again: where the rows
were still there nothing is moved.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Collection, Iterator

from core.blobs import InstanceFiles, sync_folder


class StudyRemoval:
    """The files of studies on their way out, in one data folder."""

    def __init__(self, files: InstanceFiles) -> None:
        self._files = files
        self.folder = files.root / "removing"

    @contextlib.contextmanager
    def only_one(self) -> Iterator[bool]:
        """Yield whether nobody else removes anything; then nobody else begins until the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self._files.root / "removing.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def marks(self) -> list[str]:
        """Return the studies (by UID) whose removal was begun and not finished."""
        return sorted(path.name for path in self.folder.iterdir())

    def mark(self, study_uid: str) -> None:
        """Begin: from now on no crash is forgotten."""
        (self.folder / study_uid).mkdir(exist_ok=True)
        sync_folder(self.folder)

    def move_aside(self, study_uid: str, kept: Collection[str]) -> None:
        """Take all files of a study out of `studies/` but those that rows point to.

        Only while nobody can add rows to the study.

        Args:
            study_uid: Which study; it has a mark.
            kept: Paths relative to the data folder.
        """
        source = self._files.studies / study_uid
        if not study_uid or not source.is_dir():
            return
        target = self.folder / study_uid / str(time.time_ns())
        if not kept:
            source.rename(target)
        else:
            for path in [path for path in source.rglob("*") if not path.is_dir()]:
                relative = path.relative_to(self._files.root)
                if str(relative) not in kept:
                    (target / relative).parent.mkdir(parents=True, exist_ok=True)
                    path.rename(target / relative)
        sync_folder(self._files.studies)

    def finish(self, study_uid: str) -> None:
        """Delete what was moved aside, the mark last.

        Raises:
            OSError: Something cannot be deleted; the mark stays, and the next purge tries again.
        """
        mark = self.folder / study_uid
        if not mark.is_dir():
            # Nobody's file: it marks nothing.
            mark.unlink(missing_ok=True)
            return
        for path in sorted(mark.iterdir()):
            shutil.rmtree(path)
        mark.rmdir()
        sync_folder(self.folder)
