"""The whole path between foreign peers: DCMTK sends, Orthanc and a foreign RIS receive."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from harness.phantoms import ACCESSION, drafted_film
from installation import Installation, all_sent
from pydicom import dcmread
from pydicom.dataset import Dataset
from servers import Orthanc, dcmtk, running_orthanc, wait_until
from servers.mllp import MllpListener, field, running_mllp_listener

from core.report import ReportStatus, standing

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(300)]
CANARY = "CANARY^نزار"


def peers(orthanc: Orthanc, ris: MllpListener) -> str:
    return f"""
[[pacs]]
name = "orthanc"
ae_title = "{orthanc.ae_title}"
host = "127.0.0.1"
port = {orthanc.dicom_port}
[[ris]]
name = "ris"
host = "127.0.0.1"
port = {ris.port}
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a film that went the whole path left with everybody.

    Attributes:
        study: From our database, once everything was delivered.
        shown: What `taqrir show --json` tells of it.
        checked: What `taqrir check` prints.
        documents: Files of the PACS by SOP Instance UID.
        messages: Of the RIS, as it parsed them.
        texts: Log, page of metrics and the broker's memory, by name.
    """

    film: Dataset
    study: dict[str, Any]
    shown: dict[str, Any]
    status: dict[str, Any]
    checked: str
    documents: dict[str, bytes]
    messages: list[Any]
    texts: dict[str, bytes]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("path")
    film = dcmread(drafted_film(folder))
    film.SpecificCharacterSet = "ISO_IR 192"
    film.PatientName = CANARY
    film.PatientID = "CANARY-7"
    film.save_as(folder / "film.dcm")
    (folder / "orthanc").mkdir()
    with (
        running_orthanc(folder / "orthanc") as orthanc,
        running_mllp_listener(folder) as ris,
        Installation(folder / "site", more=peers(orthanc, ris)) as site,
    ):
        site.storescu(folder / "film.dcm")
        study = site.await_delivered(ACCESSION, all_sent)
        wait_until(site.heartbeats, timeout=40)
        page = urlopen(f"http://127.0.0.1:{site.metrics_port}/metrics").read()
        shown = json.loads(site.run("show", ACCESSION, "--json").stdout)
        status, checked = site.status(), site.run("check").stdout
        documents, messages = orthanc.files("SR"), ris.messages()
    texts = {"metrics": page, "log": site.log.read_bytes()}
    for path in (site.data / "broker").rglob("*"):
        if path.is_file():
            texts[path.name] = path.read_bytes()
    return Outcome(
        film=film,
        study=study,
        shown=shown,
        status=status,
        checked=checked,
        documents=documents,
        messages=messages,
        texts=texts,
    )


def test_a_film_becomes_two_srs_in_orthanc_and_one_oru_at_a_foreign_ris(
    outcome: Outcome, tmp_path: Path
) -> None:
    study, shown, status = outcome.study, outcome.shown, outcome.status

    assert shown["state"] == "IN_REVIEW"
    assert [row["event"] for row in shown["timeline"]] == [
        row["event"] for row in study["timeline"]
    ]
    assert status["studies"]["received"] == status["studies"]["IN_REVIEW"] == 1

    assert [row["to"] for row in study["timeline"] if row["to"]] == [
        "RECEIVING",
        "QUEUED",
        "DRAFTING",
        "IN_REVIEW",
    ]
    sent = {row["uid"]: row for row in study["deliveries"] if row["kind"] == "sr"}
    assert outcome.documents.keys() == sent.keys()
    texts = {n["language"]: n["sections"] for n in study["drafts"][0]["report"]["narratives"]}
    for uid, data in outcome.documents.items():
        path = tmp_path / f"{uid}.dcm"
        path.write_bytes(data)
        document = dcmread(path)
        assert document.StudyInstanceUID == outcome.film.StudyInstanceUID
        assert document.PatientID == outcome.film.PatientID
        assert document.CompletionFlag == standing(ReportStatus.DRAFT).completion_flag == "PARTIAL"
        assert document.VerificationFlag == "UNVERIFIED"
        complaints = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        ).stderr
        assert not [line for line in complaints.splitlines() if line.startswith("Error")]
        for section in texts[sent[uid]["language"]]:
            for line in section["text"].splitlines():
                assert line.encode() in data
    (message,) = outcome.messages
    by_name = {segment["name"]: segment for segment in message}
    assert field(by_name["MSH"], 18) == [[["UNICODE UTF-8"]]]
    assert field(by_name["OBR"], 25) == [[["R"]]]
    assert outcome.checked.count("ok  ") == 6


def test_no_patient_stands_in_a_log_a_metric_or_a_broker_message(outcome: Outcome) -> None:
    texts = outcome.texts
    assert any(b"taqrir.draft" in text for text in texts.values())  # the broker's memory was read
    for name, text in texts.items():
        assert b"CANARY" not in text, name
        assert "نزار".encode() not in text, name
        assert b"\\u0646\\u0632" not in text, name
    # It did go all the way.
    assert CANARY.encode() in b"".join(outcome.documents.values())
    assert "نزار" in str(outcome.messages)


def test_a_pacs_that_routes_everything_back_starts_no_loop(
    tmp_path: Path,
) -> None:
    (tmp_path / "orthanc").mkdir()
    with (
        running_orthanc(tmp_path / "orthanc", route_to="taqrir") as orthanc,
        running_mllp_listener(tmp_path) as ris,
        Installation(tmp_path / "site", more=peers(orthanc, ris)) as site,
    ):
        orthanc.add_modality("taqrir", "TAQRIR", site.port)
        # Through Orthanc: it forwards the film to us, and later our own SRs as well.
        subprocess.run(
            [
                *(dcmtk("storescu"), "-aec", orthanc.ae_title, "127.0.0.1"),
                *(str(orthanc.dicom_port), str(drafted_film(tmp_path))),
            ],
            check=True,
        )
        site.await_delivered(ACCESSION, all_sent)

        def came_back() -> bool:
            events = [row["event"] for row in site.show(ACCESSION)["timeline"]]
            return events.count("own_object_noted") == 2

        wait_until(came_back, timeout=60)
        time.sleep(3)  # longer than the quiet time: a loop would have begun
        study = site.show(ACCESSION)
    assert study["state"] == "IN_REVIEW"
    assert study["version"] == 1
    assert len(study["drafts"]) == 1
    assert [row["kind"] for row in study["deliveries"]].count("sr") == 2
