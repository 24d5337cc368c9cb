"""A real Celery worker in a process of its own, on a real Redis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from harness import ScriptedPacs, Site, abort, film
from servers import running, wait_until

from core import migration, outbox, store
from core.database import reading
from core.lifecycle import DeliveryState
from core.queue import Doorbell
from core.queue_names import DELIVER_QUEUE

pytestmark = pytest.mark.service
_WORKER = """\
import sys
from pathlib import Path
from core import log
from core.settings_file import load
from worker.app import run_worker
log.configure()
sys.exit(run_worker(load(Path(sys.argv[1]), {}), "deliver"))
"""


@contextmanager
def _worker(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """Run a delivering worker until the block ends."""
    command = [sys.executable, "-c", _WORKER, str(site.config)]
    with running(command, log=site.folder / "worker.log", is_ready=lambda: True) as process:
        yield process


@pytest.fixture
def make_drafted(tmp_path: Path, fresh_redis_url: str) -> Iterator[Callable[[int], Site]]:
    """Make an installation with one study in review, its deliveries pending."""
    sites: list[Site] = []

    def make(port: int) -> Site:
        site = Site(tmp_path / "site", pacs={"main": port}, broker_url=fresh_redis_url)
        migration.migrate(site.engine)
        site.take_in(film())
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.close()


def test_a_worker_delivers_what_was_rung_for_before_it_started(
    make_drafted: Callable[[int], Site], fresh_redis_url: str
) -> None:
    with ScriptedPacs() as pacs:
        site = make_drafted(pacs.port)
        bell = Doorbell(site.settings)
        # Twice, as a sweep and a pipeline may; and for what does not exist.
        for delivery in (1, 1, 999):
            assert bell.ring_delivery(delivery)
        assert bell.ring_beat(DELIVER_QUEUE)

        with _worker(site) as process:
            wait_until(lambda: site.are_all(DeliveryState.SENT), timeout=40)
            wait_until(lambda: bell.waiting(DELIVER_QUEUE) == 0)
            wait_until(lambda: _heartbeats(site))

        # The second one was rung for by the worker itself, once the first was out of the way.
        english, arabic = (artifact.uid for _, artifact in site.deliveries())
        assert pacs.uids == [english, arabic]
        assert [delivery.attempts for delivery, _ in site.deliveries()] == [1, 1]
        assert process.returncode == 0
        bell.close()
    with redis.Redis.from_url(fresh_redis_url) as client:
        assert client.hlen("unacked") == 0


def _heartbeats(site: Site) -> dict[str, object]:
    with reading(site.engine) as session:
        return dict(store.heartbeats(session))


def test_a_worker_lives_on_after_a_delivery_that_fails(
    make_drafted: Callable[[int], Site],
) -> None:
    with ScriptedPacs([abort]) as pacs:
        site = make_drafted(pacs.port)
        bell = Doorbell(site.settings)
        with _worker(site) as process:
            bell.ring_delivery(1)
            wait_until(lambda: site.deliveries()[0][0].reason, timeout=40)
            # As an operator's `taqrir retry` does: its destination is no longer left alone.
            with site.writing() as session:
                outbox.hurry(session, 1, at=site.clock())
            bell.ring_delivery(1)
            wait_until(lambda: site.are_all(DeliveryState.SENT), timeout=20)
            assert process.poll() is None

        assert pacs.received[0] == pacs.received[1]
        bell.close()


def test_a_message_of_nonsense_does_not_stop_a_worker(
    make_drafted: Callable[[int], Site], fresh_redis_url: str
) -> None:
    with ScriptedPacs() as pacs:
        site = make_drafted(pacs.port)
        bell = Doorbell(site.settings)
        with redis.Redis.from_url(fresh_redis_url) as client, _worker(site) as process:
            bell._app.send_task("taqrir.nothing", args=[1], queue=DELIVER_QUEUE)
            bell._app.send_task("taqrir.deliver", args=["one", {}], queue=DELIVER_QUEUE)
            bell.ring_delivery(1)
            wait_until(lambda: site.are_all(DeliveryState.SENT), timeout=40)
            assert process.poll() is None
            assert client.llen(DELIVER_QUEUE) == 0
        bell.close()
