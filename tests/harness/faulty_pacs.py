"""An archive that fails in every way that archives fail, by a seed; it remembers what it keeps."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from harness.listening import ListeningEntity

_PENDING, _SUCCESS = 0xFF00, 0x0000


class FaultyPacs(ListeningEntity):
    """`with FaultyPacs(seed=7, late_seconds=0.6) as pacs:`.

    It fails for so many requests as `faults` says, and is then as good as any other.

    Attributes:
        kept: What it keeps, by SOP Instance UID.
        seen: Every content that came under a UID.
        told: Names of the faults, in the order in which they struck.
    """

    def __init__(self, seed: int, *, late_seconds: float, faults: int = 14) -> None:
        super().__init__("ARCHIVE")
        self._chance = random.Random(seed)  # noqa: S311  not for secrets
        self._late_seconds = late_seconds
        self._faults = faults
        self._stored = 0
        self._lock = threading.Lock()
        self.kept: dict[str, bytes] = {}
        self.seen: dict[str, set[bytes]] = {}
        self.told: list[str] = []
        self.entity.add_supported_context(BasicTextSRStorage, ExplicitVRLittleEndian)
        self.entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self.entity.maximum_associations = 100

    def handlers(self) -> list[Any]:
        return [
            (evt.EVT_REQUESTED, self._negotiate),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
        ]

    def _draw(self, *faults: str) -> str:
        """Return the fault that strikes now, empty for none."""
        with self._lock:
            if len(self.told) >= self._faults or self._chance.random() < 0.35:
                return ""
            self.told.append(self._chance.choice(faults))
            return self.told[-1]

    def _negotiate(self, event: evt.Event) -> None:
        # One association in some: most faults are to strike further in.
        if self._chance.random() < 0.85:
            return
        match self._draw("no SR class", "hangs up"):
            case "no SR class":
                event.assoc.acceptor.supported_contexts = [
                    c
                    for c in event.assoc.acceptor.supported_contexts
                    if c.abstract_syntax != BasicTextSRStorage
                ]
            case "hangs up":
                event.assoc.abort()

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        uid, content = str(request.AffectedSOPInstanceUID), event.encoded_dataset()
        self.seen.setdefault(uid, set()).add(content)
        self._stored += 1
        fault = self._draw(*_FAULTS)
        status, keeps = _FAULTS.get(fault, (_SUCCESS, True))
        if fault == "aborts after the third" and self._stored < 3:
            status, keeps = _SUCCESS, True
        if keeps:
            self.kept[uid] = content
        if callable(status):
            return status(event, self._late_seconds)
        return status

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        fault = self._draw("cannot say", "does not list yet", "hangs up")
        if fault == "hangs up":
            event.assoc.abort()
            return
        if fault == "cannot say":
            yield 0xA700, None
            return
        if fault != "does not list yet" and str(identifier.SOPInstanceUID) in self.kept:
            yield _PENDING, identifier


def _abort(event: evt.Event, late_seconds: float) -> int:
    del late_seconds
    event.assoc.abort()
    return _SUCCESS


def _be_late(event: evt.Event, late_seconds: float) -> int:
    del event
    time.sleep(late_seconds)
    return _SUCCESS


Act = Callable[[evt.Event, float], int]
# What it answers or does, and whether it keeps the object.
_FAULTS: dict[str, tuple[int | Act, bool]] = {
    "changes elements": (0xB000, True),
    "leaves elements out": (0xB006, True),
    "doubts the class": (0xB007, True),
    "is full": (0xA700, False),
    "cannot understand": (0xC000, False),
    "does not support the class": (0x0122, False),
    "keeps and hangs up": (_abort, True),
    "hangs up without keeping": (_abort, False),
    "aborts after the third": (_abort, False),
    "answers late": (_be_late, True),
    "forgets": (_SUCCESS, False),
    "has it already": (0x0111, True),
}
