"""One Study Instance UID, two patients: nothing of it is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from harness import (
    ScriptedPacs,
    Site,
    film,
    film_of_another_patient,
    one_database,
    report_object,
)
from harness.retained import age, purge
from harness.scripted_pacs import abort
from pydicom import dcmread
from pydicom.dataset import Dataset

from core import merges, outbox, store
from core.errors import PermanentError, SigningRefusedError, TransitionError
from core.lifecycle import DeliveryState, Event, State
from core.report import Language, Patient
from worker.signing import Reader, addend, reject, sign
from worker.sweep import sweep_once

EN, AR = Language.EN, Language.AR
READER = Reader(name="Darwish^Mona", id="R7", account="mona")
_LATER = 0xA700


def _is_withheld_for_conflict(site: Site) -> bool:
    study = site.study()
    return study.state == State.WITHHELD and study.reason_code == "PATIENT_CONFLICT"


def test_two_patients_in_one_study_are_withheld_before_anything_is_drafted(site: Site) -> None:
    image = film()
    site.send(image, film_of_another_patient(image.StudyInstanceUID))
    site.go_quiet()

    assert _is_withheld_for_conflict(site)
    assert "patient conflict" in site.study().reason
    assert site.path() == ["RECEIVING", "WITHHELD"]
    assert site.bell.studies == []
    assert not site.draft()


@one_database
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"PatientID": ""}, {"PatientID": "P1"}),
        ({"IssuerOfPatientID": "HOSP"}, {"IssuerOfPatientID": "CLINIC"}),
        ({"PatientID": "P1"}, {"PatientID": "p1"}),
    ],
)
def test_identifiers_that_disagree_are_two_patients(
    site: Site, first: dict[str, Any], second: dict[str, Any]
) -> None:
    image = film(**first)
    site.take_in(image, film(image.StudyInstanceUID, **second))

    assert _is_withheld_for_conflict(site)
    assert site.drafter.requests == []


@one_database
@pytest.mark.parametrize(
    "second",
    [
        {"IssuerOfPatientID": "HOSP"},
        {"PatientName": "Married^Name", "PatientBirthDate": "19700102"},
        {"PatientID": " P1 "},
    ],
)
def test_what_does_not_identify_is_no_conflict(site: Site, second: dict[str, Any]) -> None:
    image = film()
    site.take_in(image, film(image.StudyInstanceUID, **second))

    assert site.state() is State.IN_REVIEW


def test_an_image_of_another_patient_withholds_what_was_drafted(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    image = film()
    site.take_in(image)
    site.take_in(film_of_another_patient(image.StudyInstanceUID))

    assert _is_withheld_for_conflict(site)
    assert site.are_all(DeliveryState.DROPPED)
    assert len(site.drafts()) == 1


def test_a_report_of_another_patient_withholds_what_was_drafted_at_once(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)

        site.receive(report_object(image.StudyInstanceUID, PatientID="P2"))

        assert _is_withheld_for_conflict(site)
        assert site.deliver_due() == []
        assert pacs.received == []


def test_a_report_of_another_patient_that_comes_while_drafting_stops_the_draft(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    image = film()
    other = report_object(image.StudyInstanceUID, PatientID="P2")
    site.drafter.during = lambda: site.receive(other)

    site.take_in(image)

    assert _is_withheld_for_conflict(site)
    assert site.drafts() == []
    assert site.deliveries() == []


def test_a_conflict_that_is_found_only_when_drafting_begins_is_withheld_too(site: Site) -> None:
    image = film()
    site.receive(image)
    site.go_quiet()
    # Indexed between the look at completion and the claim, as two processes may do.
    with site.writing() as session:
        store.advance(session, store.get(session, 1), Event.STARTED, at=site.clock())
        with pytest.raises(TransitionError):
            store.advance(session, store.get(session, 1), Event.INSTANCE_STORED, at=site.clock())
    with site.writing() as session:
        store.advance(session, store.get(session, 1), Event.LEASE_EXPIRED, at=site.clock())
        from core.tables import Instance, Series

        series = session.query(Series).one()
        session.add(
            Instance(
                study_id=1,
                series_id=series.id,
                sop_instance_uid="1.2.3",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
                digest="0" * 64,
                path="",
                size_bytes=0,
                sender="X",
                received_at=site.clock(),
                is_image=True,
                is_own=False,
                patient_id="P2",
                header={},
            )
        )

    assert site.draft()

    assert _is_withheld_for_conflict(site)
    assert site.drafter.requests == []


def test_an_operator_who_retries_a_conflict_gets_the_same_answer(site: Site) -> None:
    image = film()
    site.take_in(image, film_of_another_patient(image.StudyInstanceUID))
    with site.writing() as session:
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")
    assert site.state() is State.QUEUED

    site.draft()

    assert _is_withheld_for_conflict(site)
    assert site.drafter.requests == []


def test_a_conflict_that_was_mended_is_drafted_on_retry_as_a_new_version(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    image = film()
    site.take_in(image)
    stray = report_object(image.StudyInstanceUID, PatientID="P2")
    site.receive(stray)
    assert _is_withheld_for_conflict(site)
    # The archive corrects the stray object and sends it again.
    stray.PatientID = "P1"
    site.receive(stray)
    with site.writing() as session:
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")

    assert site.draft()

    assert (site.state(), site.study().version) == (State.IN_REVIEW, 2)
    assert [draft.study_version for draft in site.drafts()] == [1, 2]
    assert site.study().patient_id == "P1"


def test_one_patients_conflict_does_not_hold_another_study(site: Site) -> None:
    image = film()
    site.take_in(image, film_of_another_patient(image.StudyInstanceUID), film())

    assert _is_withheld_for_conflict(site)
    assert site.state(2) is State.IN_REVIEW


def test_what_was_on_its_way_when_the_conflict_came_is_known_to_have_arrived(
    make_site: Callable[..., Site],
) -> None:
    from worker.deliver import deliver

    site_of: list[Site] = []
    image = film()

    def conflict(event: object) -> int:
        del event
        site_of[0].receive(report_object(image.StudyInstanceUID, PatientID="P2"))
        return 0x0000

    with ScriptedPacs([conflict]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site_of.append(site)
        site.take_in(image)
        thread = threading.Thread(target=deliver, args=(site.parts, 1))
        thread.start()
        thread.join()

        assert _is_withheld_for_conflict(site)
        states = [state for _, _, state in site.delivery_states()]
        assert states == [DeliveryState.SENT, DeliveryState.DROPPED]


# Once a person has decided


def _signed(make_site: Callable[..., Site], pacs: ScriptedPacs, image: Dataset) -> Site:
    """Return a site whose archive did not take what was signed yet."""
    site = make_site(pacs={"main": pacs.port})
    site.take_in(image)
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)
    return site


def _deliver_later(site: Site) -> None:
    site.clock.advance(hours=1)
    site.deliver_due()


def _sent(site: Site) -> list[tuple[str, str]]:
    """Return whom each object that an archive has is of, and what it is."""
    documents = [
        dcmread(BytesIO(artifact.content))
        for delivery, artifact in site.deliveries()
        if delivery.state == DeliveryState.SENT and artifact.content
    ]
    return [(str(d.PatientID), d.SeriesDescription.split()[0]) for d in documents]


def _retry(site: Site) -> None:
    with site.writing() as session:
        outbox.retry_parked(session, 1, at=site.clock(), actor="operator")
    _deliver_later(site)


@pytest.mark.parametrize("is_image", [True, False])
@pytest.mark.parametrize("was_tried", [True, False])
def test_a_signed_report_never_goes_out_as_another_patients(
    make_site: Callable[..., Site], *, is_image: bool, was_tried: bool
) -> None:
    with ScriptedPacs([abort] if was_tried else []) as pacs:
        image = film()
        site = _signed(make_site, pacs, image)
        if was_tried:
            site.deliver_due()
        make = film_of_another_patient if is_image else report_object
        stray = make(image.StudyInstanceUID)
        stray.PatientID, stray.PatientName = "P2", "Other^Patient"
        before = len(pacs.received)
        site.receive(stray)

        study = site.study()
        assert (study.patient_id, study.patient_name) == ("P1", "Test^Patient")
        assert (site.state(), study.needs_addendum) == (State.SIGNED, is_image)
        assert site.events().count("other_patient_noted") == 1
        _deliver_later(site)
        assert len(pacs.received) == before
        assert len(site.drafts()) == 2
        assert site.states()[2:] == [DeliveryState.PARKED] * 2
        assert "name different patients" in site.reason(2)
        with pytest.raises(SigningRefusedError, match="different patients"):
            addend(site.parts, 1, version=2, texts={EN: "More."}, reader=READER)

        # The archive corrects the stray object and sends it again.
        stray.PatientID, stray.PatientName = "P1", "Test^Patient"
        site.receive(stray)
        _retry(site)
        assert {patient for patient, _ in _sent(site)} == {"P1"}
        addend(site.parts, 1, version=2, texts={EN: "More."}, reader=READER)
        site.deliver_due()
        assert len(_sent(site)) == 4
        assert {patient for patient, _ in _sent(site)} == {"P1"}
        assert b"P2" not in b"".join(pacs.received)


def test_the_withdrawal_of_a_rejected_draft_bears_the_patient_of_the_draft(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs([0x0000, 0x0000, _LATER]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        reject(site.parts, 1, version=1, reader=READER, reason="not a chest")
        site.deliver_due()
        site.receive(film_of_another_patient(image.StudyInstanceUID))
        _deliver_later(site)

        assert _sent(site) == [("P1", "AI")] * 2 + [("P1", "WITHDRAWN")] * 2
        assert (site.study().patient_id, site.state()) == ("P1", State.REJECTED)


@one_database
@pytest.mark.parametrize("was_tried", [True, False])
def test_a_withdrawal_keeps_its_patient_whatever_comes_into_a_failed_study(
    make_site: Callable[..., Site], *, was_tried: bool
) -> None:
    with ScriptedPacs([0x0000, 0x0000, _LATER]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        site.drafter.script.append(PermanentError("no"))
        site.take_in(film(image.StudyInstanceUID))
        sweep_once(site.parts)
        if was_tried:
            site.deliver_due()
        site.receive(report_object(image.StudyInstanceUID, PatientID="P2"))
        for _ in range(2):
            _deliver_later(site)

        assert site.state() is State.FAILED
        assert _sent(site) == [("P1", "AI")] * 2 + [("P1", "WITHDRAWN")] * 2


@one_database
def test_a_signed_report_whose_objects_all_change_their_number_waits_for_the_merge(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        image = film()
        site = _signed(make_site, pacs, image)
        image.PatientID = "P2"
        site.receive(image)
        _deliver_later(site)
        assert (site.study().patient_id, pacs.received) == ("P1", [])
        assert site.states()[2:] == [DeliveryState.PARKED] * 2

        with site.writing() as session:
            old, new = Patient(id="P1"), Patient(id="P2")
            merges.merge(session, retired=old, surviving=new, at=site.clock(), actor="test")
        _retry(site)

        assert [patient for patient, _ in _sent(site)] == ["P2", "P2"]


@one_database
def test_a_signed_report_follows_corrections_and_merges_of_its_own_patient(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        image = film()
        site = _signed(make_site, pacs, image)
        with site.writing() as session:
            old, new = Patient(id="P1"), Patient(id="P9")
            merges.merge(session, retired=old, surviving=new, at=site.clock(), actor="test")
        uid = image.StudyInstanceUID
        site.receive(film(uid, PatientID="P9"), film(uid, PatientName="Right^Name"))
        _deliver_later(site)

        assert "other_patient_noted" not in site.events()
        assert [patient for patient, _ in _sent(site)] == ["P9", "P9"]
        assert site.study().patient_name == "Right^Name"


@one_database
def test_a_purged_study_belongs_to_whoever_is_sent_again(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs() as pacs:
        image = film()
        site = _signed(make_site, pacs, image)
        site.deliver_due()
        age(site)
        assert purge(site).studies == 1
        assert site.study().patient_id == ""

        site.receive(film(image.StudyInstanceUID))

        assert site.study().patient_id == "P1"
        assert "other_patient_noted" not in site.events()
