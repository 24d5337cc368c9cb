"""What a chat server answers: a stream of small pieces, or one whole answer from those that cannot.

Whatever comes is bounded: in size, and in time by the caller's check.

Source: OpenAI API reference, "Chat completions"; WHATWG HTML, 9.2 "Server-sent events".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from core.errors import TransientError

# An answer of 8192 tokens with its probabilities takes about a megabyte.
_MOST_BYTES = 16 << 20
_MOST_WORDS = 300
# So many letters in a row that a refusal and a question share are no chance.
_ECHO_LETTERS = 16
_DONE = "[DONE]"


@dataclass
class Answer:
    """An answer as it grows; see `model.generation.Completion`."""

    text: str = ""
    finish_reason: str = ""
    pieces: int = 0
    log_probabilities: list[float] = field(default_factory=list)
    text_ends: list[int] = field(default_factory=list)

    def add(self, content: dict[str, Any]) -> None:
        """Take a piece, or a whole answer, as JSON has it."""
        if "error" in content:
            # Its words may quote the question.
            raise TransientError("The model server stopped with an error.")
        for choice in content.get("choices") or ():
            part = choice.get("delta") or choice.get("message") or {}
            before = len(self.text)
            text = part.get("content") or ""
            if not isinstance(text, str):
                raise TypeError(text)
            self.text += text
            self.pieces += bool(text)
            rows = (choice.get("logprobs") or {}).get("content") or ()
            for row in rows:
                before += len(row["token"])
                self.log_probabilities.append(float(row["logprob"]))
                self.text_ends.append(min(before, len(self.text)))
            self.finish_reason = choice.get("finish_reason") or self.finish_reason


def read_answer(response: httpx2.Response, check: Callable[[], None]) -> Answer:
    """Read an answer to its end.

    Args:
        response: A successful one, its body unread.
        check: Called with every piece; what it raises ends the reading.

    Raises:
        TransientError: It is no chat completion, is endless, or stopped before its end.
    """
    answer = Answer()
    is_stream = "event-stream" in response.headers.get("content-type", "")
    try:
        if is_stream:
            for data in _events(response, check):
                if data == _DONE:
                    break
                answer.add(json.loads(data))
        else:
            answer.add(json.loads(b"".join(_bounded(response, check))))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TransientError("The model server's answer is no chat completion.") from None
    if not answer.finish_reason:
        raise TransientError("The model server's answer stopped before its end.")
    if len(answer.text_ends) and answer.text_ends[-1] != len(answer.text):
        # Its tokens do not add up to its text: better no places than wrong ones.
        answer.text_ends, answer.log_probabilities = [], []
    return answer


def _events(response: httpx2.Response, check: Callable[[], None]) -> Iterator[str]:
    """Give the data of each event."""
    rest = b""
    for some in _bounded(response, check):
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            text = line.decode("utf-8").strip()
            if text.startswith("data:"):
                yield text.removeprefix("data:").strip()


def _bounded(response: httpx2.Response, check: Callable[[], None]) -> Iterator[bytes]:
    size = 0
    for some in response.iter_bytes():
        check()
        size += len(some)
        if size > _MOST_BYTES:
            raise TransientError("The model server's answer does not end.")
        yield some


def words_of(content: bytes, question: str) -> str:
    """Return what a server says of its refusal, on one line; empty where it quotes the question."""
    text = content[: 1 << 16].decode("utf-8", "replace")
    try:
        body = json.loads(text)
        found = body.get("error", body) if isinstance(body, dict) else body
        if isinstance(found, dict):
            found = found.get("message") or found.get("detail") or found
        text = found if isinstance(found, str) else json.dumps(found)
    except ValueError:
        pass
    line = re.sub(r"[\x00-\x1f\x7f]+|\s+", " ", text).strip()[:_MOST_WORDS]
    asked = re.sub(r"\s+", " ", question)
    shared = (line[at : at + _ECHO_LETTERS] for at in range(len(line) - _ECHO_LETTERS + 1))
    if asked and any(part in asked for part in shared):
        return ""
    return line
