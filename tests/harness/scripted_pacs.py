"""A PACS that answers as a test tells it to, and remembers every byte it was sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt

from harness.listening import ListeningEntity

_CLASSES = (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
)


def abort(event: evt.Event) -> int:
    """Break the connection after the object was taken: the sender cannot know how it ended."""
    event.assoc.abort()
    return 0x0000


class ScriptedPacs(ListeningEntity):
    """`with ScriptedPacs([0xC000, abort]) as pacs:`: the first object is refused, and so on.

    Answers are statuses or functions of the event that return one; when they are used up, the
    answer is Success.
    """

    def __init__(self, answers: list[int | Callable[[evt.Event], int]] | None = None) -> None:
        super().__init__("ARCHIVE")
        self._answers = answers or []
        for sop_class in _CLASSES:
            self.entity.add_supported_context(sop_class, ExplicitVRLittleEndian)
        self._lock = threading.Lock()
        self.received: list[bytes] = []
        self.uids: list[str] = []

    def script(self, *answers: int | Callable[[evt.Event], int]) -> None:
        """Say how the next objects are answered."""
        with self._lock:
            self._answers = list(answers)

    def handlers(self) -> list[Any]:
        return [(evt.EVT_C_STORE, self._answer)]

    def _answer(self, event: evt.Event) -> int:
        request: Any = event.request
        with self._lock:
            self.received.append(event.encoded_dataset())
            self.uids.append(str(request.AffectedSOPInstanceUID))
            answer = self._answers.pop(0) if self._answers else 0x0000
        return answer if isinstance(answer, int) else answer(event)
