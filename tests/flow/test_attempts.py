"""Drafts that fail: what is tried again, how often, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from harness import Site, a_finding, film, one_database

from core import store
from core.errors import CheckpointError, PermanentError, TransientError, TransitionError
from core.lifecycle import State
from core.report import Severity, from_json


@pytest.fixture
def queued(make_site: Callable[..., Site]) -> Site:
    """An installation with one study that waits for a draft."""
    site = make_site(pacs={"main": 1}, ris={"main": 1})
    site.receive(film())
    site.go_quiet()
    return site


def test_a_draft_with_a_blocking_finding_is_kept_and_sent_nowhere(queued: Site) -> None:
    queued.drafter.script.append((a_finding("SIDE_MISMATCH"), a_finding("CUT_OFF", Severity.WARN)))

    assert queued.draft()

    study = queued.study()
    assert (study.state, study.reason_code) == (State.WITHHELD, "SIDE_MISMATCH")
    assert "the two languages disagree" in study.reason
    assert queued.deliveries() == []
    assert queued.deliver_due() == []
    (draft,) = queued.drafts()
    assert draft.is_withheld
    assert {f.code for f in from_json(draft.report).findings} == {"SIDE_MISMATCH", "CUT_OFF"}
    assert queued.timeline()[-1].detail["findings"] == ["CUT_OFF", "SIDE_MISMATCH"]


def test_findings_that_do_not_block_go_with_the_draft(queued: Site) -> None:
    queued.drafter.script.append((a_finding("LONG", Severity.WARN),))

    queued.draft()

    assert queued.state() is State.IN_REVIEW
    assert len(queued.deliveries()) == 3


def test_a_withheld_draft_that_is_retried_gets_the_next_report_version(queued: Site) -> None:
    queued.drafter.script.append((a_finding(),))
    queued.draft()
    with queued.writing() as session:
        store.retry(session, store.get(session, 1), at=queued.clock(), actor="operator")

    queued.draft()

    assert queued.state() is State.IN_REVIEW
    versions = [(d.study_version, d.report_version, d.is_withheld) for d in queued.drafts()]
    assert versions == [(1, 1, True), (1, 2, False)]


def test_a_passing_failure_waits_and_is_tried_again(queued: Site) -> None:
    queued.drafter.script.append(TransientError("the engine is away"))

    assert queued.draft()

    study = queued.study()
    assert (study.state, study.attempts) == (State.QUEUED, 1)
    assert study.lease_owner is None
    assert study.next_attempt_at == queued.clock() + timedelta(seconds=30)
    assert queued.timeline()[-1].detail == {"reason": "the engine is away", "attempts": 1}
    # Rung for too early, nothing happens.
    assert not queued.draft()
    queued.clock.advance(seconds=31)
    assert queued.draft()
    assert queued.state() is State.IN_REVIEW
    assert queued.study().attempts == 0


def test_waits_grow_and_attempts_end(queued: Site) -> None:
    queued.drafter.script.extend([TransientError("away")] * 3)
    waits = []
    while queued.state() is State.QUEUED:
        at = queued.clock()
        assert queued.draft()
        if (due := queued.study().next_attempt_at) and queued.state() is State.QUEUED:
            waits.append((due - at).total_seconds())
            queued.clock.now = due

    study = queued.study()
    assert waits == [30, 60]
    assert (study.state, study.reason_code) == (State.FAILED, "ATTEMPTS_EXHAUSTED")
    assert study.reason == "away"
    assert study.attempts == 3
    queued.clock.advance(days=1)
    assert not queued.draft()
    assert len(queued.drafter.requests) == 3


def test_a_failed_study_that_is_retried_has_all_its_attempts_again(queued: Site) -> None:
    queued.drafter.script.extend([TransientError("away")] * 4)
    for _ in range(3):
        queued.draft()
        queued.clock.advance(minutes=5)
    assert queued.state() is State.FAILED
    with queued.writing() as session:
        store.retry(session, store.get(session, 1), at=queued.clock(), actor="operator")
    assert (queued.study().attempts, queued.study().reason) == (0, "")

    queued.draft()
    assert (queued.state(), queued.study().attempts) == (State.QUEUED, 1)
    queued.clock.advance(minutes=5)
    queued.draft()

    assert queued.state() is State.IN_REVIEW


@one_database
@pytest.mark.parametrize("error", [PermanentError, CheckpointError])
def test_a_lasting_failure_is_said_at_once(queued: Site, error: type[PermanentError]) -> None:
    queued.drafter.script.append(error("the checkpoint is damaged: install it again"))

    assert queued.draft()

    study = queued.study()
    assert (study.state, study.reason_code) == (State.FAILED, error.__name__)
    assert study.reason == "the checkpoint is damaged: install it again"
    assert queued.drafts() == []


@one_database
@pytest.mark.parametrize("error", [RuntimeError, MemoryError, KeyError, ZeroDivisionError])
def test_a_bug_in_the_drafter_is_tried_again_and_ends_and_its_words_stay_out(
    queued: Site, error: type[Exception]
) -> None:
    queued.drafter.script.extend([error("Mustermann^Erika")] * 3)
    for _ in range(3):
        assert queued.draft()
        queued.clock.advance(minutes=5)

    assert queued.state() is State.FAILED
    assert queued.study().reason == f"unexpected {error.__name__}"
    assert "Mustermann" not in str([row.detail for row in queued.timeline()])


def test_one_studys_failure_does_not_hold_the_next(queued: Site) -> None:
    queued.receive(film())
    queued.go_quiet()
    queued.drafter.script.append(RuntimeError("a bug"))

    queued.draft(1)
    queued.draft(2)

    assert (queued.state(1), queued.state(2)) == (State.QUEUED, State.IN_REVIEW)


@one_database
def test_the_drafter_is_told_nothing_that_identifies(queued: Site) -> None:
    queued.draft()

    (request,) = queued.drafter.requests
    assert "Test" not in repr(request.context)
    assert "P1" not in repr(request.context)
    assert request.context.age_band == "50-59"
    assert (request.context.modality, request.context.view) == ("CR", "PA")
    assert dict(request.severities) == {"ORIENTATION_UNKNOWN": Severity.BLOCK}


@pytest.mark.parametrize("state", [State.RECEIVING, State.QUEUED, State.IN_REVIEW])
def test_what_is_not_in_trouble_is_not_retried(site: Site, state: State) -> None:
    site.receive(film())
    if state is not State.RECEIVING:
        site.go_quiet()
    if state is State.IN_REVIEW:
        site.draft()
    before = site.events()

    with pytest.raises(TransitionError), site.writing() as session:
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")

    assert site.events() == before
    assert site.state() is state
