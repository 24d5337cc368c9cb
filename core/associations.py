"""The open associations, as files that every process can see.

Several processes receive on one port; limits count over all of them, the completion rule must know
which associations are still open, and `taqrir status` shows them. Each association is one small
file in `associations/`, made when it is admitted and removed when it ends:

```
associations/ID~AE_TITLE   {"ae_title": ..., "address": ..., "since": ..., "is_tls": ...}
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
from urllib.parse import quote

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

    Attributes:
        prefix: How the IDs of this process's associations begin.
    """

    def __init__(self, root: Path, slot: int = 0) -> None:
        self._folder = root / "associations"
        self.prefix = f"{slot:0{_SLOT_DIGITS}x}"
        self._served = self._folder / f".{self.prefix}"

    @classmethod
    def forget_all(cls, root: Path) -> None:
        """Empty the register: no receiving process runs yet."""
        folder = root / "associations"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folder; remove what a dead process of this slot left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # With a dot in front, too: it died between the two steps of `enter`.
        for pattern in (f"{self.prefix}*", f".{self.prefix}?*"):
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)

    def serve(self) -> None:
        """Tell the supervisor that this process accepts associations."""
        self._served.touch()

    def is_served(self) -> bool:
        """Whether a process of this slot has ever accepted associations since the start."""
        return self._served.exists()

    def new_id(self) -> str:
        """Return an ID for an association of this process."""
        return self.prefix + secrets.token_hex(_RANDOM_BYTES)

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
        try:
            hidden.write_text(json.dumps(asdict(entry)), encoding="utf-8")
            hidden.rename(self._folder / _name(entry.id, entry.ae_title))
        except OSError:
            hidden.unlink(missing_ok=True)
            raise
        names = self._names()
        ours = _name("", entry.ae_title)
        # Behind the first tilde stands the title, which may hold another.
        of_sender = sum(name[name.find("~") :] == ours for name in names)
        if len(names) > limit or of_sender > limit_of_sender:
            self.leave(entry.id)
            raise TooManyAssociationsError("too many associations are open")

    def leave(self, association: str) -> None:
        """Remove an association that has ended."""
        for path in self._folder.glob(f"{association}~*"):
            path.unlink(missing_ok=True)

    def all(self) -> Iterator[OpenAssociation]:
        """Yield the associations that are open now, of every process."""
        for name in self._names():
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                text = (self._folder / name).read_text(encoding="utf-8")
                yield OpenAssociation(**json.loads(text))

    def _names(self) -> list[str]:
        """Return the entries' names; what begins with a dot is none of them."""
        try:
            return [path.name for path in self._folder.iterdir() if path.name[0] != "."]
        except FileNotFoundError:
            return []


def index_ready_file(root: Path) -> Path:
    """Return what the index leaves beside the open associations, once it serves."""
    return root / "associations" / ".index"


def _name(association: str, ae_title: str) -> str:
    """Return an entry's name; it tells whose it is, so that limits are counted unopened."""
    return f"{association}~{quote(ae_title, safe='')}"
