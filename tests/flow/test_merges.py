"""Numbers that become one: whatever is sent afterwards carries the identity that survives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import ManualClock, ScriptedRis, Site, feed, film, one_database
from sqlalchemy import select

from core import merges, messages, outbox, store
from core.database import reading
from core.lifecycle import DeliveryState, MessageState, State
from core.order_tables import Hl7Message, PatientIdentity
from core.report import Patient
from core.tables import Artifact
from hl7.er7 import parse
from worker.orders import follow_all

OLD = Patient(id="P1")
NEW = Patient(id="P9", name="Qabbani^Nizar")


def _merge(site: Site, retired: Patient = OLD, surviving: Patient = NEW) -> int:
    with site.writing() as session:
        return merges.merge(
            session, retired=retired, surviving=surviving, at=site.clock(), actor="test"
        )


def _receive_merge(site: Site) -> None:
    with site.writing() as session:
        session.add(
            Hl7Message(
                sending_application="RIS",
                sending_facility="",
                control_id="1",
                digest="0" * 64,
                kind="ADT^A40",
                is_merge=True,
                state=MessageState.RECEIVED,
                received_at=site.clock(),
                size_bytes=0,
                content=b"",
            )
        )


def _patient_sent(message: bytes) -> tuple[str, str]:
    pid = parse(message)
    return pid.text("PID", 3), pid.text("PID", 5)


@pytest.mark.parametrize("moment", ["before the images", "while drafting", "before sending"])
def test_what_is_sent_carries_the_surviving_identity(
    make_site: Callable[..., Site], moment: str
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        if moment == "before the images":
            _merge(site)
        if moment == "while drafting":
            site.drafter.during = lambda: _merge(site)
        site.take_in(film())
        if moment == "before sending":
            _merge(site)
        site.deliver_due()

    assert [_patient_sent(message) for message in ris.received] == [("P9", "Qabbani")]
    assert site.state() is State.IN_REVIEW
    assert site.study().patient_id == "P9"


@one_database
def test_an_object_that_was_made_and_not_tried_is_made_anew(make_site: Callable[..., Site]) -> None:
    site = make_site(ris={"main": 1})
    site.take_in(film())
    with site.writing() as session:
        outbox.keep_content(session, session.scalars(select(Artifact)).one(), b"as before")

    _merge(site)

    with reading(site.engine) as session:
        assert session.scalars(select(Artifact.content)).all() == [None]


@one_database
def test_what_was_tried_keeps_its_bytes(make_site: Callable[..., Site]) -> None:
    site = make_site(ris={"main": 1})
    site.take_in(film())
    site.deliver_due()

    _merge(site)

    with reading(site.engine) as session:
        (content,) = session.scalars(select(Artifact.content)).all()
    assert content is not None
    assert _patient_sent(content)[0] == "P1"


def test_nothing_is_sent_while_a_merge_is_pending(make_site: Callable[..., Site]) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        _receive_merge(site)
        assert site.deliver_due() == []
        with site.writing() as session:
            session.scalars(select(Hl7Message)).one().state = MessageState.APPLIED
        site.deliver_due()

    assert site.are_all(DeliveryState.SENT)
    assert len(ris.received) == 1


@one_database
@pytest.mark.parametrize(
    ("waiting", "holds"),
    [
        (feed.order(patient="P7", accession="OTHER"), False),
        (feed.final_report("OTHER", patient="P7"), False),
        (feed.message("ADT^A08", "PID|||P7||Other^Name"), False),
        (feed.merge("P7", "P8"), True),
        (feed.message("ADT", "EVN|A40", "PID|||P8", "MRG|P7"), True),
        (feed.message("ADT", "EVN|A08", "PID|||P7||Other^Name"), False),
        # What it is, cannot be read.
        (feed.message("ADT", "PID|||P8", "MRG|P7"), True),
        (feed.message("^A40", "PID|||P8", "MRG|P7"), True),
    ],
    ids=["order", "report", "update", "merge", "EVN merge", "EVN update", "trigger", "type"],
)
def test_only_what_may_be_a_merge_holds_a_delivery(
    make_site: Callable[..., Site], waiting: bytes, holds: bool
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        feed.keep(site, waiting)
        assert (site.deliver_due() == []) is holds
        # Followed, whatever it was, it holds nothing any more.
        follow_all(site.parts)
        site.deliver_due()

    assert len(ris.received) == 1


@one_database
def test_images_of_both_numbers_are_no_conflict_once_they_are_one(site: Site) -> None:
    _merge(site)
    image = film()
    site.take_in(image, film(image.StudyInstanceUID, PatientID="P9"))

    assert site.state() is State.IN_REVIEW
    assert site.study().patient_id == "P9"


@one_database
def test_merges_follow_each_other(site: Site) -> None:
    site.take_in(film())
    _merge(site)
    assert _merge(site, NEW, Patient(id="P12")) == 1

    assert (site.study().patient_id, site.study().patient_name) == ("P12", "Qabbani^Nizar")
    site.take_in(film())
    assert site.study(2).patient_id == "P12"
    # Said again, it changes nothing.
    assert _merge(site) == 0


@one_database
@pytest.mark.parametrize(
    ("retired", "surviving", "words"),
    [
        (Patient(id="P9"), OLD, "circle"),
        (Patient(id="P12"), OLD, "circle"),
        (OLD, OLD, "twice"),
        (Patient(id="P12"), Patient(id="P12"), "twice"),
        (OLD, Patient(id="P77"), "contradicts"),
        (Patient(), OLD, "empty"),
        (OLD, Patient(issuer="HOSP"), "empty"),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(
    site: Site, retired: Patient, surviving: Patient, words: str
) -> None:
    site.take_in(film())
    _merge(site)
    _merge(site, NEW, Patient(id="P12"))

    with pytest.raises(merges.MergeRefusedError, match=words):
        _merge(site, retired, surviving)
    assert site.study().patient_id == "P12"


@one_database
def test_a_merge_of_another_authority_touches_nobody(site: Site) -> None:
    site.take_in(film(IssuerOfPatientID="HOSP"))

    assert _merge(site, Patient(id="P1", issuer="CLINIC"), Patient(id="P9", issuer="CLINIC")) == 0
    assert site.study().patient_id == "P1"
    assert _merge(site, Patient(id="P1", issuer="HOSP"), Patient(id="P9", issuer="HOSP")) == 1
    assert (site.study().patient_id, site.study().patient_issuer) == ("P9", "HOSP")


@one_database
def test_a_number_that_two_authorities_gave_is_nobodys_where_the_image_names_none(
    site: Site,
) -> None:
    _merge(site, Patient(id="P1", issuer="CLINIC"), Patient(id="P9", issuer="CLINIC"))
    with site.writing() as session:
        merges.update_patient(
            session, Patient(id="P1", issuer="HOSP", name="Other"), at=site.clock(), actor="test"
        )
    site.take_in(film())

    assert site.study().patient_id == "P1"
    assert site.study().patient_name != "Other"


def _identity(patient: str, issuer: str = "", into: int | None = None) -> PatientIdentity:
    return PatientIdentity(
        patient_id=patient, issuer=issuer, merged_into_id=into, updated_at=ManualClock()()
    )


@one_database
@pytest.mark.parametrize(
    ("of_image", "of_update", "retired"),
    [("HOSP", "P1^^^HOSP", "P1"), ("", "P1", "P1^^^HOSP")],
    ids=["merge without", "merge with"],
)
def test_a_merge_counts_where_either_side_leaves_out_the_authority(
    site: Site, of_image: str, of_update: str, retired: str
) -> None:
    issuer: dict[str, Any] = {"IssuerOfPatientID": of_image} if of_image else {}
    site.take_in(film(**issuer))
    update = feed.message("ADT^A08", f"PID|||{of_update}||Qabbani^Nizar")
    feed.hear(site, update, feed.merge(retired, "P9^^^HOSP"))

    assert (site.study().patient_id, site.study().patient_issuer) == ("P9", of_image)
    with reading(site.engine) as session:
        assert messages.listed(session)[-1].reason == "patients merged, 1 studies"
    site.take_in(film(**issuer))
    assert site.study(2).patient_id == "P9"


@one_database
def test_a_later_update_that_names_the_authority_undoes_no_merge(site: Site) -> None:
    feed.hear(site, feed.merge("P1", "P9^^^HOSP"))
    feed.hear(site, feed.message("ADT^A31", "PID|||P1^^^HOSP||Old^Name"))
    feed.hear(site, feed.merge("P9", "P12"))
    site.take_in(film(IssuerOfPatientID="HOSP"))

    assert (site.study().patient_id, site.study().patient_issuer) == ("P12", "HOSP")
    assert site.study().patient_name != "Old^Name"


@one_database
def test_a_number_that_learned_its_authority_is_no_other_authoritys(site: Site) -> None:
    update = feed.message("ADT^A08", "PID|||P1||Qabbani^Nizar")
    feed.hear(site, update, feed.merge("P1^^^HOSP", "P9^^^HOSP"))
    feed.hear(site, feed.message("ADT^A08", "PID|||P1^^^CLINIC||Other^Name"))
    site.take_in(film(IssuerOfPatientID="CLINIC"), film(IssuerOfPatientID="HOSP"))

    studies = [site.study(number) for number in (1, 2)]
    assert [study.patient_id for study in studies] == ["P1", "P9"]
    assert studies[0].patient_name == "Other^Name"


@one_database
@pytest.mark.parametrize("is_ambiguous", [False, True])
def test_two_rows_of_one_number_are_one_unless_a_third_makes_them_doubtful(
    site: Site, *, is_ambiguous: bool
) -> None:
    with site.writing() as session:
        session.add(surviving := _identity("P9"))
        session.flush()
        session.add_all([_identity("P1", "HOSP"), _identity("P1", into=surviving.id)])
        if is_ambiguous:
            session.add(_identity("P1", "CLINIC"))
    site.take_in(film(IssuerOfPatientID="HOSP"))

    assert site.study().patient_id == ("P1" if is_ambiguous else "P9")


@one_database
def test_a_second_number_that_stays_keeps_no_merge_from_being_followed(site: Site) -> None:
    site.take_in(film(IssuerOfPatientID="HOSP"))
    feed.hear(site, feed.merge("P1^^^HOSP~777^^^MOI", "P9^^^HOSP~777^^^MOI"))

    assert site.study().patient_id == "P9"


@one_database
def test_a_number_that_stayed_in_one_merge_may_stay_in_the_next(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film(PatientID="B1"), film(PatientID="X7"))
        feed.hear(site, feed.merge("A1~X7", "B1~X7"), feed.merge("X7~B1", "X7~C1"))
        site.deliver_due()

    with reading(site.engine) as session:
        assert [row.state for row in messages.listed(session)] == [MessageState.APPLIED] * 2
    assert sorted(_patient_sent(content)[0] for content in ris.received) == ["C1", "X7"]


@one_database
def test_an_update_stands_above_what_a_late_image_says(site: Site) -> None:
    image = film()
    site.take_in(image)
    with site.writing() as session:
        changed = merges.update_patient(
            session,
            Patient(id="P1", name="Married^Name", birth_date="19700102"),
            at=site.clock(),
            actor="test",
        )
    assert changed == 1
    site.take_in(film(image.StudyInstanceUID))

    with reading(site.engine) as session:
        patient = store.header_of(session, store.get(session, 1)).patient
    assert (patient.name, patient.birth_date) == ("Married^Name", "19700102")
    assert "patient_updated" in site.events()


@one_database
def test_an_update_of_a_number_that_was_merged_away_changes_nobody(site: Site) -> None:
    site.take_in(film())
    _merge(site)
    with site.writing() as session:
        stale = Patient(id="P1", name="Old^Name")
        assert merges.update_patient(session, stale, at=site.clock(), actor="test") == 0

    assert site.study().patient_name == "Qabbani^Nizar"
