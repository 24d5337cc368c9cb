"""The doorbell on a real Redis, and without one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from servers import free_port, running_redis, wait_until

from core.errors import TransientError
from core.queue import BEAT_TASK, DELIVER_TASK, DRAFT_TASK, Doorbell
from core.queue_names import DELIVER_QUEUE, DRAFT_QUEUE
from core.settings_file import load

pytestmark = pytest.mark.service


@contextmanager
def _doorbell(url: str) -> Iterator[Doorbell]:
    bell = Doorbell(load(None, {"TAQRIR_BROKER__URL": url}))
    yield bell
    bell.close()


@pytest.fixture
def bell(fresh_redis_url: str) -> Iterator[Doorbell]:
    with _doorbell(fresh_redis_url) as bell:
        yield bell


def _messages(url: str, queue: str) -> list[dict[str, object]]:
    with redis.Redis.from_url(url) as client:
        return [json.loads(raw) for raw in client.lrange(queue, 0, -1)]


def test_a_ring_is_one_message_with_one_id(bell: Doorbell, fresh_redis_url: str) -> None:
    assert bell.ring_study(7)
    assert bell.ring_delivery(8)

    for queue, task, number in (
        (DRAFT_QUEUE, DRAFT_TASK, 7),
        (DELIVER_QUEUE, DELIVER_TASK, 8),
    ):
        (message,) = _messages(fresh_redis_url, queue)
        headers = message["headers"]
        assert isinstance(headers, dict)
        assert (headers["task"], headers["argsrepr"]) == (task, f"[{number}]")
        assert bell.waiting(queue) == 1


def test_nothing_waits_in_a_queue_that_nobody_used(bell: Doorbell) -> None:
    assert bell.waiting(DRAFT_QUEUE) == 0


def test_a_beat_that_nobody_takes_ends_by_itself(bell: Doorbell, fresh_redis_url: str) -> None:
    assert bell.ring_beat(DRAFT_QUEUE)

    (message,) = _messages(fresh_redis_url, DRAFT_QUEUE)
    headers = message["headers"]
    assert isinstance(headers, dict)
    assert headers["task"] == BEAT_TASK
    assert headers["expires"] is not None


def test_a_broker_that_was_never_there_is_an_answer_and_no_error_and_takes_no_time() -> None:
    with _doorbell(f"redis://127.0.0.1:{free_port()}/0") as bell:
        began = time.monotonic()
        assert not bell.ring_study(1)
        assert not bell.ring_delivery(1)
        assert not bell.ring_beat(DRAFT_QUEUE)
        # The node's completion loop and the pipeline ring in their own threads.
        assert time.monotonic() - began < 3
        with pytest.raises(TransientError):
            bell.waiting(DRAFT_QUEUE)


def test_a_broker_that_dies_between_two_rings_is_an_answer_and_is_found_again(
    tmp_path: Path,
) -> None:
    port = free_port()
    with _doorbell(f"redis://127.0.0.1:{port}/0") as bell:
        with running_redis(tmp_path, port) as process:
            assert bell.ring_study(1)
            process.kill()
            process.wait()
        assert not bell.ring_study(2)
        with running_redis(tmp_path, port):
            assert wait_until(lambda: bell.ring_study(3), timeout=20)
            assert bell.waiting(DRAFT_QUEUE) >= 1
