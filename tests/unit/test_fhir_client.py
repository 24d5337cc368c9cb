"""A FHIR server that answers well, badly or not at all."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from harness.result_samples import MOMENT, result_of
from harness.scripted_web import ScriptedWeb
from servers import free_port
from servers.certificates import Authority

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
)
from core.tls_context import OwnPair, PeerTls
from hl7.fhir import FhirLayout, build_report
from hl7.fhir_client import FhirPeer, probe, put

DATA = build_report(result_of(), FhirLayout(report_uid="2.25.5"), created_at=MOMENT)


def peer(web: ScriptedWeb, **more: Any) -> FhirPeer:
    return FhirPeer(**{"url": web.url, "answer_seconds": 2.0, **more})


def outcome(code: str, words: str = "", severity: str = "error") -> bytes:
    issue = {"severity": severity, "code": code, "diagnostics": words}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def test_a_report_is_put_where_its_identifier_is() -> None:
    with ScriptedWeb([(201, b""), (200, b"")]) as web:
        put(peer(web), DATA)
        put(peer(web, token="abc.def"), DATA)
    path = "PUT /dicom-web/DiagnosticReport?identifier=urn%3Aietf%3Arfc%3A3986%7Curn%3Aoid%3A2.25.5"
    assert web.paths == [path, path]
    assert web.received == [DATA, DATA]
    assert web.headers[0]["Content-Type"] == "application/fhir+json"
    assert [headers["Authorization"] for headers in web.headers] == [None, "Bearer abc.def"]


def test_a_server_without_conditional_update_is_given_the_id() -> None:
    with ScriptedWeb([(201, b"")]) as web:
        put(peer(web, is_conditional=False), DATA)
    assert web.paths == ["PUT /dicom-web/DiagnosticReport/2.25.5"]
    assert json.loads(web.received[0]) == json.loads(DATA) | {"id": "2.25.5"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (500, b"<html>"),
        (408, b""),
        (409, outcome("conflict")),
        (429, outcome("throttled")),
        (422, outcome("lock-error")),
        (400, outcome("transient", "try later")),
    ],
)
def test_not_now_is_worth_another_try(status: int, body: bytes) -> None:
    with ScriptedWeb([(status, body)]) as web, pytest.raises(TransientError, match=str(status)):
        put(peer(web), DATA)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (400, outcome("invalid", "DiagnosticReport.status"), "invalid"),
        (401, b"", "token"),
        (403, outcome("forbidden"), "token"),
        (404, b"", "conditional = false"),
        (405, b"", "conditional = false"),
        (412, outcome("multiple-matches"), "several reports"),
        (422, outcome("processing"), "log"),
        (501, b"", "log"),
        (302, b"", "log"),
        (400, outcome("lock-error") + b"garbage", "log"),
        (400, b"[]", "log"),
        (400, json.dumps({"issue": [None, 7]}).encode(), "log"),
    ],
)
def test_no_is_for_a_person(status: int, body: bytes, sentence: str) -> None:
    with ScriptedWeb([(status, body)]) as web:
        with pytest.raises(PeerRefusedError, match=sentence):
            put(peer(web), DATA)
        assert len(web.paths) == 1, "a redirection was followed"


def test_what_the_server_says_stands_beside_the_sentence_and_not_in_it() -> None:
    canary = "Qabbani has 2 reports " * 100
    with (
        ScriptedWeb([(400, outcome("invalid", canary))]) as web,
        pytest.raises(PeerRefusedError) as refusal,
    ):
        put(peer(web), DATA)
    assert "Qabbani" not in str(refusal.value)
    assert refusal.value.words == canary[:300]


def test_a_warning_is_no_refusal() -> None:
    with ScriptedWeb([(200, outcome("business-rule", "a hint", "warning"))]) as web:
        put(peer(web), DATA)


def close(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * (1 << 16))


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x0bMSH|^~\\&|\x1c\r")


@pytest.mark.parametrize("answer", [close, drip, nonsense])
def test_an_answer_that_does_not_come_leaves_the_outcome_open(answer: Any) -> None:
    with ScriptedWeb([answer]) as web, pytest.raises(PeerUnreachableError):
        put(peer(web, answer_seconds=0.5), DATA)


def test_an_endless_answer_is_cut_off() -> None:
    with ScriptedWeb([endless]) as web, pytest.raises(UnclearAnswerError, match="more"):
        put(peer(web, answer_seconds=30.0), DATA)


def test_nobody_there_is_said_without_words_of_the_library() -> None:
    url = f"http://127.0.0.1:{free_port()}/r4"
    with pytest.raises(PeerUnreachableError, match="no connection"):
        put(FhirPeer(url=url), DATA)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [(b"{}", "no CapabilityStatement"), (b'{"fhirVersion":"3.0.2"}', "another version")],
)
def test_what_is_no_r4_server_is_found_by_the_check(body: bytes, sentence: str) -> None:
    with ScriptedWeb([(200, b'{"fhirVersion":"4.0.1"}'), (200, body)]) as web:
        assert probe(peer(web)) == "4.0.1"
        with pytest.raises(PeerRefusedError, match=sentence):
            probe(peer(web))


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    site, other = Authority(tmp_path / "site"), Authority(tmp_path / "other", "Other CA")
    server, own = site.issue("server"), site.issue("taqrir")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=site.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(server.certificate, server.key)
    with ScriptedWeb([(201, b"")] * 3) as web:
        web.encrypt(context)
        url = web.url.replace("http:", "https:")
        ours = OwnPair(setting="fhir.tls", certificate=own.certificate, key=own.key)
        tls = PeerTls(trusted=site.certificate, own=ours, setting="fhir.tls")
        put(peer(web, url=url, tls=tls), DATA)
        for wrong, sentence in (
            (replace(tls, trusted=other.certificate), "certificate"),
            (replace(tls, own=None), "TLS|broke"),
            (replace(tls, trusted=tmp_path / "none.pem"), r"fhir\.tls"),
        ):
            with pytest.raises(PeerUnreachableError, match=sentence):
                put(peer(web, url=url, tls=wrong), DATA)
    assert web.received == [DATA]
