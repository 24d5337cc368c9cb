"""The judge on a network: it is asked, and each of its replies is kept at once.

Texts go to the server of `[judge]` and nowhere else; who has no such section sends nothing. A run
that was broken off asks only for what is missing. A reply holds a digest of what it answers: one to
other answers, of another judge or in another wording is not taken for this run's.

A reply that holds no rating is a reply: it is counted and named with the score, never asked for
again and never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from core.errors import PeerBusyError, PermanentError, TransientError
from model.chat_client import ChatClient
from model.evaluate.mbench import digest, read_replies
from model.evaluate.resumable import LineFile, work_off

_LONGEST_WAIT_SECONDS = 60.0
# Who asks for a longer wait than this has used up a quota: the run ends, and goes on another time.
_LONGEST_ASKED_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often one reply is asked for; the waits double from the first."""

    max_attempts: int = 6
    first_wait_seconds: float = 1.0


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
        replies: The file; lines of the batch interface may stand in it as well.
        at_once: Most requests at the same time.
        patience: With a judge that is away or busy.
        on_reply: Told after each reply how many there are.

    Raises:
        TransientError: The judge stayed away; the same call later goes on.
        PermanentError: It refused a request; the question is named. Or a reply in the file is not
            this judge's to this request.
    """
    file = LineFile(replies, "custom_id")
    held = _held(replies, requests)

    def ask(request: dict[str, Any], stopped: Event) -> None:
        text = _reply(client, request, patience, stopped)
        file.add(
            {
                "custom_id": request["custom_id"],
                "request": digest(request),
                "judge": request["body"]["model"],
                "text": text,
            }
        )

    work_off(
        {r["custom_id"]: r for r in requests if r["custom_id"] not in held},
        ask,
        at_once=at_once,
        kept=replies,
        on_done=lambda done: on_reply(len(held) + done),
    )


def _held(file: Path, requests: Sequence[dict[str, Any]]) -> set[str]:
    """Return which of some requests have their reply."""
    if not file.exists():
        return set()
    replies = read_replies(file, requests)
    for request in requests:
        judge, name = request["body"]["model"], request["custom_id"]
        if name in replies and replies[name].judge not in {"", judge}:
            raise PermanentError(
                f"{file}: the reply to question {name} is by {replies[name].judge}, and {judge} is "
                "asked now. Name another file."
            )
    return set(replies)


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
