"""The open associations, as files that every process can see.

Several processes receive on one port; limits count over all of them, the completion rule must know
which associations are still open, and `taqrir status` shows them. Each association is one small
file in `associations/`, made when it is admitted and removed when it ends:

```
associations/ID        {"ae_title": ..., "address": ..., "since": ..., "is_tls": ...}
```

An ID begins with the slot of its process. A process that starts in a slot removes what a dead
predecessor left there, so no entry outlives its association by more than a restart.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import PermanentError

_SLOT_DIGITS = 2
_RANDOM_BYTES = 5


@dataclass(frozen=True, kw_only=True)
class OpenAssociation:
    """One association that is open now.

    Attributes:
        id: Slot and random part; part of the names of the files that it brings.
        since: Seconds since the epoch.
    """

    id: str
    ae_title: str
    address: str
    since: float
    is_tls: bool = False


class TooManyAssociationsError(PermanentError):
    """The limit of all associations, or of one sender's, is reached."""


class Associations:
    """The register of one installation, seen from one process.

    Args:
        root: The data folder.
        slot: Number of this receiving process, 0 to 255.
    """

    def __init__(self, root: Path, slot: int = 0) -> None:
        self._folder = root / "associations"
        self._prefix = f"{slot:0{_SLOT_DIGITS}x}"

    def prepare(self) -> None:
        """Make the folder; remove what a dead process of this slot left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(f"{self._prefix}*"):
            path.unlink(missing_ok=True)

    def new_id(self) -> str:
        """Return an ID for an association of this process."""
        return self._prefix + secrets.token_hex(_RANDOM_BYTES)

    def enter(self, entry: OpenAssociation, *, limit: int, limit_of_sender: int) -> None:
        """Admit an association.

        The entry is made before the others are counted: two processes that admit at the same time
        may both refuse the last place, but never both take it.

        Raises:
            TooManyAssociationsError: A limit is reached; nothing was entered.
            OSError: The disk is full or fails.
        """
        # Written aside and renamed: a reader never sees half an entry.
        hidden = self._folder / f".{entry.id}"
        hidden.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        hidden.rename(self._folder / entry.id)
        entries = list(self.all())
        of_sender = sum(other.ae_title == entry.ae_title for other in entries)
        if len(entries) > limit or of_sender > limit_of_sender:
            self.leave(entry.id)
            raise TooManyAssociationsError("too many associations are open")

    def leave(self, association: str) -> None:
        """Remove an association that has ended."""
        (self._folder / association).unlink(missing_ok=True)

    def all(self) -> Iterator[OpenAssociation]:
        """Yield the associations that are open now, of every process."""
        try:
            paths = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return
        for path in paths:
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                yield OpenAssociation(**json.loads(path.read_text(encoding="utf-8")))
