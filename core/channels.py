"""How each destination does: left alone while it cannot be reached, served no faster than it wants.

A destination that cannot be reached would otherwise hold every delivering process for as long as a
time-out, one delivery after another. So after a failure of the network all of its deliveries wait
together; when the wait is over one of them is attempted, and the others follow once it got through.
A peer that answers, whatever it says, is there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.tables import Channel, Delivery

_MINUTE = 60.0
# What comes due between two rounds of the sweep may go at once.
_BURST_SECONDS = 5.0


def is_held(at: datetime) -> ColumnElement[bool]:
    """Return the condition that a delivery's destination is left alone at a moment."""
    return (
        select(Channel.name)
        .where(
            Channel.name == Delivery.destination,
            or_(Channel.held_until > at, Channel.paced_until > at),
        )
        .exists()
    )


def enter(
    session: Session, name: str, *, at: datetime, lease: timedelta, per_minute: int = 0
) -> bool:
    """Take a destination's turn; False where it is to be left alone.

    Args:
        session: A writing session; the destination's row is locked to its end.
        name: Of the destination.
        at: When.
        lease: How long an attempt may take: while the one after a failure is under way, the others
            wait.
        per_minute: Most attempts in a minute, five seconds' worth of them at once; 0: no limit.
    """
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    row_of = postgresql.insert(Channel) if is_postgresql else sqlite.insert(Channel)
    session.execute(row_of.values(name=name, failures=0).on_conflict_do_nothing())
    row = session.get(Channel, name, with_for_update=True, populate_existing=True)
    if row is None or any(until and until > at for until in (row.held_until, row.paced_until)):
        return False
    if row.failures:
        row.held_until = at + lease
    if per_minute:
        pause = timedelta(seconds=_MINUTE / per_minute)
        credit = max(timedelta(seconds=_BURST_SECONDS) - pause, timedelta())
        # How far the attempts so far have used up the time to come (a leaky bucket).
        used_until = (row.paced_until or at - credit) + credit
        row.paced_until = max(used_until, at) + pause - credit
    session.flush()
    return True


def fail(session: Session, name: str, *, at: datetime, until: datetime) -> None:
    """Leave a destination alone: it could not be reached."""
    row = session.get(Channel, name, with_for_update=True, populate_existing=True)
    if row is not None:
        row.failures += 1
        row.failing_since = row.failing_since or at
        row.held_until = until
        session.flush()


def answer(session: Session, name: str) -> bool:
    """Note that a destination answered; True where it could not be reached before."""
    row = session.get(Channel, name)
    if row is None or not row.failures:
        return False
    session.execute(
        update(Channel)
        .where(Channel.name == name)
        .values(failures=0, failing_since=None, held_until=None)
        .execution_options(synchronize_session=False)
    )
    return True


def let_go(session: Session, name: str, *, at: datetime) -> None:
    """Give a turn back that was taken and not used: the peer was not asked."""
    row = session.get(Channel, name)
    if row is not None and row.failures:
        row.held_until = at
        session.flush()


def failures(session: Session, name: str) -> tuple[int, datetime | None]:
    """Return how often in a row a destination could not be reached, and since when."""
    row = session.get(Channel, name)
    return (row.failures, row.failing_since) if row is not None else (0, None)


def release(session: Session, study: int) -> None:
    """Let a study's destinations be tried at once: an operator said so."""
    names = select(Delivery.destination).where(Delivery.study_id == study)
    session.execute(
        update(Channel)
        .where(Channel.name.in_(names))
        .values(held_until=None)
        .execution_options(synchronize_session=False)
    )
