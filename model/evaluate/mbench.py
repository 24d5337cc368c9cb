"""BiMed-MBench: its files, what a judge is asked, and the score made of what it answers.

The bench has 54 pictures with questions in English and Arabic; a judge gives two numbers from 1 to
10, for the answer of GPT-4 (first) and for the model's (second). The score is the mean of second to
first, times 100.

The judge is any model that speaks the OpenAI chat protocol. What it is to be sent is written to a
file, one request a line, and its answers are read from another: nothing here is on a network.

Source: Mullappilly et al. 2024 (BiMediX2), section on BiMed-MBench; Li et al. 2023 (LLaVA-Med).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import PermanentError
from model.evaluate.reports import read_lines
from model.evaluate.resampling import Interval, interval

_FIELDS = ("question_id", "image", "text", "gpt4_answer")
_LEAST, _MOST = 1.0, 10.0
_NUMBER = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d+)?")

_ASK = (
    "Two assistants answered a question about a medical picture. You cannot see the picture; its "
    "caption and what the article says of it are given.\n\n"
    "[Caption]\n{caption}\n\n[Mentions]\n{mentions}\n\n[Question]\n{question}\n\n"
    "[Answer of assistant 1]\n{first}\n\n[Answer of assistant 2]\n{second}\n\n"
    "Rate helpfulness, relevance, accuracy and detail of each answer from 1 to 10. Write the two "
    "numbers on the first line, assistant 1 first, parted by a space; then say why."
)


@dataclass(frozen=True, kw_only=True)
class BenchQuestion:
    """One line of the bench."""

    id: str
    image: str
    question: str
    reference: str
    caption: str
    mentions: str
    domain: str
    kind: str


def read_bench(file: Path) -> list[BenchQuestion]:
    """Return the questions of one language's file.

    Raises:
        PermanentError: A line lacks a field.
    """
    questions = []
    for number, record in enumerate(read_lines(file), start=1):
        missing = [name for name in _FIELDS if name not in record]
        if missing:
            raise PermanentError(f"{file}: record {number} has no {missing[0]}.")
        questions.append(
            BenchQuestion(
                id=str(record["question_id"]),
                image=str(record["image"]),
                question=str(record["text"]),
                reference=str(record["gpt4_answer"]),
                caption=str(record.get("fig_caption", "")),
                mentions=_joined(record.get("in_text_mention", "")),
                domain=_joined(record.get("domain", "")),
                kind=str(record.get("type", "")),
            )
        )
    return questions


def _joined(value: Any) -> str:
    """Return what the bench keeps as text, as a list, or as marks by name."""
    if isinstance(value, dict):
        return ", ".join(str(name) for name, is_set in value.items() if is_set)
    if isinstance(value, list):
        return "\n".join(_joined(v) if not isinstance(v, str) else v for v in value)
    return str(value)


def judge_request(question: BenchQuestion, answer: str, judge: str) -> dict[str, Any]:
    """Return what the judge is sent, by the OpenAI chat protocol."""
    text = _ASK.format(
        caption=question.caption,
        mentions=question.mentions,
        question=question.question,
        first=question.reference,
        second=answer,
    )
    return {
        "custom_id": question.id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": judge,
            "temperature": 0,
            "messages": [{"role": "user", "content": text}],
        },
    }


def write_requests(file: Path, requests: Iterable[dict[str, Any]]) -> None:
    """Write requests one a line, as batch interfaces take them."""
    lines = (json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    file.write_text("".join(lines), encoding="utf-8")


def read_rating(text: str) -> tuple[float, float] | None:
    """Return the two numbers of a judge's first line, None where there are not just two."""
    first = text.strip().partition("\n")[0]
    numbers = [float(match[0]) for match in _NUMBER.finditer(first)]
    are_ratings = len(numbers) == 2 and all(_LEAST <= n <= _MOST for n in numbers)  # noqa: PLR2004
    return (numbers[0], numbers[1]) if are_ratings else None


def requests_for(
    questions: Sequence[BenchQuestion], answers: Path, judge: str
) -> list[dict[str, Any]]:
    """Return the requests for a file of answers.

    Raises:
        PermanentError: A question has no answer there.
    """
    given = {str(r.get("question_id")): str(r.get("text", "")) for r in read_lines(answers)}
    missing = [question.id for question in questions if question.id not in given]
    if missing:
        raise PermanentError(f"{answers} has no answer to question {missing[0]}.")
    return [judge_request(question, given[question.id], judge) for question in questions]


def rate(questions: Sequence[BenchQuestion], replies: Path) -> tuple[Interval, int]:
    """Return the bench's score with its interval, and how many replies gave no rating.

    Raises:
        PermanentError: A question has no reply, or no reply a rating.
    """
    texts = {str(record.get("custom_id")): _reply(record) for record in read_lines(replies)}
    missing = [question.id for question in questions if question.id not in texts]
    if missing:
        raise PermanentError(f"{replies} has no reply to question {missing[0]}.")
    ratings = [read_rating(texts[question.id]) for question in questions]
    read = [rating for rating in ratings if rating is not None]
    if not read:
        raise PermanentError("The judge gave no rating that can be read.")
    rows = np.array([[100 * second / first, 1.0] for first, second in read])
    score = interval(rows, lambda total: float(total[0] / total[1]))
    return score, len(ratings) - len(read)


def _reply(record: dict[str, Any]) -> str:
    """Return a reply's text: of the batch format, or plain."""
    if "text" in record:
        return str(record["text"])
    try:
        return str(record["response"]["body"]["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError):
        return ""
