"""Messages that are followed while another process writes the same study: on PostgreSQL alone.

The embedded database lets one writer in at a time, so that nothing of this can happen there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from harness import ScriptedRis, Site, film
from harness.feed import final_report, keep, merge
from harness.orders import outcomes
from servers import wait_until
from sqlalchemy import select, text

from core import ordering, patients, store
from core.database import reading, writing
from core.lifecycle import State
from core.order_tables import OutsideReport
from hl7.er7 import parse
from worker.orders import follow_all

pytestmark = [
    pytest.mark.parametrize("make_site", ["postgresql"], indirect=True),
    pytest.mark.service,
]
_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@contextmanager
def following(site: Site) -> Iterator[None]:
    """Follow messages in another process's place; go on once they are, or wait for a lock."""

    def has_stopped() -> bool:
        with reading(site.engine) as session:
            return not thread.is_alive() or bool(session.scalar(_WAITS))

    thread = threading.Thread(target=follow_all, args=[site.parts])
    thread.start()
    wait_until(has_stopped)
    yield
    thread.join()


def after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], Any]) -> None:
    """Let something happen once, right after a function of the product was called."""
    real = getattr(module, name)

    def called(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        monkeypatch.setattr(module, name, real)
        act()
        return answer

    monkeypatch.setattr(module, name, called)


def test_a_final_report_ends_a_study_that_a_worker_takes_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim() -> None:
        with writing(site.engine) as session:
            store.claim(session, 1, owner="w2", at=site.clock(), lease=timedelta(seconds=120))

    site.receive(film())
    site.go_quiet()
    keep(site, final_report("ACC1"))
    after(monkeypatch, ordering, "find_studies", claim)
    follow_all(site.parts)

    assert outcomes(site) == [("APPLIED", "final report elsewhere")]
    assert site.state() is State.IGNORED
    with reading(site.engine) as session:
        assert len(session.scalars(select(OutsideReport)).all()) == 1


def test_a_final_report_ends_a_study_that_is_completed_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.receive(film())
    keep(site, final_report("ACC1"))
    with ExitStack() as stack:
        after(monkeypatch, ordering, "meet", lambda: stack.enter_context(following(site)))
        site.go_quiet()

    assert outcomes(site) == [("APPLIED", "final report elsewhere")]
    assert site.state() is State.IGNORED
    assert not site.draft()


def test_a_merge_reaches_a_study_that_is_written_meanwhile(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedRis() as ris, ExitStack() as stack:
        site = make_site(ris={"main": ris.port})
        keep(site, merge("P1", "P9", "Qabbani^Nizar"))
        after(monkeypatch, patients, "identify", lambda: stack.enter_context(following(site)))
        site.receive(film())
        stack.close()
        site.go_quiet()
        site.draft()
        site.deliver_due()

    assert site.study().patient_id == "P9"
    assert [parse(content).text("PID", 3) for content in ris.received] == ["P9"]
