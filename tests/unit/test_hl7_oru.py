"""A report as ORU^R01, and back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PermanentError, TextIntegrityError, UnreadableMessageError
from core.report import (
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    Section,
    SectionKind,
    StudyHeader,
    notices,
)
from hl7.er7 import parse
from hl7.oru import build_oru, read_oru, verify_oru

MOMENT = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=3)))
HEADER = StudyHeader(
    study_uid="1.2.840.1.99",
    patient=Patient(
        id="P|1^2",
        issuer="HOSP&A",
        name="Qabbani^Nizar^^Dr=قباني^نزار",
        birth_date="19230321",
        sex="M",
    ),
    study_id="S1",
    accession_number="ACC-1",
    accession_issuer="RIS",
    study_date="20261122",
    study_time="091500.123",
    description="Chest, PA ^ lateral",
    referring_physician="House^Gregory",
    modality="CR",
    body_part="CHEST",
)
HOSTILE = (
    "No mass|nodule^~\\&.\nOBX|9|TX|||injected\r\x0b\x1c\r\\.br\\ \\X0D\\ 🫁 "
    "\u2067الرئة اليمنى\u2069 \ue000 \u2028"
)


def report_of(english: str, arabic: str, *, is_demonstration: bool = False) -> Report:
    def narrative(language: Language, text: str) -> Narrative:
        return Narrative(
            language=language,
            sections=tuple(Section(kind=kind, text=f"{kind} {text}") for kind in SectionKind),
        )

    return Report(
        narratives=(narrative(Language.EN, english), narrative(Language.AR, arabic)),
        model=ModelVersion(
            name="BiMediX2|8B", revision="0123456789ab", is_demonstration=is_demonstration
        ),
    )


def built(report: Report, header: StudyHeader = HEADER, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "control_id": "CTRL0001",
        "created_at": MOMENT,
        "sending_application": "TAQRIR",
        "sending_facility": "HOSP",
        "receiving_application": "RIS",
        "receiving_facility": "HOSP",
    }
    return build_oru(report=report, header=header, **arguments | changes)


REPORT = report_of("Clear lungs.", "الرئتان صافيتان.")


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6"])
@pytest.mark.parametrize("text", ["Clear lungs.", HOSTILE])
def test_what_is_built_proves_itself(version: str, text: str) -> None:
    report = report_of(text, f"الرئتان {text}", is_demonstration=True)
    data = built(report, version=version)
    verify_oru(data, report, header=HEADER)
    assert data.decode().count("\r") == len(parse(data).segments)
    assert not {b"\n", b"\x0b", b"\x1c"} & {data[i : i + 1] for i in range(len(data))}


# A text that holds the marks of damage is refused: see the test of damage below.
_texts = (st.text() | st.text(alphabet="|^~\\&\r\n\x0bXEFbr0D .مرض\u2067\u2069\ue000")).filter(
    lambda text: "\N{REPLACEMENT CHARACTER}" not in text and "????" not in text
)


@settings(deadline=None, max_examples=50)
@given(_texts, _texts)
def test_any_report_comes_back_in_both_languages(english: str, arabic: str) -> None:
    report = report_of(english, arabic)
    verify_oru(built(report), report, header=HEADER)


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
    message = parse(built(REPORT, placer_order_number="PL1", filler_order_number="FI1"))
    assert (message.text("PID", 3), message.text("PID", 3, 4)) == ("P|1^2", "HOSP&A")
    assert (message.text("PID", 7), message.text("PID", 8)) == ("19230321", "M")
    pid = next(message.named("PID"))
    assert (pid.text(5), pid.text(5, 2, rep=2)) == ("Qabbani", "نزار")
    assert message.text("PV1", 8, 2) == "House"
    assert (message.text("ORC", 1), message.text("ORC", 5)) == ("RE", "IP")
    for name in ("ORC", "OBR"):
        assert (message.text(name, 2), message.text(name, 3)) == ("PL1", "FI1")
    obr = {n: message.text("OBR", n) for n in (7, 18, 22, 24, 25, 32)}
    assert obr == {
        7: "20261122091500",
        18: "ACC-1",
        22: "20261122093000+0300",
        24: "CR",
        25: "R",
        32: "",
    }
    assert message.text("OBR", 4, 2) == "Chest, PA ^ lateral"


def test_without_an_order_the_accession_number_is_the_filler() -> None:
    message = parse(built(REPORT))
    assert (message.text("OBR", 2), message.text("OBR", 3), message.text("OBR", 3, 2)) == (
        "",
        "ACC-1",
        "RIS",
    )


def test_a_draft_is_marked_in_every_text_and_never_as_final() -> None:
    content = read_oru(built(REPORT))
    assert content.result_status == "R"
    assert set(content.text_statuses) == {"R"}


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
    data = built(REPORT, result_status="P")
    verify_oru(data, REPORT, result_status="P")
    with pytest.raises(TextIntegrityError, match="R"):
        verify_oru(data, REPORT)
    for status in ("F", "C", "A", "", "r"):
        with pytest.raises(PermanentError):
            built(REPORT, result_status=status)


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
        built(REPORT, control_id=control_id)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        built(REPORT, created_at=datetime(2026, 11, 22))  # noqa: DTZ001 - the point


def test_utc_is_written_with_its_offset() -> None:
    data = built(REPORT, created_at=datetime(2026, 11, 22, tzinfo=UTC))
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


def test_the_profile_page_lists_exactly_the_fields_that_are_sent() -> None:
    message = parse(built(REPORT, placer_order_number="PL1"))
    # MSH-1 and MSH-2 are the delimiters themselves.
    sent = {"MSH-1", "MSH-2"} | {
        f"{segment.name}-{number}"
        for segment in message.segments
        for number in range(1, 40)
        if segment.repetitions(number)
    }
    page = (Path(__file__).parents[2] / "docs" / "hl7.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([A-Z0-9]{3}-\d+) \|", page, re.MULTILINE)) == sent
