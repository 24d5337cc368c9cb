"""Orders reach the study that they are for, whenever they come, and no other."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from harness import ScriptedPacs, ScriptedRis, Site, film, film_of_another_patient, one_database
from harness.feed import final_report, hear, keep, merge, message, order
from harness.films import new_uid
from harness.orders import WHOLE, ordered, outcomes, rows, states
from pydicom import dcmread
from pydicom.dataset import Dataset

from core import ordering, store
from core.database import reading
from core.lifecycle import DeliveryState, Event, OrderState, State
from hl7.er7 import parse


def told(site: Site) -> list[tuple[str, str]]:
    """Return indication and earlier impression that the model was told, draft by draft."""
    contexts = [request.context for request in site.drafter.requests]
    return [(context.indication, context.prior_impression) for context in contexts]


@pytest.mark.parametrize("moment", ["before", "while receiving", "while queued", "while drafting"])
def test_an_order_attaches_whenever_it_comes(site: Site, moment: str) -> None:
    if moment == "before":
        hear(site, order())
        assert states(site) == [(OrderState.WAITING, None)]
    if moment == "while drafting":
        site.drafter.during = lambda: hear(site, order())
    site.receive(film())
    if moment == "while receiving":
        hear(site, order())
    site.go_quiet()
    if moment == "while queued":
        hear(site, order())
    site.draft()

    assert states(site) == [(OrderState.ATTACHED, 1)]
    assert site.state() is State.IN_REVIEW
    assert site.events().count("order_attached") == 1
    # What came too late for the model is still what results repeat.
    expected = "" if moment == "while drafting" else "cough"
    assert told(site) == [(expected, "")]
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).reason == "cough"


def step_of(image: Dataset, step: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = step
    image.RequestAttributesSequence = [item]
    return image


@one_database
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("named", "by"),
    [
        ({"study_uid": "UID", "accession": "OTHER"}, "Study Instance UID"),
        ({"study_uid": "1.2.3"}, "accession number"),
        ({"accession": "", "step": "SPS1"}, "scheduled procedure step"),
        ({"accession": "OTHER", "step": "SPS1"}, "scheduled procedure step"),
    ],
)
def test_an_order_finds_its_study_by_the_first_key_that_any_study_bears(
    site: Site, named: dict[str, str], by: str, *, is_first: bool
) -> None:
    image = step_of(film(), "SPS1")
    named = {k: image.StudyInstanceUID if v == "UID" else v for k, v in named.items()}
    if is_first:
        hear(site, order(**named))
    site.take_in(image)
    if not is_first:
        hear(site, order(**named))

    assert states(site) == [(OrderState.ATTACHED, 1)]
    (attached,) = [row for row in site.timeline() if row.event == "order_attached"]
    assert attached.detail["by"] == by


@one_database
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("by", ["accession", "study_uid"])
def test_an_order_of_another_patient_is_a_conflict_and_never_used(
    site: Site, by: str, *, is_first: bool
) -> None:
    image = film()
    keys = {"study_uid": image.StudyInstanceUID} if by == "study_uid" else {}
    foreign = order(patient="P2", priority="S", reason="secret", **keys)
    if is_first:
        hear(site, foreign)
    site.take_in(image)
    if not is_first:
        hear(site, foreign)

    assert states(site) == [(OrderState.CONFLICT, None)]
    assert told(site) == [("", "")]
    assert site.study().priority == "routine"
    assert "order_conflict" in site.events()
    with reading(site.engine) as session:
        assert len(ordering.conflicts_of(session, store.get(session, 1))) == 1


@one_database
def test_an_order_in_conflict_agrees_once_the_patients_are_one(site: Site) -> None:
    site.receive(film())
    hear(site, order(patient="P2"))
    assert states(site) == [(OrderState.CONFLICT, None)]

    hear(site, merge("P1", "P2"))
    site.go_quiet()
    site.draft()

    assert states(site) == [(OrderState.ATTACHED, 1)]
    assert told(site) == [("cough", "")]


@one_database
@pytest.mark.parametrize("by", ["accession", "study_uid"])
def test_an_order_is_let_go_once_the_study_is_another_patients(
    make_site: Callable[..., Site], by: str
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        keys = {"study_uid": image.StudyInstanceUID} if by == "study_uid" else {}
        site.take_in(image)
        hear(site, order(number="O1", reason="secret", **keys))
        assert states(site) == [(OrderState.ATTACHED, 1)]
        image.PatientID, image.PatientName, image.AccessionNumber = "P2", "Other^Patient", "ACC2"
        site.take_in(image)
        site.deliver_due()

    expected = OrderState.CONFLICT if by == "study_uid" else OrderState.WAITING
    assert states(site) == [(expected, None)]
    assert "order_released" in site.events()
    assert told(site) == [("", ""), ("", "")]
    (result,) = [parse(m) for m in ris.received if parse(m).text("PID", 3) == "P2"]
    assert (result.text("ORC", 2), result.text("OBR", 31, 2)) == ("", "")


@one_database
def test_an_order_comes_back_where_a_correction_is_taken_back(site: Site) -> None:
    image = film()
    site.take_in(image)
    hear(site, order())
    for patient in ("P2", "P1"):
        image.PatientID = patient
        site.take_in(image)

    assert states(site) == [(OrderState.ATTACHED, 1)]
    events = [event for event in site.events() if event in {"order_attached", "order_released"}]
    assert events == ["order_attached", "order_released", "order_attached"]


@one_database
def test_an_order_is_not_used_from_the_moment_the_patient_is_corrected(site: Site) -> None:
    image = film()
    site.take_in(image)
    hear(site, order(), merge("P1", "P9"))
    with reading(site.engine) as session:
        # One patient, whatever the number.
        assert len(ordering.orders_of(session, 1)) == 1
    image.PatientID = "P2"
    site.receive(image)

    # It has not gone quiet: nobody has looked for its orders again.
    assert states(site) == [(OrderState.ATTACHED, 1)]
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).reason == ""
        assert ordering.indication_of(session, 1) == ""


@one_database
def test_of_two_studies_with_one_accession_the_patients_own_is_taken(site: Site) -> None:
    site.take_in(film(), film_of_another_patient(new_uid()))
    hear(site, order(patient="P2"))

    (row,) = rows(site)
    assert site.study(row.study_id or 0).patient_id == "P2"


@one_database
def test_authorities_that_disagree_are_two_patients(site: Site) -> None:
    site.take_in(film(IssuerOfPatientID="HOSP"))
    hear(site, order(patient="P1^^^CLINIC"))
    assert states(site) == [(OrderState.CONFLICT, None)]

    hear(site, order(patient="X^^^CLINIC~P1^^^HOSP", number="2"))
    assert states(site)[1] == (OrderState.ATTACHED, 1)


@one_database
def test_an_accession_of_another_issuer_is_another_accession(site: Site) -> None:
    image = film()
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    image.IssuerOfAccessionNumberSequence = [issuer]
    site.take_in(image)

    hear(site, order(accession="ACC1^OTHER"))
    assert states(site) == [(OrderState.WAITING, None)]
    hear(site, order(accession="ACC1^RIS", number="2"))
    assert states(site)[1] == (OrderState.ATTACHED, 1)


def test_a_stat_order_overtakes_a_hundred_routine_studies(site: Site) -> None:
    uids = [f"1.2.3.{n}" for n in range(101)]
    site.receive(*(film(uid, AccessionNumber=f"A{n}") for n, uid in enumerate(uids)))
    site.go_quiet()

    hear(site, order(accession="A100", priority="S"))

    with reading(site.engine) as session:
        (last,) = store.find(session, uids[100])
        assert store.due_studies(session, at=site.clock())[0] == last.id
        assert store.count_queued(session) == {"stat": 1, "routine": 100}
    assert "hastened" in site.events(last.id)


@one_database
def test_a_stat_order_that_came_first_hastens_the_study_as_it_is_queued(site: Site) -> None:
    hear(site, order(priority="S"))
    site.receive(film())
    site.go_quiet()

    assert (site.state(), site.study().priority) == (State.QUEUED, "stat")


@one_database
def test_an_order_is_changed_and_cancelled_by_its_later_messages(site: Site) -> None:
    hear(site, order(reason="first"), order(reason="second", control="XO"))
    site.receive(film())
    hear(site, order(control="CA"))
    site.go_quiet()
    site.draft()

    assert states(site) == [(OrderState.CANCELLED, None)]
    assert told(site) == [("", "")]


@one_database
@pytest.mark.parametrize("orc", ["CA|O1", "CA|O1|F1", "CA||F1"])
def test_a_cancel_needs_no_more_than_the_orders_number(site: Site, orc: str) -> None:
    site.take_in(film())
    hear(site, WHOLE, ordered(orc, patient="P2"))
    assert states(site)[0] == (OrderState.ATTACHED, 1)
    hear(site, ordered(orc))

    assert states(site)[0] == (OrderState.CANCELLED, 1)
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).reason == ""


@one_database
def test_a_cancel_that_names_no_step_is_of_every_step(site: Site) -> None:
    steps = [ordered("NW|O1", accession="ACC1", step=f"S{n}") for n in range(3)]
    site.take_in(film())
    hear(site, *steps, ordered("CA|O1", accession="ACC1", step="S1"))
    assert [row.state for row in rows(site)] == ["ATTACHED", "CANCELLED", "ATTACHED"]
    hear(site, ordered("CA|O1"))

    assert [row.state for row in rows(site)] == ["CANCELLED"] * 3


@one_database
def test_a_cancel_reaches_an_order_that_got_its_filler_number_later(site: Site) -> None:
    words = {"accession": "ACC1", "reason": "^cough"}
    hear(site, ordered("NW|O1", **words), ordered("SC|O1|F1", **words))
    hear(site, ordered("CA|O1", accession="ACC1"))

    assert states(site) == [(OrderState.CANCELLED, None)]


@one_database
def test_a_message_after_a_merge_is_of_the_order_that_came_before(site: Site) -> None:
    site.take_in(film())
    hear(site, order(number="O1"), merge("P1", "P9"))
    hear(site, order(number="O1", patient="P9", reason="corrected"))
    assert states(site) == [(OrderState.ATTACHED, 1)]
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).reason == "corrected"
    hear(site, order(number="O1", patient="P9", control="CA"))

    assert states(site) == [(OrderState.CANCELLED, 1)]


@one_database
def test_a_message_that_only_tells_how_far_an_order_is_takes_nothing_away(site: Site) -> None:
    site.take_in(film())
    hear(site, WHOLE, ordered("SC|O1"))

    assert states(site) == [(OrderState.ATTACHED, 1)]
    (row,) = rows(site)
    assert (row.filler_number, row.scheduled_step_id) == ("F1", "S1")
    assert (row.indication, row.priority) == ("cough", "stat")
    # Nor does it bring back what was cancelled.
    hear(site, ordered("CA|O1"), ordered("OK|O1"))
    assert states(site) == [(OrderState.CANCELLED, 1)]


@one_database
def test_of_several_examinations_under_one_number_that_of_the_accession_is_changed(
    site: Site,
) -> None:
    hear(site, *(ordered(f"NW|O1|F{n}", accession=f"A{n}", reason="^old") for n in range(2)))
    hear(site, ordered("XO|O1", accession="A1", reason="^new"), ordered("NW|O1", accession="A2"))

    found = [(row.filler_number, row.accession_number, row.indication) for row in rows(site)]
    assert found == [("F0", "A0", "old"), ("F1", "A1", "new"), ("", "A2", "")]


@one_database
def test_the_reasons_of_several_orders_are_joined_once_each(site: Site) -> None:
    hear(site, order(number="1"), order(number="2", reason="fever"), order(number="3"))
    site.take_in(film())

    assert told(site) == [("cough; fever", "")]


@one_database
def test_an_order_for_a_signed_study_is_noted_and_changes_nothing(site: Site) -> None:
    site.take_in(film())
    with site.writing() as session:
        store.advance(session, store.get(session, 1), Event.SIGNED, at=site.clock())
    before = site.study()

    hear(site, order(priority="S"))

    assert states(site) == [(OrderState.ATTACHED, 1)]
    after = site.study()
    assert (after.state, after.priority, after.version) == (
        State.SIGNED,
        before.priority,
        before.version,
    )


@pytest.mark.parametrize("moment", ["before", "while queued", "in review"])
def test_a_final_report_elsewhere_makes_a_draft_needless(
    make_site: Callable[..., Site], moment: str
) -> None:
    site = make_site(ris={"main": 1})
    if moment == "before":
        hear(site, final_report("ACC1"))
    site.receive(film())
    site.go_quiet()
    if moment == "in review":
        site.draft()
    if moment != "before":
        hear(site, final_report("ACC1"))

    assert (site.state(), site.study().reason_code) == (State.IGNORED, "FINAL_ELSEWHERE")
    assert not site.draft()
    assert site.deliver_due() == []
    if moment == "in review":
        assert site.are_all(DeliveryState.DROPPED)


@one_database
@pytest.mark.parametrize(
    "report",
    [final_report("ACC1", patient="P2"), final_report("ACC2"), final_report("ACC1", status="P")],
    ids=["another patient", "another accession", "not final"],
)
def test_a_report_of_something_else_ends_nothing(site: Site, report: bytes) -> None:
    hear(site, report)
    site.take_in(film())
    hear(site, report)

    assert site.state() is State.IN_REVIEW


@one_database
def test_an_earlier_report_of_the_feed_reaches_the_model(site: Site) -> None:
    hear(
        site,
        final_report("OLD1", at="20230101", impression="Older."),
        final_report("OLD2", at="20240101", impression="Stable nodule."),
        final_report("LATER", at="20250101", impression="Later."),
        final_report("OLD3", patient="P2", at="20240102", impression="Another's."),
    )
    site.take_in(film())

    assert told(site) == [("", "Stable nodule.")]


@one_database
@pytest.mark.parametrize("kind", ["ADT^A40^ADT_A39", "ADT^A18", "ADT^A34", "ADT^A36"])
def test_a_merge_by_message_while_drafting_is_what_sr_and_oru_carry(
    make_site: Callable[..., Site], kind: str
) -> None:
    with ScriptedRis() as ris, ScriptedPacs() as pacs:
        site = make_site(ris={"main": ris.port}, pacs={"main": pacs.port})
        content = message(kind, "PID|||P9||New^Name", "MRG|P1")
        site.drafter.during = lambda: hear(site, content)
        site.take_in(film())
        site.deliver_due()

    pid = parse(ris.received[0])
    assert (pid.text("PID", 3), pid.text("PID", 5)) == ("P9", "New")
    documents = [dcmread(BytesIO(content)) for content in pacs.received]
    patients = [(document.PatientID, str(document.PatientName)) for document in documents]
    assert patients == [("P9", "New^Name")] * 2


@one_database
def test_a_structured_report_repeats_the_order_of_its_study(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        hear(site, order(number="PL7"))
        site.take_in(film())
        site.deliver_due()

    for document in (dcmread(BytesIO(content)) for content in pacs.received):
        (request,) = document.ReferencedRequestSequence
        assert request.PlacerOrderNumberImagingServiceRequest == "PL7"
        assert request.AccessionNumber == document.AccessionNumber
        (procedure,) = request.RequestedProcedureCodeSequence
        assert (procedure.CodeValue, procedure.CodeMeaning) == ("7", "Chest")
    assert len(pacs.received) == 2


def test_results_wait_from_the_moment_a_merge_is_stored_until_it_is_followed(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        keep(site, merge("P1", "P9"))
        assert site.deliver_due() == []
        hear(site)
        site.deliver_due()

    assert [parse(m).text("PID", 3) for m in ris.received] == ["P9"]


@one_database
def test_merges_in_a_circle_fail_with_a_sentence_and_hold_nobody(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        hear(site, merge("P1", "P2"), merge("P2", "P3"), merge("P3", "P1"))
        site.deliver_due()

    found = outcomes(site)
    assert [state for state, _ in found] == ["APPLIED", "APPLIED", "FAILED"]
    assert "circle" in found[2][1]
    assert site.are_all(DeliveryState.SENT)
    assert site.study().patient_id == "P3"


@one_database
def test_an_update_by_message_renames_the_patient(site: Site) -> None:
    site.take_in(film())
    hear(site, message("ADT^A08", "PID|||P1||قباني^نزار||19700102|F"))

    study = site.study()
    assert (study.patient_name, study.patient_birth_date, study.patient_sex) == (
        "قباني^نزار",
        "19700102",
        "F",
    )


@one_database
def test_the_order_of_arrival_counts_whatever_the_clocks_say(site: Site) -> None:
    late = order(reason="newest").replace(b"20261122", b"19990101")
    hear(site, order(reason="older").replace(b"20261122", b"20990101"), late)
    site.take_in(film())

    assert told(site) == [("newest", "")]
