"""A server with OpenAI's chat interface as a client: one request, one answer, errors of ours.

`model.remote` drafts by it, `model.evaluate.judge` asks a judge by it. No redirection is followed
and no proxy of the environment is asked: texts and key go to the address in the settings or
nowhere.

Source: OpenAI API reference, "Chat completions" (create, streaming), "Models" (list); RFC 9110
10.2.3 (Retry-After).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

import httpx2

from core.clock import Clock, utcnow
from core.errors import (
    DraftCancelledError,
    PeerBusyError,
    PeerUnreachableError,
    PermanentError,
    PromptTooLongError,
    TransientError,
)
from core.tls_context import PeerTls, requestor_context
from model.remote_stream import Answer, read_answer, words_of

_TRY_AGAIN = (408, 409, 425, 429)
_SERVER_FAULT = 500
# What vLLM, SGLang and OpenAI say of a prompt that does not fit; none of them has a code for it.
_TOO_LONG = re.compile(r"context.?length|longer than the model|prompt is too long", re.IGNORECASE)


class ChatClient:
    """Connections to one server; any thread may ask."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        connect_seconds: float = 10.0,
        time_limit_seconds: float = 300.0,
        in_flight: int = 16,
        tls: PeerTls | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: Address up to the version, such as ``http://gpu:8000/v1``.
            key: What the server asks for, sent as bearer token; empty: none.
            connect_seconds: Longest wait for a connection.
            time_limit_seconds: Longest time for one answer, its waiting at the server included.
            in_flight: Most requests at once.
            tls: Whose certificates are trusted for https; None: the operating system's authorities.

        Raises:
            SettingsError: A file of `tls` cannot be used.
        """
        self._url = url
        self._time_limit_seconds = time_limit_seconds
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(time_limit_seconds, connect=connect_seconds),
            verify=True if tls is None else requestor_context(tls),
            limits=httpx2.Limits(max_connections=in_flight + 1),
            # A proxy of the environment is for the internet, not for a server of the site.
            trust_env=False,
        )

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def models(self) -> dict[str, dict[str, Any]]:
        """Return what the server says of its models, by their names.

        Raises:
            PeerUnreachableError, TransientError: It gave no such list; another try may succeed.
            PermanentError: It refused.
        """
        with _network_errors():
            response = self._client.get(f"{self._url}/models")
        _require_success(response, response.content, "")
        try:
            return {str(row["id"]): row for row in response.json()["data"]}
        except (ValueError, KeyError, TypeError):
            raise TransientError("The model server's list of models is no such list.") from None

    def complete(
        self, body: dict[str, Any], *, asked: str, cancelled: Event | None = None
    ) -> Answer:
        """Ask, and wait for the whole answer.

        Args:
            body: The request, as the interface has it.
            asked: Text of it that no error may quote.
            cancelled: Once it is set the request is broken off, which such servers take for a
                cancellation where the answer comes as a stream.

        Raises:
            PeerUnreachableError, PeerBusyError, TransientError: Another try may succeed.
            PromptTooLongError: The server says that a shorter prompt may.
            PermanentError: It refused.
            DraftCancelledError: The event was set.
        """
        deadline = time.monotonic() + self._time_limit_seconds

        def check() -> None:
            if cancelled is not None and cancelled.is_set():
                raise DraftCancelledError("The request was cancelled.")
            if time.monotonic() > deadline:
                raise TransientError(
                    f"The model server took longer than {self._time_limit_seconds:g} s."
                )

        check()
        with (
            _network_errors(),
            self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response,
        ):
            if not response.is_success:
                _require_success(response, next(response.iter_bytes(), b""), asked)
            return read_answer(response, check)


@contextmanager
def _network_errors() -> Iterator[None]:
    """Turn what the network does into errors of ours; none of them quotes a request."""
    try:
        yield
    except httpx2.TimeoutException:
        raise PeerUnreachableError("The model server did not answer in time.") from None
    except httpx2.ConnectError:
        raise PeerUnreachableError("No connection to the model server.") from None
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        kind = type(error).__name__
        raise PeerUnreachableError(f"The model server broke the answer off ({kind}).") from None
    except httpx2.InvalidURL:
        raise PermanentError("The model server's url is no address of a server.") from None


def _require_success(response: httpx2.Response, content: bytes, asked: str) -> None:
    """Raise what an HTTP status means; of a refusal the server's own words.

    Raises:
        TransientError: Another try may succeed.
        PeerBusyError: The same, and the server says when.
        PromptTooLongError: The server's words say that a shorter prompt may.
        PermanentError: It will not.
    """
    status = response.status_code
    if status in _TRY_AGAIN or status >= _SERVER_FAULT:
        sentence = f"The model server answered {status}."
        wait = retry_seconds(response.headers.get("retry-after", ""))
        if wait is not None:
            raise PeerBusyError(sentence, wait_seconds=wait)
        raise TransientError(sentence)
    if status >= httpx2.codes.BAD_REQUEST:
        words = words_of(content, asked)
        kind = PromptTooLongError if _TOO_LONG.search(words) else PermanentError
        raise kind(f"The model server refused with {status}{': ' + words if words else '.'}")
    if status != httpx2.codes.OK:
        raise TransientError(f"The model server answered {status}.")


def retry_seconds(value: str, clock: Clock = utcnow) -> float | None:
    """Return how long a Retry-After asks to wait, None where it cannot be read.

    Source: RFC 9110 10.2.3: a number of seconds, or a date.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max((moment - clock()).total_seconds(), 0.0)
    except (ValueError, TypeError):  # TypeError: a date without a time zone
        return None
