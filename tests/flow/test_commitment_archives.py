"""We ask archives to commit to what we sent: who is believed, and what becomes of a delivery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from harness import MODALITY, Site, film, new_uid, one_database
from harness.commitment import (
    ScriptedArchive,
    all_of,
    confirm,
    none_of,
    tell,
)
from pydicom import uid
from pynetdicom.association import Association
from servers import free_port
from sqlalchemy import update

from core import confirmation, outbox
from core.database import reading
from core.lifecycle import DeliveryState
from core.tables import Delivery
from dicom_node.commitment_dataset import CommitmentReport, CommitmentRequest, Reference
from worker.confirm import ask, finish_confirming, start_confirming
from worker.sweep import sweep_once

PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT
CONFIRMED, PARKED = DeliveryState.CONFIRMED, DeliveryState.PARKED


def _first(site: Site) -> Delivery:
    return site.deliveries()[0][0]


def _ask(site: Site, *, listen_seconds: float = 0.0) -> int:
    """Ask the first archive, without waiting for reports unless a test wants to."""
    return ask(site.parts, site.settings.pacs[0], listen_seconds=listen_seconds)


@contextmanager
def _sent(
    make_site: Callable[..., Site], archive: ScriptedArchive, **options: object
) -> Iterator[Site]:
    """Give a site whose draft was sent to an archive, which is to confirm it."""
    with archive:
        site = make_site(pacs={"main": archive.port}, **options)
        confirm(site)
        site.take_in(film())
        site.deliver_due()
        assert site.states() == [SENT, SENT]
        yield site


def test_what_the_archive_commits_to_is_confirmed(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        assert _ask(site) == 1
        # The objects of a study in one request, under the classes that they have.
        (request,) = archive.requests
        assert [r.sop_instance_uid for r in request.references] == archive.stored
        assert {r.sop_class_uid for r in request.references} == {uid.BasicTextSRStorage}
        assert site.states() == [SENT, SENT]

        assert tell(site, all_of(request)) == 0x0000

    assert site.states() == [CONFIRMED, CONFIRMED]
    assert site.events().count("delivery_confirmed") == 2
    assert _ask(site) == 0


@one_database
def test_without_the_setting_nobody_is_asked(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        confirm(site, confirm="none")

        assert start_confirming(site.parts) == 0
        assert archive.requests == []


@one_database
def test_a_report_on_the_same_association_is_taken(make_site: Callable[..., Site]) -> None:
    def act(archive: ScriptedArchive, association: Association, asked: CommitmentRequest) -> None:
        threading.Timer(0.1, archive.report_here, [association, all_of(asked)]).start()

    archive = ScriptedArchive(acting=act)
    with _sent(make_site, archive) as site:
        began = time.monotonic()
        _ask(site, listen_seconds=15)

        # The wait ends with the report.
        assert time.monotonic() - began < 10
        assert site.states() == [CONFIRMED, CONFIRMED]
        for thread in archive.threads:
            thread.join()
        assert archive.answers == [0x0000]


@one_database
def test_a_report_that_overtakes_the_answer_is_taken(make_site: Callable[..., Site]) -> None:
    def act(archive: ScriptedArchive, association: Association, asked: CommitmentRequest) -> None:
        archive.report_here(association, all_of(asked))
        # The answer goes out when this returns: well after the report.
        time.sleep(0.5)

    archive = ScriptedArchive(acting=act)
    with _sent(make_site, archive) as site:
        _ask(site, listen_seconds=15)

        assert site.states() == [CONFIRMED, CONFIRMED]


@one_database
def test_a_report_elsewhere_before_the_answer_is_taken(make_site: Callable[..., Site]) -> None:
    statuses: list[int] = []

    def act(archive: ScriptedArchive, association: Association, asked: CommitmentRequest) -> None:
        del archive, association
        statuses.append(tell(site, all_of(asked)))

    archive = ScriptedArchive(acting=act)
    with _sent(make_site, archive) as site:
        _ask(site)

    assert statuses == [0x0000]
    assert site.states() == [CONFIRMED, CONFIRMED]


# Who is believed


@pytest.mark.parametrize(
    ("calling", "status"), [("STRANGER", 0x0124), (MODALITY, 0x0124), ("SECOND", 0x0115)]
)
@one_database
def test_a_report_of_anybody_else_confirms_nothing(
    make_site: Callable[..., Site], calling: str, status: int
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        second = site.settings.pacs[0].model_copy(update={"name": "b", "ae_title": "SECOND"})
        site.settings = site.settings.model_copy(update={"pacs": (*site.settings.pacs, second)})
        _ask(site)

        assert tell(site, all_of(archive.requests[0]), calling=calling) == status
        assert tell(site, none_of(archive.requests[0]), calling=calling) == status

    assert site.states() == [SENT, SENT]


@one_database
def test_a_report_of_an_unknown_transaction_is_refused(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        references = archive.requests[0].references

        for transaction in (new_uid(), "0"):
            report = CommitmentReport(transaction_uid=transaction, committed=references)
            assert tell(site, report) == 0x0115

    assert site.states() == [SENT, SENT]


@one_database
def test_a_report_that_breaks_the_standard_is_refused_and_changes_nothing(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        report = all_of(archive.requests[0])

        assert tell(site, report, event_type=3) == 0x0113
        assert tell(site, b"\x08\x00") == 0x0115
        assert tell(site, b"") == 0x0115
        empty = report.to_dataset()
        empty.ReferencedSOPSequence = []
        assert tell(site, empty) == 0x0115
        assert tell(site, report, syntax=uid.ImplicitVRLittleEndian) == 0x0000

    assert site.states() == [CONFIRMED, CONFIRMED]


@one_database
def test_objects_that_were_never_asked_for_are_passed_over(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        asked = archive.requests[0]
        strange = Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3")
        report = CommitmentReport(
            transaction_uid=asked.transaction_uid,
            committed=(strange, asked.references[0]),
            failed=((strange, 0x0112),),
        )

        assert tell(site, report) == 0x0000
        # The other one goes on waiting.
        assert site.states() == [CONFIRMED, SENT]
        site.clock.advance(hours=1.1)
        assert _ask(site) == 1
        assert archive.requests[1].references == asked.references[1:]


def test_a_repeated_report_changes_nothing(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        asked = archive.requests[0]

        assert [tell(site, all_of(asked)) for _ in range(3)] == [0, 0, 0]
        # Nor does a contradiction that comes afterwards.
        assert tell(site, none_of(asked)) == 0x0000

    assert site.states() == [CONFIRMED, CONFIRMED]
    assert site.events().count("delivery_confirmed") == 2


# What is not committed


def test_an_object_that_is_denied_is_sent_again_once_and_then_parked(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        first = archive.requests[0]
        assert tell(site, none_of(first)) == 0x0000
        assert site.states() == [PENDING, PENDING]

        site.deliver_due()
        assert site.states() == [SENT, SENT]
        assert archive.stored[2:] == archive.stored[:2]
        # The first report, said again, is not a second denial.
        assert tell(site, none_of(first)) == 0x0000
        assert site.states() == [SENT, SENT]

        _ask(site)
        second = archive.requests[1]
        assert second.transaction_uid != first.transaction_uid
        # The wait for a report begins anew, too.
        assert _first(site).commitment_asks == 1
        tell(site, none_of(second))
        assert site.states() == [PARKED, PARKED]
        assert "0112 no such object instance" in _first(site).reason

        # An operator starts it anew.
        with site.writing() as session:
            outbox.retry_parked(session, 1, at=site.clock(), actor="operator")
        site.deliver_due()
        _ask(site)
        tell(site, all_of(archive.requests[2]))
        assert site.states() == [CONFIRMED, CONFIRMED]


@one_database
def test_one_object_may_be_denied_and_the_other_confirmed(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        asked = archive.requests[0]
        one, two = asked.references
        report = CommitmentReport(
            transaction_uid=asked.transaction_uid, committed=(one, two), failed=((two, 0x0110),)
        )
        tell(site, report)

    # What stands in both lists was denied.
    assert site.states() == [CONFIRMED, PENDING]


# No report


@one_database
def test_an_archive_that_never_reports_is_asked_again_and_shown(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        waits = []
        for _ in range(7):
            assert _ask(site) == 1
            assert _ask(site) == 0
            until = _first(site).commitment_until
            assert until is not None
            waits.append((until - site.clock()).total_seconds() / 3600)
            if len(waits) == 3:
                assert _first(site).reason == ""
            site.clock.now = until

        assert waits == [1, 2, 4, 8, 16, 24, 24]
        # Each time under a transaction of its own.
        assert len({r.transaction_uid for r in archive.requests}) == 7
        assert site.states() == [SENT, SENT]
        assert _first(site).reason == "sent, not confirmed: asked 6 times, no report came"
        assert site.events().count("delivery_unconfirmed") == 2

        # The archive wakes up after all.
        _ask(site)
        tell(site, all_of(archive.requests[-1]))
        assert site.states() == [CONFIRMED, CONFIRMED]
        assert _first(site).reason == ""


@one_database
def test_an_archive_that_refuses_the_request_is_asked_again_and_shown(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive([0x0110] * 3)
    with _sent(make_site, archive) as site:
        for _ in range(3):
            _ask(site)
            until = _first(site).commitment_until
            assert until is not None
            site.clock.now = until

        reason = "sent, not confirmed: asked 3 times, the archive answered the request with 0110"
        assert _first(site).reason == reason
        _ask(site)
        tell(site, all_of(archive.requests[-1]))

    assert site.states() == [CONFIRMED, CONFIRMED]


@one_database
def test_an_archive_without_storage_commitment_is_shown(make_site: Callable[..., Site]) -> None:
    with _sent(make_site, ScriptedArchive(offers_commitment=False)) as site:
        for _ in range(3):
            _ask(site)
            until = _first(site).commitment_until
            assert until is not None
            site.clock.now = until

    assert site.states() == [SENT, SENT]
    assert _first(site).reason.startswith("sent, not confirmed: asked 3 times")
    assert "takes none of the objects" in _first(site).reason


@one_database
def test_an_archive_that_is_away_is_asked_when_it_is_back(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        confirm(site, port=free_port())
        assert _ask(site) == 0
        # That it was away is no request in vain.
        assert _first(site).commitment_asks == 0
        assert _first(site).reason == ""
        site.clock.advance(minutes=6)
        confirm(site, port=archive.port)
        assert _ask(site) == 1

        confirm(site, port=free_port())
        site.clock.advance(hours=25)
        _ask(site)
        assert "There is no connection" in _first(site).reason


@one_database
def test_an_archive_that_breaks_off_between_two_studies_keeps_what_it_answered(
    make_site: Callable[..., Site],
) -> None:
    def act(archive: ScriptedArchive, association: Association, asked: CommitmentRequest) -> None:
        del asked
        if len(archive.requests) == 2:
            association.abort()

    archive = ScriptedArchive(acting=act)
    with _sent(make_site, archive) as site:
        site.take_in(film())
        site.deliver_due()

        assert _ask(site) == 1
        asks = [d.commitment_asks for n in (1, 2) for d, _ in site.deliveries(n)]
        assert asks == [1, 1, 0, 0]
        tell(site, all_of(archive.requests[0]))
        # It may have taken the second one too.
        tell(site, all_of(archive.requests[1]))
        states = [d.state for n in (1, 2) for d, _ in site.deliveries(n)]
        assert states == [CONFIRMED] * 4


# In the worker


def _wait_until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_true()


@one_database
def test_a_silent_archive_holds_up_neither_the_sweep_nor_another(
    make_site: Callable[..., Site],
) -> None:
    gate = threading.Event()

    def act(archive: ScriptedArchive, association: Association, asked: CommitmentRequest) -> None:
        del archive, association, asked
        gate.wait(20)

    silent, quick = ScriptedArchive(acting=act), ScriptedArchive()
    with silent, quick:
        site = make_site(pacs={"silent": silent.port, "quick": quick.port})
        confirm(site)
        site.take_in(film())
        site.deliver_due()

        sweep_once(site.parts)
        _wait_until(lambda: quick.requests and silent.requests)
        # Another sweep does not ask while the first is still at it.
        sweep_once(site.parts)
        tell(site, all_of(quick.requests[0]))
        gate.set()
        tell(site, all_of(silent.requests[0]))
        finish_confirming(20)
        # A report is believed from the archive that was asked; both are called ARCHIVE here.
        assert set(site.states()) == {CONFIRMED}
        assert (len(silent.requests), len(quick.requests)) == (1, 1)


def test_of_two_sweeps_one_asks(make_site: Callable[..., Site]) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        threads = [threading.Thread(target=_ask, args=[site]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        asked: Sequence[CommitmentRequest] = archive.requests
        uids = [r.sop_instance_uid for request in asked for r in request.references]
        assert sorted(uids) == sorted(archive.stored)


@one_database
def test_a_delivery_that_an_operator_dismissed_is_no_longer_asked_for_nor_heard_of(
    make_site: Callable[..., Site],
) -> None:
    archive = ScriptedArchive()
    with _sent(make_site, archive) as site:
        _ask(site)
        with site.writing() as session:
            session.execute(update(Delivery).values(dismissed_at=site.clock()))

        assert tell(site, none_of(archive.requests[0])) == 0x0000
        assert site.states() == [SENT, SENT]
        site.clock.advance(days=2)
        assert _ask(site) == 0


@one_database
def test_nothing_is_asked_of_what_is_not_sent(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": free_port()})
    confirm(site)
    site.take_in(film())

    with reading(site.engine) as session:
        assert confirmation.due(session, "pacs:main", at=site.clock()) == []
