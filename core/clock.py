"""The one place that asks what time it is, so that tests can ask for another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(tz=UTC)


def local_now() -> datetime:
    """Return the present moment, aware, in the machine's own time zone."""
    return datetime.now(tz=UTC).astimezone()
