"""A RIS for the demonstration: it stores each message as it came and answers AA.

It is no part of a site: it asks nobody who they are and keeps everything in one folder.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from core.clock import local_now
from core.errors import UnreadableMessageError
from hl7.ack import AckCode, build_ack
from hl7.endpoint import MllpServer
from hl7.er7 import parse
from hl7.serving import ServingThread

_START_SECONDS = 10.0


class DemoRis:
    """A RIS in a thread: `with DemoRis(folder) as ris:` listens on `ris.port`."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Prepare a RIS that stores to a folder, which is made if need be."""
        self._folder = folder
        server = MllpServer(self._receive, host=host, port=port)
        self._serving = ServingThread(server, "demo-ris", start_seconds=_START_SECONDS)
        self._lock = threading.Lock()
        self._received: list[Path] = []

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._serving.port

    @property
    def received(self) -> tuple[Path, ...]:
        """The files of the messages in the order they came; one sent again counts once."""
        with self._lock:
            return tuple(self._received)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._serving.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._serving.stop()

    def _receive(self, message: bytes) -> bytes:
        """Store a message, then answer AA; AR where it cannot be read, and it is not stored."""
        try:
            control_id = parse(message).text("MSH", 10)
        except UnreadableMessageError:
            return build_ack(message, AckCode.AR, created_at=local_now())
        with self._lock:
            self._store(message, file_stem(control_id))
        return build_ack(message, AckCode.AA, created_at=local_now())

    def _store(self, message: bytes, stem: str) -> None:
        """Write a message; another one under the same MSH-10 gets a number behind its name."""
        path, count = self._folder / f"{stem}.hl7", 1
        while path.exists():
            if path.read_bytes() == message:
                return
            count += 1
            path = self._folder / f"{stem}-{count}.hl7"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        self._received.append(path)


def file_stem(control_id: str) -> str:
    """Return an MSH-10 as a file name: letters, digits and hyphens of ASCII, at most 64."""
    return re.sub("[^A-Za-z0-9-]+", "_", control_id)[:64].strip("_") or "unnamed"
