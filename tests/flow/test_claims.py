"""Who works on a study: claims, lost claims, dead workers, work that nobody was rung for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from harness import Site, Timing, film
from servers import wait_until

from core import outbox, store
from core.database import reading
from core.errors import TransientError, TransitionError
from core.lifecycle import DeliveryState, Event, State
from worker.pipeline import draft_study
from worker.sweep import sweep_once


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.fixture
def queued(make_site: Callable[..., Site]) -> Site:
    """An installation with one study that waits for a draft."""
    site = make_site(pacs={"main": 1})
    site.receive(film())
    site.go_quiet()
    return site


def _race(*calls: Callable[[], object]) -> list[object]:
    """Make calls at the same moment in threads; return their answers."""
    barrier = threading.Barrier(len(calls))
    answers: list[object] = []

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_workers_that_are_rung_for_one_study_one_drafts(queued: Site) -> None:
    other = queued.new_parts("worker@there:2")
    queued.drafter.during = lambda: time.sleep(0.2)

    answers = _race(lambda: draft_study(queued.parts, 1), lambda: draft_study(other, 1))

    assert sorted(map(str, answers)) == ["False", "True"]
    assert len(queued.drafter.requests) == 1
    assert len(queued.drafts()) == 1
    assert queued.path() == ["RECEIVING", "QUEUED", "DRAFTING", "IN_REVIEW"]
    other.engine.dispose()


def test_a_study_that_does_not_exist_is_nobodys_trouble(queued: Site) -> None:
    assert not queued.draft(999)


def test_a_late_image_while_drafting_drops_the_stale_draft(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": 1})
    image = film()
    site.drafter.during = lambda: site.receive(film(image.StudyInstanceUID))
    site.receive(image)
    site.go_quiet()

    assert not site.draft()

    assert (site.state(), site.study().version) == (State.RECEIVING, 2)
    assert site.drafts() == []
    assert site.deliveries() == []
    site.drafter.during = lambda: None
    site.go_quiet()
    assert site.draft()
    assert [draft.study_version for draft in site.drafts()] == [2]
    assert len(site.drafter.requests[-1].images) == 1


def test_a_worker_notices_that_its_claim_was_lost_and_stops(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(timing=Timing(lease_seconds=0.3))
    image = film()

    def lose_the_claim() -> None:
        site.receive(film(image.StudyInstanceUID))
        # The claim is renewed three times in its time; the next step asks.
        time.sleep(0.5)
        site.drafter.script.append(AssertionError("the draft went on"))

    site.drafter.during = lose_the_claim
    site.receive(image)
    site.go_quiet()

    assert not site.draft()
    assert site.events()[-1] == Event.LATE_INSTANCE
    assert len(site.drafter.requests) == 1


def test_a_claim_is_renewed_while_the_draft_goes_on(make_site: Callable[..., Site]) -> None:
    site = make_site(timing=Timing(lease_seconds=0.3))
    seen = []

    def look() -> None:
        before = site.study().lease_until
        site.clock.advance(seconds=0.2)
        wait_until(lambda: site.study().lease_until != before)
        sweep_once(site.parts)
        seen.append(site.state())

    site.drafter.during = look
    site.take_in(film())

    assert seen == [State.DRAFTING]
    assert site.path() == ["RECEIVING", "QUEUED", "DRAFTING", "IN_REVIEW"]


def test_the_study_of_a_dead_worker_is_taken_back_and_drafted_by_another(queued: Site) -> None:
    with queued.writing() as session:
        store.claim(session, 1, owner="dead", at=queued.clock(), lease=_seconds(120))

    queued.clock.advance(seconds=119)
    sweep_once(queued.parts)
    assert queued.state() is State.DRAFTING
    queued.clock.advance(seconds=2)
    sweep_once(queued.parts)

    assert (queued.state(), queued.study().attempts) == (State.QUEUED, 1)
    assert queued.events()[-1] == Event.LEASE_EXPIRED
    assert queued.bell.studies == [1, 1]
    assert queued.draft()
    assert queued.state() is State.IN_REVIEW


def test_a_study_that_kills_its_workers_ends_failed(queued: Site) -> None:
    for _ in range(3):
        with queued.writing() as session:
            store.claim(session, 1, owner="dead", at=queued.clock(), lease=_seconds(120))
        queued.clock.advance(seconds=121)
        sweep_once(queued.parts)

    study = queued.study()
    assert (study.state, study.reason_code) == (State.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "the worker was silent" in study.reason


def test_a_worker_that_comes_back_from_the_dead_writes_nothing(queued: Site) -> None:
    other = queued.new_parts("worker@there:2")

    def fall_asleep() -> None:
        queued.clock.advance(seconds=121)
        sweep_once(queued.parts)
        queued.drafter.during = lambda: None
        assert draft_study(other, 1)

    queued.drafter.during = fall_asleep

    assert not queued.draft()

    assert len(queued.drafts()) == 1
    assert queued.path() == ["RECEIVING", "QUEUED", "DRAFTING", "QUEUED", "DRAFTING", "IN_REVIEW"]
    other.engine.dispose()


def test_a_claim_that_was_renewed_between_look_and_grip_is_left_alone(
    queued: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with queued.writing() as session:
        study = store.claim(session, 1, owner="slow", at=queued.clock(), lease=_seconds(120))
    queued.clock.advance(seconds=121)
    look = store.expired_leases

    def look_then_renew(*args: object, **rest: object) -> object:
        found = look(*args, **rest)  # type: ignore[arg-type]
        with queued.writing() as session:
            assert store.renew(session, study, at=queued.clock(), lease=_seconds(120))
        return found

    monkeypatch.setattr(store, "expired_leases", look_then_renew)

    sweep_once(queued.parts)

    assert queued.state() is State.DRAFTING
    assert queued.study().lease_owner == "slow"


def test_the_sweep_rings_for_what_was_lost(queued: Site) -> None:
    queued.bell.studies.clear()

    sweep_once(queued.parts)
    assert queued.bell.studies == [1]
    queued.draft()
    queued.bell.deliveries.clear()
    sweep_once(queued.parts)

    assert queued.bell.deliveries == [1]


def test_the_sweep_is_silent_where_the_queue_holds_as_many_rings_as_there_is_work(
    queued: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued.bell.studies.clear()
    monkeypatch.setattr(queued.bell, "waiting", lambda _queue: 1)

    sweep_once(queued.parts)

    assert queued.bell.studies == []


def test_the_sweep_survives_a_broker_that_is_away(
    queued: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(queue: str) -> int:
        raise TransientError(queue)

    monkeypatch.setattr(queued.bell, "waiting", fail)
    with queued.writing() as session:
        store.claim(session, 1, owner="dead", at=queued.clock(), lease=_seconds(1))
    queued.clock.advance(seconds=2)

    sweep_once(queued.parts)

    assert queued.state() is State.QUEUED


def test_of_two_senders_that_are_rung_for_one_delivery_one_claims_it(queued: Site) -> None:
    queued.draft()

    def claim(owner: str) -> bool:
        with queued.writing() as session:
            lease = _seconds(60)
            row = outbox.claim(session, 1, owner=owner, at=queued.clock(), lease=lease)
            time.sleep(0.1)
            return row is not None

    assert sorted(_race(lambda: claim("a"), lambda: claim("b"))) == [False, True]  # type: ignore[type-var]


def test_the_delivery_of_a_dead_sender_becomes_due_again(queued: Site) -> None:
    queued.draft()
    with queued.writing() as session:
        row = outbox.claim(session, 1, owner="dead", at=queued.clock(), lease=_seconds(60))
        assert row is not None
    assert queued.due() == []
    queued.clock.advance(seconds=61)

    assert queued.due() == [1]
    with queued.writing() as session:
        row = outbox.claim(session, 1, owner="other", at=queued.clock(), lease=_seconds(60))
        assert row is not None
        assert row.attempts == 2


def test_a_sender_that_lost_its_claim_cannot_end_the_attempt_of_another(queued: Site) -> None:
    queued.draft()
    with queued.writing() as session:
        slow = outbox.claim(session, 1, owner="slow", at=queued.clock(), lease=_seconds(60))
    queued.clock.advance(seconds=61)
    with queued.writing() as session:
        outbox.claim(session, 1, owner="quick", at=queued.clock(), lease=_seconds(60))
    assert slow is not None

    with queued.writing() as session:
        outbox.finish(
            session, slow, DeliveryState.PARKED, at=queued.clock(), actor="slow", reason="no"
        )
    with queued.writing() as session:
        outbox.postpone(
            session, slow, at=queued.clock(), until=queued.clock(), actor="slow", reason="no"
        )

    with reading(queued.engine) as session:
        row = outbox.deliveries_of(session, 1)[0][0]
    assert (row.state, row.lease_owner, row.reason) == (DeliveryState.PENDING, "quick", "")


def test_an_event_that_comes_too_late_changes_nothing(queued: Site) -> None:
    stale = queued.study()
    with queued.writing() as session:
        store.claim(session, 1, owner="quick", at=queued.clock(), lease=_seconds(60))
    before = queued.events()

    with pytest.raises(TransitionError, match="too late"), queued.writing() as session:
        store.advance(session, stale, Event.STARTED, at=queued.clock(), actor="slow")

    assert queued.events() == before
    assert queued.study().lease_owner == "quick"
