"""DICOMweb as a client: STOW-RS for one object, QIDO-RS to see whether it is there.

An object leaves as the bytes it was handed over in, in pieces, so that it is never held twice.
Redirections are not followed and no proxy of the environment is asked: patient data and passwords
go to the address in the settings or nowhere.

What can be wrong with an answer: it is no DICOM JSON, or XML; it is endless, or comes a letter at a
time; it names other objects than ours; it says 200 and lists our object as failed. The list decides
where it can be read, else the HTTP status. A yes that does not name our object, as of a service
that answers 200 without a word, is in doubt. A web page (of a proxy that wants a login) and a list
of others only are no yes at all: whoever wrote them did not speak of our object.

Source: PS3.18 10.5 (Store), 10.6 (Search), I.2 (reasons), F.2 (JSON model).
"""

from __future__ import annotations

import hashlib
import json
import time
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any

import httpx2

from core.errors import (
    NoConnectionError,
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
)
from core.tls_context import PeerTls
from core.web_calls import gather, web_context, why_unanswered
from dicom_node.header import read_header
from dicom_node.store_status import SUCCESS, StoreAnswer, judge

_JSON = "application/dicom+json"
_PIECE_BYTES = 1 << 16
# One object's answer is a few hundred bytes.
_MOST_ANSWER_BYTES = 1 << 20
_MOST_LETTERS = 300
_CONNECT_SECONDS = 10.0
# Attributes of the answer, as the JSON model names them.
_FAILED, _REFERENCED = "00081198", "00081199"
_INSTANCE_UID, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
_SOP_INSTANCE_UID = "00080018"
_XML_ROOT = b"NativeDicomModel"
_GREATEST = 0xFFFF  # a reason is a US
# They may end by themselves, as every 5xx but these two may.
_PASSING = frozenset((408, 425, 429))
_LASTING = frozenset((501, 505))


@dataclass(frozen=True, kw_only=True)
class WebPeer:
    """A DICOMweb service and how it is called.

    Attributes:
        url: Of the service's root, such as ``https://pacs.example/dicom-web``.
        answer_seconds: For an answer as a whole.
        tls: Whose certificates are trusted for https; None: the operating system's authorities.
        token: Bearer token; empty: none.
        username: For basic authentication; empty: none.
    """

    url: str
    answer_seconds: float = 30.0
    tls: PeerTls | None = None
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.url


def store(peer: WebPeer, data: bytes) -> StoreAnswer:
    """Store one object, given as a whole DICOM file, as those very bytes.

    Raises:
        PeerUnreachableError: No connection, or it broke before the answer came: whether the peer
            keeps the object is unknown.
        PeerRefusedError: The answer was no.
        UnclearAnswerError: The answer is not about our object, endless, or cannot be decoded.
        TransientError: The answer was "not now".
        UnreadableInstanceError: The bytes are no DICOM file.
    """
    uid = read_header(BytesIO(data)).sop_instance_uid
    boundary = f"taqrir-{hashlib.sha256(data).hexdigest()[:32]}"
    before = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    after = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(len(before) + len(data) + len(after)),
        "Accept": _JSON,
    }
    with _calling(peer) as call:
        status, body = call("POST", "/studies", headers, _pieces(before, data, after))
    answer = _listed(body, uid)
    if answer is None:
        answer = _unlisted(peer, status, body, uid)
    if not answer.is_success:
        sentence = f"{peer} did not store the object: {answer.status:04X} {answer.meaning}."
        if answer.is_passing:
            raise TransientError(sentence, words=answer.comment)
        raise PeerRefusedError(sentence, words=answer.comment)
    return answer


def holds(peer: WebPeer, study_uid: str, sop_instance_uid: str) -> bool:
    """Tell whether a service lists an object (QIDO-RS at instance level).

    Raises:
        PeerUnreachableError, PeerRefusedError, UnclearAnswerError, TransientError: It did not say.
    """
    path = f"/studies/{study_uid}/instances?SOPInstanceUID={sop_instance_uid}&limit=2"
    with _calling(peer) as call:
        status, body = call("GET", path, {"Accept": _JSON}, None)
    if status == HTTPStatus.NO_CONTENT:
        return False
    if status != HTTPStatus.OK:
        raise _refusal(peer, status, body)
    try:
        found = json.loads(body)
        # A service that ignores the key lists others, too.
        return any(_value(item, _SOP_INSTANCE_UID) == sop_instance_uid for item in found)
    except (ValueError, TypeError, AttributeError):
        raise PeerRefusedError(f"{peer} answered a search with what is no DICOM JSON.") from None


def probe(peer: WebPeer) -> None:
    """Ask a service for a sign of life: a search that may find nothing.

    Raises:
        PeerUnreachableError, PeerRefusedError, UnclearAnswerError, TransientError: It did not
            answer, or not as such a service does.
    """
    with _calling(peer) as call:
        status, body = call("GET", "/studies?limit=1", {"Accept": _JSON}, None)
    if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        raise _refusal(peer, status, body)


def _pieces(before: bytes, data: bytes, after: bytes) -> Iterator[bytes]:
    yield before
    view = memoryview(data)
    for start in range(0, len(view), _PIECE_BYTES):
        yield bytes(view[start : start + _PIECE_BYTES])
    yield after


class _Call:
    """One request on a client; returns the status and the answer's body."""

    def __init__(self, peer: WebPeer, client: httpx2.Client) -> None:
        self._peer = peer
        self._client = client

    def __call__(
        self, method: str, path: str, headers: dict[str, str], content: Iterator[bytes] | None
    ) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._peer.answer_seconds
        url = self._peer.url.rstrip("/") + path
        name = str(self._peer)
        try:
            with self._client.stream(method, url, headers=headers, content=content) as response:
                body = gather(
                    response.iter_bytes(), name, most_bytes=_MOST_ANSWER_BYTES, deadline=deadline
                )
                return response.status_code, body
        except httpx2.TransportError as error:
            why = why_unanswered(
                name,
                error,
                timed_out=isinstance(error, httpx2.TimeoutException),
                was_connected=not isinstance(error, httpx2.ConnectError),
            )
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise NoConnectionError(why) from None
            raise PeerUnreachableError(why) from None
        except httpx2.DecodingError:
            raise UnclearAnswerError(f"{name} answered with what cannot be decoded.") from None


@contextmanager
def _calling(peer: WebPeer) -> Iterator[_Call]:
    auth = httpx2.BasicAuth(peer.username, peer.password) if peer.username else None
    headers = {"Authorization": f"Bearer {peer.token}"} if peer.token else {}
    with httpx2.Client(
        verify=web_context(peer.tls),
        timeout=httpx2.Timeout(peer.answer_seconds, connect=_CONNECT_SECONDS),
        auth=auth,
        headers=headers,
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield _Call(peer, client)


def _listed(body: bytes, uid: str) -> StoreAnswer | None:
    """Return what an answer lists of our object; None where it does not, or cannot be read."""
    try:
        answer = json.loads(body)
        answer = answer[0] if isinstance(answer, list) and answer else answer
        for item in _sequence(answer, _FAILED):
            if _uid(item) == uid:
                # Without a reason, or with one that is no number, it has failed all the same.
                return judge(_number(item, _FAILURE_REASON) or 0x0110)
        for item in _sequence(answer, _REFERENCED):
            if _uid(item) == uid:
                return judge(_number(item, _WARNING_REASON) or SUCCESS)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return None


def _names_only_others(body: bytes, uid: str) -> bool:
    """Tell whether an answer lists objects, and ours is none of them."""
    try:
        answer = json.loads(body)
        answer = answer[0] if isinstance(answer, list) and answer else answer
        uids = [_uid(item) for tag in (_FAILED, _REFERENCED) for item in _sequence(answer, tag)]
    except (ValueError, TypeError, AttributeError, KeyError):
        return False
    # A failed item may have no UID: where the service could not even read it.
    return any(uids) and uid not in uids


def _is_web_page(body: bytes) -> bool:
    """Tell whether an answer is markup for people, and not DICOM XML (PS3.19 A.1)."""
    return body.removeprefix(BOM_UTF8).lstrip().startswith(b"<") and _XML_ROOT not in body


def _sequence(answer: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer.get(tag, {}).get("Value", [])
    return items


def _value(item: dict[str, Any], tag: str) -> Any:
    values = item.get(tag, {}).get("Value", [])
    return values[0] if values else None


def _uid(item: dict[str, Any]) -> str:
    """Return an item's SOP Instance UID, without the padding that it has in a file."""
    return str(_value(item, _INSTANCE_UID) or "").rstrip("\0 ")


def _number(item: dict[str, Any], tag: str) -> int:
    try:
        number = int(_value(item, tag) or 0)
    except (ValueError, TypeError, OverflowError):
        return 0
    return number if 0 <= number <= _GREATEST else 0


def _unlisted(peer: WebPeer, status: int, body: bytes, uid: str) -> StoreAnswer:
    """Return what the HTTP status says where the answer does not name our object.

    Raises:
        PeerRefusedError, TransientError: It says no.
        UnclearAnswerError: It says yes to something else.
    """
    if status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise _refusal(peer, status, body)
    if _is_web_page(body):
        sentence = f"{peer} answered {status} with a web page, not as a DICOMweb service does."
        raise UnclearAnswerError(sentence, words=_words(body))
    if _names_only_others(body, uid):
        raise UnclearAnswerError(f"{peer} answered {status}, but listed other objects than ours.")
    if status == HTTPStatus.ACCEPTED:
        # Some of what was sent was not stored as it came, and the answer does not say what.
        return judge(0xB006, _words(body))
    return StoreAnswer(
        status=SUCCESS,
        is_success=True,
        meaning="the peer said yes, but did not list the object",
        comment=_words(body),
        is_unlisted=True,
    )


def _refusal(peer: WebPeer, status: int, body: bytes) -> TransientError | PeerRefusedError:
    try:
        name = f" {HTTPStatus(status).phrase}"
    except ValueError:
        name = ""
    sentence = f"{peer} answered {status}{name}."
    is_passing = status in _PASSING or (status >= 500 and status not in _LASTING)  # noqa: PLR2004
    if is_passing:
        return TransientError(sentence, words=_words(body))
    if 300 <= status < 400:  # noqa: PLR2004  a redirection
        sentence = f"{peer} answered {status}{name}: set url to where it leads."
    return PeerRefusedError(sentence, words=_words(body))


def _words(body: bytes) -> str:
    """Return a peer's own words: of a JSON message, or the beginning of a text."""
    text = body.decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        named = (parsed.get(key) for key in ("Details", "Message", "message", "error"))
        text = next((words for words in named if isinstance(words, str) and words), "")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words[:_MOST_LETTERS]
