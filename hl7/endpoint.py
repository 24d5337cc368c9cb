"""An MLLP endpoint: connections that stay open, messages in whatever packets they come.

What came together is handed over together, so that whoever stores messages may commit many at once;
answers go back in the order of the messages.

Source: HL7 v2 Minimal Lower Layer Protocol, transport specification release 1.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from core.clock import local_now
from core.log import log
from hl7.ack import AckCode, build_ack
from hl7.frame import FrameReader, FrameTooLargeError, frame

_CHUNK_BYTES = 1 << 18
_TURNS_TO_ACCEPT = 5
_log = log(__name__)

Take = Callable[[Sequence[bytes], str], Awaitable[Sequence[bytes]]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a connection may take of us.

    Attributes:
        max_bytes: Longest message.
        idle_seconds: How long a connection may rest between messages.
        frame_seconds: How long a message may take from its first byte to its last, and an answer
            until the peer has taken it.
        max_connections: Connections at once; one more is closed as soon as it comes.
    """

    max_bytes: int = 16 << 20
    idle_seconds: float = 300.0
    frame_seconds: float = 30.0
    max_connections: int = 64


class Endpoint:
    """Listens, cuts what comes into messages, hands them over and sends the answers.

    A frame that is too long is answered AR, and the connection is closed, because the rest of it
    cannot be told from the next message. Messages that cannot be read are the business of `take`:
    the connection stays open.
    """

    def __init__(
        self,
        take: Take,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        admit: Callable[[str], bool] = lambda _: True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare an endpoint; `async with` starts and stops it.

        Args:
            take: Given messages that came together and the peer's address, returns an answer to
                each, all without frames.
            host: Address to listen on.
            port: 0 for one that is free.
            limits: What a connection may take of us.
            admit: Says whether an address may connect; called in a thread.
            tls: Context of a port that speaks TLS.
        """
        self._take = take
        self._address = (host, port)
        self._limits = limits or Limits()
        self._admit = admit
        self._tls = tls
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
        handshake = self._limits.frame_seconds if self._tls else None
        self._server = await asyncio.start_server(
            self._accept,
            *self._address,
            ssl=self._tls,
            ssl_handshake_timeout=handshake,
            limit=_CHUNK_BYTES,
        )
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
            await self._admit_and_converse(reader, writer)
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

    async def _admit_and_converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = str(writer.get_extra_info("peername", ("",))[0]).removeprefix("::ffff:")
        if len(self._connections) > self._limits.max_connections:
            _log.warning("mllp_too_many_connections", address=peer)
        elif await asyncio.to_thread(self._admit, peer):
            await self._converse(reader, writer, peer)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        """Answer messages until the peer closes, is silent for too long or sends too much."""
        frames = FrameReader(self._limits.max_bytes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.idle_seconds
        while True:
            async with asyncio.timeout_at(deadline):
                chunk = await reader.read(_CHUNK_BYTES)
            if not chunk:
                return
            was_inside = frames.is_inside
            try:
                messages = frames.feed(chunk)
            except FrameTooLargeError as error:
                await self._refuse(reader, writer, error.beginning)
                raise
            if messages:
                answers = await self._take(messages, peer)
                await self._write(writer, b"".join(map(frame, answers)))
            # Bytes outside of frames, and a frame that drips, buy no more time.
            if frames.is_inside and (messages or not was_inside):
                deadline = loop.time() + self._limits.frame_seconds
            elif messages:
                deadline = loop.time() + self._limits.idle_seconds

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, beginning: bytes
    ) -> None:
        """Answer AR, and let the peer read it: to close on unread bytes would take it back."""
        text = "The message is longer than is taken here."
        answer = build_ack(beginning, AckCode.AR, created_at=local_now(), text=text)
        await self._write(writer, frame(answer))
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(self._limits.frame_seconds):
            while await reader.read(_CHUNK_BYTES):
                pass

    async def _write(self, writer: asyncio.StreamWriter, framed: bytes) -> None:
        writer.write(framed)
        async with asyncio.timeout(self._limits.frame_seconds):
            await writer.drain()


class MllpServer(Endpoint):
    """An endpoint whose handler sees one message at a time, in a thread.

    A slow handler holds up its own connection only; one that raises is answered AE and logged.
    """

    def __init__(
        self,
        handler: Callable[[bytes], bytes],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_bytes: int = Limits.max_bytes,
        idle_seconds: float = Limits.idle_seconds,
        frame_seconds: float = Limits.frame_seconds,
    ) -> None:
        """Prepare an endpoint; `handler` returns the answer to a message, both without frames."""
        limits = Limits(max_bytes=max_bytes, idle_seconds=idle_seconds, frame_seconds=frame_seconds)
        super().__init__(self._take_each, host=host, port=port, limits=limits)
        self._handler = handler

    async def _take_each(self, messages: Sequence[bytes], peer: str) -> Sequence[bytes]:
        del peer
        return [await asyncio.to_thread(self._answer, message) for message in messages]

    def _answer(self, message: bytes) -> bytes:
        try:
            return self._handler(message)
        except Exception:  # noqa: BLE001 - the border: one message's fault must not end the connection
            _log.exception("mllp_handler_failed", bytes=len(message))
            return build_ack(message, AckCode.AE, created_at=local_now())
