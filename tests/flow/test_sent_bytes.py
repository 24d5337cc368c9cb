"""What is sent: the same bytes each time, read back, and still true at the moment of sending."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    abort,
    add_patient,
    film,
    one_database,
    report_object,
)
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from core import outbox
from core.lifecycle import DeliveryState, State
from core.tables import Artifact, Draft

PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT
PARKED, DROPPED = DeliveryState.PARKED, DeliveryState.DROPPED


def _unverified(study_uid: str, **attributes: str) -> Dataset:
    """Return a preliminary report of somebody else's: no reason to stop."""
    return report_object(study_uid, VerificationFlag="UNVERIFIED", **attributes)


def _dataset(content: bytes | None) -> Dataset:
    assert content is not None
    return dcmread(BytesIO(content))


def test_a_resend_after_an_unknown_outcome_is_the_same_bytes(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([abort, abort]) as pacs, ScriptedRis([None, None]) as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        site.take_in(film())
        for _ in range(3):
            site.deliver_due()
            site.clock.advance(minutes=1)

        assert site.states() == [SENT, SENT, SENT]
        assert len(pacs.received) == 4
        assert len(set(pacs.received[:3])) == 1
        assert len(set(pacs.uids)) == 2
        assert len(ris.received) == 3
        assert len(set(ris.received)) == 1


@one_database
def test_a_resend_is_the_same_bytes_after_a_restart_another_day(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedPacs([abort]) as pacs, ScriptedRis([None]) as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        site.clock.advance(hours=20)
        # Another release, in another time zone.
        monkeypatch.setenv("TZ", "Asia/Riyadh")
        monkeypatch.setattr("worker.destinations.documents.version", lambda _name: "9.9")
        site.parts = site.new_parts("worker@there:2")
        site.deliver_due()
        site.parts.engine.dispose()

        assert pacs.received[0] == pacs.received[1]
        assert ris.received[0] == ris.received[1]


@one_database
def test_every_archive_gets_the_same_bytes(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs() as a, ScriptedPacs([0xA700]) as b:
        site = make_site(pacs={"a": a.port, "b": b.port})
        site.take_in(film())
        site.deliver_due()
        site.clock.advance(minutes=1)
        site.deliver_due()

        assert a.received == b.received[1:]
        assert b.received[0] == b.received[1]


def test_of_two_senders_that_render_at_once_both_send_what_the_first_wrote(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    site.take_in(film())
    with site.writing() as session:
        artifact = session.get_one(Artifact, 1)
        assert outbox.keep_content(session, artifact, b"first") == b"first"
    with site.writing() as session:
        artifact = session.get_one(Artifact, 1)
        assert outbox.keep_content(session, artifact, b"second") == b"first"


def _references(dataset: Dataset) -> set[str]:
    """Return every SOP Instance UID that a document refers to."""
    return {str(e.value) for e in dataset.iterall() if e.keyword == "ReferencedSOPInstanceUID"}


@one_database
def test_the_arabic_report_refers_to_the_english_one_that_is_there(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    site.take_in(film())
    with ScriptedPacs() as pacs:
        main = site.settings.pacs[0].model_copy(update={"port": pacs.port})
        site.parts.settings = site.settings.model_copy(update={"pacs": (main,)})
        site.deliver_due()

    (_, english), (_, arabic) = site.deliveries()
    assert arabic.content is not None
    assert english.uid in _references(dcmread(BytesIO(arabic.content)))


def test_a_delivery_whose_draft_was_superseded_is_dropped_and_not_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.receive(film(image.StudyInstanceUID))
        # As an operator's retry of something parked would leave it.
        with site.writing() as session:
            for row, _ in site.deliveries():
                session.merge(row).state = PENDING
        site.deliver_due()

        assert site.states() == [DROPPED, DROPPED]
        assert "superseded" in site.reason()
        assert pacs.received == []


@one_database
def test_text_that_does_not_read_back_is_parked_and_never_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        site.take_in(film())
        with site.writing() as session:
            draft = session.get_one(Draft, 1)
            draft.report = draft.report.replace("الرئتان", "\ufffd\ufffd")
        site.deliver_due()

        assert site.states() == [SENT, PARKED, PARKED]
        assert len(pacs.received) == 1
        assert ris.received == []


@one_database
def test_stored_bytes_that_were_damaged_are_parked_and_never_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([abort]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()
        with site.writing() as session:
            artifact = session.get_one(Artifact, 1)
            assert artifact.content is not None
            artifact.content = artifact.content.replace(b"clear", b"white")
        site.clock.advance(minutes=1)
        site.deliver_due()

        assert site.states() == [PARKED, SENT]
        assert len(pacs.received) == 2


@one_database
def test_a_message_that_waits_survives_an_object_that_completes_the_demographics(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film(AccessionNumber="")
        site.take_in(image)
        site.receive(_unverified(image.StudyInstanceUID, AccessionNumber="ACC9"))
        site.deliver_due()

        # Not attempted before, so it is rendered with what is known now.
        assert site.states() == [SENT]
        assert b"ACC9" in ris.received[0]


@one_database
def test_a_message_whose_study_changed_after_the_first_attempt_goes_as_a_new_version(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis([None]) as ris:
        site = make_site(ris={"main": ris.port})
        image = film(AccessionNumber="")
        site.take_in(image)
        site.deliver_due()
        site.receive(_unverified(image.StudyInstanceUID, AccessionNumber="ACC9"))
        site.clock.advance(minutes=1)
        site.deliver_due()

        # The first bytes are fixed and no longer say what the study says.
        assert site.states() == [DROPPED, SENT]
        assert "attributes changed after the first attempt" in site.reason()
        assert b"ACC9" not in ris.received[0]
        assert b"ACC9" in ris.received[1]
        first, second = site.drafts()
        assert (first.origin, second.origin) == ("model", "renewed")
        assert second.report == first.report
        assert second.changes["against"] == first.report_version
        assert "report_renewed" in site.events()


@one_database
def test_documents_under_a_corrected_patient_name_the_ones_that_they_replace(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([0x0000, abort]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        corrected = add_patient(_unverified(image.StudyInstanceUID), name="Right^Name")
        site.receive(corrected)
        site.clock.advance(minutes=1)
        site.deliver_due()

        # The English one was there, of the Arabic one nobody knows: both are followed by new ones.
        assert site.states() == [SENT, DROPPED, SENT, SENT]
        documents = [_dataset(a.content) for _, a in site.deliveries()]
        for earlier, later in zip(documents[:2], documents[2:], strict=True):
            assert later.PatientName == "Right^Name"
            [study] = later.PredecessorDocumentsSequence
            [series] = study.ReferencedSeriesSequence
            [reference] = series.ReferencedSOPSequence
            assert reference.ReferencedSOPInstanceUID == earlier.SOPInstanceUID
            assert series.SeriesInstanceUID == earlier.SeriesInstanceUID
        site.deliver_due()
        assert len(pacs.uids) == 4


@one_database
def test_a_draft_whose_study_somebody_has_reported_by_now_is_not_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.receive(report_object(image.StudyInstanceUID))
        site.deliver_due()

        assert pacs.received == []
        assert site.states() == [DROPPED, DROPPED]
        assert site.reason() == "the study has a final report by now"
        assert site.state() is State.IGNORED
        assert "final_elsewhere" in site.events()


@one_database
@pytest.mark.parametrize(
    "attributes",
    [
        {"VerificationFlag": "UNVERIFIED"},
        {"CompletionFlag": "PARTIAL", "VerificationFlag": "UNVERIFIED"},
        {"PreliminaryFlag": "PRELIMINARY"},
        # Measurements, not a report.
        {"SOPClassUID": uid.ComprehensiveSRStorage},
        {"SOPClassUID": uid.XRayRadiationDoseSRStorage},
    ],
)
def test_what_is_no_final_report_of_the_study_ends_nothing(
    make_site: Callable[..., Site], attributes: dict[str, str]
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.receive(report_object(image.StudyInstanceUID, **attributes))
        site.deliver_due()

        assert site.states() == [SENT, SENT]
