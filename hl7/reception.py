"""From a message on the wire to a durable row and its acknowledgement.

Positive is answered only after the commit. Messages that wait at the same moment, whoever sent
them, are committed together: a commit costs more than a row.

What can be wrong with the content is not looked at here: a message whose header can be read is
kept, answered and processed later, so that what was not understood is not lost either.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from core import messages
from core.clock import Clock, utcnow
from core.database import writing
from core.errors import UnreadableMessageError
from core.hosts import is_same_host
from core.log import log
from core.messages import Kept, ReceivedMessage
from core.settings_orders import OrdersSettings
from hl7.ack import AckCode, build_ack
from hl7.header import Header, read_header
from hl7.kinds import may_merge

# Of one transaction; more would only make the first of them wait.
_BATCH_MESSAGES = 1024
_BATCH_BYTES = 32 << 20
_ATTEMPTS = 3
_NAMES_SECONDS = 60.0
_REQUIRED_FIELD_MISSING = 101
# Whoever asks for a commit acknowledgement alone (MSH-15, MSH-16) gets one.
_COMMIT = {AckCode.AA: AckCode.CA, AckCode.AE: AckCode.CE, AckCode.AR: AckCode.CR}
_ACCEPT_ACK, _APPLICATION_ACK = 15, 16
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    message: ReceivedMessage
    kept: Future[Kept]


class Reception:
    """Keeps messages; `take` is what an endpoint calls.

    Args:
        engine: The database.
        settings: Who may send.
        clock: The time.
    """

    def __init__(self, engine: Engine, settings: OrdersSettings, clock: Clock = utcnow) -> None:
        self._engine = engine
        self._peers = settings.peers
        self._clock = clock
        self._named: dict[str, tuple[float, set[str]]] = {}
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hl7-reception", daemon=True)

    def start(self) -> None:
        """Begin to keep what is taken."""
        self._thread.start()

    def stop(self) -> None:
        """Keep what was taken, then end."""
        self._queue.put(None)
        self._thread.join()

    async def take(self, received: Sequence[bytes], peer: str) -> Sequence[bytes]:
        """Keep messages that came together; return the answer to each."""
        # The loop's other connections go on while large messages are looked through.
        begun = await asyncio.to_thread(self._begin, received, peer)
        answers = []
        for content, step in zip(received, begun, strict=True):
            answers.append(step if isinstance(step, bytes) else await self._end(content, step))
        return answers

    def _begin(self, received: Sequence[bytes], peer: str) -> list[bytes | _Waiting]:
        """Refuse what is not even kept; hand the rest to the thread that commits."""
        return [self._begin_one(content, peer) for content in received]

    def _begin_one(self, content: bytes, peer: str) -> bytes | _Waiting:
        at = self._clock()
        try:
            header = read_header(content)
        except UnreadableMessageError as error:
            _log.warning("hl7_message_unreadable", address=peer, bytes=len(content))
            return build_ack(content, AckCode.AR, created_at=at.astimezone(), text=str(error))
        for number, name in ((9, "message type"), (10, "message control id")):
            if not header.raw(number).strip():
                text = f"MSH-{number} ({name}) is empty."
                return self._refuse(header, content, text, _REQUIRED_FIELD_MISSING)
        if not self._may_send(header, peer):
            _log.warning("hl7_application_refused", address=peer)
            return self._refuse(header, content, "This sending application may not send here.")
        waiting = _Waiting(
            message=ReceivedMessage(
                sending_application=header.sending_application,
                sending_facility=header.sending_facility,
                control_id=header.control_id,
                kind=header.kind,
                is_merge=may_merge(header.kind),
                digest=hashlib.sha256(content).hexdigest(),
                peer=peer,
                received_at=at,
                content=content,
            ),
            kept=Future(),
        )
        self._queue.put(waiting)
        return waiting

    def _may_send(self, header: Header, peer: str) -> bool:
        """Tell whether a peer's rows let this sending application in."""
        if all(not row.sending_application for row in self._peers):
            return True
        named = self._applications_of(peer)
        return "" in named or header.sending_application in named

    def _applications_of(self, peer: str) -> set[str]:
        """Return the applications that may send from an address; asked anew once a minute."""
        now = time.monotonic()
        since, named = self._named.get(peer, (float("-inf"), set[str]()))
        if now - since > _NAMES_SECONDS:
            named = {p.sending_application for p in self._peers if is_same_host(p.host, peer)}
            self._named[peer] = (now, named)
        return named

    def _refuse(self, header: Header, content: bytes, text: str, error: int = 207) -> bytes:
        at = self._clock().astimezone()
        return build_ack(
            content, _in_mode(header, AckCode.AR), created_at=at, text=text, error=error
        )

    async def _end(self, content: bytes, waiting: _Waiting) -> bytes:
        header = read_header(content)
        try:
            kept = await asyncio.wrap_future(waiting.kept)
        except Exception:  # noqa: BLE001  the message's border; the thread has logged what it was
            return build_ack(
                content,
                _in_mode(header, AckCode.AE),
                created_at=self._clock().astimezone(),
                text="The message could not be stored now; send it again.",
            )
        # The moment of the first time: the same message gets the same answer, byte for byte.
        at = kept.received_at.astimezone()
        return build_ack(content, _in_mode(header, AckCode.AA), created_at=at)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._gather()
            if batch:
                self._keep(batch)

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """Wait for a message; return it with those that have come since, and whether it is over."""
        batch: list[_Waiting] = []
        size = 0
        while not batch or (
            not self._queue.empty() and len(batch) < _BATCH_MESSAGES and size < _BATCH_BYTES
        ):
            waiting = self._queue.get()
            if waiting is None:
                return batch, True
            batch.append(waiting)
            size += len(waiting.message.content)
        return batch, False

    def _keep(self, batch: list[_Waiting], attempts: int = _ATTEMPTS) -> None:
        """Commit messages together; one that cannot be kept holds up no other."""
        try:
            with writing(self._engine) as session:
                kept = messages.keep(session, [waiting.message for waiting in batch])
        except (OperationalError, InterfaceError, OSError) as error:
            # The database or its disk is away: that is nobody's message's fault.
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  the border of one message
            self._keep_apart(batch, error, attempts - 1)
        else:
            for waiting, what in zip(batch, kept, strict=True):
                if what.is_key_repeated:
                    _log.warning("hl7_control_id_repeated", address=waiting.message.peer)
                # Whose connection was cut meanwhile waits no longer; the others do.
                with suppress(InvalidStateError):
                    waiting.kept.set_result(what)

    def _keep_apart(self, batch: list[_Waiting], error: Exception, attempts: int) -> None:
        if isinstance(error, IntegrityError) and attempts > 0:
            # Another process kept one of them at the same moment.
            self._keep(batch, attempts)
        elif len(batch) > 1:
            middle = len(batch) // 2
            self._keep(batch[:middle])
            self._keep(batch[middle:])
        else:
            _fail(batch, error)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    _log.error("hl7_messages_not_kept", count=len(batch), exc_info=error)
    for waiting in batch:
        with suppress(InvalidStateError):
            waiting.kept.set_exception(error)


def _in_mode(header: Header, code: AckCode) -> AckCode:
    """Return an answer as the sender asks for it: as a commit, where it wants that and no more."""
    wants_commit = header.first(_ACCEPT_ACK).upper() in {"AL", "SU"}
    wants_application = header.first(_APPLICATION_ACK).upper() in {"AL", "SU", "ER"}
    return _COMMIT[code] if wants_commit and not wants_application else code
