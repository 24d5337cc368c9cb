"""A receiving PACS for the demonstration: it writes what it is sent into a folder."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.contexts import supported_contexts
from dicom_node.header import is_valid_uid

_SUCCESS, _CANNOT_UNDERSTAND, _OUT_OF_RESOURCES = 0x0000, 0xC000, 0xA700


class DemoPacs:
    """Accepts associations from anybody who calls it by its name, on the loopback interface.

    Use as a context manager::

        with DemoPacs("DEMOPACS", folder) as pacs:
            send_to(pacs.port)
            pacs.received
    """

    def __init__(self, ae_title: str, folder: Path) -> None:
        self._entity = AE(ae_title=ae_title)
        self._entity.supported_contexts = supported_contexts()
        self._entity.require_called_aet = True
        self._folder = folder
        self._received: list[Path] = []
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._keep)]
        self._server = self._entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, error, traceback
        self._entity.shutdown()
        self._server = None

    @property
    def port(self) -> int:
        """The free port that was found.

        Raises:
            RuntimeError: It is not running.
        """
        if self._server is None or self._server.socket is None:
            raise RuntimeError("The PACS is not running.")
        return int(self._server.socket.getsockname()[1])

    @property
    def received(self) -> tuple[Path, ...]:
        """Files in the order in which they came, one for each SOP Instance UID."""
        with self._lock:
            return tuple(self._received)

    def _keep(self, event: evt.Event) -> int:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        if not is_valid_uid(uid):
            return _CANNOT_UNDERSTAND
        path = self._folder / f"{uid}.dcm"
        try:
            path.write_bytes(event.encoded_dataset())
        except OSError:
            return _OUT_OF_RESOURCES
        with self._lock:
            if path not in self._received:
                self._received.append(path)
        return _SUCCESS
