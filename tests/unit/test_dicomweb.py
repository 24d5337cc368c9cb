"""STOW-RS and QIDO-RS against a service that answers well, badly or not at all."""

from __future__ import annotations

import base64
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

import pytest
from dicom_samples import a_context, a_report
from harness.scripted_web import Answer, ScriptedWeb, listing
from pydicom import dcmread
from servers import free_port
from servers.certificates import Authority

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
)
from core.report import Language
from core.tls_context import PeerTls
from dicom_node.dicomweb import WebPeer, holds, probe, store
from dicom_node.report_sr import build_sr

DOCUMENT = build_sr(report=a_report(), context=a_context(), language=Language.AR)
UID = str(dcmread(BytesIO(DOCUMENT)).SOPInstanceUID)


def peer(web: ScriptedWeb, **more: object) -> WebPeer:
    return WebPeer(**{"url": web.url, "answer_seconds": 2.0, **more})  # type: ignore[arg-type]


def test_an_object_arrives_byte_for_byte_as_one_part_of_a_related_body() -> None:
    with ScriptedWeb([(200, listing(UID))]) as web:
        answer = store(peer(web), DOCUMENT)

    assert (answer.is_success, answer.meaning) == (True, "")
    assert web.objects == [DOCUMENT]
    assert web.paths == ["POST /dicom-web/studies"]
    [headers] = web.headers
    assert headers.get_content_type() == "multipart/related"
    assert headers.get_param("type") == "application/dicom"
    assert headers["Accept"] == "application/dicom+json"
    assert headers["Authorization"] is None


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"token": "abc.def"}, "Bearer abc.def"),
        (
            {"username": "taqrir", "password": "gehéim"},
            "Basic " + base64.b64encode("taqrir:gehéim".encode()).decode(),
        ),
    ],
)
def test_who_calls_is_told_and_stands_in_no_description(
    identity: dict[str, str], expected: str
) -> None:
    with ScriptedWeb() as web:
        caller = peer(web, **identity)
        store(caller, DOCUMENT)

    assert web.headers[0]["Authorization"] == expected
    assert "abc.def" not in repr(caller)
    assert "gehéim" not in repr(caller)


CHANGED = "stored, but the peer changed elements"
LEFT_OUT = "stored, but the peer left elements out"
UNLISTED = "the peer said yes, but did not list the object"
PAGE = b"<html>Please log in</html>"
XML = b'<?xml version="1.0"?>\n<NativeDicomModel/>'


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ((200, listing(UID)), ""),
        ((200, listing(UID + "\0")), ""),
        ((200, json.dumps([json.loads(listing(UID))]).encode()), ""),
        ((202, listing(UID, warning=0xB000)), CHANGED),
    ],
)
def test_what_counts_as_stored(answer: Answer, meaning: str) -> None:
    with ScriptedWeb([answer]) as web:
        kept = store(peer(web), DOCUMENT)

    assert (kept.is_success, kept.meaning, kept.is_doubtful) == (True, meaning, False)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ((200, b""), UNLISTED),
        ((200, b"{}"), UNLISTED),
        ((200, b"[]"), UNLISTED),
        ((200, b"success"), UNLISTED),
        ((200, b'{"00081199": 7}'), UNLISTED),
        ((200, b'{"00081198": {"vr": "SQ", "Value": [{}]}}'), UNLISTED),
        ((200, XML), UNLISTED),
        ((202, listing(UID, warning=0xB006)), LEFT_OUT),
        ((202, b"what?"), LEFT_OUT),
        ((202, XML), LEFT_OUT),
    ],
)
def test_a_yes_that_does_not_say_what_is_kept_is_doubtful(answer: Answer, meaning: str) -> None:
    with ScriptedWeb([answer]) as web:
        kept = store(peer(web), DOCUMENT)

    assert (kept.is_success, kept.meaning, kept.is_doubtful) == (True, meaning, True)


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE, "with a web page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html><title>Sign in</title>", "with a web page"),
        (listing("1.2.3"), "listed other objects than ours"),
        (listing("1.2.3", failed=0x0110), "listed other objects than ours"),
        (json.dumps([json.loads(listing("1.2.3"))]).encode(), "listed other objects than ours"),
    ],
)
def test_a_yes_that_is_not_about_our_object_is_none(status: int, body: bytes, words: str) -> None:
    with ScriptedWeb([(status, body)]) as web, pytest.raises(UnclearAnswerError, match=words):
        store(peer(web), DOCUMENT)


@pytest.mark.parametrize("reason", ['"C000"', "Infinity", "[]", "{}"])
def test_our_object_listed_as_failed_has_failed_whatever_its_reason_is(reason: str) -> None:
    body = listing(UID, failed=-4711).replace(b"-4711", reason.encode())
    with ScriptedWeb([(200, body)]) as web, pytest.raises(PeerRefusedError, match="0110"):
        store(peer(web), DOCUMENT)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        # The list has the last word, whatever the HTTP status says.
        ((200, listing(UID, failed=0x0122)), PeerRefusedError, "0122 SOP class not supported"),
        ((202, listing(UID, failed=0xC000)), PeerRefusedError, "C000 the peer cannot understand"),
        ((409, listing(UID, failed=0xA700)), TransientError, "A700 out of resources"),
        ((409, listing(UID, failed=-1)), PeerRefusedError, "0110 processing failure"),
        ((409, b""), PeerRefusedError, "answered 409 Conflict"),
        ((400, b""), PeerRefusedError, "answered 400 Bad Request"),
        ((401, b""), PeerRefusedError, "answered 401 Unauthorized"),
        ((413, b""), PeerRefusedError, "answered 413"),
        ((415, b""), PeerRefusedError, "answered 415 Unsupported Media Type"),
        ((429, b""), TransientError, "answered 429 Too Many Requests"),
        ((500, b""), TransientError, "answered 500 Internal Server Error"),
        ((501, b""), PeerRefusedError, "answered 501 Not Implemented"),
        ((503, b""), TransientError, "answered 503 Service Unavailable"),
        ((599, b""), TransientError, "answered 599."),
        ((302, b""), PeerRefusedError, "set url to where it leads"),
        ((204, b""), PeerRefusedError, "answered 204"),
    ],
)
def test_what_counts_as_no_and_which_no_may_pass(
    answer: Answer, error: type[Exception], words: str
) -> None:
    with ScriptedWeb([answer]) as web, pytest.raises(error, match=words) as caught:
        store(peer(web), DOCUMENT)

    assert isinstance(caught.value, TransientError) is (error is TransientError)
    assert not isinstance(caught.value, PeerUnreachableError)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Disk quota of\nZahra exceeded", "Disk quota of Zahra exceeded"),
        (b'{"Message": "Bad request", "Details": "no Study UID"}', "no Study UID"),
        (b"\xff\x00\x1b[31m" + b"x" * 5000, "\ufffd [31m" + "x" * 294),
        (b'{"Message": 7}', ""),
    ],
)
def test_the_services_own_words_are_kept_apart_from_the_sentence(body: bytes, words: str) -> None:
    with ScriptedWeb([(400, body)]) as web, pytest.raises(PeerRefusedError) as caught:
        store(peer(web), DOCUMENT)

    assert caught.value.words == words
    assert "Zahra" not in str(caught.value)


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def _never_end(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.1)


def _stay_silent(handler: BaseHTTPRequestHandler) -> None:
    del handler
    time.sleep(1.5)


def _flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 24))
    handler.end_headers()
    handler.wfile.write(b" " * (2 << 20))


def _speak_no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def _lie_about_coding(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", "4")
    handler.end_headers()
    handler.wfile.write(b"nope")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (_hang_up, PeerUnreachableError, "broke"),
        (_never_end, PeerUnreachableError, "no whole answer in time"),
        (_stay_silent, PeerUnreachableError, "no answer in time"),
        (_flood, UnclearAnswerError, "more than it should"),
        (_speak_no_http, PeerUnreachableError, "broke"),
        (_lie_about_coding, UnclearAnswerError, "cannot be decoded"),
    ],
)
def test_a_service_that_misbehaves_is_told_from_one_that_refuses(
    answer: Answer, error: type[Exception], words: str
) -> None:
    with ScriptedWeb([answer]) as web, pytest.raises(error, match=words):
        store(peer(web, answer_seconds=0.5), DOCUMENT)


def test_nobody_there_is_no_connection() -> None:
    nobody = WebPeer(url=f"http://127.0.0.1:{free_port()}/dicom-web")
    with pytest.raises(PeerUnreachableError, match="There is no connection"):
        store(nobody, DOCUMENT)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((204, b""), False),
        ((200, b"[]"), False),
        ((200, json.dumps([{"00080018": {"vr": "UI", "Value": [UID]}}]).encode()), True),
        # A service that ignores the key.
        ((200, json.dumps([{"00080018": {"vr": "UI", "Value": ["1.2"]}}, {}]).encode()), False),
    ],
)
def test_a_search_finds_our_object_or_not(answer: Answer, *, expected: bool) -> None:
    with ScriptedWeb([answer]) as web:
        assert holds(peer(web), "1.2.3", UID) is expected

    [path] = web.paths
    assert path.startswith(f"GET /dicom-web/studies/1.2.3/instances?SOPInstanceUID={UID}")


@pytest.mark.parametrize("body", [b"<xml/>", b"7", b'["x"]', b'[{"00080018": 7}]'])
def test_a_search_whose_answer_cannot_be_read_proves_nothing(body: bytes) -> None:
    with ScriptedWeb([(200, body)]) as web, pytest.raises(PeerRefusedError, match="no DICOM JSON"):
        holds(peer(web), "1.2.3", UID)


def test_the_go_live_check_asks_for_a_search() -> None:
    with ScriptedWeb([(204, b""), (403, b"")]) as web:
        probe(peer(web))
        with pytest.raises(PeerRefusedError, match="403"):
            probe(peer(web))


def test_https_trusts_whom_the_site_names_and_nobody_else(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "site"), Authority(tmp_path / "stranger")
    own = authority.issue("archive")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    with ScriptedWeb([(200, listing(UID))]) as web:
        web.encrypt(context)
        url = web.url.replace("http:", "https:")
        tls = PeerTls(trusted=stranger.certificate, setting="dicomweb.tls")
        with pytest.raises(PeerUnreachableError, match=r"certificate of .* is refused"):
            store(WebPeer(url=url, tls=tls), DOCUMENT)
        with pytest.raises(PeerUnreachableError, match=r"certificate of .* is refused"):
            store(WebPeer(url=url), DOCUMENT)
        tls = PeerTls(trusted=authority.certificate, setting="dicomweb.tls")
        store(WebPeer(url=url, tls=tls), DOCUMENT)

    assert web.objects == [DOCUMENT]
