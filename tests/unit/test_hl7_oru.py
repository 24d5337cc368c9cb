"""A report as ORU^R01, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from harness.result_samples import ENVELOPE, HEADER, HOSTILE, ORDER, REPORT, report_of, result_of

from core.errors import PermanentError, TextIntegrityError, UnreadableMessageError
from core.report import Language, Patient, Report, Section, SectionKind, StudyHeader, notices
from hl7.er7 import parse
from hl7.oru import build_oru
from hl7.result_reading import ResultContent, read_result, verify_result


def built(report: Report, header: StudyHeader = HEADER, **changes: Any) -> bytes:
    return build_oru(result_of(report, header, **changes), ENVELOPE)


def verify_oru(data: bytes, report: Report, *, header: StudyHeader = HEADER, **layout: Any) -> None:
    verify_result(data, result_of(report, header, **layout))


def read_oru(data: bytes) -> ResultContent:
    return read_result(data)


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6"])
@pytest.mark.parametrize("text", ["Clear lungs.", HOSTILE])
def test_what_is_built_proves_itself(version: str, text: str) -> None:
    report = report_of(text, f"الرئتان {text}", is_demonstration=True)
    data = built(report, version=version)
    verify_oru(data, report, header=HEADER)
    assert data.decode().count("\r") == len(parse(data).segments)
    assert not {b"\n", b"\x0b", b"\x1c"} & {data[i : i + 1] for i in range(len(data))}


def test_the_same_report_gives_the_same_bytes() -> None:
    assert built(REPORT) == built(REPORT)


def test_the_header_says_utf_8_and_the_original_mode() -> None:
    message = parse(built(REPORT))
    texts = {n: message.text("MSH", n) for n in (3, 4, 5, 6, 7, 10, 11, 12, 15, 16, 18, 19)}
    assert texts == {
        3: "TAQRIR",
        4: "HOSP",
        5: "RIS",
        6: "HOSP",
        7: "20261122093000+0300",
        10: "CTRL0001",
        11: "P",
        12: "2.5.1",
        15: "",
        16: "",
        18: "UNICODE UTF-8",
        19: "en",
    }


def test_patient_and_study_stand_where_a_ris_looks() -> None:
    message = parse(built(REPORT, order=ORDER))
    assert (message.text("PID", 3), message.text("PID", 3, 4)) == ("P|1^2", "HOSP&A")
    assert (message.text("PID", 7), message.text("PID", 8)) == ("19230321", "M")
    pid = next(message.named("PID"))
    assert (pid.text(5), pid.text(5, 2, rep=2)) == ("Qabbani", "نزار")
    assert message.text("PV1", 8, 2) == "House"
    assert (message.text("ORC", 1), message.text("ORC", 5)) == ("RE", "IP")
    for name in ("ORC", "OBR"):
        numbers = [message.text(name, n, c) for n in (2, 3) for c in (1, 2)]
        assert numbers == ["PL1", "RIS", "FI1", "DEPT"]
    obr = {n: message.text("OBR", n) for n in (7, 18, 22, 24, 25, 32)}
    assert obr == {
        7: "20261122091500",
        18: "ACC-1",
        22: "20261122093000+0300",
        24: "CR",
        25: "R",
        32: "",
    }
    procedure = [message.text("OBR", 4, component) for component in (1, 2, 3)]
    assert procedure == ["XR01", "Chest ^ PA", "99HOSP"]
    assert [message.text("OBR", 16, c) for c in (1, 2, 3, 6)] == ["D1", "Salem", "Ali", "Dr"]
    assert (message.text("OBR", 19), message.text("OBR", 20)) == ("RP1", "SPS1")
    assert message.text("OBR", 31, 2) == "Chest pain & dyspnoea ^ ?PE"
    visit = [message.text("PV1", 2), message.text("PV1", 19), message.text("PV1", 19, 4)]
    assert visit == ["I", "V1", "HOSP"]


def test_without_an_order_the_accession_number_is_the_filler() -> None:
    message = parse(built(REPORT))
    numbers = [message.text("OBR", 2), message.text("OBR", 3), message.text("OBR", 3, 2)]
    assert numbers == ["", "ACC-1", "RIS"]
    assert (message.text("OBR", 4), message.text("OBR", 4, 2)) == ("", "Chest, PA ^ lateral")
    assert message.text("PV1", 2) == "U"


def test_a_draft_is_marked_in_every_text_and_never_as_final() -> None:
    content = read_oru(built(REPORT))
    assert content.result_status == "R"
    assert content.text_statuses == {language: {"R"} for language in Language}


@pytest.mark.parametrize("is_demonstration", [True, False])
def test_each_group_begins_with_its_notice(is_demonstration: bool) -> None:
    report = report_of("x", "س", is_demonstration=is_demonstration)
    message = parse(built(report))
    for number, language in ((1, Language.EN), (2, Language.AR)):
        group = [
            s
            for s in message.named("OBX")
            if s.text(2) == "TX" and s.text(4).startswith(f"{number}.")
        ]
        assert group[0].text(4) == f"{number}.0"
        assert group[0].text(5).split("\n") == list(notices(report, language))
        assert len(group) == 1 + len(SectionKind)


def test_each_observation_is_told_apart_by_code_and_sub_id() -> None:
    observations = list(parse(built(REPORT)).named("OBX"))
    assert len({(s.text(3), s.text(4)) for s in observations}) == len(observations)
    assert [s.text(1) for s in observations] == [str(n + 1) for n in range(len(observations))]


def test_the_study_and_the_model_are_named() -> None:
    message = parse(built(REPORT))
    study = next(message.named("OBX"))
    assert (study.text(2), study.text(3), study.text(5)) == ("ST", "113014", "1.2.840.1.99")
    assert {s.text(18) for s in message.named("OBX")} == {"", "BiMediX2|8B 0123456789ab"}


def test_a_site_may_ask_for_p_and_for_nothing_that_reads_as_final() -> None:
    data = built(REPORT, draft_status="P")
    verify_oru(data, REPORT, draft_status="P")
    with pytest.raises(TextIntegrityError, match="R"):
        verify_oru(data, REPORT)
    for status in ("F", "C", "A", "I", "S", "", "r"):
        with pytest.raises(ValueError, match="draft"):
            built(REPORT, draft_status=status)


def test_a_study_that_says_nothing_of_itself_is_sent_all_the_same() -> None:
    header = StudyHeader(study_uid="1.2", patient=Patient())
    message = parse(built(REPORT, header))
    verify_oru(built(REPORT, header), REPORT, header=header)
    assert message.text("OBR", 4) == "18748-4"
    assert not list(message.named("PV1"))
    assert [message.text("PID", n) for n in (3, 5, 7, 8)] == [""] * 4


@pytest.mark.parametrize(
    ("day", "time", "written"),
    [
        ("20261122", "0930", "202611220930"),
        ("20261122", "093059", "20261122093059"),
        ("20261122", "09", "20261122"),
        ("20261122", "246060", "20261122"),
        ("20261122", "garbage", "20261122"),
        ("20261122 ", "", "20261122"),
        ("20261332", "0930", ""),
        ("2026.11.22", "0930", ""),
        ("2026112", "", ""),
        ("٢٠٢٦١١٢٢", "", ""),
        ("", "0930", ""),
    ],
)
def test_a_time_is_valid_or_left_out(day: str, time: str, written: str) -> None:
    message = parse(built(REPORT, replace(HEADER, study_date=day, study_time=time)))
    assert message.text("OBR", 7) == written


@pytest.mark.parametrize("value", ["19231345", "unknown", "1923", "\r\nPID|"])
def test_a_birth_date_that_is_none_is_left_out(value: str) -> None:
    header = replace(HEADER, patient=replace(HEADER.patient, birth_date=value, sex="MALE\n"))
    message = parse(built(REPORT, header))
    assert (message.text("PID", 7), message.text("PID", 8)) == ("", "")
    assert message.text("PID", 3) == "P|1^2"


def test_an_identifier_loses_its_padding_and_is_never_cut() -> None:
    padded = replace(HEADER, accession_number=" ACC-1 ")
    verify_oru(built(REPORT, padded), REPORT, header=padded)
    for broken in ("x" * 65, "A\nB", "A\x00"):
        with pytest.raises(PermanentError, match="Accession Number"):
            built(REPORT, replace(HEADER, accession_number=broken))
        with pytest.raises(PermanentError, match="Patient ID") as refusal:
            built(REPORT, replace(HEADER, patient=replace(HEADER.patient, id=broken)))
        assert broken not in str(refusal.value)


def test_a_description_is_one_line_and_not_endless() -> None:
    header = replace(HEADER, description="CT\r\nOBR|2 " + "x" * 500)
    description = parse(built(REPORT, header)).text("OBR", 4, 2)
    assert description.startswith("CT OBR|2 x")
    assert len(description) == 199


@pytest.mark.parametrize("study_uid", ["", "1.2|3", "1.2\r", "x", "1" * 65])
def test_a_study_without_a_uid_is_refused(study_uid: str) -> None:
    with pytest.raises(PermanentError, match="Study Instance UID"):
        built(REPORT, replace(HEADER, study_uid=study_uid))


@pytest.mark.parametrize("control_id", ["", "x" * 21, "a b", "مرحبا", "a\r"])
def test_a_control_id_that_a_peer_may_change_is_refused(control_id: str) -> None:
    with pytest.raises(ValueError, match="control id"):
        replace(ENVELOPE, control_id=control_id)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build_oru(
            result_of(REPORT),
            replace(ENVELOPE, created_at=datetime(2026, 11, 22)),  # noqa: DTZ001 - the point
        )


def test_utc_is_written_with_its_offset() -> None:
    envelope = replace(ENVELOPE, created_at=datetime(2026, 11, 22, tzinfo=UTC))
    data = build_oru(result_of(REPORT), envelope)
    assert parse(data).text("MSH", 7) == "20261122000000+0000"


def test_an_empty_section_is_left_out_and_an_empty_report_refused() -> None:
    english = replace(
        REPORT.narratives[0],
        sections=(
            Section(kind=SectionKind.HISTORY, text=" \n"),
            Section(kind=SectionKind.FINDINGS, text="x"),
        ),
    )
    report = replace(REPORT, narratives=(english,))
    data = built(report)
    verify_oru(data, report)
    assert [s.kind for s in read_oru(data).narratives[0].sections] == [SectionKind.FINDINGS]
    for narratives in ((), (replace(english, sections=english.sections[:1]),), (english, english)):
        with pytest.raises(PermanentError):
            built(replace(REPORT, narratives=narratives))


def test_a_section_twice_is_refused() -> None:
    english = replace(REPORT.narratives[0], sections=REPORT.narratives[0].sections[:1] * 2)
    with pytest.raises(PermanentError, match="once"):
        built(replace(REPORT, narratives=(english,)))


def test_arabic_alone_is_a_report_too() -> None:
    report = replace(REPORT, narratives=REPORT.narratives[1:])
    data = built(report)
    verify_oru(data, report)
    assert parse(data).text("MSH", 19) == "ar"


@pytest.mark.parametrize("damage", ["\N{REPLACEMENT CHARACTER}", "????"])
def test_a_text_with_marks_of_damage_is_not_sent(damage: str) -> None:
    report = report_of("x", damage)
    with pytest.raises(TextIntegrityError):
        verify_oru(built(report), report)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("صافيتان", "صافيتا"),  # a lost letter
        ("Clear", "clear"),
        ("|R|||2026", "|F|||2026"),
        ("|CR|R\r", "|CR|F\r"),
        ("AI DRAFT - NOT VERIFIED. ", ""),
        ("OBX|4|TX|55752-0", "OBX|4|TX|99999-9"),
        ("|2.2|", "|1.2|"),
        ("1.2.840.1.99", "1.2.840.1.98"),
        ("|ACC-1||||", "|ACC-2||||"),
        ("P\\F\\1\\S\\2", "P2"),
        ("HOSP\\T\\A", "HOSP"),
    ],
)
def test_a_message_that_says_something_else_is_caught(old: str, new: str) -> None:
    text = built(REPORT).decode()
    assert old in text
    with pytest.raises(TextIntegrityError):
        verify_oru(text.replace(old, new, 1).encode(), REPORT, header=HEADER)


def test_a_segment_that_was_lost_is_caught() -> None:
    segments = built(REPORT).split(b"\r")
    for index, segment in enumerate(segments):
        if segment.startswith(b"OBX") and b"|CE|" not in segment:
            rest = b"\r".join(segments[:index] + segments[index + 1 :])
            with pytest.raises(TextIntegrityError):
                verify_oru(rest, REPORT, header=HEADER)


def test_bytes_that_are_no_message_are_no_proof() -> None:
    with pytest.raises(UnreadableMessageError):
        verify_oru(b"", REPORT)


def test_errors_quote_no_patient() -> None:
    header = replace(HEADER, patient=replace(HEADER.patient, id="CANARY" * 20))
    with pytest.raises(PermanentError) as refusal:
        built(REPORT, header)
    assert "CANARY" not in str(refusal.value)
    assert "Qabbani" not in repr(read_oru(built(REPORT)))
