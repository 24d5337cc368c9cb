"""Storage commitments that senders ask us for (PS3.4 J): the rows, and which of them is due.

A request is a row before it is answered Success. EVALUATING waits until the index has caught up
with what arrived before the request; REPORTING until the sender has taken the report; a sender that
cannot be reached for a day leaves it UNREPORTED, and `taqrir status` shows that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from core import store
from core.lifecycle import CommitmentState
from core.tables import Commitment

_S = CommitmentState
_OPEN = (_S.EVALUATING, _S.REPORTING)
GIVE_UP_AFTER = timedelta(hours=24)
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(hours=1)
# How long one attempt to report may take before somebody else may try.
_LEASE = timedelta(minutes=5)
# A row of 10,000 references is a megabyte: settled ones are kept for a while, not for ever.
_KEEP_SETTLED = timedelta(days=30)


def request(
    session: Session,
    *,
    ae_title: str,
    transaction_uid: str,
    instances: list[list[str]],
    association: str,
    at: datetime,
) -> bool:
    """Write a request down; False where the transaction is known with other instances.

    The same request again changes nothing while it is open. Once it was settled the sender has
    missed our report, or wants to know again: it is evaluated anew.

    `instances` are pairs of SOP Class UID and SOP Instance UID; `association` is where the report
    goes if the sender does not listen itself.
    """
    row = session.scalar(
        select(Commitment)
        .where(Commitment.ae_title == ae_title, Commitment.transaction_uid == transaction_uid)
        .with_for_update()
    )
    if row is None:
        session.add(
            Commitment(
                transaction_uid=transaction_uid,
                ae_title=ae_title,
                association=association,
                state=_S.EVALUATING,
                requested_at=at,
                next_attempt_at=at,
                instances=instances,
            )
        )
        return True
    if row.instances != instances:
        return False
    row.association = association
    if row.state not in _OPEN:
        row.state, row.attempts, row.reason = _S.EVALUATING, 0, ""
        row.requested_at = row.next_attempt_at = at
        row.reported_at = None
    return True


def has_open(session: Session) -> bool:
    """Tell whether there is anything to do."""
    return (
        session.scalar(select(Commitment.id).where(Commitment.state.in_(_OPEN)).limit(1))
        is not None
    )


def evaluating(session: Session) -> Sequence[tuple[int, datetime]]:
    """Return id and moment of the requests that wait for the index, oldest first."""
    rows = session.execute(
        select(Commitment.id, Commitment.requested_at)
        .where(Commitment.state == _S.EVALUATING)
        .order_by(Commitment.requested_at)
    )
    return [(row[0], row[1]) for row in rows]


def evaluated(
    session: Session, commitment: int, *, failed: list[list[str]], at: datetime
) -> Commitment | None:
    """Write down how a request was evaluated; None where somebody else did.

    `failed` holds SOP Class UID, SOP Instance UID and Failure Reason (four hexadecimal digits) of
    what is not committed.
    """
    values = {"state": _S.REPORTING, "failed": failed, "next_attempt_at": at}
    if not _write(session, commitment, _S.EVALUATING, values):
        return None
    session.execute(
        delete(Commitment).where(
            Commitment.state.not_in(_OPEN), Commitment.requested_at < at - _KEEP_SETTLED
        )
    )
    return session.get(Commitment, commitment, populate_existing=True)


def reporting(session: Session, *, ae_title: str, at: datetime) -> Sequence[tuple[int, str]]:
    """Return id and association of a sender's requests whose report is due, oldest first."""
    rows = session.execute(
        select(Commitment.id, Commitment.association)
        .where(
            Commitment.state == _S.REPORTING,
            Commitment.ae_title == ae_title,
            Commitment.next_attempt_at <= at,
        )
        .order_by(Commitment.id)
    )
    return [(row[0], row[1]) for row in rows]


def claim(session: Session, commitment: int, *, at: datetime) -> Commitment | None:
    """Take a report that is due, for some minutes; None where somebody else has it."""
    written = session.execute(
        update(Commitment)
        .where(
            Commitment.id == commitment,
            Commitment.state == _S.REPORTING,
            Commitment.next_attempt_at <= at,
        )
        .values(next_attempt_at=at + _LEASE, attempts=Commitment.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", written).rowcount != 1:
        return None
    return session.get(Commitment, commitment, populate_existing=True)


def reported(session: Session, commitment: int, *, at: datetime) -> None:
    """The sender has taken the report."""
    _write(
        session, commitment, _S.REPORTING, {"state": _S.REPORTED, "reported_at": at, "reason": ""}
    )


def postpone(session: Session, commitment: int, *, at: datetime, reason: str) -> None:
    """A report failed: it is tried again after a pause that doubles."""
    row = session.get(Commitment, commitment, populate_existing=True)
    if row is None:
        return
    pause = min(_FIRST_PAUSE * 2 ** min(max(row.attempts - 1, 0), 16), _LONGEST_PAUSE)
    values = {"next_attempt_at": at + pause, "reason": reason}
    _write(session, commitment, _S.REPORTING, values)


def give_up(session: Session, *, at: datetime, actor: str) -> int:
    """Leave requests UNREPORTED that nobody took a report of for a day; return how many."""
    late = session.scalars(
        select(Commitment)
        .where(
            Commitment.state.in_(_OPEN),
            Commitment.requested_at < at - GIVE_UP_AFTER,
            Commitment.next_attempt_at <= at,
        )
        .with_for_update()
    ).all()
    for row in late:
        if row.state == _S.EVALUATING:
            row.reason = "the index did not catch up"
        row.reason = row.reason or "no association came on which it could be reported"
        row.state = _S.UNREPORTED
        store.note(
            session,
            None,
            "commitment_unreported",
            at=at,
            actor=actor,
            ae_title=row.ae_title,
            uid=row.transaction_uid,
            reason=row.reason,
        )
    return len(late)


def overdue(session: Session, *, at: datetime) -> bool:
    """Tell whether `give_up` has something to do."""
    query = select(Commitment.id).where(
        Commitment.state.in_(_OPEN),
        Commitment.requested_at < at - GIVE_UP_AFTER,
        Commitment.next_attempt_at <= at,
    )
    return session.scalar(query.limit(1)) is not None


def count_commitments(session: Session) -> dict[CommitmentState, int]:
    """Return how many requests are in each state."""
    rows = session.execute(select(Commitment.state, func.count()).group_by(Commitment.state))
    return dict.fromkeys(CommitmentState, 0) | {_S(row[0]): row[1] for row in rows}


def unreported(session: Session) -> Sequence[dict[str, Any]]:
    """Return the dead letters, oldest first: who asked, when, and why nobody was told."""
    columns = ("ae_title", "transaction_uid", "requested_at", "attempts", "reason")
    rows = session.execute(
        select(*(getattr(Commitment, name) for name in columns))
        .where(Commitment.state == _S.UNREPORTED)
        .order_by(Commitment.id)
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _write(
    session: Session, commitment: int, state: CommitmentState, values: dict[str, Any]
) -> bool:
    written = session.execute(
        update(Commitment)
        .where(Commitment.id == commitment, Commitment.state == state)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount == 1
