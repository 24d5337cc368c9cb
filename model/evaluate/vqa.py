"""Questions about pictures, as MultiMedEval scores them.

Closed questions (answered yes or no, or by one of a few words): right where the reference's words
all stand in the answer, and for yes and no, where the answer's first such word is the same. Open
questions: recall of the reference's words. BLEU-1 and token F1 over all.

Source: Royer et al. 2024 (MultiMedEval), section on VQA; the formulas are written anew here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import PermanentError
from model.evaluate.reports import read_lines
from model.evaluate.resampling import Interval, interval
from model.evaluate.text_scores import Words, bleu, bleu_counts, split_words

_YES_NO = {
    "yes": True,
    "no": False,
    "نعم": True,
    "لا": False,
    "كلا": False,
}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One question's reference and answer."""

    reference: str
    answer: str
    is_closed: bool


def read_answers(file: Path) -> list[Answered]:
    """Return the answers of a file of JSON lines.

    Raises:
        PermanentError: A record lacks a field.
    """
    rows = []
    for number, record in enumerate(read_lines(file), start=1):
        try:
            rows.append(
                Answered(
                    reference=str(record["reference"]),
                    answer=str(record["answer"]),
                    is_closed=bool(record["is_closed"]),
                )
            )
        except KeyError as error:
            raise PermanentError(f"{file}: record {number} has no {error}.") from None
    return rows


def is_right(reference: Words, answer: Words) -> bool:
    """Tell whether a closed question was answered as the reference has it."""
    if len(reference) == 1 and reference[0] in _YES_NO:
        said = next((_YES_NO[word] for word in answer if word in _YES_NO), None)
        return said is _YES_NO[reference[0]]
    return bool(reference) and set(reference) <= set(answer)


def _hits(reference: Words, answer: Words) -> int:
    return sum((Counter(reference) & Counter(answer)).values())


def score_answers(rows: Sequence[Answered]) -> list[tuple[str, Interval]]:
    """Return each score with its interval; those without a question are left out.

    Raises:
        PermanentError: There is no question.
    """
    if not rows:
        raise PermanentError("There is no question to score.")
    pairs = [(split_words(row.reference), split_words(row.answer), row.is_closed) for row in rows]
    closed = np.array([[is_right(ref, said), 1.0] for ref, said, shut in pairs if shut])
    opened = np.array([[_hits(r, s) / max(1, len(r)), 1.0] for r, s, shut in pairs if not shut])
    f1 = np.array([[2 * _hits(r, s) / max(1, len(r) + len(s)), 1.0] for r, s, _ in pairs])
    grams = np.array([_unigrams(ref, said) for ref, said, _ in pairs], dtype=np.float64)
    scores = [
        ("closed accuracy", interval(closed, _mean)) if len(closed) else None,
        ("open recall", interval(opened, _mean)) if len(opened) else None,
        ("BLEU-1", interval(grams, _bleu_1)),
        ("token F1", interval(f1, _mean)),
    ]
    return [score for score in scores if score]


def _mean(total: NDArray[np.float64]) -> float:
    return float(total[0] / total[1])


def _unigrams(reference: Words, answer: Words) -> list[float]:
    hits, totals = bleu_counts(answer, reference)
    return [hits[0], totals[0], len(answer), len(reference)]


def _bleu_1(total: NDArray[np.float64]) -> float:
    return bleu([total[0]], [total[1]], total[2], total[3])
