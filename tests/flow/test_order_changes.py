"""What later messages and corrected images change of an order, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import ScriptedRis, Site, film, new_uid, one_database, report_object
from harness.feed import final_report, hear, message, order, segment
from harness.orders import WHOLE, ordered, rows, states
from harness.retained import age, purge

from core import ordering, store
from core.database import reading
from core.lifecycle import Event, OrderState, State
from hl7.er7 import parse

pytestmark = one_database


@pytest.mark.parametrize(
    "named", [{"accession": "ACC1"}, {"step": "S1"}, {"accession": "ACC1", "step": "S1"}]
)
def test_what_a_message_leaves_out_stays_whatever_key_it_names(
    site: Site, named: dict[str, str]
) -> None:
    site.take_in(film())
    hear(site, WHOLE, ordered("SC|O1|F1|||IP", **named))

    (row,) = rows(site)
    assert (row.state, row.study_id) == (OrderState.ATTACHED, 1)
    assert (row.accession_number, row.scheduled_step_id) == ("ACC1", "S1")
    assert (row.priority, row.indication) == ("stat", "cough")


def test_what_a_message_fills_is_taken_over(site: Site) -> None:
    hear(site, WHOLE)
    hear(site, ordered("XO|O1|F1", step="S1", accession="ACC2", priority="^^^^^R", reason="^fever"))

    (row,) = rows(site)
    assert (row.accession_number, row.scheduled_step_id) == ("ACC2", "S1")
    assert (row.priority, row.indication) == ("routine", "fever")


def test_a_message_takes_away_what_it_says_is_null(site: Site) -> None:
    site.take_in(film())
    hear(site, WHOLE)
    hear(site, ordered("XO|O1", step="S1", accession='""', priority='""', reason='""'))

    (row,) = rows(site)
    assert (row.state, row.accession_number) == (OrderState.WAITING, "")
    assert (row.priority, row.priority_code, row.indication) == ("routine", "", "")
    # What tells one order from another stays.
    assert (row.placer_number, row.filler_number, row.scheduled_step_id) == ("O1", "F1", "S1")


def test_a_corrected_accession_number_takes_an_order_from_the_study_of_the_one_before(
    site: Site,
) -> None:
    first, second = film(), film(AccessionNumber="ACC2")
    site.take_in(first)
    hear(site, order(number="O1", study_uid=first.StudyInstanceUID))
    assert states(site) == [(OrderState.ATTACHED, 1)]
    hear(site, ordered("XO|O1", accession="ACC2", reason="^knee pain"))
    assert states(site) == [(OrderState.WAITING, None)]
    site.take_in(second)

    (row,) = rows(site)
    assert (row.accession_number, row.study_uid) == ("ACC2", "")
    assert (row.state, row.study_id) == (OrderState.ATTACHED, 2)


def test_a_message_with_the_same_accession_number_takes_no_study_from_an_order(site: Site) -> None:
    image = film()
    site.take_in(image)
    hear(site, order(number="O1", study_uid=image.StudyInstanceUID, accession="ACC2"))
    hear(site, ordered("XO|O1", accession="ACC2"))

    (row,) = rows(site)
    assert (row.state, row.study_uid) == (OrderState.ATTACHED, image.StudyInstanceUID)


def placed(**fields: Any) -> bytes:
    places = {"procedure": 4, "provider": 16, "accession": 18}
    obr = {places[name]: value for name, value in fields.items()}
    return message("ORM^O01", "PID|||P1", "ORC|NW|O1", segment("OBR", obr))


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({"accession": "ACC1"}, ("ACC1", "RIS", "7", "Chest", "12", "Doe^Jo")),
        ({"accession": "ACC2"}, ("ACC2", "", "7", "Chest", "12", "Doe^Jo")),
        ({"procedure": "8"}, ("ACC1", "RIS", "8", "", "12", "Doe^Jo")),
        ({"provider": "^Roe^Al"}, ("ACC1", "RIS", "7", "Chest", "", "Roe^Al")),
    ],
)
def test_parts_of_two_fields_are_never_mixed(
    site: Site, later: dict[str, str], expected: tuple[str, ...]
) -> None:
    whole = {"procedure": "7^Chest^99", "provider": "12^Doe^Jo", "accession": "ACC1^RIS"}
    hear(site, placed(**whole), placed(**later))

    (row,) = rows(site)
    found = (row.accession_number, row.accession_issuer, row.procedure_code, row.procedure_meaning)
    assert (*found, row.ordering_provider_id, row.ordering_provider) == expected


def test_an_order_is_let_go_once_the_study_has_another_accession_number(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        hear(site, ordered("NW|O2|F2", accession="ACC2", reason="^knee pain"))
        hear(site, ordered("NW|O1|F1", accession="ACC1", reason="^cough"))
        image = film()
        site.take_in(image)
        image.AccessionNumber = "ACC2"
        site.take_in(image)
        site.deliver_due()

    assert states(site) == [(OrderState.ATTACHED, 1), (OrderState.WAITING, None)]
    assert "order_released" in site.events()
    assert [request.context.indication for request in site.drafter.requests] == [
        "cough",
        "knee pain",
    ]
    result = parse(ris.received[-1])
    assert (result.text("ORC", 2), result.text("OBR", 18)) == ("O2", "ACC2")


def test_an_order_is_let_go_once_anything_names_another_accession_number(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        hear(site, ordered("NW|O1|F1", accession="ACC1"), ordered("NW|O2|F2", accession="ACC2"))
        image = film()
        site.take_in(image)
        unsigned = report_object(image.StudyInstanceUID, VerificationFlag="UNVERIFIED")
        unsigned.AccessionNumber = "ACC2"
        site.receive(unsigned)
        assert states(site) == [(OrderState.WAITING, None), (OrderState.ATTACHED, 1)]
        site.deliver_due()

    result = parse(ris.received[-1])
    found = (result.text("ORC", 2), result.text("ORC", 3), result.text("OBR", 18))
    assert found == ("O2", "F2", "ACC2")


def test_a_report_elsewhere_under_a_corrected_accession_number_makes_the_draft_needless(
    site: Site,
) -> None:
    image = film()
    site.take_in(image)
    hear(site, final_report("ACC2"))
    assert site.state() is State.IN_REVIEW
    unsigned = report_object(image.StudyInstanceUID, VerificationFlag="UNVERIFIED")
    unsigned.AccessionNumber = "ACC2"
    site.receive(unsigned)

    assert (site.state(), site.study().reason_code) == (State.IGNORED, "FINAL_ELSEWHERE")


def test_of_a_signed_study_a_late_image_may_correct_the_accession_number(site: Site) -> None:
    hear(site, ordered("NW|O1|F1", accession="ACC1"), ordered("NW|O2|F2", accession="ACC2"))
    image = film()
    site.take_in(image)
    with site.writing() as session:
        store.advance(session, store.get(session, 1), Event.SIGNED, at=site.clock())
    site.receive(film(image.StudyInstanceUID, AccessionNumber="ACC2"))

    assert states(site) == [(OrderState.WAITING, None), (OrderState.ATTACHED, 1)]


def test_an_order_goes_to_the_study_that_it_names_once_that_comes(site: Site) -> None:
    named = film()
    site.take_in(film())
    hear(site, order(study_uid=named.StudyInstanceUID))
    assert states(site) == [(OrderState.ATTACHED, 1)]
    site.take_in(named, film(site.study().study_uid))

    assert states(site) == [(OrderState.ATTACHED, 2)]


def test_of_two_studies_with_one_accession_an_order_keeps_its_own(site: Site) -> None:
    hear(site, WHOLE)
    site.take_in(film())
    site.take_in(film())
    hear(site, ordered("SC|O1|F1", accession="ACC1"))

    assert states(site) == [(OrderState.ATTACHED, 1)]
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).placer_number == "O1"
    # Unless the message says that it is the other one's.
    hear(site, order(number="O1", study_uid=site.study(2).study_uid))
    assert states(site) == [(OrderState.ATTACHED, 2)]


def test_an_order_of_a_purged_study_waits(site: Site) -> None:
    image = film()
    site.take_in(image)
    age(site)
    assert purge(site).studies == 1
    hear(site, order(study_uid=image.StudyInstanceUID))
    assert states(site) == [(OrderState.WAITING, None)]
    site.take_in(image)

    assert states(site) == [(OrderState.ATTACHED, 1)]


def test_the_first_image_takes_no_haste_from_a_study(site: Site) -> None:
    study = new_uid()
    site.receive(report_object(study))
    hear(site, order(priority="S"))
    site.receive(film(study))
    site.go_quiet()

    assert (site.state(), site.study().priority) == (State.QUEUED, "stat")


def test_a_purged_study_that_comes_again_is_in_haste_no_more(site: Site) -> None:
    image = film()
    hear(site, order(priority="S"))
    site.take_in(image)
    age(site)
    assert (site.study().priority, purge(site).studies) == ("stat", 1)
    site.take_in(image)

    assert site.study().priority == "routine"
