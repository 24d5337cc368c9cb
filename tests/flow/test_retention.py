"""What goes when its days are over, what holds it, and what a crash in between leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from harness import Site, film, one_database, report_object
from harness.retained import age, assert_whole, files_of, paths_of_rows, purge
from servers import wait_until
from sqlalchemy import func, select, update

from core import outbox, retention, store
from core.audit import AuditTrail
from core.database import reading
from core.dismissal import Dismissal, dismiss_delivery, dismiss_study
from core.errors import PermanentError, TransitionError
from core.lifecycle import DeliveryState, Event, State
from core.retention import Hold, PurgedStudy, RetentionPolicy
from core.tables import Artifact, Delivery, Draft, Instance, Series, Study
from worker.purge import Purge, PurgeLoop

SENT, CONFIRMED = DeliveryState.SENT, DeliveryState.CONFIRMED
PARKED, DROPPED = DeliveryState.PARKED, DeliveryState.DROPPED


def _set_deliveries(site: Site, *states: DeliveryState, **columns: Any) -> None:
    with site.writing() as session:
        for (delivery, _), state in zip(site.deliveries(), states, strict=True):
            change = update(Delivery).where(Delivery.id == delivery.id)
            session.execute(change.values(state=state, **columns))


def _hold(site: Site, study: int = 1) -> Hold:
    policy = RetentionPolicy.of(site.settings)
    with reading(site.engine) as session:
        held = retention.hold(policy, at=site.clock())
        return Hold(str(session.scalar(select(held).where(Study.id == study))))


def _drafted(make_site: Callable[..., Site], *states: DeliveryState, **options: Any) -> Site:
    """Return a site with one drafted study, two deliveries to an archive in these states."""
    site = make_site(pacs={"main": 1}, **options)
    site.take_in(film(), film())
    site.take_in()
    _set_deliveries(site, *(states or (SENT, SENT)), sent_at=site.clock())
    return site


@pytest.fixture
def drafted(make_site: Callable[..., Site]) -> Site:
    """One study, drafted, its two documents sent; another one as well."""
    return _drafted(make_site)


# What goes


def test_a_study_goes_when_its_days_are_over_and_not_before(drafted: Site) -> None:
    drafted.clock.advance(days=29, hours=23)
    assert purge(drafted).studies == 0

    drafted.clock.advance(days=1, hours=2)
    result = purge(drafted)

    assert (result.studies, result.instances) == (1, 1)
    assert files_of(drafted) == paths_of_rows(drafted) != set()
    assert drafted.study(1).purged_at == drafted.clock()
    assert drafted.study(2).purged_at is None
    assert_whole(drafted)


def test_what_stays_of_a_purged_study_adds_up_and_names_nobody(drafted: Site) -> None:
    before = drafted.study()
    assert (before.patient_name, before.patient_id) == ("Test^Patient", "P1")
    assert before.patient_name_bytes.rstrip() == b"Test^Patient"
    events = drafted.events()
    digests = [artifact.sha256 for _, artifact in drafted.deliveries()]
    uids = [artifact.uid for _, artifact in drafted.deliveries()]
    age(drafted)

    purge(drafted)

    after = drafted.study()
    assert (after.study_uid, after.version) == (before.study_uid, before.version)
    assert (after.state, after.state_changed_at) == (before.state, before.state_changed_at)
    names = ("Test^Patient", "P1", "19700101", "M", "20240203", "101500", "ACC1")
    values = [getattr(after, column.name) for column in Study.__table__.columns]
    assert not [value for value in values if value in names]
    assert after.patient_name_bytes == b""
    assert drafted.events() == [*events, "purged"]
    assert drafted.timeline()[-1].detail["instances"] == 1
    [draft] = drafted.drafts()
    assert (draft.report_version, draft.report, draft.selection) == (1, "", {})
    assert [a.content for _, a in drafted.deliveries()] == [None, None]
    assert [a.sha256 for _, a in drafted.deliveries()] == digests
    assert [a.uid for _, a in drafted.deliveries()] == uids
    with reading(drafted.engine) as session:
        assert sum(store.count_states(session).values()) == 2
        of_first = [
            session.scalar(select(func.count()).where(t.study_id == 1)) for t in (Instance, Series)
        ]
    assert of_first == [0, 0]


def test_the_words_of_peers_go_and_those_of_operators_stay(make_site: Callable[..., Site]) -> None:
    site = _drafted(make_site, SENT, PARKED)
    with site.writing() as session:
        session.execute(update(Delivery).values(reason="CANARY is unknown here"))
        for event in ("delivery_parked", "delivery_postponed"):
            store.note(session, 1, event, at=site.clock(), reason="CANARY is unknown here")
        policy = RetentionPolicy.of(site.settings)
        words = Dismissal(at=site.clock(), actor="operator", reason="the archive is gone")
        dismiss_study(session, 1, policy, words)
    age(site)

    assert purge(site).studies == 1

    reasons = [row.detail.get("reason") for row in site.timeline()]
    assert "the archive is gone" in reasons
    assert not any("CANARY" in (reason or "") for reason in reasons)
    assert {delivery.reason for delivery, _ in site.deliveries(1)} == {""}


@pytest.mark.parametrize("event", [Event.FINAL_ELSEWHERE, Event.REJECTED])
@one_database
def test_ignored_and_rejected_studies_go_after_the_same_days(
    make_site: Callable[..., Site], event: Event
) -> None:
    site = _drafted(make_site, SENT, PARKED)
    with site.writing() as session:
        store.advance(session, store.get(session, 1), event, at=site.clock())
    site.clock.advance(days=29)
    assert _hold(site) is Hold.YOUNG
    site.clock.advance(days=2)
    assert _hold(site) is Hold.DUE


# What holds it


@pytest.mark.parametrize(
    ("states", "confirm", "hold"),
    [
        ((SENT, SENT), "none", Hold.DUE),
        ((SENT, SENT), "commitment", Hold.UNCONFIRMED),
        ((CONFIRMED, SENT), "commitment", Hold.UNCONFIRMED),
        ((CONFIRMED, CONFIRMED), "commitment", Hold.DUE),
        ((CONFIRMED, DROPPED), "commitment", Hold.DUE),
        ((SENT, PARKED), "none", Hold.PARKED),
        ((SENT, DeliveryState.PENDING), "none", Hold.UNDELIVERED),
    ],
)
@one_database
def test_every_delivery_must_have_come_to_its_end(
    make_site: Callable[..., Site], states: tuple[DeliveryState, ...], confirm: str, hold: Hold
) -> None:
    site = _one(make_site, *states)
    site.settings = _confirming(site, confirm)
    age(site)

    assert _hold(site) is hold
    site.parts.settings = site.settings
    assert purge(site).studies == (hold is Hold.DUE)


def _one(make_site: Callable[..., Site], *states: DeliveryState) -> Site:
    site = make_site(pacs={"main": 1})
    site.take_in(film())
    _set_deliveries(site, *states)
    return site


def _confirming(site: Site, confirm: str) -> Any:
    [pacs] = site.settings.pacs
    changed = pacs.model_copy(update={"confirm": confirm})
    return site.settings.model_copy(update={"pacs": (changed,)})


@one_database
def test_what_was_sent_to_a_destination_that_is_gone_needs_no_proof(
    make_site: Callable[..., Site],
) -> None:
    site = _one(make_site, SENT, SENT)
    site.settings = site.settings.model_copy(update={"pacs": ()})
    age(site)
    assert _hold(site) is Hold.DUE


@pytest.mark.parametrize("state", [SENT, PARKED])
@one_database
def test_a_delivery_that_an_operator_dismissed_holds_nothing(
    make_site: Callable[..., Site], state: DeliveryState
) -> None:
    site = _one(make_site, CONFIRMED, state)
    site.settings = _confirming(site, "commitment")
    age(site)
    assert _hold(site) in {Hold.PARKED, Hold.UNCONFIRMED}
    uid = site.deliveries()[1][1].uid

    with site.writing() as session:
        policy = RetentionPolicy.of(site.settings)
        words = Dismissal(at=site.clock(), actor="operator", reason="the archive was replaced")
        other = dismiss_delivery(session, 1, policy, words, uid=uid, destinations=["pacs:another"])
        done = dismiss_delivery(session, 1, policy, words, uid=uid)

    assert (other.deliveries, done.deliveries) == (0, 1)
    assert _hold(site) is Hold.DUE
    assert site.events()[-1] == "delivery_dismissed"


@pytest.mark.parametrize("state", [State.RECEIVING, State.QUEUED, State.DRAFTING])
@one_database
def test_what_is_in_work_never_goes(make_site: Callable[..., Site], state: State) -> None:
    site = make_site()
    site.receive(film())
    if state is not State.RECEIVING:
        site.go_quiet()
    if state is State.DRAFTING:
        with site.writing() as session:
            store.claim(session, 1, owner="w", at=site.clock(), lease=timedelta(days=999))
    site.clock.advance(days=10_000)

    assert _hold(site) is Hold.IN_WORK
    assert purge(site).studies == 0
    assert len(files_of(site)) == 1


def test_a_failed_study_goes_only_after_a_person_gave_it_up(site: Site) -> None:
    site.receive(film())
    site.go_quiet()
    site.drafter.script.append(PermanentError("no"))
    site.draft()
    age(site)
    assert (_hold(site), purge(site).studies) == (Hold.UNDISMISSED, 0)

    with site.writing() as session:
        words = Dismissal(at=site.clock(), actor="operator", reason="a test image")
        done = dismiss_study(session, 1, RetentionPolicy.of(site.settings), words)
        again = dismiss_study(session, 1, RetentionPolicy.of(site.settings), words)

    assert (done.is_study, again.is_study) == (True, False)
    assert site.state() is State.FAILED
    assert purge(site).studies == 1
    assert_whole(site)


def test_a_retry_ends_a_dismissal(site: Site) -> None:
    site.receive(film())
    site.go_quiet()
    site.drafter.script += [PermanentError("no"), PermanentError("no")]
    site.draft()
    with site.writing() as session:
        words = Dismissal(at=site.clock(), actor="operator", reason="a test image")
        dismiss_study(session, 1, RetentionPolicy.of(site.settings), words)
    with site.writing() as session:
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")
    site.draft()
    age(site)

    assert site.state() is State.FAILED
    assert _hold(site) is Hold.UNDISMISSED


def test_an_object_that_came_later_than_the_last_change_of_state_holds_it(drafted: Site) -> None:
    age(drafted)
    with drafted.writing() as session:
        session.execute(update(Instance).values(received_at=drafted.clock()))
    assert (_hold(drafted), purge(drafted).studies) == (Hold.YOUNG, 0)


def test_what_is_committed_to_its_sender_stays_until_then(drafted: Site) -> None:
    age(drafted)
    until = drafted.clock() + timedelta(days=5)
    with drafted.writing() as session:
        session.execute(
            update(Instance).where(Instance.study_id == 1).values(committed_until=until)
        )
    assert (_hold(drafted), purge(drafted).studies) == (Hold.COMMITTED, 0)

    drafted.clock.advance(days=5)
    assert purge(drafted).studies == 1


@one_database
def test_with_zero_days_nothing_ever_goes(make_site: Callable[..., Site]) -> None:
    site = _one(make_site, SENT, SENT)
    kept = site.settings.retention.model_copy(update={"days": 0})
    site.parts.settings = site.settings = site.settings.model_copy(update={"retention": kept})
    site.clock.advance(days=10_000)

    assert _hold(site) is Hold.FOR_EVER
    assert purge(site).studies == 0


# Afterwards


def test_a_late_image_makes_an_ordinary_study_of_it_again(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": 1})
    first = film()
    site.take_in(first)
    _set_deliveries(site, SENT, SENT)
    old = {artifact.uid for _, artifact in site.deliveries()}
    age(site)
    purge(site)

    # The very file that was there before counts: nothing of it is known any more.
    site.receive(first)

    assert (site.state(), site.study().version) == (State.RECEIVING, 2)
    assert (site.study().purged_at, site.study().patient_id) == (None, "P1")
    assert_whole(site)
    site.go_quiet()
    site.draft()
    assert [draft.report_version for draft in site.drafts()] == [1, 2]
    new = {artifact.uid for _, artifact in site.deliveries()}
    assert old < new
    assert len(new) == 2 * len(old)
    site.clock.advance(hours=1)
    assert purge(site).studies == 0


@pytest.mark.parametrize("is_own", [True, False])
@one_database
def test_what_is_no_image_may_come_after_the_purge_and_goes_too(
    make_site: Callable[..., Site], *, is_own: bool
) -> None:
    site = make_site()
    image = film()
    site.take_in(image)
    age(site)
    purge(site)

    late = report_object(image.StudyInstanceUID)
    if is_own:
        with site.writing() as session:
            draft = session.scalars(select(Draft)).one()
            session.add(Artifact(draft_id=draft.id, kind="sr", uid=str(late.SOPInstanceUID)))
    site.receive(late)

    assert (site.state(), site.study().version) == (State.IN_REVIEW, 1)
    assert site.study().purged_at is None
    assert_whole(site)
    with site.writing() as session:
        session.execute(update(Instance).values(received_at=site.clock()))
    assert _hold(site) is Hold.YOUNG
    age(site)
    assert purge(site).studies == 1
    assert_whole(site)


def test_a_purged_study_cannot_be_retried(site: Site) -> None:
    site.receive(film())
    with site.writing() as session:
        row = store.get(session, 1)
        store.advance(session, row, Event.NOT_FOR_US, at=site.clock())
    age(site)
    assert purge(site).studies == 1

    with site.writing() as session, pytest.raises(TransitionError, match="send them again"):
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")


def test_a_parked_delivery_whose_text_is_gone_is_not_sent_again(
    make_site: Callable[..., Site],
) -> None:
    site = _one(make_site, SENT, PARKED)
    with site.writing() as session:
        policy = RetentionPolicy.of(site.settings)
        words = Dismissal(at=site.clock(), actor="operator", reason="no archive")
        dismiss_study(session, 1, policy, words)
    age(site)
    assert purge(site).studies == 1
    with site.writing() as session:
        assert outbox.retry_parked(session, 1, at=site.clock(), actor="operator") == 0


# Who is told


@one_database
def test_the_audit_trail_tells_of_the_study_and_its_patient(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    image = film()
    site.take_in(image, film(image.StudyInstanceUID))
    age(site)
    told: list[Any] = []
    monkeypatch.setattr(
        AuditTrail, "study_deleted", lambda _, study, *, actor: told.append((study, actor))
    )

    Purge(site.parts).run()

    [(study, actor)] = told
    assert (study.study_uid, study.patient_id) == (image.StudyInstanceUID, "P1")
    assert study.accession_numbers == ("ACC1",)
    assert dict(study.sop_classes) == {image.SOPClassUID: 2}
    assert actor == "retention"


def test_what_is_told_does_not_show_the_patient_by_itself() -> None:
    purged = PurgedStudy(
        id=1,
        study_uid="1.2",
        patient_id="CANARY",
        patient_issuer="CANARY",
        accession_number="CANARY",
        sop_classes={},
        instances=0,
        size_bytes=0,
    )
    assert "CANARY" not in repr(purged)


# The loop


@one_database
def test_the_loop_purges_and_ends_when_it_is_told(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film())
    age(site)
    loop = PurgeLoop(site.parts, every_seconds=600)
    loop.start()
    wait_until(lambda: site.study().purged_at is not None)
    loop.stop()
    assert_whole(site)


@one_database
def test_a_purge_that_is_stopped_ends_between_two_studies(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film(), film(), film())
    age(site)
    seen: list[PurgedStudy] = []

    def stop_after_one(study: PurgedStudy) -> None:
        seen.append(study)
        running.stop()

    running = Purge(site.parts, on_purged=stop_after_one)
    assert running.run().studies == 1
    assert_whole(site)
    assert purge(site).studies == 2
