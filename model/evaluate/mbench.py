"""BiMed-MBench: its files, what a judge is asked, and the score made of what it answers.

The bench has some 50 pictures with questions in English and Arabic; a judge gives two numbers from
1 to 10, for the answer of GPT-4 (first) and for the model's (second). The score is the mean of
second to first, times 100, over all questions and over those of a kind or a domain.

The judge is any model that speaks the OpenAI chat protocol. What it is to be sent is written to a
file, one request a line, and its answers are read from another: nothing here is on a network;
`model.evaluate.judge` is.

Source: Mullappilly et al. 2024 (BiMediX2), section on BiMed-MBench; its files and
`eval/summarize_gpt_review.py` in BiMediX2's repository; Li et al. 2023 (LLaVA-Med).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import PermanentError
from model.evaluate.reports import read_lines
from model.evaluate.resampling import Interval, interval
from model.marks import without_marks

_FIELDS = ("question_id", "image", "text", "gpt4_answer")
# A picture of two domains counts in the first of these, as in the bench's own tables.
_DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
_DIGEST_DIGITS = 16
_LEAST, _MOST = 1.0, 10.0
# A line of two numbers, bold perhaps, and nothing else: "8 of 10" is no pair of ratings.
_RATINGS = re.compile(r"[\s*\[(]*(\d{1,2}(?:\.\d+)?)[\s,;]+(\d{1,2}(?:\.\d+)?)[\s*\])]*")

_ASK = (
    "Two assistants answered a question about a medical picture. You cannot see the picture; its "
    "caption and what the article says of it are given.\n\n"
    "[Caption]\n{caption}\n\n[Mentions]\n{mentions}\n\n[Question]\n{question}\n\n"
    "[Answer of assistant 1]\n{first}\n\n[Answer of assistant 2]\n{second}\n\n"
    "Rate helpfulness, relevance, accuracy and detail of each answer from 1 to 10, and lower where "
    "it is not in the language of the question. Write the two numbers on the first line, assistant "
    "1 first, parted by a space; then say why."
)
# A rating is asked for as it is most likely; a site's `judge.options` may say otherwise.
OPTIONS: dict[str, Any] = {"temperature": 0}


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
        PermanentError: A line lacks a field, or a question stands twice.
    """
    questions: dict[str, BenchQuestion] = {}
    for number, record in enumerate(read_lines(file), start=1):
        missing = [name for name in _FIELDS if name not in record]
        if missing:
            raise PermanentError(f"{file}: record {number} has no {missing[0]}.")
        question = BenchQuestion(
            id=str(record["question_id"]),
            image=str(record["image"]),
            question=str(record["text"]),
            reference=str(record["gpt4_answer"]),
            caption=str(record.get("fig_caption") or ""),
            mentions=_mentions(record.get("in_text_mention")),
            domain=_domain(record.get("domain")),
            kind=str(record.get("type", "")),
        )
        if question.id in questions:
            raise PermanentError(f"{file}: record {number} has question {question.id} again.")
        questions[question.id] = question
    return list(questions.values())


def _mentions(value: Any) -> str:
    """Return what the article says of the picture; the bench has a list of sentences, or null."""
    rows = value if isinstance(value, list) else [value]
    texts = (row.get("tokens") if isinstance(row, dict) else row for row in rows)
    return "\n".join(str(text) for text in texts if text)


def _domain(value: Any) -> str:
    """Return the domain that is marked, or the text that stands there."""
    if isinstance(value, dict):
        return next((name for name in _DOMAINS if value.get(name)), "")
    return str(value or "")


def judge_request(
    question: BenchQuestion, answer: str, judge: str, options: Mapping[str, Any] = OPTIONS
) -> dict[str, Any]:
    """Return what the judge is sent, by the OpenAI chat protocol.

    No text of bench or model can imitate a turn of the conversation; see `model.marks`.
    """
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
            **options,
            "messages": [{"role": "user", "content": without_marks(text)}],
        },
    }


def write_requests(file: Path, requests: Iterable[dict[str, Any]]) -> None:
    """Write requests one a line, as batch interfaces take them."""
    lines = (json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    file.write_text("".join(lines), encoding="utf-8")


def read_rating(text: str) -> tuple[float, float] | None:
    """Return the two numbers that are a judge's first line, None where it is another."""
    found = _RATINGS.fullmatch(text.strip().partition("\n")[0])
    if found is None:
        return None
    first, second = float(found[1]), float(found[2])
    return (first, second) if all(_LEAST <= n <= _MOST for n in (first, second)) else None


def requests_for(
    questions: Sequence[BenchQuestion],
    answers: Path,
    judge: str,
    options: Mapping[str, Any] = OPTIONS,
) -> list[dict[str, Any]]:
    """Return the requests for a file of answers.

    Raises:
        PermanentError: A question has no answer there.
    """
    given = {str(r.get("question_id")): str(r.get("text", "")) for r in read_lines(answers)}
    missing = [question.id for question in questions if question.id not in given]
    if missing:
        raise PermanentError(f"{answers} has no answer to question {missing[0]}.")
    return [judge_request(question, given[question.id], judge, options) for question in questions]


def digest(request: dict[str, Any]) -> str:
    """Return what tells a request from one with other words."""
    words = json.dumps(request["body"]["messages"], sort_keys=True).encode()
    return hashlib.sha256(words).hexdigest()[:_DIGEST_DIGITS]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a judge answered.

    Attributes:
        judge: Its name; empty where the reply does not tell.
    """

    text: str
    judge: str = ""


def read_replies(file: Path, requests: Sequence[dict[str, Any]]) -> dict[str, Reply]:
    """Return the replies to some requests, by their questions; of two the later.

    A line is of the batch format, or has ``text``; where it has ``request``, that is the digest of
    what was asked.

    Raises:
        PermanentError: A line is no JSON, or a reply was given to another request.
    """
    digests = {request["custom_id"]: digest(request) for request in requests}
    replies = {}
    for record in read_lines(file):
        name, reply = str(record.get("custom_id")), _reply(record)
        if name not in digests or reply is None:
            continue
        if record.get("request", digests[name]) != digests[name]:
            raise PermanentError(
                f"{file}: the reply to question {name} was given to another request: bench, "
                "answers or wording have changed. Name another file."
            )
        replies[name] = reply
    return replies


def _reply(record: dict[str, Any]) -> Reply | None:
    """Return a reply; None where the line tells of a request that failed."""
    if "text" in record:
        return Reply(text=str(record["text"]), judge=str(record.get("judge", "")))
    try:
        body = record["response"]["body"]
        text = body["choices"][0]["message"]["content"] or ""
        return Reply(text=str(text), judge=str(body.get("model", "")))
    except (KeyError, IndexError, TypeError):
        return None


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """What a judge's ratings come to.

    Attributes:
        scores: The bench's score, by "all", by kind of question and by domain.
        counts: Ratings behind each of them.
        unread: Questions whose reply holds no rating that can be read; they count nowhere.
        judges: Who rated, as far as the replies tell.
    """

    scores: dict[str, Interval]
    counts: dict[str, int]
    unread: tuple[str, ...]
    judges: tuple[str, ...]


def rate(questions: Sequence[BenchQuestion], replies: Mapping[str, Reply]) -> Ratings:
    """Return the bench's scores with their intervals.

    Raises:
        PermanentError: A question has no reply, or no reply a rating.
    """
    missing = [question.id for question in questions if question.id not in replies]
    if missing:
        raise PermanentError(f"There is no reply to question {missing[0]}.")
    groups: dict[str, list[tuple[float, float]]] = {}
    unread = []
    for question in questions:
        rating = read_rating(replies[question.id].text)
        if rating is None:
            unread.append(question.id)
            continue
        first, second = rating
        for group in {"all", question.kind, question.domain}:
            groups.setdefault(group, []).append((100 * second / first, 1.0))
    if not groups:
        raise PermanentError("The judge gave no rating that can be read.")
    ordered = ("all", *sorted(groups.keys() - {"all", ""}))
    return Ratings(
        scores={
            name: interval(np.array(groups[name]), lambda total: float(total[0] / total[1]))
            for name in ordered
        },
        counts={name: len(groups[name]) for name in ordered},
        unread=tuple(unread),
        judges=tuple(sorted({reply.judge for reply in replies.values() if reply.judge})),
    )
