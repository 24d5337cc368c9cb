"""Destinations that are down, slow or want no more than so much: none holds up another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import ScriptedPacs, ScriptedRis, Site, Timing, abort, film, one_database
from harness.commitment import deny_what_was_sent
from servers import free_port

from core import outbox
from core.lifecycle import DeliveryState
from worker.deliver import deliver

PENDING, SENT, PARKED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.PARKED


def _states(site: Site, studies: int) -> list[str]:
    return [d.state for study in range(1, studies + 1) for d, _ in site.deliveries(study)]


def _attempts(site: Site, studies: int) -> list[int]:
    return [d.attempts for study in range(1, studies + 1) for d, _ in site.deliveries(study)]


def _change(site: Site, section: str, **changes: Any) -> None:
    rows = tuple(row.model_copy(update=changes) for row in getattr(site.settings, section))
    site.settings = site.settings.model_copy(update={section: rows})
    site.parts.settings = site.settings


def test_of_a_destination_that_is_down_one_delivery_is_tried_and_the_others_wait(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"down": free_port(), "up": ris.port})
        for _ in range(4):
            site.take_in(film())
        site.deliver_due()

        # Study by study: what is down, what is up.
        assert _states(site, 4) == [PENDING, SENT] * 4
        assert _attempts(site, 4) == [1, 1, 0, 1, 0, 1, 0, 1]
        site.clock.advance(seconds=6)
        site.deliver_due()
        # After the wait again only one; which one does not matter.
        assert sum(_attempts(site, 4)) == 4 + 2


def test_once_it_is_back_all_that_waited_goes_in_the_order_of_its_study(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(ris={"main": free_port()})
    for _ in range(3):
        site.take_in(film())
    site.deliver_due()
    with ScriptedRis() as ris:
        _change(site, "ris", port=ris.port)
        assert site.deliver_due() == []
        site.clock.advance(seconds=6)
        site.deliver_due()

        assert _states(site, 3) == [SENT] * 3
        assert len(ris.received) == 3


def test_while_the_attempt_after_a_failure_is_under_way_no_other_is_due(
    make_site: Callable[..., Site],
) -> None:
    seen: list[list[int]] = []
    site = make_site(pacs={"main": free_port()})
    for _ in range(2):
        site.take_in(film())
    site.deliver_due()
    with ScriptedPacs([lambda _event: seen.append(site.due()) or 0]) as pacs:
        _change(site, "pacs", port=pacs.port)
        site.clock.advance(seconds=6)
        deliver(site.parts, site.due()[0])

        assert seen == [[]]
        assert len(site.due()) == 2


@one_database
def test_an_operators_retry_does_not_wait_for_a_destination_that_was_down(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(ris={"main": free_port()})
    # Of two patients: an information system gets the messages of one in turn.
    site.take_in(film(PatientID="P1"))
    site.take_in(film(PatientID="P2"))
    site.deliver_due()
    with ScriptedRis() as ris:
        _change(site, "ris", port=ris.port)
        with site.writing() as session:
            outbox.hurry(session, 2, at=site.clock())
        site.deliver_due()

        assert site.deliveries(2)[0][0].state == SENT


@one_database
def test_a_peer_that_answers_no_is_there_and_is_asked_for_the_next(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([0xA700, 0xC000]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        for _ in range(3):
            site.take_in(film())
        site.deliver_due()

        assert _states(site, 3) == [PENDING, PENDING, PARKED, SENT, SENT, SENT]


@one_database
def test_a_destination_gets_no_more_in_a_minute_than_it_wants(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        _change(site, "ris", per_minute=24)
        for _ in range(9):
            site.take_in(film())
        arrived = []
        for _ in range(4):
            site.deliver_due()
            arrived.append(len(ris.received))
            site.clock.advance(seconds=5)

        # Two in five seconds, and no more however often one looks.
        assert arrived == [2, 4, 6, 8]


@one_database
def test_a_hiccup_of_the_network_is_tried_again_within_the_attempt(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([abort, abort]) as pacs, ScriptedRis([None]) as ris:
        timing = Timing(quick_retries=2)
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port}, timing=timing)
        site.take_in(film())
        site.deliver_due()

        assert _states(site, 1) == [SENT, SENT, SENT]
        assert _attempts(site, 1) == [1, 1, 1]
        assert len(set(pacs.received[:3])) == 1
        assert ris.received[0] == ris.received[1]
        assert "delivery_postponed" not in site.events()


@one_database
def test_a_failure_that_took_long_is_left_to_the_rows_own_retry(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.deliver._QUICK_FAILURE_SECONDS", 0.0)
    with ScriptedRis([None, None]) as ris:
        site = make_site(ris={"main": ris.port}, timing=Timing(quick_retries=2))
        site.take_in(film())
        site.deliver_due()

        assert len(ris.received) == 1
        assert _states(site, 1) == [PENDING]


# How long one waits for a destination that stays away


@one_database
def test_what_waits_behind_a_dead_destination_is_given_up_in_its_own_hours(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(ris={"main": free_port()})
    site.take_in(film(PatientID="P1"))
    site.deliver_due()
    site.clock.advance(hours=10)
    site.take_in(film(PatientID="P2"))
    states = {}
    for hours in range(10, 90, 4):
        site.deliver_due()
        states[hours] = _states(site, 2)
        site.clock.advance(hours=4)

    # One is attempted after the other, and each is given up after 72 hours of its own.
    assert (states[70], states[74]) == ([PENDING, PENDING], [PARKED, PENDING])
    assert (states[82], states[86]) == ([PARKED, PENDING], [PARKED, PARKED])
    assert _attempts(site, 2) == [18, 3]


@one_database
def test_what_an_archive_denies_has_all_its_hours_though_it_could_not_be_reached_before(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()
    site.take_in(film())
    site.deliver_due()
    site.clock.advance(hours=71)
    site.deliver_due()
    site.clock.advance(hours=10)
    deny_what_was_sent(site)

    for hours in (71, 2):
        site.deliver_due()
        assert _states(site, 1) == [PENDING, PENDING]
        site.clock.advance(hours=hours)
    site.deliver_due()
    assert _states(site, 1)[0] == PARKED
