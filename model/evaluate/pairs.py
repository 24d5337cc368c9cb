"""English pairs for metrics whose weights are others', and the scores that those gave.

RadGraph, CheXbert, BERTScore and RadCliQ-v1 know English alone and run where a site has their
weights, in an environment of their own: `radeval`, which has them all, wants torchvision and asks
the internet as soon as it is imported (2.2.1). So they are given a file and give one back.

A withheld draft has no text to compare, and 0 is not the worst of every metric: it is left out, and
coverage stands beside.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import PermanentError
from core.report import Language
from model.evaluate.reports import Drafted, Reference, by_reference, read_lines
from model.evaluate.resampling import Interval, interval
from model.form import foreign_words

_DIGEST_DIGITS = 16
_OURS = ("id", "pair")


def pairs_of(references: Sequence[Reference], drafts: Sequence[Drafted]) -> list[dict[str, str]]:
    """Return what is to be compared: English reports of drafts that were not withheld.

    ``pair`` is a digest of both texts, by which scores are known to be of these.

    Raises:
        PermanentError: A reference has no draft, or a draft no reference; or a text is not English:
            such metrics take words that they do not know for any word.
    """
    by_id = by_reference(references, drafts)
    pairs = []
    for reference in references:
        draft = by_id[reference.id]
        wanted, said = (texts.reports.get(Language.EN, "") for texts in (reference, draft))
        if wanted and said and not draft.is_withheld:
            _require_english(reference.id, wanted, "reference")
            _require_english(reference.id, said, "draft")
            digest = _digest(wanted, said)
            pairs.append({"id": reference.id, "pair": digest, "reference": wanted, "draft": said})
    return pairs


def _require_english(name: str, text: str, what: str) -> None:
    if foreign_words(text, Language.EN):
        raise PermanentError(
            f"The English report of the {what} {name} is not English: mend it, or mark the draft "
            "as withheld."
        )


def _digest(wanted: str, said: str) -> str:
    return hashlib.sha256(f"{wanted}\0{said}".encode()).hexdigest()[:_DIGEST_DIGITS]


def write_pairs(file: Path, pairs: Sequence[dict[str, str]]) -> None:
    """Write pairs one a line."""
    lines = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    file.write_text("".join(lines), encoding="utf-8")


def read_scores(file: Path, pairs: Sequence[dict[str, str]]) -> dict[str, Interval]:
    """Return the mean of each metric with its interval.

    A line has ``id`` and ``pair`` of the pair, and a number for each metric.

    Raises:
        PermanentError: The scores are not of these pairs, or a line holds no number for a metric.
    """
    records = read_lines(file)
    wanted = {(pair["id"], pair["pair"]) for pair in pairs}
    strangers = sorted({(str(r.get("id")), str(r.get("pair"))) for r in records} ^ wanted)
    if strangers or len(records) != len(pairs):
        name = strangers[0][0] if strangers else "one of them twice"
        raise PermanentError(f"{file}: these are not the scores of just these pairs ({name}).")
    if not records:
        raise PermanentError(f"{file}: there is nothing to compare.")
    names = [name for name in records[0] if name not in _OURS]
    rows = {
        name: np.array([[_number(file, n, record, name), 1.0] for n, record in enumerate(records)])
        for name in names
    }
    return {
        name: interval(row, lambda total: float(total[0] / total[1])) for name, row in rows.items()
    }


def _number(file: Path, index: int, record: dict[str, Any], name: str) -> float:
    value = record.get(name)
    # JSON of Python writes NaN, which is what a metric says of a text that it cannot read.
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise PermanentError(f"{file}: record {index + 1} has no number for {name}.")
    return float(value)
