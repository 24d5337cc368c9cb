r"""MLLP over TCP: a client that sends one message and waits for its answer, and an endpoint.

Delivered means one thing only: a positive answer (AA, or CA in enhanced mode) to this very message.
Everything else raises, and the caller keeps the message.

Source: HL7 v2 Minimal Lower Layer Protocol, release 1; HL7 v2.5.1 2.9 (acknowledgement).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from core.clock import local_now
from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnreadableMessageError,
)
from core.log import log
from hl7.ack import Ack, AckCode, build_ack, read_ack
from hl7.er7 import parse
from hl7.frame import FrameReader, FrameTooLargeError, frame

__all__ = ["Ack", "AckCode", "MllpServer", "probe", "send"]

# An answer is a few hundred bytes; a megabyte leaves room for one that repeats the message.
_MAX_ANSWER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_TURNS_TO_ACCEPT = 5
_log = log(__name__)


def send(
    host: str,
    port: int,
    message: bytes,
    *,
    timeout_seconds: float = 30.0,
    max_answer_bytes: int = _MAX_ANSWER_BYTES,
) -> Ack:
    """Send a message on a connection of its own and return the peer's positive answer to it.

    The first frame that comes back decides. To send the same bytes again is safe after every
    `TransientError`, since they carry the same MSH-10.

    Args:
        host: Name or address of the peer.
        port: Its TCP port.
        message: ER7, as `hl7.oru.build_oru` returns it.
        timeout_seconds: For all of it: connecting, sending, and the whole answer.
        max_answer_bytes: An answer longer than this is garbage.

    Raises:
        PeerUnreachableError: No connection, or it was closed or silent before a whole answer came.
            The peer may have stored the message all the same.
        TransientError: AE or CE (the peer could not take it now), or an answer to another message
            or to none: something is out of step, which a new connection may mend.
        PeerRefusedError: AR or CR; or garbage, that is bytes outside of a frame, a frame that holds
            no acknowledgement, or one that is too long: whoever listens there is no RIS.
        UnreadableMessageError: `message` has no MSH-10.
        ValueError: `message` holds a frame byte.
    """
    control_id = parse(message).text("MSH", 10)
    if not control_id:
        raise UnreadableMessageError("The message has no MSH-10, so no answer could be matched.")
    answer = _exchange((host, port), frame(message), timeout_seconds, max_answer_bytes)
    try:
        ack = read_ack(answer)
    except UnreadableMessageError as error:
        raise _garbage((host, port)) from error
    return _judge(ack, control_id)


def probe(host: str, port: int, *, timeout_seconds: float = 5.0) -> None:
    """Connect to a peer and close again, without sending anything.

    Raises:
        PeerUnreachableError: Nobody accepts the connection.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_seconds).close()
    except OSError as error:
        raise PeerUnreachableError(f"{host}:{port} accepts no connection: {error}") from error


def _judge(ack: Ack, control_id: str) -> Ack:
    """Return a positive answer to this message; raise for every other."""
    # A peer that could not read the header refuses without naming the message.
    is_blind_refusal = ack.code in {AckCode.AR, AckCode.CR} and not ack.control_id
    if ack.control_id != control_id and not is_blind_refusal:
        raise TransientError(f"The peer answered another message than {control_id}.")
    match ack.code:
        case AckCode.AA | AckCode.CA:
            return ack
        case AckCode.AE | AckCode.CE:
            raise TransientError(f"The peer answered {ack.code} to message {control_id}.")
        case AckCode.AR | AckCode.CR:
            raise PeerRefusedError(
                f"The peer refused message {control_id} with {ack.code}: look at its log for the "
                "reason, then retry."
            )


def _garbage(address: tuple[str, int]) -> PeerRefusedError:
    return PeerRefusedError(
        f"{address[0]}:{address[1]} answered with something that is no HL7 acknowledgement: check "
        "that the address is that of the RIS's MLLP listener."
    )


def _exchange(
    address: tuple[str, int], framed: bytes, timeout_seconds: float, max_answer_bytes: int
) -> bytes:
    """Send a frame and return the message of the first frame that comes back."""
    deadline = time.monotonic() + timeout_seconds
    where = f"{address[0]}:{address[1]}"
    reader = FrameReader(max_answer_bytes)
    try:
        with socket.create_connection(address, timeout=timeout_seconds) as connection:
            connection.settimeout(_remaining(deadline))
            connection.sendall(framed)
            while True:
                connection.settimeout(_remaining(deadline))
                chunk = connection.recv(_CHUNK_BYTES)
                if not chunk:
                    raise PeerUnreachableError(f"{where} closed the connection before it answered.")
                if answers := reader.feed(chunk):
                    return answers[0]
                if reader.stray_bytes:
                    raise _garbage(address)
    except FrameTooLargeError as error:
        raise _garbage(address) from error
    except TimeoutError as error:
        raise PeerUnreachableError(f"{where} gave no answer in {timeout_seconds:g} s.") from error
    except OSError as error:
        raise PeerUnreachableError(f"{where} cannot be reached: {error}") from error


def _remaining(deadline: float) -> float:
    """Return the seconds left."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


class MllpServer:
    """An MLLP endpoint: each message goes to a handler, whose answer goes back.

    Connections stay open for as many messages as the peer sends, one at a time each, in order. The
    handler runs in a thread, so a slow one holds up its own connection only. A handler that raises
    is answered AE and logged; a frame that is too long AR, and the connection is closed, because
    the rest of it cannot be told from the next message.
    """

    def __init__(
        self,
        handler: Callable[[bytes], bytes],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_bytes: int = 16 << 20,
        idle_seconds: float = 300.0,
        frame_seconds: float = 30.0,
    ) -> None:
        """Prepare an endpoint; `async with` starts and stops it.

        Args:
            handler: Given a message, returns the answer, both without frames.
            host: Address to listen on.
            port: 0 for one that is free.
            max_bytes: Longest message.
            idle_seconds: How long a connection may rest between messages.
            frame_seconds: How long a message may take from its first byte to its last, and an
                answer until the peer has taken it.
        """
        self._handler = handler
        self._address = (host, port)
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._frame_seconds = frame_seconds
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises:
            RuntimeError: The endpoint is not started.
        """
        if self._server is None:
            raise RuntimeError("the endpoint is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, *self._address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            # Connections that asyncio has just accepted get their tasks a few turns later; Python
            # 3.11 fails on them, and leaks their sockets, if the server is closed in between.
            for listener in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            for _ in range(_TURNS_TO_ACCEPT):
                await asyncio.sleep(0)
            self._server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - asyncio always runs a callback in a task
            raise RuntimeError("not in a task")
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError):
            _log.info("mllp_connection_lost")
            writer.transport.abort()
        except FrameTooLargeError:
            _log.warning("mllp_message_too_long")
        except asyncio.CancelledError:
            # The endpoint is closing; asyncio would report the cancelled callback as an error.
            _log.info("mllp_connection_closed")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer messages until the peer closes, is silent for too long or sends too much."""
        frames = FrameReader(self._max_bytes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._idle_seconds
        while True:
            async with asyncio.timeout_at(deadline):
                chunk = await reader.read(_CHUNK_BYTES)
            if not chunk:
                return
            was_inside = frames.is_inside
            try:
                messages = frames.feed(chunk)
            except FrameTooLargeError:
                await self._refuse(reader, writer)
                raise
            for message in messages:
                await self._write(writer, await asyncio.to_thread(self._answer, message))
            # Bytes outside of frames, and a frame that drips, buy no more time.
            if frames.is_inside and (messages or not was_inside):
                deadline = loop.time() + self._frame_seconds
            elif messages:
                deadline = loop.time() + self._idle_seconds

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer AR, and let the peer read it: to close on unread bytes would take it back."""
        await self._write(writer, build_ack(b"", AckCode.AR, created_at=local_now()))
        writer.write_eof()
        async with asyncio.timeout(self._frame_seconds):
            while await reader.read(_CHUNK_BYTES):
                pass

    async def _write(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        writer.write(frame(answer))
        async with asyncio.timeout(self._frame_seconds):
            await writer.drain()

    def _answer(self, message: bytes) -> bytes:
        try:
            return self._handler(message)
        except Exception:  # noqa: BLE001 - the border: one message's fault must not end the connection
            _log.exception("mllp_handler_failed", bytes=len(message))
            return build_ack(message, AckCode.AE, created_at=local_now())
