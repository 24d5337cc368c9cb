"""A draft that nobody is to read any more does not stand with a peer as the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    a_finding,
    film,
    film_of_another_patient,
    one_database,
    report_object,
)
from harness.scripted_pacs import abort
from pydicom import dcmread
from pydicom.dataset import Dataset
from servers import free_port

from core import confirmation, outbox, store
from core.errors import PermanentError
from core.lifecycle import DeliveryState, Origin, State
from core.report import Language
from hl7.ack import AckCode
from worker.purge import Purge
from worker.signing import Reader, addend, reject, sign
from worker.sweep import sweep_once

pytestmark = one_database
SENT = DeliveryState.SENT
EN, AR = Language.EN, Language.AR
READER = Reader(name="Darwish^Mona", id="R7", account="mona")
SR, KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def pacs() -> Iterator[ScriptedPacs]:
    with ScriptedPacs() as pacs:
        yield pacs


def _settle(site: Site, **changes: Any) -> None:
    withdrawal = site.settings.withdrawal.model_copy(update=changes)
    site.settings = site.settings.model_copy(update={"withdrawal": withdrawal})
    site.parts.settings = site.settings


def _sent(site: Site) -> list[Dataset]:
    """Return what archives were sent, in order."""
    return [
        dcmread(BytesIO(artifact.content))
        for delivery, artifact in site.deliveries()
        if delivery.state == SENT and artifact.kind != "oru" and artifact.content
    ]


def _predecessor(document: Dataset) -> str:
    [study] = document.PredecessorDocumentsSequence
    [reference] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(reference.ReferencedSOPInstanceUID)


def _end(site: Site) -> None:
    sweep_once(site.parts)
    site.deliver_due()


def _fail(site: Site, image: Dataset) -> None:
    site.drafter.script.append(PermanentError("no"))
    site.take_in(film(image.StudyInstanceUID))


def _withhold(site: Site, image: Dataset) -> None:
    site.drafter.script.append((a_finding(),))
    site.take_in(film(image.StudyInstanceUID))


def _report_elsewhere(site: Site, image: Dataset) -> None:
    """Somebody else's final report comes while something of ours still waits to be sent."""
    with site.writing() as session:
        row = session.merge(site.deliveries()[-1][0])
        row.state, row.next_attempt_at = DeliveryState.PENDING, site.clock()
    site.receive(report_object(image.StudyInstanceUID))
    site.deliver_due()


def _come_from_another_patient(site: Site, image: Dataset) -> None:
    site.take_in(film_of_another_patient(image.StudyInstanceUID))


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (_fail, State.FAILED),
        (_withhold, State.WITHHELD),
        (_report_elsewhere, State.IGNORED),
        (_come_from_another_patient, State.WITHHELD),
    ],
)
def test_when_a_study_ends_without_its_draft_new_documents_take_it_back(
    make_site: Callable[..., Site],
    pacs: ScriptedPacs,
    end: Callable[[Site, Dataset], None],
    state: State,
) -> None:
    with ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        end(site, image)
        _end(site)

        assert site.state() is state
        english, arabic, *withdrawn = _sent(site)
        assert [_predecessor(d) for d in withdrawn] == [
            english.SOPInstanceUID,
            arabic.SOPInstanceUID,
        ]
        for document in withdrawn:
            assert document.SOPClassUID == SR
            assert "WITHDRAWN" in document.SeriesDescription
            assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
            # Of the patient that the draft was of, whoever else came.
            assert (document.PatientID, document.PatientName) == ("P1", "Test^Patient")
        assert "|X|" in ris.received[-1].decode()
        assert "draft_withdrawn" in site.events()
        _end(site)
        assert site.drafts()[-1].origin == Origin.WITHDRAWN
        assert len(_sent(site)) == 4


def test_by_key_objects_the_archive_is_told_which_documents_to_hide(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    _settle(site, archives="key_objects")
    image = film()
    site.take_in(image)
    site.deliver_due()
    _fail(site, image)
    _end(site)

    english, arabic, rejection = _sent(site)
    assert rejection.SOPClassUID == KEY_OBJECTS
    assert rejection.ConceptNameCodeSequence[0].CodeValue == "113001"
    [evidence] = rejection.CurrentRequestedProcedureEvidenceSequence
    named = {
        (
            series.SeriesInstanceUID,
            reference.ReferencedSOPClassUID,
            reference.ReferencedSOPInstanceUID,
        )
        for series in evidence.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert named == {
        (d.SeriesInstanceUID, d.SOPClassUID, d.SOPInstanceUID) for d in (english, arabic)
    }


def test_by_key_objects_a_newer_version_rejects_the_older_one_once(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    _settle(site, archives="key_objects")
    image = film()
    for _ in range(3):
        site.take_in(film(image.StudyInstanceUID))
        site.deliver_due()

    kinds = [artifact.kind for _, artifact in site.deliveries()]
    assert kinds == ["sr", "sr", "sr", "sr", "reject", "sr", "sr", "reject"]
    assert site.are_all(SENT)
    *_, first, _, _, second = _sent(site)
    uids = [a.uid for _, a in site.deliveries()]
    for rejection, expected in ((first, uids[0:2]), (second, uids[2:4])):
        named = [
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for item in rejection.ContentSequence
            if item.ValueType == "COMPOSITE"
        ]
        assert sorted(named) == sorted(expected)


def test_a_site_may_want_no_withdrawals(make_site: Callable[..., Site], pacs: ScriptedPacs) -> None:
    with ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        _settle(site, archives="none", ris=False)
        image = film()
        site.take_in(image)
        site.deliver_due()
        _fail(site, image)
        _end(site)

        assert len(site.deliveries()) == 3
        assert (len(pacs.received), len(ris.received)) == (2, 1)


def test_only_who_has_the_draft_is_told_that_it_is_withdrawn(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs([0xC000, 0xC000]) as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        _fail(site, image)
        _end(site)

        assert len(pacs.received) == 4
        assert len(other.received) == 2


def test_a_study_that_is_drafted_again_follows_the_withdrawal(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    _end(site)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    documents = _sent(site)
    assert [d.SeriesDescription.split()[0] for d in documents] == ["AI"] * 2 + ["WITHDRAWN"] * 2 + [
        "AI"
    ] * 2
    assert [_predecessor(d) for d in documents[4:]] == [d.SOPInstanceUID for d in documents[2:4]]
    assert site.state() is State.IN_REVIEW


def test_a_withdrawal_that_waits_is_dropped_when_a_newer_draft_comes(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    sweep_once(site.parts)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    states = [(d.draft_id, d.state) for d, _ in site.deliveries()]
    assert [state for draft, state in states if draft == 3] == [DeliveryState.DROPPED] * 2
    assert [_predecessor(d) for d in _sent(site)[2:]] == [d.SOPInstanceUID for d in _sent(site)[:2]]


def test_a_draft_that_nobody_has_is_not_withdrawn_a_second_time(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    _end(site)
    site.take_in(film(image.StudyInstanceUID))
    # Never sent: the next one fails before it was.
    _fail(site, image)
    _end(site)

    assert site.state() is State.FAILED
    assert len(_sent(site)) == 4
    assert site.events().count("draft_withdrawn") == 1


# An archive has the draft, though it never said so, or took its yes back


def _deny(site: Site) -> None:
    """Let the archive deny its commitment to all that it was sent."""
    uid, until = confirmation.new_transaction_uid(), site.clock() + timedelta(hours=1)
    with site.writing() as session:
        sent = [row for row in outbox.deliveries_of(session, 1) if row[0].state == SENT]
        confirmation.claim(session, sent, transaction_uid=uid, until=until)
    with site.writing() as session:
        denied = {artifact.uid: "0112 no such object instance" for _, artifact in sent}
        confirmation.settle(session, uid, committed=(), denied=denied, at=site.clock(), actor="x")


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
    _deny(site)


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
@pytest.mark.parametrize("end", [_come_from_another_patient, None])
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
    _end(site)

    withdrawn = _sent(site)
    assert len(withdrawn) == 2
    assert all("WITHDRAWN" in document.SeriesDescription for document in withdrawn)
    named = {_predecessor(d) for d in withdrawn if "PredecessorDocumentsSequence" in d}
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
        _end(site)

        assert site.states() == [DeliveryState.PARKED, SENT]
        assert "|X|" in ris.received[-1].decode()


@pytest.mark.parametrize("answer", [AckCode.AR, AckCode.CR])
def test_a_ris_that_said_no_is_not_told(make_site: Callable[..., Site], answer: AckCode) -> None:
    with ScriptedRis([answer]) as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        _end(site)

        assert len(ris.received) == 1


def test_an_archive_that_could_not_be_reached_is_not_told(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": free_port()})
    site.take_in(film())
    site.deliver_due()
    reject(site.parts, 1, version=1, reader=READER, reason="bad")
    _end(site)

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
        _withhold(site, image)
        with _away(site, "other"):
            _end(site)
            site.take_in(film(image.StudyInstanceUID))
        _withhold(site, image)
        site.clock.advance(hours=1)
        _end(site)

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

    assert [_predecessor(document) for document in _sent(site)] == pacs.uids[:2]


@pytest.mark.parametrize("archives", ["version", "key_objects"])
def test_what_is_denied_after_a_purge_is_not_sent_anew(
    make_site: Callable[..., Site], pacs: ScriptedPacs, archives: str
) -> None:
    site = make_site(pacs={"main": pacs.port})
    _settle(site, archives=archives)
    site.take_in(film())
    site.deliver_due()
    reject(site.parts, 1, version=1, reader=READER, reason="bad")
    _end(site)
    rows = site.deliveries()
    _age_and_purge(site)
    _deny(site)

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
        _settle(site, archives="key_objects")
        site.take_in(film())
        site.deliver_due()
        drafts = set(other.uids)
        reject(site.parts, 1, version=1, reader=READER, reason="bad")
        with _away(site, "other"):
            _end(site)
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
        _settle(site, archives="key_objects")
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
        _end(site)
        _correct_the_name(site)
        site.clock.advance(hours=1)
        site.deliver_due()

        assert [d.PatientName for d in _sent(site)[2:]] == ["Corrected^Name"] * 2
        assert len(other.received) == 2
