"""Drafts, signed, corrected and withdrawn reports: what a RIS is told of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from harness.result_samples import AR, EN, ENVELOPE, ORDER, REPORT, result_of, signed, withdrawn

from core.errors import PermanentError, TextIntegrityError
from core.orders import OrderReference
from core.report import Report, ReportStatus, SectionKind
from hl7.er7 import parse
from hl7.mdm import build_mdm, next_document
from hl7.oru import build_oru
from hl7.result import Envelope, Result
from hl7.result_reading import read_result, verify_result

CORRECTED = signed(status=ReportStatus.CORRECTED)
ADDENDED = signed(status=ReportStatus.ADDENDED)
STATUSES = [
    (REPORT, "R", "IP", "R"),
    (signed(), "F", "CM", "F"),
    (CORRECTED, "C", "CM", "C"),
    (ADDENDED, "C", "CM", "C"),
    (withdrawn(), "X", "IP", "X"),
]


@pytest.mark.parametrize(("report", "request_status", "order_status", "text_status"), STATUSES)
def test_each_status_has_one_word_in_every_field(
    report: Report, request_status: str, order_status: str, text_status: str
) -> None:
    data = build_oru(result_of(report), ENVELOPE)
    message = parse(data)
    assert (message.text("OBR", 25), message.text("ORC", 5)) == (request_status, order_status)
    assert {s.text(11) for s in message.named("OBX")} == {"O", text_status}
    verify_result(data, result_of(report))


@pytest.mark.parametrize("told", [report for report, *_ in STATUSES])
@pytest.mark.parametrize("is_true", [report for report, *_ in STATUSES])
def test_no_status_passes_for_another(told: Report, is_true: Report) -> None:
    if told is is_true:
        return
    with pytest.raises(TextIntegrityError):
        verify_result(build_oru(result_of(told), ENVELOPE), result_of(is_true))


def test_only_a_signed_report_names_a_reader() -> None:
    for report in (REPORT, withdrawn()):
        message = parse(build_oru(result_of(report), ENVELOPE))
        assert message.text("OBR", 32) == ""
        assert {s.text(16) for s in message.named("OBX")} == {""}
    message = parse(build_oru(result_of(signed()), ENVELOPE))
    request = next(message.named("OBR"))
    assert [request.text(32, 1, subcomponent=n) for n in (1, 2, 3, 6)] == [
        "R|7",
        "Darwish",
        "Mona",
        "Dr",
    ]
    observers = {(s.text(16), s.text(16, 2)) for s in message.named("OBX") if s.text(11) != "O"}
    assert observers == {("R|7", "Darwish")}


def test_a_language_that_nobody_signed_is_left_out_of_a_final_message() -> None:
    result = result_of(signed(REPORT, EN))
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    content = read_result(data)
    assert [n.language for n in content.narratives] == [EN]
    assert "الرئتان" not in data.decode()


def test_in_messages_of_their_own_each_language_has_its_own_status() -> None:
    report = signed(REPORT, EN)
    for language, status in ((EN, "F"), (AR, "R")):
        result = result_of(report, language=language)
        data = build_oru(result, ENVELOPE)
        verify_result(data, result)
        message = parse(data)
        assert message.text("OBR", 25) == status
        assert message.text("MSH", 19) == language
        assert bool(message.text("OBR", 32)) == (language is EN)


@pytest.mark.parametrize("status", ["X", "W", "D"])
def test_a_withdrawn_text_is_taken_back_as_the_site_agrees(status: str) -> None:
    result = result_of(withdrawn(), withdrawn_status=status)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    draft, message = parse(build_oru(result_of(REPORT), ENVELOPE)), parse(data)
    assert message.text("OBR", 25) == "X"
    # The RIS finds what to delete by code and sub-id; the null of HL7 says to delete it.
    keys = [[(s.text(3), s.text(4)) for s in m.named("OBX")] for m in (draft, message)]
    assert keys[0] == keys[1]
    sections = [s for s in message.named("OBX") if "." in s.text(4) and s.text(3) != "18748-4"]
    assert len(sections) == 2 * len(SectionKind)
    assert {s.repetitions(5)[0] for s in sections} == {'""'}
    assert "Clear lungs" not in data.decode()
    assert "DO NOT USE" in data.decode()


def test_a_draft_that_no_longer_fits_the_signed_text_is_withdrawn_beside_it() -> None:
    result = result_of(signed(REPORT, EN, withdrawn=(AR,)), withdrawn_status="D")
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    statuses = read_result(data).text_statuses
    assert statuses == {EN: frozenset({"F"}), AR: frozenset({"D"})}
    assert "الرئتان" not in data.decode()


def test_a_message_that_holds_a_withdrawn_text_alone_is_not_final() -> None:
    result = result_of(signed(REPORT, EN, withdrawn=(AR,)), languages=(AR,))
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    message = parse(data)
    assert (message.text("OBR", 25), message.text("OBR", 32)) == ("X", "")


def test_an_addendum_stands_behind_the_sections_with_its_signer_in_the_notice() -> None:
    result = result_of(ADDENDED)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    added = [s for s in parse(data).named("OBX") if s.text(3) == "55107-7"]
    assert [(s.text(4), s.text(5), s.text(11)) for s in added] == [("1.6", "Seen | again.", "C")]
    shortened = data.replace(b"Seen", b"Sen")
    with pytest.raises(TextIntegrityError, match="addenda"):
        verify_result(shortened, result)


def test_a_destination_that_takes_no_language_of_the_report_gets_nothing() -> None:
    arabic = replace(REPORT, narratives=REPORT.narratives[1:])
    for report in (arabic, signed(REPORT, AR)):
        with pytest.raises(PermanentError, match="language"):
            result_of(report, languages=(EN,))


@pytest.mark.parametrize("build", [build_oru, build_mdm])
def test_a_message_names_its_order_and_once_it_is_fixed_one_order_whichever(
    build: Callable[[Result, Envelope], bytes],
) -> None:
    placer, filler = replace(ORDER, placer_number="PL2"), replace(ORDER, filler_number="FI2")
    orders = (ORDER, placer, filler, OrderReference())
    for made, known in itertools.permutations(orders, 2):
        data = build(result_of(REPORT, order=made), ENVELOPE)
        verify_result(data, result_of(REPORT, order=made))
        verify_result(data, result_of(REPORT, order=known), is_resent=True)
        with pytest.raises(TextIntegrityError, match="order number"):
            verify_result(data, result_of(REPORT, order=known))


@pytest.mark.parametrize("number", [b"PL1", b"FI1"])
def test_a_fixed_message_that_names_two_orders_is_caught(number: bytes) -> None:
    result = result_of(REPORT, order=ORDER)
    data = build_oru(result, ENVELOPE)
    assert data.count(number) == 2
    with pytest.raises(TextIntegrityError, match="order number"):
        verify_result(data.replace(number, b"OTHER", 1), result, is_resent=True)


# As a document


def sent(*reports: Report) -> list[bytes]:
    """Return the messages that a peer gets one after another."""
    messages: list[bytes] = []
    for count, report in enumerate(reports):
        envelope = replace(ENVELOPE, control_id=f"C{count}")
        previous = messages[-1] if messages else None
        messages.append(build_mdm(result_of(report), envelope, previous))
    return messages


def told(message: bytes) -> tuple[str, ...]:
    """Return event, document number, parent, completion and availability."""
    read = parse(message)
    return (read.text("MSH", 9, 2), *(read.text("TXA", n) for n in (12, 13, 17, 19)))


def test_the_life_of_a_document() -> None:
    life = sent(REPORT, REPORT, signed(), CORRECTED, ADDENDED)
    assert [told(message) for message in life] == [
        ("T02", "C0", "", "IP", "UN"),
        ("T08", "C0", "", "IP", "UN"),
        ("T04", "C0", "", "AU", "AV"),
        ("T10", "C3", "C0", "AU", "AV"),
        ("T10", "C4", "C3", "AU", "AV"),
    ]
    for message, report in zip(life, [REPORT, REPORT, signed(), CORRECTED, ADDENDED], strict=True):
        verify_result(message, result_of(report))


def test_a_withdrawn_draft_is_cancelled_and_a_new_one_is_another_document() -> None:
    life = sent(REPORT, withdrawn(), REPORT)
    assert [told(message) for message in life] == [
        ("T02", "C0", "", "IP", "UN"),
        ("T11", "C0", "", "IP", "CA"),
        ("T02", "C2", "", "IP", "UN"),
    ]
    cancelled = parse(life[1])
    assert cancelled.text("MSH", 9, 3) == "MDM_T01"
    assert not list(cancelled.named("OBX"))
    verify_result(life[1], result_of(withdrawn()))


def test_a_document_that_was_signed_before_anything_was_sent_is_an_original() -> None:
    assert told(*sent(signed())) == ("T02", "C0", "", "AU", "AV")


def test_what_is_available_is_replaced_whatever_follows() -> None:
    final = sent(signed())[0]
    for status in ReportStatus:
        document = next_document(status, control_id="NEW", predecessor=final)
        assert (document.event, document.number, document.parent) == ("T10", "NEW", "C0")


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6"])
def test_a_document_names_its_signer_in_every_version(version: str) -> None:
    result = result_of(signed(), version=version)
    data = build_mdm(result, ENVELOPE)
    verify_result(data, result)
    document = next(parse(data).named("TXA"))
    assert (document.text(9), document.text(9, 2)) == ("R|7", "Darwish")
    assert (document.text(22, 2), document.text(22, 15)) == ("Darwish", "20261122100500+0300")
    assert document.text(2) == "DI"
    assert ("OBR" in [s.name for s in parse(data).segments]) == (version not in {"2.3.1", "2.4"})


def test_a_document_that_says_something_else_is_caught() -> None:
    result = result_of(REPORT)
    text = build_mdm(result, ENVELOPE).decode()
    for old, new in (("|UN\r", "|AV\r"), ("||IP|", "||AU|"), ("|ACC-1^RIS||", "|ACC-2^RIS||")):
        assert old in text
        damaged = text.replace(old, new)
        with pytest.raises(TextIntegrityError):
            verify_result(damaged.encode(), result)


# Beside the texts


def test_a_pdf_travels_along_byte_for_byte() -> None:
    pdf = bytes(range(256)) * 50 + b"%EOF"
    result = result_of(REPORT, pdf=pdf)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    segment = next(s for s in parse(data).named("OBX") if s.text(2) == "ED")
    assert [segment.text(5, n) for n in (1, 2, 3, 4)] == ["", "Application", "PDF", "Base64"]
    assert segment.text(11) == "R"
    for other in (pdf[:-1], b"", None):
        with pytest.raises(TextIntegrityError, match="PDF"):
            verify_result(data, result_of(REPORT, pdf=other))


def test_a_link_leads_to_the_study() -> None:
    link = "https://reading.example/open?study={study_uid}&tab=1"
    result = result_of(REPORT, link=link)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    segment = next(s for s in parse(data).named("OBX") if s.text(2) == "RP")
    assert segment.text(5) == "https://reading.example/open?study=1.2.840.1.99&tab=1"


def test_a_site_has_codes_of_its_own() -> None:
    codes = {SectionKind.FINDINGS: ("FIND", "Findings & more", "99HOSP")}
    result = result_of(REPORT, section_codes=codes)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    own = [s for s in parse(data).named("OBX") if s.text(3) == "FIND"]
    assert [(s.text(3, 2), s.text(3, 3), s.text(4)) for s in own] == [
        ("Findings & more", "99HOSP", "1.2"),
        ("Findings & more", "99HOSP", "2.2"),
    ]
    taken = {SectionKind.FINDINGS: ("18783-1", "x", "y")}
    with pytest.raises(PermanentError, match="section_codes"):
        result_of(REPORT, section_codes=taken)


def test_without_language_marks_and_study_only_texts_are_left() -> None:
    result = result_of(REPORT, has_language_marks=False, has_study_uid=False)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    assert {s.text(2) for s in parse(data).named("OBX")} == {"TX"}


def test_the_same_result_gives_the_same_bytes() -> None:
    def result() -> Result:
        return result_of(signed(), pdf=b"%PDF", link="https://x/{study_uid}")

    assert build_oru(result(), ENVELOPE) == build_oru(result(), ENVELOPE)
    assert build_mdm(result(), ENVELOPE) == build_mdm(result(), ENVELOPE)
