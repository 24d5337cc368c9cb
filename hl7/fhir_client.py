"""A FHIR server as a client: put one resource where it belongs, once.

`PUT DiagnosticReport?identifier=...` makes the resource, or updates the one that is there: a retry
after an unknown outcome never makes a second one. A server that knows no conditional update is
given the resource's id by us instead, which has the same effect.

Redirections are not followed and no proxy of the environment is asked: patient data and token go
to the address in the settings or nowhere.

What can be wrong with an answer: it is no JSON, or endless, or comes a letter at a time; it is an
OperationOutcome that says more than the status (a lock, a busy store: worth another try); it is
412, several resources under our identifier.

Source: FHIR R4 RESTful API (update, conditional update, http codes), OperationOutcome,
value set issue-type.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx2

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
)
from core.tls_context import PeerTls
from core.web_calls import gather, web_context, why_unanswered
from hl7.fhir import RESOURCE, SUPPORTED_VERSIONS, identifier_of

_JSON = "application/fhir+json"
_MOST_ANSWER_BYTES = 4 << 20  # a server may send the whole resource back, with its PDF
_MOST_LETTERS = 300
_CONNECT_SECONDS = 10.0
# They may end by themselves, as every 5xx but these two may.
_PASSING = frozenset((408, 409, 423, 425, 429))
_LASTING = frozenset((501, 505))
# Codes of issue-type below "transient": the same request may succeed later.
_PASSING_ISSUES = frozenset(
    ("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled")
)


@dataclass(frozen=True, kw_only=True)
class FhirPeer:
    """A FHIR server and how it is called.

    Attributes:
        url: Of its base, such as ``https://fhir.example/r4``.
        answer_seconds: For an answer as a whole.
        tls: Whose certificates are trusted for https; None: the operating system's authorities.
        token: Bearer token; empty: none.
        is_conditional: It knows conditional update; else we give the resource's id.
    """

    url: str
    answer_seconds: float = 30.0
    tls: PeerTls | None = None
    token: str = field(default="", repr=False)
    is_conditional: bool = True

    def __str__(self) -> str:
        return self.url


def put(peer: FhirPeer, data: bytes) -> None:
    """Put a resource of ours (`hl7.fhir.build_report`).

    Raises:
        PeerUnreachableError: No connection, or it broke before the answer came; the server may have
            the resource all the same.
        TransientError: The answer was "not now".
        PeerRefusedError: The answer was no; `words` holds what the server said of it.
        UnclearAnswerError: The answer is endless or cannot be decoded; the server may have the
            resource.
    """
    identifier = identifier_of(data)
    if peer.is_conditional:
        key = quote(f"{identifier.system}|{identifier.value}", safe="")
        path = f"/{RESOURCE}?identifier={key}"
    else:
        path = f"/{RESOURCE}/{identifier.resource_id}"
        data = json.dumps(
            json.loads(data) | {"id": identifier.resource_id},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
    headers = {"Content-Type": _JSON, "Prefer": "return=minimal"}
    status, body = _call(peer, "PUT", path, headers, data)
    if status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
        raise _refusal(peer, status, body)


def probe(peer: FhirPeer) -> str:
    """Ask a server what it is; return its version of FHIR.

    Raises:
        PeerUnreachableError, TransientError: It did not answer.
        PeerRefusedError, UnclearAnswerError: It speaks another version, or is no FHIR server.
    """
    status, body = _call(peer, "GET", "/metadata", {}, None)
    if status != HTTPStatus.OK:
        raise _refusal(peer, status, body)
    try:
        statement = json.loads(body)
        version = str(statement["fhirVersion"])
    except (ValueError, KeyError, TypeError):
        raise PeerRefusedError(f"{peer} answered with what is no CapabilityStatement.") from None
    if not version.startswith(SUPPORTED_VERSIONS):
        raise PeerRefusedError(f"{peer} speaks another version of FHIR than R4.")
    return version


def _call(
    peer: FhirPeer, method: str, path: str, headers: dict[str, str], content: bytes | None
) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    deadline = time.monotonic() + peer.answer_seconds
    if peer.token:
        headers = headers | {"Authorization": f"Bearer {peer.token}"}
    try:
        with (
            httpx2.Client(
                verify=web_context(peer.tls),
                timeout=httpx2.Timeout(peer.answer_seconds, connect=_CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=False,
            ) as client,
            client.stream(
                method,
                peer.url.rstrip("/") + path,
                headers={"Accept": _JSON} | headers,
                content=content,
            ) as response,
        ):
            body = gather(
                response.iter_bytes(), str(peer), most_bytes=_MOST_ANSWER_BYTES, deadline=deadline
            )
            return response.status_code, body
    except httpx2.TransportError as error:
        why = why_unanswered(
            str(peer),
            error,
            timed_out=isinstance(error, httpx2.TimeoutException),
            was_connected=not isinstance(error, httpx2.ConnectError),
        )
        raise PeerUnreachableError(why) from None
    except httpx2.DecodingError:
        raise UnclearAnswerError(f"{peer} answered with what cannot be decoded.") from None


def _refusal(peer: FhirPeer, status: int, body: bytes) -> TransientError | PeerRefusedError:
    """Return the error for an answer that is no yes."""
    codes, words = _outcome(body)
    is_passing = (
        status in _PASSING
        or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LASTING)
        or (bool(codes) and codes <= _PASSING_ISSUES)
    )
    said = f" ({', '.join(sorted(codes))})" if codes else ""
    if is_passing:
        return TransientError(f"{peer} answered {status}{said}.", words=words)
    match status:
        case HTTPStatus.PRECONDITION_FAILED:
            why = "it holds several reports under our identifier: leave one of them"
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            why = "check the token and what it may do"
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED if peer.is_conditional:
            why = "check the url; a server without conditional update needs conditional = false"
        case _:
            why = "look at its log for the reason, then retry"
    return PeerRefusedError(f"{peer} answered {status}{said}: {why}.", words=words)


def _outcome(body: bytes) -> tuple[frozenset[str], str]:
    """Return the issue codes of an OperationOutcome, ours to name, and the server's own words."""
    try:
        outcome: dict[str, Any] = json.loads(body)
        issues = [
            issue for issue in outcome["issue"] if issue.get("severity") in {"fatal", "error"}
        ]
        codes = frozenset(
            str(issue["code"]) for issue in issues if str(issue.get("code", "")).isascii()
        )
        said = (
            str(issue.get("diagnostics") or issue.get("details", {}).get("text", ""))
            for issue in issues
        )
        words = "; ".join(filter(None, said))
    except (ValueError, KeyError, TypeError, AttributeError):
        return frozenset(), ""
    kept = frozenset(code for code in codes if code.replace("-", "").isalpha() and len(code) < 20)  # noqa: PLR2004 - the longest of issue-type has 18
    return kept, words[:_MOST_LETTERS]
