"""A flood of the same refusal must not fill the disk: the first is told, then how often again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
WINDOW = timedelta(minutes=1)


@dataclass(kw_only=True)
class Repeats(Generic[K]):
    """What came again within a minute.

    Attributes:
        count: How often, the first time (which was told at once) left out.
    """

    key: K
    first_at: datetime
    last_at: datetime
    count: int = 0


class RepeatFilter(Generic[K]):
    """Lets the first of a kind pass and counts the rest of its minute.

    Args:
        most_kinds: How many kinds are told apart at once; a flood that changes its face all the
            time is taken as one kind (`other`), so that memory and disk stay bounded.
        other: The kind that stands for all those.
    """

    def __init__(self, most_kinds: int, other: K) -> None:
        self._most_kinds = most_kinds
        self._other = other
        self._seen: dict[K, Repeats[K]] = {}

    def admit(self, key: K, at: datetime) -> K | None:
        """Count one event; return its kind where it is told now, None where it is a repeat."""
        if key not in self._seen and len(self._seen) >= self._most_kinds:
            key = self._other
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = Repeats(key=key, first_at=at, last_at=at)
            return key
        seen.count += 1
        seen.last_at = at
        return None

    def expire(self, at: datetime | None) -> list[Repeats[K]]:
        """Forget the kinds whose minute is over (all where `at` is None).

        Returns:
            Those that came again, to be told once more with their number.
        """
        over = [r for r in self._seen.values() if at is None or at - r.first_at >= WINDOW]
        for repeats in over:
            del self._seen[repeats.key]
        return [repeats for repeats in over if repeats.count]
