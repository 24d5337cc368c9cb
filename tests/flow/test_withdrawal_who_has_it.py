"""A draft is taken back from every peer that may have it, whatever that one said or missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    film,
    one_database,
)
from harness.commitment import deny_what_was_sent
from harness.scripted_pacs import abort
from harness.withdrawals import (
    come_from_another_patient,
    documents_sent,
    predecessor_of,
    settle_withdrawals,
    sweep_and_deliver,
    withhold,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from servers import free_port

from core import outbox, store
from core.lifecycle import DeliveryState
from core.report import Language
from hl7.ack import AckCode
from worker.purge import Purge
from worker.signing import Reader, addend, reject, sign

pytestmark = one_database
SENT = DeliveryState.SENT
EN, AR = Language.EN, Language.AR
READER = Reader(name="Darwish^Mona", id="R7", account="mona")


@pytest.fixture
def pacs() -> Iterator[ScriptedPacs]:
    with ScriptedPacs() as pacs:
        yield pacs


# An archive has the draft, though it never said so, or took its yes back


def _lose_the_answer(site: Site, pacs: ScriptedPacs) -> None:
    pacs.script(abort)
    site.deliver_due()


def _lose_the_answers_until_given_up(site: Site, pacs: ScriptedPacs) -> None:
    pacs.script(*[abort] * 3)
    site.deliver_due()
    site.clock.advance(hours=80)
    site.deliver_due()
    site.clock.advance(hours=1)
    site.deliver_due()
    assert site.are_all(DeliveryState.PARKED)


def _deny_what_was_sent(site: Site, pacs: ScriptedPacs) -> None:
    del pacs
    site.deliver_due()
    deny_what_was_sent(site)


def _retry_what_was_parked(site: Site, pacs: ScriptedPacs) -> None:
    _lose_the_answers_until_given_up(site, pacs)
    with site.writing() as session:
        outbox.retry_parked(session, 1, at=site.clock(), actor="operator")


@pytest.mark.parametrize(
    "send",
    [
        _lose_the_answer,
        _lose_the_answers_until_given_up,
        _deny_what_was_sent,
        _retry_what_was_parked,
    ],
)
@pytest.mark.parametrize("end", [come_from_another_patient, None])
def test_a_draft_that_the_archive_may_have_is_taken_back(
    make_site: Callable[..., Site],
    pacs: ScriptedPacs,
    send: Callable[[Site, ScriptedPacs], None],
    end: Callable[[Site, Dataset], None] | None,
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    send(site, pacs)
    stored = set(pacs.uids)
    if end is None:
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
    else:
        end(site, image)
    site.clock.advance(hours=1)
    sweep_and_deliver(site)

    withdrawn = documents_sent(site)
    assert len(withdrawn) == 2
    assert all("WITHDRAWN" in document.SeriesDescription for document in withdrawn)
    named = {predecessor_of(d) for d in withdrawn if "PredecessorDocumentsSequence" in d}
    assert named == stored


@pytest.mark.parametrize(
    "answer", [b"OK", b"\x0bMSH|^~\\&|RIS\rMSA|OK|1\r\x1c\r", b"\x0b" + b"x" * (2 << 20)]
)
def test_a_draft_is_taken_back_where_the_answer_was_neither_yes_nor_no(
    make_site: Callable[..., Site], answer: bytes
) -> None:
    with ScriptedRis([answer]) as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        assert site.are_all(DeliveryState.PARKED)
        assert "no HL7 acknowledgement" in site.reason()
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        sweep_and_deliver(site)

        assert site.states() == [DeliveryState.PARKED, SENT]
        assert "|X|" in ris.received[-1].decode()


@pytest.mark.parametrize("answer", [AckCode.AR, AckCode.CR])
def test_a_ris_that_said_no_is_not_told(make_site: Callable[..., Site], answer: AckCode) -> None:
    with ScriptedRis([answer]) as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        sweep_and_deliver(site)

        assert len(ris.received) == 1


def test_an_archive_that_could_not_be_reached_is_not_told(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": free_port()})
    site.take_in(film())
    site.deliver_due()
    reject(site.parts, 1, version=1, reader=READER, reason="bad")
    sweep_and_deliver(site)

    assert "draft_withdrawn" not in site.events()


def test_a_refusal_after_a_lost_answer_leaves_open_what_the_archive_has(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    site.take_in(film())
    pacs.script(abort, 0xC000, 0xC000)
    site.deliver_due()
    site.clock.advance(hours=1)
    site.deliver_due()
    assert site.are_all(DeliveryState.PARKED)
    assert [delivery.is_out for delivery, _ in site.deliveries()] == [True, False]


def test_a_withdrawal_that_a_newer_draft_dropped_is_made_good(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs() as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        withhold(site, image)
        with _away(site, "other"):
            sweep_and_deliver(site)
            site.take_in(film(image.StudyInstanceUID))
        withhold(site, image)
        site.clock.advance(hours=1)
        sweep_and_deliver(site)

        assert (len(pacs.received), len(other.received)) == (4, 4)


# After a purge


def test_a_version_after_a_purge_names_what_stands_in_the_archive(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _age_and_purge(site)
    site.take_in(film(image.StudyInstanceUID))
    site.clock.advance(hours=1)
    site.deliver_due()

    assert [predecessor_of(document) for document in documents_sent(site)] == pacs.uids[:2]


@pytest.mark.parametrize("archives", ["version", "key_objects"])
def test_what_is_denied_after_a_purge_is_not_sent_anew(
    make_site: Callable[..., Site], pacs: ScriptedPacs, archives: str
) -> None:
    site = make_site(pacs={"main": pacs.port})
    settle_withdrawals(site, archives=archives)
    site.take_in(film())
    site.deliver_due()
    reject(site.parts, 1, version=1, reader=READER, reason="bad")
    sweep_and_deliver(site)
    rows = site.deliveries()
    _age_and_purge(site)
    deny_what_was_sent(site)

    assert site.are_all(SENT)
    assert len(site.deliveries()) == len(rows)


def _age_and_purge(site: Site) -> None:
    site.clock.advance(days=40)
    assert Purge(site.parts).run().studies == 1


# Two archives, one of which missed something


@contextmanager
def _away(site: Site, name: str) -> Iterator[None]:
    """Let an archive be down for a while."""
    before = site.settings.pacs
    port = free_port()
    changed = [p.model_copy(update={"port": port}) if p.name == name else p for p in before]
    site.settings = site.settings.model_copy(update={"pacs": changed})
    site.parts.settings = site.settings
    yield
    site.settings = site.settings.model_copy(update={"pacs": before})
    site.parts.settings = site.settings


def _correct_the_name(site: Site) -> None:
    with site.writing() as session:
        store.get(session, 1).patient_name = "Corrected^Name"


def _sent_to(site: Site, destination: str) -> list[tuple[str, Dataset]]:
    return [
        (artifact.kind, dcmread(BytesIO(artifact.content)))
        for delivery, artifact in site.deliveries()
        if (delivery.destination, delivery.state) == (destination, SENT) and artifact.content
    ]


def _named(rejection: Dataset) -> set[str]:
    return {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in rejection.ContentSequence
        if item.ValueType == "COMPOSITE"
    }


def test_an_archive_that_was_down_gets_its_rejection_under_the_corrected_name(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs() as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        settle_withdrawals(site, archives="key_objects")
        site.take_in(film())
        site.deliver_due()
        drafts = set(other.uids)
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        with _away(site, "other"):
            sweep_and_deliver(site)
        _correct_the_name(site)
        site.clock.advance(hours=1)
        site.deliver_due()

        kind, rejection = _sent_to(site, "pacs:other")[-1]
        assert (kind, rejection.PatientName) == ("reject", "Corrected^Name")
        assert _named(rejection) == drafts
        assert DeliveryState.PARKED not in site.states()


def test_an_archive_that_missed_a_version_is_told_of_the_drafts_before_it(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs() as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        settle_withdrawals(site, archives="key_objects")
        site.take_in(film())
        site.deliver_due()
        drafts = set(other.uids)
        with _away(site, "other"):
            sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)
            site.deliver_due()
            addend(site.parts, 1, version=2, texts={EN: "More."}, reader=READER)
        site.clock.advance(hours=1)
        site.deliver_due()

        *_, (_, english), (_, arabic), (kind, rejection) = _sent_to(site, "pacs:other")
        assert kind == "reject"
        assert _named(rejection) == drafts
        # The same bytes go to both archives: they name what either of them has.
        for document in (english, arabic):
            [study] = document.PredecessorDocumentsSequence
            named = {
                reference.ReferencedSOPInstanceUID
                for series in study.ReferencedSeriesSequence
                for reference in series.ReferencedSOPSequence
            }
            assert len(named) == 2
            assert len(named & drafts) == 1


def test_a_withdrawal_under_a_corrected_name_goes_to_who_had_the_draft(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs([0xC000, 0xC000]) as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        site.take_in(film())
        site.deliver_due()
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        pacs.script(abort)
        sweep_and_deliver(site)
        _correct_the_name(site)
        site.clock.advance(hours=1)
        site.deliver_due()

        assert [d.PatientName for d in documents_sent(site)[2:]] == ["Corrected^Name"] * 2
        assert len(other.received) == 2
