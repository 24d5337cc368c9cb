"""A syslog receiver over TLS that can be broken: an audit repository's place."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from servers.certificates import Pair

Handler = Callable[[ssl.SSLSocket], bytes]


def read_all(connection: ssl.SSLSocket) -> bytes:
    """Read to the sender's close_notify and answer it."""
    content = b""
    while piece := connection.recv(65536):
        content += piece
    with contextlib.suppress(OSError):
        connection.unwrap()
    return content


def read_and_just_close(connection: ssl.SSLSocket) -> bytes:
    """Read everything, and close without a word, as many receivers do."""
    content = b""
    while piece := connection.recv(65536):
        content += piece
    return content


def die_reading(connection: ssl.SSLSocket) -> bytes:
    """Die with bytes unread: the sender's system had handed all of them over."""
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return b""


class Receiver:
    """A syslog receiver: each connection is handled by the next handler, later ones read all."""

    def __init__(
        self, pair: Pair, *handlers: Handler, port: int = 0, clients: Path | None = None
    ) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
        self._context.load_cert_chain(pair.certificate, pair.key)
        if clients is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._handlers = list(handlers)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.content = b""
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A listener that is merely closed would leave its accept() waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), plain:
                plain.settimeout(10)
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    handler = self._handlers.pop(0) if self._handlers else read_all
                    self.content += handler(connection)

    def messages(self) -> list[bytes]:
        """Return what came, taken apart by octet counting (RFC 5425 4.3)."""
        found, rest = [], self.content
        while rest:
            length, _, rest = rest.partition(b" ")
            assert len(rest) >= int(length)
            found.append(rest[: int(length)])
            rest = rest[int(length) :]
        return found


@contextlib.contextmanager
def at_a_distance(port: int) -> Iterator[int]:
    """Give a port from which all that is sent comes to another port a moment later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def relay() -> None:
            near, _ = listener.accept()
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                back = threading.Thread(target=pump, args=(far, near, 0.0))
                back.start()
                pump(near, far, 0.3)
                back.join()

        def pump(source: socket.socket, target: socket.socket, seconds: float) -> None:
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    time.sleep(seconds)
                    target.sendall(piece)
                target.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=relay)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
