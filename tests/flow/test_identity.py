"""One Study Instance UID, two patients: nothing of it is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

from core import store
from core.errors import TransitionError
from core.lifecycle import DeliveryState, Event, State


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
