"""A stat study overtakes what waits, with a real Celery worker on a real Redis."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from harness import Site, film
from servers import running, wait_until
from sqlalchemy import select, update

from core import migration
from core.database import reading
from core.lifecycle import Event
from core.queue import Doorbell
from core.queue_names import DRAFT_QUEUE
from core.tables import AuditEvent, Draft, Study
from worker.sweep import sweep_once

pytestmark = pytest.mark.service
_ROUTINE = 100
# The drafter is slow enough for the first drafts to be looked at while the rest still waits.
_WORKER = """\
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from harness import FakeDrafter
from core import log
from core.settings_file import load
from worker.app import run_worker
from worker.parts import Parts
Parts.drafter = FakeDrafter()
Parts.drafter.during = lambda: time.sleep(0.2)
log.configure()
sys.exit(run_worker(load(Path(sys.argv[1]), {}), "draft"))
"""
_TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def site(tmp_path: Path, fresh_redis_url: str) -> Iterator[Site]:
    """An installation in which a hundred routine studies wait and were rung for."""
    site = Site(tmp_path / "site", broker_url=fresh_redis_url)
    migration.migrate(site.engine)
    site.parts.doorbell = site.bell = Doorbell(site.settings)
    site.receive(*(film() for _ in range(_ROUTINE)))
    site.go_quiet()
    yield site
    site.bell.close()
    site.close()


def _add_stat_study(site: Site) -> int:
    site.receive(film())
    with site.writing() as session:
        newest = session.scalars(select(Study.id).order_by(Study.id.desc())).first()
        assert newest is not None
        session.execute(update(Study).where(Study.id == newest).values(priority="stat"))
    site.go_quiet()
    return newest


def _drafted(site: Site) -> list[int]:
    """Return the studies with a draft, in the order in which they got it."""
    with reading(site.engine) as session:
        return list(session.scalars(select(Draft.study_id).order_by(Draft.id)))


def _begun(site: Site) -> list[int | None]:
    """Return the studies in the order in which they were taken; several are at hand at once."""
    started = select(AuditEvent.study_id).where(AuditEvent.event == Event.STARTED)
    with reading(site.engine) as session:
        return list(session.scalars(started.order_by(AuditEvent.id)))


@contextmanager
def _worker(site: Site) -> Iterator[None]:
    """Run a drafting worker until the block ends."""
    command = [sys.executable, "-c", _WORKER, str(site.config), str(_TESTS)]
    with running(command, log=site.folder / "worker.log", is_ready=lambda: True):
        yield


def test_a_stat_study_overtakes_a_hundred_routine_studies_that_were_rung_for(site: Site) -> None:
    assert site.bell.waiting(DRAFT_QUEUE) == _ROUTINE
    stat = _add_stat_study(site)

    with _worker(site):
        wait_until(lambda: _drafted(site), timeout=40)

    assert _begun(site)[0] == stat
    assert len(_drafted(site)) < _ROUTINE


def test_a_stat_study_that_comes_while_a_worker_is_busy_is_next(site: Site) -> None:
    with _worker(site):
        wait_until(lambda: len(_drafted(site)) > 1, timeout=40)
        stat = _add_stat_study(site)
        before = len(_drafted(site))
        wait_until(lambda: stat in _drafted(site), timeout=40)

    # Only the drafts at hand were ended first.
    assert _drafted(site).index(stat) <= before + site.settings.model.in_flight
    assert len(_drafted(site)) < _ROUTINE


def test_it_overtakes_them_also_where_the_broker_lost_every_message(
    site: Site, fresh_redis_url: str
) -> None:
    stat = _add_stat_study(site)
    with redis.Redis.from_url(fresh_redis_url) as client:
        client.flushall()

    sweep_once(site.parts)

    assert site.bell.waiting(DRAFT_QUEUE) == _ROUTINE + 1
    with _worker(site):
        wait_until(lambda: _drafted(site), timeout=40)
    assert _begun(site)[0] == stat
