"""The bytes of a connection, cut into PDUs and PDVs where they lie.

One buffer a connection is filled by `recv_into`; what comes out are views of it. The data of a
large object are thus copied twice in all, from the kernel and to the file, and never in between.

Source: PS3.8 9.3 (structure of the PDUs), annex E (PDV and message control header).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, pack
from typing import NamedTuple

from core.errors import PermanentError

# What we let a peer put into one PDU: large enough that senders which obey it spend their time on
# data rather than on headers. Larger ones break what was negotiated.
MAXIMUM_PDU_BYTES = 131_072
# Kept small enough for hundreds of connections: pages of it are used only as far as data come.
_BUFFER_BYTES = 1 << 20
# A request with 128 presentation contexts and every transfer syntax stays far below it.
_LARGEST_REQUEST_BYTES = 1 << 20
_PDU_HEADER = Struct(">BxL")
_PDV_HEADER = Struct(">LBB")
_BOTH_HEADERS = Struct(">BxLLBB")
# Message control headers of data: not the last fragment, the last one.
_DATA_CONTROLS = (0, 2)
# Length field of a PDV counts its context ID and control header too.
_PDV_LENGTH_COUNTS = 2
_CONTROL_BITS = 0x03
# A peer that does not speak is looked at this often, in seconds.
TICK_SECONDS = 1.0
_SEND_SECONDS = 30


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


_SHORT_PDU_BYTES = 4
_SHORT_PDUS = (PduType.ASSOCIATE_RJ, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT)


class AbortReason(IntEnum):
    """Why the upper layer aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class InvalidPduError(PermanentError):
    """The peer sent what is no PDU, or one that breaks the rules of its kind."""

    def __init__(self, problem: str, reason: AbortReason) -> None:
        super().__init__(problem)
        self.reason = reason


class Fragment(NamedTuple):
    """A piece of a PDV, as far as it has come.

    Attributes:
        view: A part of the connection's buffer: used before the next `receive`.
        is_command: Part of a command set, else of a data set.
        is_last: The command set, or data set, ends with this piece.
    """

    context_id: int
    is_command: bool
    is_last: bool
    view: memoryview


@dataclass(frozen=True)
class Pdu:
    """A PDU other than P-DATA-TF, whole, its header included."""

    type: PduType
    data: bytes


class Silence(Exception):  # noqa: N818  no error: nothing came for a while
    """Nothing came within a tick."""


class UpperLayer:
    """One connection: `receive` fills the buffer, `items` empties it.

    Args:
        connection: Connected; TLS where it is wrapped.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0
        self._pdu_left = self._pdv_left = 0
        self._context_id = self._control = 0
        self._has_empty_pdv = False
        self._collected = bytearray()
        self._collecting: PduType | None = None
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._prepare()

    def _prepare(self) -> None:
        # Small answers must not wait for the peer's delayed acknowledgement.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._is_tls:
            self._connection.settimeout(TICK_SECONDS)
            return
        # The kernel's own timers: Python's would cost a second system call for every read.
        self._connection.settimeout(None)
        tick = pack("ll", int(TICK_SECONDS), int(TICK_SECONDS % 1 * 1e6))
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        self._connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, pack("ll", _SEND_SECONDS, 0)
        )

    @property
    def is_between_messages(self) -> bool:
        """Whether no PDU is half read."""
        return not (self._pdu_left or self._end - self._start or self._collecting)

    def receive(self) -> int:
        """Wait for bytes and return how many came; 0 where the peer closed the connection.

        Everything that `items` gave before is gone afterwards.

        Raises:
            Silence: Nothing came within a tick.
            OSError: The connection broke.
        """
        left = self._end - self._start
        if left:
            # Less than a header, so moving it costs nothing.
            self._buffer[:left] = bytes(self._buffer[self._start : self._end])
        self._start, self._end = 0, left
        try:
            size = self._connection.recv_into(self._buffer[left:])
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            raise Silence from None
        if size and not self._is_tls:
            # A sender with Nagle's algorithm (DCMTK's default) holds back the last bytes of each
            # message until we acknowledge the others, which TCP would put off by 40 ms.
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._end += size
        return size

    def items(self) -> Iterator[Fragment | Pdu]:
        """Yield what the received bytes hold, as far as it has come.

        Raises:
            InvalidPduError: They break PS3.8.
        """
        while self._start < self._end:
            if self._pdv_left:
                yield self._fragment()
            elif self._collecting is not None:
                if pdu := self._collect():
                    yield pdu
            elif not (self._begin_pdv() if self._pdu_left else self._begin_pdu()):
                return
            elif self._has_empty_pdv:
                # No data, but it may be the last piece of its message.
                self._has_empty_pdv = False
                yield self._fragment()

    def take_data(self, context_id: int) -> tuple[list[memoryview], bool]:
        """Return the pieces of a data set that lie in a row, and whether it ends with the last.

        The short way for what nearly all bytes are: PDUs with one PDV, of one message. At the first
        byte that is anything else it stops, and `items` goes on from there.
        """
        views: list[memoryview] = []
        if self._pdv_left and (self._control & 1 or self._context_id != context_id):
            return views, False
        buffer, start, end, left = self._buffer, self._start, self._end, self._pdv_left
        # Of the PDU under way, behind the PDV under way.
        rest = self._pdu_left - left
        is_last = False
        while start < end:
            if left:
                size = min(left, end - start)
                views.append(buffer[start : start + size])
                start += size
                left -= size
                if not left and self._control & 2:
                    is_last = True
                    break
            elif rest or end - start < _BOTH_HEADERS.size:
                break
            else:
                kind, length, inner, context, control = _BOTH_HEADERS.unpack_from(buffer, start)
                if (
                    (kind, context) != (PduType.DATA, context_id)
                    or inner + 4 != length
                    or not _PDV_HEADER.size < length <= MAXIMUM_PDU_BYTES
                    or length % 2
                    or control not in _DATA_CONTROLS
                ):
                    break
                start += _BOTH_HEADERS.size
                left = inner - _PDV_LENGTH_COUNTS
                self._context_id, self._control = context, control
        self._start, self._pdv_left, self._pdu_left = start, left, left + rest
        return views, is_last

    def _fragment(self) -> Fragment:
        start = self._start
        size = min(self._pdv_left, self._end - start)
        self._start += size
        self._pdv_left -= size
        self._pdu_left -= size
        is_last = bool(self._control & 2) and not self._pdv_left
        view = self._buffer[start : start + size]
        return Fragment(self._context_id, bool(self._control & 1), is_last, view)

    def _begin_pdv(self) -> bool:
        if self._end - self._start < _PDV_HEADER.size:
            return False
        length, self._context_id, control = _PDV_HEADER.unpack_from(self._buffer, self._start)
        size = length - _PDV_LENGTH_COUNTS
        if size < 0 or size % 2 or length + 4 > self._pdu_left:
            raise InvalidPduError(
                "a PDV's length is not that of its PDU", AbortReason.INVALID_PARAMETER
            )
        if control & ~_CONTROL_BITS:
            raise InvalidPduError(
                "a PDV's control header is unknown", AbortReason.INVALID_PARAMETER
            )
        left = self._pdu_left - _PDV_HEADER.size - size
        if 0 < left < _PDV_HEADER.size:
            raise InvalidPduError("a PDU ends in half a PDV", AbortReason.INVALID_PARAMETER)
        self._start += _PDV_HEADER.size
        self._pdu_left -= _PDV_HEADER.size
        self._pdv_left, self._control = size, control
        self._has_empty_pdv = not size
        return True

    def _begin_pdu(self) -> bool:
        if self._end - self._start < _PDU_HEADER.size:
            return False
        kind, length = _PDU_HEADER.unpack_from(self._buffer, self._start)
        if kind == PduType.DATA:
            if not _PDV_HEADER.size <= length <= MAXIMUM_PDU_BYTES:
                raise InvalidPduError(
                    f"a P-DATA-TF PDU of {length} bytes", AbortReason.INVALID_PARAMETER
                )
            self._start += _PDU_HEADER.size
            self._pdu_left = length
            return True
        try:
            self._collecting = PduType(kind)
        except ValueError:
            raise InvalidPduError(
                f"a PDU of unknown type {kind}", AbortReason.UNRECOGNISED_PDU
            ) from None
        limit = _SHORT_PDU_BYTES if kind in _SHORT_PDUS else _LARGEST_REQUEST_BYTES
        if not _SHORT_PDU_BYTES <= length <= limit:
            raise InvalidPduError(
                f"a PDU of type {kind} and {length} bytes", AbortReason.INVALID_PARAMETER
            )
        self._collected = bytearray()
        self._missing = _PDU_HEADER.size + length
        return True

    def _collect(self) -> Pdu | None:
        """Gather a PDU that is read as a whole; None while some of it is missing."""
        taken = self._buffer[self._start : min(self._end, self._start + self._missing)]
        self._collected += taken
        self._start += len(taken)
        self._missing -= len(taken)
        if self._missing or self._collecting is None:
            return None
        pdu = Pdu(self._collecting, bytes(self._collected))
        self._collecting = None
        return pdu

    def drop(self) -> None:
        """Forget what came and was not taken."""
        self._start = self._end = 0
        self._pdu_left = self._pdv_left = 0
        self._collecting = None

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: The peer does not take them, or is gone.
        """
        if self._is_tls:
            self._connection.settimeout(_SEND_SECONDS)
        self._connection.sendall(data)
        if self._is_tls:
            self._connection.settimeout(TICK_SECONDS)

    def close(self) -> None:
        """Close the connection, politely as far as TCP goes."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def data_pdus(context_id: int, data: bytes, *, is_command: bool, peer_maximum: int) -> bytes:
    """Return P-DATA-TF PDUs with a whole command set or data set.

    Args:
        context_id: Presentation context.
        data: Command set or data set.
        is_command: Which of the two.
        peer_maximum: Bytes that the peer takes in one PDU; 0: any number.
    """
    room = (peer_maximum or MAXIMUM_PDU_BYTES) - _PDV_HEADER.size
    room = max(room - room % 2, 2)
    pieces = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
    pdus = []
    for number, piece in enumerate(pieces, start=1):
        control = int(is_command) | (2 if number == len(pieces) else 0)
        length = len(piece) + _PDV_LENGTH_COUNTS
        pdus.append(_PDU_HEADER.pack(PduType.DATA, length + 4))
        pdus.append(_PDV_HEADER.pack(length, context_id, control) + piece)
    return b"".join(pdus)


def short_pdu(kind: PduType, source: int = 0, reason: int = 0) -> bytes:
    """Return an A-RELEASE or A-ABORT PDU (PS3.8 9.3.6 to 9.3.8)."""
    return _PDU_HEADER.pack(kind, _SHORT_PDU_BYTES) + bytes((0, 0, source, reason))
