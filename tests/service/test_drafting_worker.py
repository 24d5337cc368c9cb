"""The drafting worker as a process: many studies at once, and a broker that goes away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Site, film
from harness.site import Timing
from servers import free_port, running, running_redis, wait_until
from sqlalchemy import func, select, update

from core import migration, store
from core.database import reading
from core.queue import Doorbell
from core.queue_names import DRAFT_QUEUE
from core.tables import Draft, Study

pytestmark = pytest.mark.service
_TESTS = Path(__file__).resolve().parents[1]
# The tests' own folder comes first, so that `harness` is found.
_START = """\
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from core import log
from core.settings_file import load
from worker.app import run_worker
from worker.parts import Parts
log.configure()
settings = load(Path(sys.argv[1]), {})
"""
_FAKE = """\
from harness import FakeDrafter
Parts.drafter = FakeDrafter()
Parts.drafter.during = lambda: time.sleep(0.3)
"""
# The real model. Its memory is short for more than six requests at a time, and what the batch did
# is written down at the end.
_REAL = """\
import json, torch
from model.decoding import Decoder
whole = Decoder.step
def step(self, tokens, positions, *options):
    if sum(position is not None for position in positions) > 6:
        raise torch.OutOfMemoryError("induced")
    return whole(self, tokens, positions, *options)
Decoder.step = step
drafter = Parts(settings=settings).drafter
Parts.drafter = drafter
"""
_END = """\
code = run_worker(settings, "draft")
if "drafter" in dir():
    Path(sys.argv[3]).write_text(json.dumps(vars(drafter._engine.counters)))
sys.exit(code)
"""


@contextmanager
def _worker(site: Site, drafter: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a drafting worker until the block ends."""
    command = [sys.executable, "-c", _START + drafter + _END]
    command += [str(site.config), str(_TESTS), str(site.folder / "counters.json")]
    with running(command, log=site.folder / "worker.log", is_ready=lambda: True) as process:
        yield process


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make an installation with studies that wait and were rung for."""
    sites: list[Site] = []

    def make(broker_url: str, studies: int, settings: str = "", **options: float) -> Site:
        site = Site(
            tmp_path / "site", broker_url=broker_url, rules=settings, timing=Timing(**options)
        )
        sites.append(site)
        migration.migrate(site.engine)
        site.parts.doorbell = site.bell = Doorbell(site.settings)
        _queue(site, studies)
        return site

    yield make
    for site in sites:
        site.bell.close()
        site.close()


def _queue(site: Site, studies: int, priority: str = "routine") -> list[int]:
    """Take studies in and ring for them."""
    site.receive(*(film() for _ in range(studies)))
    with site.writing() as session:
        query = select(Study.id).order_by(Study.id.desc()).limit(studies)
        new = list(session.scalars(query))
        session.execute(update(Study).where(Study.id.in_(new)).values(priority=priority))
    site.go_quiet()
    return new


def _drafted(site: Site) -> list[int]:
    """Return the studies with a draft, in the order in which they got it."""
    with reading(site.engine) as session:
        return list(session.scalars(select(Draft.study_id).order_by(Draft.id)))


def _under_way(site: Site) -> int:
    with reading(site.engine) as session:
        query = select(func.count()).select_from(Study).where(Study.state == "DRAFTING")
        return session.scalar(query) or 0


@pytest.mark.slow
def test_fifty_studies_are_drafted_in_shared_batches_with_short_memory_and_stat_ones_overtake(
    make_site: Callable[..., Site], fresh_redis_url: str
) -> None:
    site = make_site(
        fresh_redis_url, 48, "[model]\nin_flight = 6\nmax_new_tokens = 300", lease_seconds=5
    )
    with _worker(site, _REAL) as process:
        wait_until(lambda: len(_drafted(site)) >= 4, timeout=90)
        stat = _queue(site, 2, priority="stat")
        before = len(_drafted(site))
        wait_until(lambda: len(_drafted(site)) == 50, timeout=120)
        assert process.poll() is None

    # Those under way when they came are ended first, and those that end beside them.
    assert max(_drafted(site).index(study) for study in stat) <= before + 2 * 6
    assert process.returncode == 0
    done = json.loads((site.folder / "counters.json").read_text())
    assert done["largest"] > 3
    assert done["reductions"] >= 1
    # Four questions a study; some of them found its picture where an earlier one left it.
    assert done["towers"] + done["shared"] >= 4 * 50
    assert done["shared"] > 0
    log = (site.folder / "worker.log").read_text()
    assert '"event": "batch_reduced"' in log
    assert '"draft_failed"' not in log


def test_it_goes_on_without_its_broker_and_hears_it_again_when_it_is_back(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    port = free_port()
    folder = tmp_path / "redis"
    folder.mkdir()
    with running_redis(folder, port) as broker:
        site = make_site(f"redis://127.0.0.1:{port}/0", 30, "[model]\nin_flight = 4")
        with _worker(site, _FAKE) as process:
            wait_until(lambda: _drafted(site), timeout=40)
            assert 1 < _under_way(site) <= 4
            broker.kill()
            broker.wait()
            # What was rung for is drafted while the broker is away.
            there = len(_drafted(site))
            assert there < 30
            wait_until(lambda: len(_drafted(site)) > there + 4, timeout=20)

            with running_redis(folder, port):
                bell = Doorbell(site.settings)
                (late,) = _queue(site, 1)
                assert bell.ring_beat(DRAFT_QUEUE)
                wait_until(lambda: late in _drafted(site), timeout=60)
                wait_until(lambda: bell.waiting(DRAFT_QUEUE) == 0, timeout=30)
                wait_until(lambda: _beats(site), timeout=30)
                wait_until(lambda: len(_drafted(site)) == 31, timeout=30)
                assert process.poll() is None
                bell.close()
                process.terminate()
                process.wait(20)
    assert process.returncode == 0


def _beats(site: Site) -> dict[str, object]:
    with reading(site.engine) as session:
        return dict(store.heartbeats(session))


def test_a_stop_ends_the_drafts_under_way_and_takes_no_more(
    make_site: Callable[..., Site], fresh_redis_url: str
) -> None:
    site = make_site(fresh_redis_url, 20, "[model]\nin_flight = 3")
    with _worker(site, _FAKE) as process:
        wait_until(lambda: len(_drafted(site)) > 2, timeout=40)
        process.terminate()
        process.wait(20)

    assert process.returncode == 0
    assert _under_way(site) == 0
    assert len(_drafted(site)) < 20
