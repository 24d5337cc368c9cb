"""Received messages are read and followed, one after the other, each exactly once.

What a message changes and what became of it are one transaction: after a crash it is either done or
still waits. One that cannot be understood or followed is kept as FAILED with the reason; a person
may play it again after a fix (`taqrir hl7 replay`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from core import merges, messages, ordering, store
from core.database import reading, writing
from core.errors import PermanentError
from core.instructions import (
    Instruction,
    MergePatients,
    NoteReport,
    PlaceOrder,
    UpdatePatient,
)
from core.lifecycle import MessageState
from core.log import log
from core.order_tables import Hl7Message
from hl7.orders import read_instructions
from worker.parts import Parts

_log = log(__name__)
_ACTOR = "orders"
_POLL_SECONDS = 0.25
_PAUSE_SECONDS = 2.0
_FORGET_EVERY = timedelta(hours=1)


class OrdersLoop:
    """Follows messages in a thread as they come."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the message at hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        forget_at = self._parts.clock()
        while not self._stopping.is_set():
            try:
                is_idle = not follow_next(self._parts)
                if self._parts.clock() >= forget_at:
                    forget_old(self._parts)
                    forget_at = self._parts.clock() + _FORGET_EVERY
            except SQLAlchemyError:
                # The messages stay; a later look finds them.
                _log.exception("orders_postponed")
                self._stopping.wait(_PAUSE_SECONDS)
            else:
                if is_idle:
                    self._stopping.wait(_POLL_SECONDS)


def forget_old(parts: Parts) -> None:
    """Remove what messages said of patients once the days of retention are over."""
    if days := parts.settings.retention.days:
        before = parts.clock() - timedelta(days=days)
        with writing(parts.engine) as session:
            messages.forget(session, before=before)
            ordering.forget(session, before=before)


def follow_all(parts: Parts) -> int:
    """Follow every message that waits; return how many there were."""
    count = 0
    while follow_next(parts):
        count += 1
    return count


def follow_next(parts: Parts) -> bool:
    """Follow the oldest message that waits; False where none does."""
    with reading(parts.engine) as session:
        # Looked for without a lock first: there is nothing most of the time.
        if not messages.has_received(session):
            return False
        waiting = messages.next_received(session)
    if waiting is None:
        return False
    try:
        # Read before anything is locked: a large message takes seconds, and all writers would wait.
        instructions = read_instructions(
            waiting.content, default_charset=parts.settings.orders.default_charset
        )
        with writing(parts.engine) as session:
            message = messages.next_received(session)
            if message is None or message.id != waiting.id:
                # Another process was quicker, or an older message is played again.
                return True
            state, reason = _follow(parts, session, message, instructions)
            messages.finish(message, state, reason, at=parts.clock())
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  the message's border: one never stops the next
        _fail(parts, waiting.id, error)
    else:
        _log.info("hl7_message_followed", kind=state, count=len(reason.split("; ")))
    return True


def _follow(
    parts: Parts, session: Session, message: Hl7Message, instructions: Sequence[Instruction]
) -> tuple[MessageState, str]:
    words = [_apply(parts, session, message, instruction) for instruction in instructions]
    if not words:
        return MessageState.IGNORED, "it asks nothing of us"
    return MessageState.APPLIED, "; ".join(dict.fromkeys(words))


def _apply(parts: Parts, session: Session, message: Hl7Message, instruction: Instruction) -> str:
    """Follow one instruction; return what it came to, without patient data."""
    at = parts.clock()
    match instruction:
        case PlaceOrder():
            return ordering.place(session, instruction, message=message.id, at=at, actor=_ACTOR)
        case NoteReport():
            is_end = ordering.note_report(
                session, instruction, message=message.id, at=at, actor=_ACTOR
            )
            return "final report elsewhere" if is_end else "report noted"
        case UpdatePatient():
            changed = sum(
                merges.update_patient(session, patient, at=at, actor=_ACTOR)
                for patient in instruction.patients
            )
            return f"patient updated, {changed} studies"
        case MergePatients():
            changed = merges.merge(
                session,
                retired=instruction.retired,
                surviving=instruction.surviving,
                at=at,
                actor=_ACTOR,
            )
            # Orders of the patient's studies may agree now.
            for study in merges.studies_of(session, instruction.surviving):
                ordering.meet(session, study, at=at, actor=_ACTOR)
            return f"patients merged, {changed} studies"


def _fail(parts: Parts, message_id: int, error: Exception) -> None:
    """Keep a message that could not be followed, with the reason."""
    is_ours = isinstance(error, PermanentError)
    reason = str(error) if is_ours else f"unexpected {type(error).__name__}"
    _log.error("hl7_message_failed", code=type(error).__name__, exc_info=error)
    with writing(parts.engine) as session:
        message = session.get_one(Hl7Message, message_id, with_for_update=True)
        if message.state != MessageState.RECEIVED:
            # Another process has said what became of it.
            return
        messages.finish(message, MessageState.FAILED, reason, at=parts.clock())
        store.note(
            session, None, "hl7_message_failed", at=parts.clock(), actor=_ACTOR, message=message_id
        )
