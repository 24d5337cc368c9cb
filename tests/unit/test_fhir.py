"""A report as a FHIR DiagnosticReport, and back."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from harness.result_samples import (
    AR,
    EN,
    HEADER,
    MOMENT,
    ORDER,
    REPORT,
    report_of,
    result_of,
    signed,
    withdrawn,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PermanentError, TextIntegrityError
from core.report import Report, ReportStatus, notices
from hl7.fhir import (
    _STATUSES,
    FhirLayout,
    build_report,
    identifier_of,
    read_report,
    verify_report,
)

LAYOUT = FhirLayout(
    report_uid="2.25.5",
    patient_system="https://hosp.example/mrn",
    order_system="https://hosp.example/accession",
)


def built(report: Report = REPORT, **changes: Any) -> bytes:
    return build_report(result_of(report, **changes), LAYOUT, created_at=MOMENT)


_texts = st.text().filter(
    lambda text: "\N{REPLACEMENT CHARACTER}" not in text and "????" not in text
)


@settings(deadline=None, max_examples=300, database=None)
@given(_texts, _texts, st.booleans())
def test_any_report_comes_back_in_both_languages(
    english: str, arabic: str, is_signed: bool
) -> None:
    report = report_of(english, arabic)
    result = result_of(signed(report) if is_signed else report)
    data = build_report(result, LAYOUT, created_at=MOMENT)
    verify_report(data, result, LAYOUT)
    resource = json.loads(data)
    # The narrative is XML whatever stands in it, and FHIR's strings hold no controls.
    ET.fromstring(resource["text"]["div"])  # noqa: S314 - our own
    assert all(ord(c) >= ord(" ") or c in "\t\n\r" for c in resource["conclusion"])


@pytest.mark.parametrize(
    ("report", "status", "labels"),
    [
        (REPORT, "preliminary", {"AIAST"}),
        (signed(), "final", {"AIAST", "CLINAST"}),
        (signed(status=ReportStatus.CORRECTED), "amended", {"AIAST", "CLINAST"}),
        (signed(status=ReportStatus.ADDENDED), "appended", {"AIAST", "CLINAST"}),
        (withdrawn(), "cancelled", {"AIAST"}),
    ],
)
def test_each_status_has_its_word_and_every_text_its_origin(
    report: Report, status: str, labels: set[str]
) -> None:
    content = read_report(built(report))
    assert (content.status, content.labels) == (status, labels)
    for language in (EN, AR):
        notice = "\n".join(notices(report, language))
        assert content.texts[language].startswith(notice)
        assert content.conclusions[language].startswith(notice)


def test_no_status_passes_for_another() -> None:
    reports = [REPORT, signed(), signed(status=ReportStatus.CORRECTED), withdrawn()]
    for told in reports:
        for is_true in reports:
            if told is not is_true:
                with pytest.raises(TextIntegrityError):
                    verify_report(built(told), result_of(is_true), LAYOUT)


def test_a_withdrawn_text_is_gone() -> None:
    data = built(withdrawn())
    texts = "".join(read_report(data).texts.values())
    assert "Clear lungs" not in data.decode() + texts
    assert "DO NOT USE" in texts


def test_only_a_signed_report_names_a_reader() -> None:
    assert "resultsInterpreter" not in json.loads(built())
    [reader] = json.loads(built(signed()))["resultsInterpreter"]
    assert reader == {
        "type": "Practitioner",
        "display": "Dr Mona Darwish",
        "identifier": {"value": "R|7"},
    }


def test_a_language_that_nobody_signed_is_no_part_of_a_final_report() -> None:
    assert set(read_report(built(signed(REPORT, EN))).texts) == {"en"}


def test_arabic_is_a_translation_of_the_conclusion_and_a_file_of_its_own() -> None:
    resource = json.loads(built())
    [extension] = resource["_conclusion"]["extension"]
    assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/translation"
    parts = {p["url"]: p.get("valueCode", p.get("valueString")) for p in extension["extension"]}
    assert parts["lang"] == "ar"
    assert "الرئتان صافيتان" in parts["content"]
    assert [form["language"] for form in resource["presentedForm"]] == ["en", "ar"]
    arabic = replace(REPORT, narratives=REPORT.narratives[1:])
    alone = json.loads(built(arabic))
    assert alone["language"] == "ar"
    assert "_conclusion" not in alone


def test_study_patient_and_order_are_referred_to_by_identifier() -> None:
    resource = json.loads(built(order=ORDER))
    [study], [order] = resource["imagingStudy"], resource["basedOn"]
    assert study["identifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1.99"}
    assert resource["subject"]["identifier"] == {
        "system": "https://hosp.example/mrn",
        "value": "P|1^2",
        "assigner": {"display": "HOSP&A"},
    }
    assert order["identifier"]["system"] == "https://hosp.example/accession"
    assert order["identifier"]["value"] == "ACC-1"
    assert resource["effectiveDateTime"] == "2026-11-22"
    assert "Qabbani" not in built().decode()


def test_a_study_that_says_nothing_of_itself_leaves_out_what_is_not_known() -> None:
    patient = replace(HEADER.patient, issuer="")
    header = replace(HEADER, patient=patient, accession_number="", study_date="20261332")
    result = result_of(REPORT, header)
    data = build_report(result, FhirLayout(report_uid="2.25.5"), created_at=MOMENT)
    verify_report(data, result, FhirLayout(report_uid="2.25.5"))
    resource = json.loads(data)
    assert not {"basedOn", "effectiveDateTime"} & set(resource)
    assert resource["subject"]["identifier"] == {"value": "P|1^2"}


def test_a_report_of_nobody_is_not_sent() -> None:
    header = replace(HEADER, patient=replace(HEADER.patient, id=" "))
    with pytest.raises(PermanentError, match="Patient ID"):
        build_report(result_of(REPORT, header), LAYOUT, created_at=MOMENT)


def test_a_pdf_travels_along_byte_for_byte() -> None:
    pdf = bytes(range(256)) * 9
    data = built(pdf=pdf)
    assert read_report(data).pdf == pdf
    verify_report(data, result_of(pdf=pdf), LAYOUT)
    with pytest.raises(TextIntegrityError, match="PDF"):
        verify_report(data, result_of(pdf=pdf[:-1]), LAYOUT)


def test_the_same_report_gives_the_same_bytes_and_the_same_identifier() -> None:
    assert built() == built()
    assert identifier_of(built()) == identifier_of(built(signed()))
    assert identifier_of(built()).resource_id == "2.25.5"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build_report(result_of(), LAYOUT, created_at=datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"preliminary"', '"final"'),
        ('"AIAST"', '"CLINAST"'),
        ("urn:oid:1.2.840.1.99", "urn:oid:1.2.840.1.98"),
        ('"P|1^2"', '"P2"'),
        ('"ACC-1"', '"ACC-2"'),
        ("urn:oid:2.25.5", "urn:oid:2.25.6"),
        ("NOT VERIFIED. This", "This"),
    ],
)
def test_a_resource_that_says_something_else_is_caught(old: str, new: str) -> None:
    text = built().decode()
    assert old in text
    with pytest.raises(TextIntegrityError):
        verify_report(text.replace(old, new).encode(), result_of(), LAYOUT)


def test_a_lost_letter_in_a_file_is_caught() -> None:
    resource = json.loads(built())
    form = resource["presentedForm"][1]
    text = base64.b64decode(form["data"]).decode().replace("صافيتان", "صافيتا", 1)
    form["data"] = base64.b64encode(text.encode()).decode()
    with pytest.raises(TextIntegrityError, match="texts"):
        verify_report(json.dumps(resource).encode(), result_of(), LAYOUT)


@pytest.mark.parametrize("damage", ["\N{REPLACEMENT CHARACTER}", "????"])
def test_a_text_with_marks_of_damage_is_not_sent(damage: str) -> None:
    result = result_of(report_of("x", damage))
    with pytest.raises(TextIntegrityError):
        verify_report(build_report(result, LAYOUT, created_at=MOMENT), result, LAYOUT)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"resourceType":"Patient"}', b"\xff"]
)
def test_bytes_that_are_no_resource_are_no_proof(data: bytes) -> None:
    with pytest.raises(TextIntegrityError):
        verify_report(data, result_of(), LAYOUT)


def test_the_page_lists_exactly_the_elements_that_are_sent() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fhir.md").read_text(encoding="utf-8")
    table = page.split("## Every element")[1]
    listed = {
        cell.partition(".")[0] for cell in re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)
    }
    assert listed == set(json.loads(built(signed(), order=ORDER, pdf=b"%PDF")))
    for status, word in _STATUSES.items():
        assert f"`{word}` {status}" in table
