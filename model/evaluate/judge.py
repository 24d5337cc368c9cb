"""The judge on a network: it is asked, and each of its replies is kept at once.

Texts go to the server of `[judge]` and nowhere else; who has no such section sends nothing. A run
that was broken off asks only for what is missing. A reply holds a digest of what it answers: one to
other answers, of another judge or in another wording is not taken for this run's.

A reply that holds no rating is a reply: it is counted and named with the score, never asked for
again and never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

from core.errors import PeerBusyError, PermanentError, TransientError
from model.chat_client import ChatClient
from model.evaluate.mbench import digest, read_replies

_LONGEST_WAIT_SECONDS = 60.0
# Who asks for a longer wait than this has used up a quota: the run ends, and goes on another time.
_LONGEST_ASKED_SECONDS = 300.0
# How every line begins that we write; known again where a kill cut one off.
_BEGINNING = b'{"custom_id"'


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often one reply is asked for; the waits double from the first."""

    max_attempts: int = 6
    first_wait_seconds: float = 1.0


class ReplyFile:
    """Replies, one a line; those of the batch interface may stand in it as well."""

    def __init__(self, file: Path) -> None:
        """Remove what a kill left of a last line.

        Raises:
            PermanentError: The file cannot be read or written.
        """
        self._file = file
        self._lock = Lock()
        try:
            data = file.read_bytes() if file.exists() else b""
            whole, _, rest = data.rpartition(b"\n")
            if rest and not _is_json(rest) and rest.startswith(_BEGINNING):
                file.write_bytes(whole + b"\n" if whole else b"")
            elif rest:
                file.write_bytes(data + b"\n")
        except OSError as error:
            raise _unusable(file, error) from None

    def held(self, requests: Sequence[dict[str, Any]]) -> set[str]:
        """Return which of some requests have their reply.

        Raises:
            PermanentError: A line is no JSON, or a reply is not this judge's to this request.
        """
        if not self._file.exists():
            return set()
        replies = read_replies(self._file, requests)
        for request in requests:
            judge, name = request["body"]["model"], request["custom_id"]
            if name in replies and replies[name].judge not in {"", judge}:
                raise PermanentError(
                    f"{self._file}: the reply to question {name} is by {replies[name].judge}, "
                    f"and {judge} is asked now. Name another file."
                )
        return set(replies)

    def add(self, request: dict[str, Any], text: str) -> None:
        """Keep a reply.

        Raises:
            PermanentError: The file cannot be written.
        """
        record = {
            "custom_id": request["custom_id"],
            "request": digest(request),
            "judge": request["body"]["model"],
            "text": text,
        }
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            with self._lock, self._file.open("a", encoding="utf-8") as stream:
                stream.write(line)
        except OSError as error:
            raise _unusable(self._file, error) from None


def _unusable(file: Path, error: OSError) -> PermanentError:
    return PermanentError(f"{file} cannot be used for replies: {error.strerror}.")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def ask_judge(
    client: ChatClient,
    requests: Sequence[dict[str, Any]],
    replies: Path,
    *,
    at_once: int = 4,
    patience: Patience = Patience(),
    on_reply: Callable[[int], None] = lambda _: None,
) -> None:
    """Ask for every reply that a file does not hold yet, and append each as it comes.

    Args:
        client: Connected to the judge.
        requests: From `model.evaluate.mbench.requests_for`.
        replies: The file.
        at_once: Most requests at the same time.
        patience: With a judge that is away or busy.
        on_reply: Told after each reply how many there are.

    Raises:
        TransientError: The judge stayed away; the same call later goes on.
        PermanentError: It refused a request; the question is named.
    """
    file = ReplyFile(replies)
    held = file.held(requests)
    left = [request for request in requests if request["custom_id"] not in held]
    stopped = Event()

    def ask(request: dict[str, Any]) -> bool:
        """Tell whether there is a reply; not where the run has stopped meanwhile."""
        if stopped.is_set():
            return False
        try:
            file.add(request, _reply(client, request, patience, stopped))
        except BaseException:
            stopped.set()
            raise
        return True

    with ThreadPoolExecutor(at_once, thread_name_prefix="judge") as threads:
        asked = {threads.submit(ask, request): request["custom_id"] for request in left}
        done = len(held)
        try:
            for future in as_completed(asked):
                name = asked[future]
                if future.result():
                    done += 1
                    on_reply(done)
        except (TransientError, PermanentError) as error:
            kind = TransientError if isinstance(error, TransientError) else PermanentError
            raise kind(
                f"Question {name}: {error} {replies} keeps the replies that came; the same "
                "command asks for the rest."
            ) from None
        finally:
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)


def _reply(client: ChatClient, request: dict[str, Any], patience: Patience, stopped: Event) -> str:
    """Ask until there is an answer; who is asked already when the run stops is still heard."""
    asked = str(request["body"]["messages"][0]["content"])
    wait, attempts = patience.first_wait_seconds, 0
    while True:
        try:
            return client.complete(request["body"], asked=asked).text
        except TransientError as error:
            attempts += 1
            pause = error.wait_seconds if isinstance(error, PeerBusyError) else wait
            is_last = attempts >= patience.max_attempts or pause > _LONGEST_ASKED_SECONDS
            if is_last or stopped.wait(pause):
                raise
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
