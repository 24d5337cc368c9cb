"""A consumer that lives on without hearing is noticed, and no other."""

from __future__ import annotations

from typing import Any

from core.errors import TransientError
from worker.hearing import HearingTest


class Queue:
    """The broker's place: so many messages wait; None where it is away."""

    def __init__(self) -> None:
        self.count: int | None = 3

    def waiting(self, _queue: str) -> int:
        if self.count is None:
            raise TransientError("away")
        return self.count


def looks(hearing: HearingTest, times: int) -> list[bool]:
    return [hearing.look() for _ in range(times)]


def a_test(queue: Queue) -> HearingTest:
    bell: Any = queue
    return HearingTest(bell, "draft", on_deaf=lambda: None)


def test_messages_that_wait_while_none_is_taken_prove_that_nobody_listens() -> None:
    assert looks(a_test(Queue()), 7) == [False] * 5 + [True] * 2


def test_a_message_that_is_taken_begins_the_count_anew() -> None:
    hearing = a_test(Queue())
    looks(hearing, 5)
    hearing.heard()
    assert looks(hearing, 6) == [False] * 6
    assert hearing.look()


def test_an_empty_queue_and_a_broker_that_is_away_prove_nothing() -> None:
    queue = Queue()
    hearing = a_test(queue)
    for count in (0, None):
        queue.count = 3
        looks(hearing, 5)
        queue.count = count
        assert looks(hearing, 20) == [False] * 20
