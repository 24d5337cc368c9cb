"""What a site's settings make of a draft: messages by language, documents, a FHIR resource."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import ScriptedRis, Site, a_finding, film, one_database
from harness.feed import hear, order
from harness.scripted_web import ScriptedWeb

from core import outbox, store
from core.lifecycle import DeliveryState, State
from core.report import Language
from hl7.ack import AckCode
from hl7.er7 import parse
from hl7.fhir import read_report
from hl7.result_reading import read_result
from worker.destinations.ris import RisDestination
from worker.withdrawal import withdraw

PENDING, SENT, PARKED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.PARKED


def ris_of(port: int, lines: str) -> str:
    return f'[[ris]]\nname = "main"\nhost = "127.0.0.1"\nport = {port}\n{lines}\n'


@one_database
def test_a_ris_gets_a_message_for_each_language_where_it_asks_for_it(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(rules=ris_of(ris.port, "one_message = false\nversion = '2.4'"))
        site.take_in(film())
        site.deliver_due()
        site.deliver_due()

        assert site.are_all(SENT)
        read = [parse(message) for message in ris.received]
        assert [message.text("MSH", 19) for message in read] == ["en", "ar"]
        assert {message.text("MSH", 12) for message in read} == {"2.4"}
        assert len({message.text("MSH", 10) for message in read}) == 2


@one_database
def test_a_draft_that_the_character_set_of_the_ris_cannot_hold_is_parked_and_never_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(rules=ris_of(ris.port, "character_set = '8859/1'"))
        site.take_in(film())
        site.deliver_due()

        [(delivery, artifact)] = site.deliveries()
        assert (delivery.state, artifact.content) == (PARKED, None)
        assert "cannot write U+06" in delivery.reason
        assert ris.received == []
        assert site.state() is State.IN_REVIEW


@one_database
def test_late_images_make_an_edit_of_the_document_that_the_ris_has(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis([AckCode.AA, AckCode.AE]) as ris:
        site = make_site(rules=ris_of(ris.port, "message = 'MDM'"))
        first = film()
        site.take_in(first)
        site.deliver_due()
        site.take_in(film(first.StudyInstanceUID, value=7))
        site.deliver_due()
        site.clock.advance(hours=1)
        site.deliver_due()

        read = [parse(message) for message in ris.received]
        assert [message.text("MSH", 9, 2) for message in read] == ["T02", "T08", "T08"]
        # One document, two messages, the second of them sent twice.
        assert len({message.text("TXA", 12) for message in read}) == 1
        assert ris.received[1] == ris.received[2]
        assert site.are_all(SENT)


@one_database
@pytest.mark.parametrize("answer", [None, AckCode.AE, AckCode.AR])
def test_a_document_that_the_ris_did_not_take_is_begun_and_not_edited(
    make_site: Callable[..., Site], answer: AckCode | None
) -> None:
    with ScriptedRis([answer]) as ris:
        site = make_site(rules=ris_of(ris.port, "message = 'MDM'"))
        first = film()
        site.take_in(first)
        site.deliver_due()
        site.take_in(film(first.StudyInstanceUID, value=7))
        site.clock.advance(hours=1)
        site.deliver_due()

        read = [parse(message) for message in ris.received]
        assert [message.text("MSH", 9, 2) for message in read] == ["T02", "T02"]
        assert [m.text("TXA", 12) for m in read] == [m.text("MSH", 10) for m in read]


@one_database
def test_a_document_that_the_ris_may_have_is_taken_back_by_its_number(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis([None]) as ris:
        site = make_site(rules=ris_of(ris.port, "message = 'MDM'"))
        first = film()
        site.take_in(first)
        site.deliver_due()
        site.drafter.script.append((a_finding(),))
        site.take_in(film(first.StudyInstanceUID, value=7))
        with site.writing() as session:
            assert withdraw(session, site.parts, store.get(session, 1, lock=True))
        site.clock.advance(hours=1)
        site.deliver_due()

        read = [parse(message) for message in ris.received]
        assert [message.text("MSH", 9, 2) for message in read] == ["T02", "T11"]
        assert len({message.text("TXA", 12) for message in read}) == 1


@pytest.mark.parametrize("message", ["ORU", "MDM"])
@pytest.mark.parametrize(
    ("before", "since"),
    [
        ([], order(number="O1")),
        ([order(number="O1")], order(number="O2")),
        ([order(number="O1")], order(number="O1", control="CA")),
    ],
    ids=["comes", "is joined", "is cancelled"],
)
def test_a_result_that_was_tried_goes_out_as_it_is_whatever_becomes_of_its_order(
    make_site: Callable[..., Site], before: list[bytes], since: bytes, message: str
) -> None:
    with ScriptedRis([None]) as ris:
        site = make_site(rules=ris_of(ris.port, f"message = '{message}'"))
        hear(site, *before)
        site.take_in(film())
        site.deliver_due()
        hear(site, since)
        site.clock.advance(hours=1)
        site.deliver_due()

        assert site.are_all(SENT)
        assert len(ris.received) == 2
        assert len(set(ris.received)) == 1


@one_database
def test_a_message_of_another_order_is_not_sent_and_is_made_again(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedRis() as ris:
        site = make_site(rules=ris_of(ris.port, ""))
        hear(site, order(number="O1"))
        site.take_in(film())
        made = RisDestination.render
        with monkeypatch.context() as patch:
            patch.setattr(
                RisDestination, "render", lambda *args: made(*args).replace(b"|O1|", b"|O2|")
            )
            site.deliver_due()

        assert (site.states(), ris.received) == ([PARKED], [])
        assert "placer order number" in site.reason()
        with site.writing() as session:
            outbox.retry_parked(session, 1, at=site.clock(), actor="operator")
        site.deliver_due()
        assert site.are_all(SENT)
        assert parse(ris.received[0]).text("ORC", 2) == "O1"


@one_database
def test_a_fhir_server_gets_one_resource_and_the_same_bytes_again_after_a_failure(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedWeb([(503, b""), (201, b"")]) as web:
        site = make_site(rules=f'[[fhir]]\nname = "main"\nurl = "{web.url}"\ntoken = "t"\n')
        site.take_in(film())
        site.deliver_due()
        assert [state for *_, state in site.delivery_states()] == [PENDING]
        site.clock.advance(hours=1)
        site.deliver_due()

        assert site.are_all(SENT)
        assert web.received[0] == web.received[1]
        assert len(set(web.paths)) == 1
        content = read_report(web.received[1])
        assert content.status == "preliminary"
        assert set(content.texts) == set(Language)


@one_database
def test_a_study_without_a_patient_id_is_parked_before_a_fhir_server(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedWeb() as web:
        site = make_site(rules=f'[[fhir]]\nname = "main"\nurl = "{web.url}"\n')
        site.take_in(film(PatientID=""))
        site.deliver_due()

        [(delivery, _)] = site.deliveries()
        assert (delivery.state, web.received) == (PARKED, [])
        assert "Patient ID" in delivery.reason


@one_database
def test_the_report_travels_along_as_pdf_where_a_site_asks_for_it(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris, ScriptedWeb() as web:
        fhir = f'[[fhir]]\nname = "main"\nurl = "{web.url}"\npdf = true\n'
        site = make_site(rules=ris_of(ris.port, "pdf = true") + fhir)
        site.take_in(film())
        site.deliver_due()

        assert site.are_all(SENT)
        pages = [read_result(ris.received[0]).pdf, read_report(web.received[0]).pdf]
        assert all(page is not None and page.startswith(b"%PDF") for page in pages)
