"""What becomes of a draft on its way to archives and information systems."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    Timing,
    captured_logs,
    film,
    one_database,
)
from pydicom.dataset import Dataset
from servers import free_port

from core import outbox
from core.lifecycle import DeliveryState, State
from core.tables import Draft
from dicom_node.demo_pacs import DemoPacs
from hl7.ack import AckCode
from worker.deliver import deliver

PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT
PARKED, DROPPED = DeliveryState.PARKED, DeliveryState.DROPPED


def _wait_for_the_next_attempt(site: Site) -> float:
    """Move the clock to the earliest attempt to come; return by how many seconds."""
    waiting = [d.next_attempt_at for d, _ in site.deliveries() if d.state == PENDING]
    at = min(moment for moment in waiting if moment > site.clock())
    seconds = (at - site.clock()).total_seconds()
    site.clock.now = at
    return seconds


def test_a_recorded_draft_is_one_object_a_language_for_each_archive_and_one_message_for_each_ris(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"a": 1, "b": 2}, ris={"x": 3, "y": 4})
    site.take_in(film())

    assert site.delivery_states() == [
        ("pacs:a", "en", PENDING),
        ("pacs:b", "en", PENDING),
        ("pacs:a", "ar", PENDING),
        ("pacs:b", "ar", PENDING),
        ("ris:x", "", PENDING),
        ("ris:y", "", PENDING),
    ]
    uids = {artifact.uid for _, artifact in site.deliveries()}
    # One SOP Instance UID a language, the same for both archives; one MSH-10 a system.
    assert len(uids) == 4


def test_draft_and_deliveries_are_recorded_together_or_not_at_all(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(pacs={"main": 1})
    site.receive(film())
    site.go_quiet()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(outbox, "plan", fail)
    with pytest.raises(RuntimeError):
        site.draft()

    assert site.state() is State.DRAFTING
    assert site.drafts() == []
    assert site.deliveries() == []


def test_an_installation_without_destinations_drafts_all_the_same(site: Site) -> None:
    site.take_in(film())

    assert site.state() is State.IN_REVIEW
    assert site.deliveries() == []


def test_an_archive_that_is_down_is_tried_again_and_gets_each_object_once(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    port = free_port()
    site = make_site(pacs={"main": port})
    site.take_in(film())
    waits = []
    for _ in range(3):
        site.deliver_due()
        assert site.states() == [PENDING, PENDING]
        waits.append(_wait_for_the_next_attempt(site))
    assert waits == [5, 10, 20]
    assert "There is no connection" in site.reason()
    # The timeline says once what is wrong.
    assert site.events().count("delivery_postponed") == 1

    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs:
        main = site.settings.pacs[0].model_copy(update={"port": pacs.port})
        site.parts.settings = site.settings.model_copy(update={"pacs": (main,)})
        site.deliver_due()
        site.deliver_due()

        assert site.states() == [SENT, SENT]
        assert len(pacs.received) == 2
    assert [d.attempts for d, _ in site.deliveries()] == [4, 1]


@one_database
def test_waits_between_attempts_end_at_the_longest(make_site: Callable[..., Site]) -> None:
    site = make_site(ris={"main": free_port()})
    site.take_in(film())
    waits = []
    for _ in range(9):
        site.deliver_due()
        waits.append(_wait_for_the_next_attempt(site))

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_destination_that_stays_down_is_given_up_and_an_operator_starts_it_again(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(ris={"main": free_port()})
    site.take_in(film())
    site.deliver_due()
    site.clock.advance(hours=73)
    site.deliver_due()

    assert site.states() == [PARKED]
    assert site.reason().startswith("given up after 72 h: ")
    assert site.state() is State.IN_REVIEW
    with site.writing() as session:
        assert outbox.retry_parked(session, 1, at=site.clock(), actor="operator") == 1
        outbox.hurry(session, 1, at=site.clock())
    # All its hours begin anew.
    for hours in (71, 2):
        site.deliver_due()
        assert site.states() == [PENDING]
        site.clock.advance(hours=hours)
    site.deliver_due()
    assert site.states() == [PARKED]


@one_database
def test_an_information_system_that_is_down_does_not_hold_the_archive(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs:
        site = make_site(pacs={"main": pacs.port}, ris={"main": free_port()})
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [SENT, SENT, PENDING]


def test_an_archive_that_is_down_holds_neither_the_other_nor_the_information_system(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"dead": free_port(), "live": pacs.port}, ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [PENDING, SENT, PENDING, SENT, SENT]
        assert (len(pacs.received), len(ris.received)) == (2, 1)


@one_database
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xC000, "C000 the peer cannot understand the object"),
        (0xA900, "A900 the data set does not match its SOP class"),
        (0x0124, "0124 not authorised"),
    ],
)
def test_an_archive_that_refuses_parks_the_object_with_its_words(
    make_site: Callable[..., Site], status: int, words: str
) -> None:
    with ScriptedPacs([status]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()

        # What follows is not held up by what was refused.
        assert site.states() == [PARKED, SENT]
        assert words in site.reason()
        row = next(r for r in site.timeline() if r.event == "delivery_parked")
        assert words in row.detail["reason"]
        assert site.state() is State.IN_REVIEW
        site.clock.advance(days=30)
        site.deliver_due()
        assert len(pacs.received) == 2


@one_database
def test_an_archive_that_is_full_is_tried_again(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs([0xA700]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()
        assert site.states() == [PENDING, PENDING]
        assert "out of resources" in site.reason()
        site.clock.advance(seconds=6)
        site.deliver_due()

        assert site.states() == [SENT, SENT]


@one_database
def test_a_warning_of_the_archive_is_a_success_and_is_written_down(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([0xB000]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [SENT, SENT]
        assert site.reason() == "stored, but the peer changed elements"


@one_database
def test_an_archive_that_goes_by_another_name_parks_with_its_words(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs:
        site = make_site(pacs={"main": pacs.port}, pacs_ae_title="WRONG")
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [PARKED, PARKED]
        assert "Called AE title not recognised" in site.reason()


@one_database
@pytest.mark.parametrize(
    ("answer", "state"), [(AckCode.AE, PENDING), (AckCode.AR, PARKED), (AckCode.AA, SENT)]
)
def test_the_answer_of_an_information_system_decides(
    make_site: Callable[..., Site], answer: AckCode, state: DeliveryState
) -> None:
    with ScriptedRis([answer]) as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [state]


def test_the_arabic_report_waits_while_the_english_one_is_pending(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([0xA700]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        assert site.due() == [1]
        assert not deliver(site.parts, 2)
        site.deliver_due()
        assert site.due() == []
        assert not deliver(site.parts, 2)
        site.clock.advance(seconds=6)
        site.deliver_due()

        english, arabic = (artifact.uid for _, artifact in site.deliveries())
        assert pacs.uids == [english, english, arabic]


@one_database
def test_a_destination_that_left_the_settings_parks_with_its_name(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"old": 1}, ris={"old": 1})
    site.take_in(film())
    site.parts.settings = site.settings.model_copy(update={"pacs": (), "ris": ()})
    site.deliver_due()

    assert site.states() == [PARKED] * 3
    assert site.reason() == "pacs:old is no longer in the settings"


@one_database
def test_a_bug_in_one_delivery_is_tried_again_and_holds_no_other(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port}, ris={"main": 1})
        site.take_in(film())

        def fail(*_: object) -> bytes:
            raise KeyError("Mustermann^Erika")

        monkeypatch.setattr("worker.destinations.ris.RisDestination.render", fail)
        site.deliver_due()

        assert site.states() == [SENT, SENT, PENDING]
        assert site.reason(2) == "unexpected KeyError"
        monkeypatch.undo()


def test_a_slow_archive_keeps_its_claim(make_site: Callable[..., Site]) -> None:
    seen = []

    def look(event: object) -> int:
        del event
        site = sites[0]
        site.clock.advance(seconds=site.settings.delivery.timeout_seconds)
        seen.append(site.due())
        return 0x0000

    sites: list[Site] = []
    with ScriptedPacs([look]) as pacs:
        sites.append(make_site(pacs={"main": pacs.port}))
        sites[0].take_in(film())
        sites[0].deliver_due()

    assert seen == [[]]
    assert sites[0].states() == [SENT, SENT]


@one_database
def test_an_archive_that_never_answers_is_left_in_time(make_site: Callable[..., Site]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        site = make_site(pacs={"main": port}, timing=Timing(timeout_seconds=0.5))
        site.take_in(film())
        site.deliver_due()

        assert site.states() == [PENDING, PENDING]
        first = site.deliveries()[0][0].next_attempt_at
        assert first - site.clock() == timedelta(seconds=5)


@one_database
def test_a_peers_own_words_stand_in_the_timeline_and_in_neither_log_nor_audit_trail(
    make_site: Callable[..., Site],
) -> None:
    def refuse(event: object) -> Dataset:
        del event
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xC000, "CANARY^Zahra is unknown"
        return answer

    with ScriptedPacs([refuse]) as pacs, captured_logs() as logs:  # type: ignore[list-item]
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()

    assert site.states() == [PARKED, SENT]
    assert site.reason().endswith("It said: CANARY^Zahra is unknown")
    assert "CANARY" not in logs.getvalue()
    audit = site.audit_trail()
    assert b"C000" in audit
    assert b"CANARY" not in audit


@one_database
def test_a_draft_that_cannot_be_read_is_postponed_and_holds_no_other(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.take_in(film())
        with site.writing() as session:
            session.get_one(Draft, 1).report = "{}"
        site.deliver_due()

        assert [d.state for d, _ in site.deliveries(2)] == [SENT, SENT]
        assert site.reason() == "unexpected KeyError"
