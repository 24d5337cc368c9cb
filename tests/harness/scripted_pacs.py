"""A PACS that answers as a test tells it to, and remembers every byte it was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt

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


class ScriptedPacs:
    """`with ScriptedPacs([0xC000, abort]) as pacs:`: the first object is refused, and so on.

    Answers are statuses or functions of the event that return one; when they are used up, the
    answer is Success.
    """

    def __init__(self, answers: list[int | Callable[[evt.Event], int]] | None = None) -> None:
        self._answers = answers or []
        self._entity = AE(ae_title="ARCHIVE")
        for sop_class in _CLASSES:
            self._entity.add_supported_context(sop_class, ExplicitVRLittleEndian)
        self._lock = threading.Lock()
        self.received: list[bytes] = []
        self.uids: list[str] = []
        self.port = 0

    def __enter__(self) -> Self:
        handlers: list[Any] = [(evt.EVT_C_STORE, self._answer)]
        server = self._entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        assert server.socket is not None
        self.port = server.socket.getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stopping = threading.Thread(target=self._entity.shutdown)
        stopping.start()
        # The server looks twice a second whether it is to end, and after every connection.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        stopping.join()

    def _answer(self, event: evt.Event) -> int:
        request: Any = event.request
        with self._lock:
            self.received.append(event.encoded_dataset())
            self.uids.append(str(request.AffectedSOPInstanceUID))
            answer = self._answers.pop(0) if self._answers else 0x0000
        return answer if isinstance(answer, int) else answer(event)
