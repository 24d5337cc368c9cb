"""Reports on a FHIR R4 server that is not ours, which checks what it takes with two validators."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.result_samples import (
    AR,
    EN,
    HOSTILE,
    MOMENT,
    REPORT,
    report_of,
    result_of,
    signed,
    withdrawn,
)
from servers.fhir import FhirServer, running_fhir_server

from core.errors import PeerRefusedError
from core.report import Language, Report, ReportStatus
from hl7.fhir import FhirLayout, build_report
from hl7.fhir_client import FhirPeer, probe, put

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder: Path = tmp_path_factory.mktemp("fhir")
    with running_fhir_server(folder) as running:
        yield running


def built(report: Report, uid: str, **changes: Any) -> bytes:
    layout = FhirLayout(report_uid=uid, patient_system="https://hosp.example/mrn")
    return build_report(result_of(report, **changes), layout, created_at=MOMENT)


def of(server: FhirServer, uid: str) -> list[Any]:
    value = f"urn:oid:{uid}"
    return [r for r in server.reports() if r["identifier"][0]["value"] == value]


def text_of(resource: Any, language: Language) -> str:
    return next(
        base64.b64decode(form["data"]).decode()
        for form in resource["presentedForm"]
        if form["language"] == language and form["contentType"].startswith("text/plain")
    )


def test_a_server_says_what_it_speaks(server: FhirServer) -> None:
    assert probe(FhirPeer(url=server.url)).startswith("4.0")


@pytest.mark.parametrize("is_conditional", [True, False])
def test_the_life_of_a_report_is_one_resource_whatever_is_sent_again(
    server: FhirServer, is_conditional: bool
) -> None:
    uid = f"2.25.{1 + is_conditional}"
    peer = FhirPeer(url=server.url, is_conditional=is_conditional)
    life = [
        REPORT,
        REPORT,
        signed(),
        signed(status=ReportStatus.CORRECTED),
        signed(status=ReportStatus.ADDENDED),
        withdrawn(),
    ]
    told = []
    for report in life:
        for _ in range(2):
            put(peer, built(report, uid, pdf=b"%PDF-1.7"))
        [resource] = of(server, uid)
        told.append(resource["status"])
    assert told == ["preliminary", "preliminary", "final", "amended", "appended", "cancelled"]
    assert server.versions(resource["id"]) >= 5


def test_hostile_texts_come_back_as_they_were(server: FhirServer) -> None:
    report = report_of(HOSTILE, f"الرئتان {HOSTILE}")
    put(FhirPeer(url=server.url), built(report, "2.25.77"))
    [resource] = of(server, "2.25.77")
    for language in (EN, AR):
        text = text_of(resource, language)
        for section in report.narrative(language).sections:
            assert section.text.replace("\r\n", "\n").replace("\r", "\n") in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"preliminary"', b'"nonsense"', "nonsense"),
        (b'"valueCode":"ar"', b'"valueCode":7', "type"),
        (b'"category":', b'"madeUp":1,"category":', "madeUp"),
    ],
)
def test_the_server_would_notice_what_is_not_r4(
    server: FhirServer, old: bytes, new: bytes, words: str
) -> None:
    data = built(REPORT, "2.25.9")
    assert old in data
    with pytest.raises(PeerRefusedError) as refusal:
        put(FhirPeer(url=server.url), data.replace(old, new))
    assert words in refusal.value.words
    assert of(server, "2.25.9") == []
