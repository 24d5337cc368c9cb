"""A TLS connection of which is known, after it was closed, whether its peer read everything.

The bytes pass through buffers of ours, so that it is we who decide what the library gets to see
when. `SSLSocket.unwrap` reads the answer to its own close_notify, and takes a fatal alert for one:
under TLS 1.3 a peer refuses our certificate only after our handshake has ended, which may be after
everything was sent.

Source: RFC 8446 4.4.2.4, 6.1; SSL_shutdown(3) of OpenSSL.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable

_PIECE_BYTES = 1 << 16


class AuditConnection:
    """TLS over a connected socket.

    Args:
        plain: Its time-out holds for each wait.
        context: How we speak TLS.
        host: Whom the peer's certificate must name.

    Raises:
        OSError: The handshake failed.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._finish(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send.

        Raises:
            OSError: The peer is gone.
        """
        self._finish(lambda: self._tls.write(data))

    def close_in_order(self) -> None:
        """Close for good, and know that the peer has read everything.

        It answers our close_notify with its own, or simply closes, as many do: a system that closes
        with bytes unread sends a reset instead. One that does neither in time must at least have
        acknowledged every byte to our system.

        Raises:
            OSError: It refused us, did not read everything, or nobody knows.
        """
        # What came already may be an alert.
        with contextlib.suppress(ssl.SSLWantReadError):
            self._read_to_the_end()
        # The library has read all that we handed to it: this only writes our close_notify.
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        try:
            self._finish(self._read_to_the_end)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return
        except TimeoutError:
            if _unacknowledged_bytes(self._plain):
                raise

    def _read_to_the_end(self) -> None:
        while self._tls.read(_PIECE_BYTES):
            pass

    def _finish(self, step: Callable[[], object]) -> None:
        """Repeat a step until it needs nothing more of the peer."""
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                is_done = False
            else:
                is_done = True
            finally:
                # Also where it failed: the peer is told why.
                self._flush()
            if is_done:
                return
            self._receive()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._plain.sendall(self._outgoing.read())

    def _receive(self) -> None:
        if piece := self._plain.recv(_PIECE_BYTES):
            self._incoming.write(piece)
        else:
            self._incoming.write_eof()


def _unacknowledged_bytes(connection: socket.socket) -> int:
    """Return how many bytes the peer's system has not acknowledged (tcp(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
