"""One connection to an MLLP peer, which stays open between messages."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import (
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
    UnreadableMessageError,
)
from core.log import log
from core.tls_context import PeerTls, requestor_context
from hl7.ack import Ack, read_ack
from hl7.frame import FrameReader, FrameTooLargeError

_log = log(__name__)
_CHUNK_BYTES = 1 << 16
# Answers to earlier messages that are passed over before ours is taken for lost.
_MOST_STRAYS = 8


class _StaleError(Exception):
    """The peer had closed the connection while it rested."""


class Connection:
    """One message is under way at a time; after anything but a clean answer it is opened anew."""

    def __init__(self, host: str, port: int, tls: PeerTls | None) -> None:
        self._address = (host, port)
        self._where = f"{host}:{port}"
        self._tls = tls
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process = 0

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Have the connection to oneself; what goes wrong meanwhile closes it."""
        if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise PeerUnreachableError(f"{self._where} was busy with another message.")
        try:
            yield
        except BaseException:
            self.close()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close; the next message opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def exchange(
        self,
        framed: bytes,
        control_id: str,
        deadline: float,
        max_answer_bytes: int,
        *,
        is_patient: bool,
    ) -> Ack:
        """Send a frame and return the answer: to this message where we are patient, else the first.

        Raises:
            PeerUnreachableError, UnclearAnswerError, TransientError: See `hl7.mllp.send`.
        """
        began = time.monotonic()
        most = _MOST_STRAYS if is_patient else 0
        try:
            try:
                return self._exchange(framed, control_id, deadline, max_answer_bytes, most)
            except _StaleError:
                self.close()
                # Opened anew: a second time it is no rest that the peer was tired of.
                return self._exchange(framed, control_id, deadline, max_answer_bytes, most)
        except FrameTooLargeError as error:
            raise self._garbage() from error
        except TimeoutError as error:
            seconds = deadline - began
            raise PeerUnreachableError(
                f"{self._where} gave no answer in {seconds:.3g} s."
            ) from error
        except OSError as error:
            raise PeerUnreachableError(f"{self._where} cannot be reached: {error}") from error

    def _exchange(
        self, framed: bytes, control_id: str, deadline: float, max_answer_bytes: int, most: int
    ) -> Ack:
        is_rested = self._socket is not None and self._process == os.getpid()
        connection = self._open(deadline)
        reader = FrameReader(max_answer_bytes)
        answers: list[bytes] = []
        try:
            connection.settimeout(_remaining(deadline))
            connection.sendall(framed)
            answers = self._receive(connection, reader, deadline)
        except TimeoutError:
            raise
        except (OSError, PeerUnreachableError) as error:
            if is_rested:
                raise _StaleError from error
            raise
        for _ in range(most + 1):
            while answers:
                ack = self._read(answers.pop(0))
                # A refusal without a name answers what we have just sent.
                if ack.control_id in {control_id, ""} or not most:
                    return ack
                # An application's word on an earlier message: that one's commit was the answer.
                _log.warning("mllp_late_answer", code=ack.code)
            answers = self._receive(connection, reader, deadline)
        raise TransientError(f"The peer answered other messages than {control_id}.")

    def _open(self, deadline: float) -> socket.socket:
        if self._socket is not None and self._process == os.getpid():
            if not _has_word(self._socket):
                return self._socket
            # It closed, or said something that nobody asked for: begin anew.
            self.close()
        self._socket = None
        connection = socket.create_connection(self._address, timeout=_remaining(deadline))
        try:
            if self._tls is not None:
                connection.settimeout(_remaining(deadline))
                context = requestor_context(self._tls)
                connection = context.wrap_socket(connection, server_hostname=self._address[0])
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        self._socket, self._process = connection, os.getpid()
        return connection

    def _receive(
        self, connection: socket.socket, reader: FrameReader, deadline: float
    ) -> list[bytes]:
        """Return the next frames that come, at least one."""
        while True:
            connection.settimeout(_remaining(deadline))
            chunk = connection.recv(_CHUNK_BYTES)
            if not chunk:
                raise PeerUnreachableError(f"{self._where} closed the connection unanswered.")
            answers = reader.feed(chunk)
            if answers:
                return answers
            if reader.stray_bytes:
                raise self._garbage()

    def _read(self, answer: bytes) -> Ack:
        try:
            return read_ack(answer)
        except UnreadableMessageError as error:
            raise self._garbage() from error

    def _garbage(self) -> UnclearAnswerError:
        return UnclearAnswerError(
            f"{self._where} answered with something that is no HL7 acknowledgement: check that the "
            "address is that of the RIS's MLLP listener."
        )


def _has_word(connection: socket.socket) -> bool:
    """Tell whether a resting connection has been closed, or has something to read."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def _remaining(deadline: float) -> float:
    """Return the seconds left."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
