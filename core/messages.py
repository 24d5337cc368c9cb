"""Received HL7 messages as rows: kept before they are acknowledged, processed in their order.

A message is kept once, however often it is sent: by its digest. Its key (MSH-3, MSH-4, MSH-10)
tells a peer's messages apart; the same key with other content is another message, and is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, func, insert, select, tuple_, update
from sqlalchemy.orm import Session, defer

from core.errors import TransitionError
from core.lifecycle import MessageState
from core.order_tables import Hl7Message

_LONGEST_KEY, _LONGEST_KIND = 64, 32
# SQLite takes so many parameters in a query, and more.
_AT_ONCE = 300
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class ReceivedMessage:
    """A message as it came.

    Attributes:
        digest: SHA-256 of `content`, in hexadecimal digits.
        kind: Type and trigger, such as ``ORM^O01``.
        is_merge: It says that patients are one, or leaves open whether it does: until it is
            processed no result goes out.
        peer: Address that it came from.
    """

    sending_application: str
    sending_facility: str
    control_id: str
    kind: str
    is_merge: bool
    digest: str
    peer: str
    received_at: datetime
    content: bytes = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What a peer tells its messages apart by, as an index holds it."""
        return (
            self.control_id[:_LONGEST_KEY],
            self.sending_application[:_LONGEST_KEY],
            self.sending_facility[:_LONGEST_KEY],
        )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was found when a message was kept.

    Attributes:
        received_at: When it came for the first time.
        is_repeat: It was there before.
        is_key_repeated: Another message bore its key.
    """

    received_at: datetime
    is_repeat: bool = False
    is_key_repeated: bool = False


def keep(session: Session, received: Sequence[ReceivedMessage]) -> list[Kept]:
    """Write messages down that are new; say of each what was there before.

    Raises:
        sqlalchemy.exc.IntegrityError: Another process wrote the same message; try again.
    """
    known: dict[str, datetime] = {}
    for digests in _in_batches(m.digest for m in received):
        query = select(Hl7Message.digest, Hl7Message.received_at)
        for row in session.execute(query.where(Hl7Message.digest.in_(digests))):
            known[row[0]] = row[1]
    keys = _known_keys(session, {m.key for m in received if m.digest not in known})
    kept: list[Kept] = []
    new: list[dict[str, Any]] = []
    for message in received:
        if message.digest in known:
            kept.append(Kept(received_at=known[message.digest], is_repeat=True))
            continue
        is_key_repeated = message.key in keys
        kept.append(Kept(received_at=message.received_at, is_key_repeated=is_key_repeated))
        new.append(_values(message, is_key_repeated=is_key_repeated))
        known[message.digest] = message.received_at
        keys.add(message.key)
    if new:
        session.execute(insert(Hl7Message), new)
    return kept


def _in_batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch


def _known_keys(session: Session, keys: Iterable[tuple[str, str, str]]) -> set[tuple[str, ...]]:
    columns = (
        Hl7Message.control_id,
        Hl7Message.sending_application,
        Hl7Message.sending_facility,
    )
    found: set[tuple[str, ...]] = set()
    for some in _in_batches(keys):
        rows = session.execute(select(*columns).where(tuple_(*columns).in_(some)))
        found |= {tuple(row) for row in rows}
    return found


def _values(message: ReceivedMessage, *, is_key_repeated: bool) -> dict[str, Any]:
    control_id, application, facility = message.key
    return {
        "control_id": control_id,
        "sending_application": application,
        "sending_facility": facility,
        "digest": message.digest,
        "kind": message.kind[:_LONGEST_KIND],
        "is_merge": message.is_merge,
        "is_key_repeated": is_key_repeated,
        "state": MessageState.RECEIVED,
        "reason": "",
        "peer": message.peer[:_LONGEST_KEY],
        "received_at": message.received_at,
        "attempts": 0,
        "size_bytes": len(message.content),
        "content": message.content,
    }


def has_received(session: Session) -> bool:
    """Tell whether any message waits to be processed."""
    query = select(Hl7Message.id).where(Hl7Message.state == MessageState.RECEIVED).limit(1)
    return session.scalar(query) is not None


def oldest_received(session: Session) -> datetime | None:
    """Return since when the message that waits longest waits; None where none does."""
    query = select(Hl7Message.received_at).where(Hl7Message.state == MessageState.RECEIVED)
    return session.scalar(query.order_by(Hl7Message.id).limit(1))


def next_received(session: Session) -> Hl7Message | None:
    """Return the oldest message that waits to be processed, locked; None where none does.

    Messages are processed one after the other, however many processes are at it: what an order or a
    merge means depends on what came before.
    """
    return session.scalars(
        select(Hl7Message)
        .where(Hl7Message.state == MessageState.RECEIVED)
        .order_by(Hl7Message.id)
        .limit(1)
        .with_for_update()
    ).first()


def finish(message: Hl7Message, state: MessageState, reason: str, *, at: datetime) -> None:
    """Write what became of a message."""
    message.state, message.reason, message.processed_at = state, reason, at
    message.attempts += 1


def replay(message: Hl7Message) -> None:
    """Let a message be processed again.

    Raises:
        TransitionError: Its content was removed when its days were over.
    """
    if not message.content:
        raise TransitionError(f"the content of message {message.id} was removed")
    message.state = MessageState.RECEIVED


def forget(session: Session, *, before: datetime) -> int:
    """Remove the content of messages that were followed and came before; return of how many.

    Their rows stay: a message that is sent once more is still known.
    """
    written = session.execute(
        update(Hl7Message)
        .where(
            Hl7Message.state.in_([MessageState.APPLIED, MessageState.IGNORED]),
            Hl7Message.received_at < before,
            Hl7Message.content != b"",
        )
        .values(content=b"")
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount


def listed(
    session: Session, *, states: Sequence[str] = (), limit: int = 100
) -> Sequence[Hl7Message]:
    """Return the newest messages, newest last, without their content."""
    query = select(Hl7Message).options(defer(Hl7Message.content))
    if states:
        query = query.where(Hl7Message.state.in_(states))
    rows = session.scalars(query.order_by(Hl7Message.id.desc()).limit(limit)).all()
    return list(reversed(rows))


def find(session: Session, text: str) -> Sequence[Hl7Message]:
    """Return the message with a row's number, else those with an MSH-10, oldest first.

    The number first: every message can be named by it, whatever digits its sender uses.
    """
    # Numbers of rows are small; a longer row of digits is no number of ours.
    is_number = text.isascii() and text.isdigit() and len(text) <= 9  # noqa: PLR2004
    row = session.get(Hl7Message, int(text)) if is_number else None
    if row is not None:
        return [row]
    by_key = select(Hl7Message).where(Hl7Message.control_id == text).order_by(Hl7Message.id)
    return session.scalars(by_key).all()


def count_messages(session: Session) -> dict[MessageState, int]:
    """Return how many messages are in each state."""
    counts = dict.fromkeys(MessageState, 0)
    rows = session.execute(select(Hl7Message.state, func.count()).group_by(Hl7Message.state))
    return counts | {MessageState(row[0]): row[1] for row in rows}
