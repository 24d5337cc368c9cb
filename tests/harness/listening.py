"""A pynetdicom entity that listens, for peers that a test tells what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pynetdicom import AE


class ListeningEntity:
    """`with` it listens on `port`, over TLS only if told; what it answers with says `handlers`.

    Attributes:
        entity: What it supports is added to it before it listens.
    """

    def __init__(self, ae_title: str, tls: ssl.SSLContext | None = None) -> None:
        self.entity = AE(ae_title=ae_title)
        self.port = 0
        self._tls = tls

    def handlers(self) -> list[Any]:
        """Return pairs of event and function."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        server = self.entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=self.handlers(), ssl_context=self._tls
        )
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
        stopping = threading.Thread(target=self.entity.shutdown)
        stopping.start()
        # The server looks twice a second whether it is to end, and after every connection.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        stopping.join()
