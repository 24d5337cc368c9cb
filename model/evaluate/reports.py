"""Drafts against references: findings, sides and words, in each language.

A withheld draft counts as having no findings and no side: its text is empty, and all sides that it
should have named are wrong. So a model cannot gain by being withheld; coverage stands beside.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import PermanentError
from core.report import Language
from model.evaluate.findings import Counts, Reading, agree, by_finding, compare, read_report
from model.evaluate.resampling import Difference, Interval, Rows, Score, compare_runs, interval
from model.evaluate.text_scores import (
    BLEU_ORDER,
    bleu,
    bleu_counts,
    meteor,
    rouge_l,
    split_words,
)

_PLAIN = (
    "answered",
    "found",
    "invented",
    "missed",
    "same_polarity",
    "spoken_of",
    "right_sides",
    "sided",
    "length",
    "wanted",
    "rouge_l",
    "meteor",
    "count",
)
_COLUMNS = (
    *_PLAIN,
    *(f"hits_{n}" for n in range(BLEU_ORDER)),
    *(f"totals_{n}" for n in range(BLEU_ORDER)),
)
_AT = {name: index for index, name in enumerate(_COLUMNS)}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a draft should say.

    Attributes:
        reports: Findings and impression, by language.
        summaries: By language; empty where there are none.
        truth: What is seen, where that is known; read from each report otherwise.
    """

    id: str
    reports: dict[Language, str]
    summaries: dict[Language, str] = field(default_factory=dict)
    truth: Reading | None = None


@dataclass(frozen=True, kw_only=True)
class Drafted:
    """What came out.

    Attributes:
        reasons: Codes of the checks that withheld it.
    """

    id: str
    reports: dict[Language, str]
    summaries: dict[Language, str] = field(default_factory=dict)
    is_withheld: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Every score with its interval: `by_language`, then what both languages make together.

    Attributes:
        findings: Hits and misses of each finding, by language.
        withheld: How many drafts each check withheld, by its code; several may withhold one.
    """

    count: int
    by_language: dict[Language, dict[str, Interval]]
    summaries: dict[Language, dict[str, Interval]]
    agreement: Interval | None
    findings: dict[Language, dict[str, Counts]]
    withheld: dict[str, int]


def _share(part: str, whole: str) -> Score:
    def score(total: Any) -> float:
        return float(total[_AT[part]] / total[_AT[whole]]) if total[_AT[whole]] else 1.0

    return score


def _f1(total: Any) -> float:
    found, wrong = total[_AT["found"]], total[_AT["invented"]] + total[_AT["missed"]]
    return float(2 * found / (2 * found + wrong)) if found + wrong else 1.0


def _precision(total: Any) -> float:
    said = total[_AT["found"]] + total[_AT["invented"]]
    return float(total[_AT["found"]] / said) if said else 1.0


def _recall(total: Any) -> float:
    seen = total[_AT["found"]] + total[_AT["missed"]]
    return float(total[_AT["found"]] / seen) if seen else 1.0


def _bleu(order: int) -> Score:
    def score(total: Any) -> float:
        hits = [total[_AT[f"hits_{n}"]] for n in range(order)]
        totals = [total[_AT[f"totals_{n}"]] for n in range(order)]
        return bleu(hits, totals, total[_AT["length"]], total[_AT["wanted"]])

    return score


TEXT_SCORES: dict[str, Score] = {
    "bleu_1": _bleu(1),
    "bleu_4": _bleu(BLEU_ORDER),
    "rouge_l": _share("rouge_l", "count"),
    "meteor": _share("meteor", "count"),
}
SCORES: dict[str, Score] = {
    "coverage": _share("answered", "count"),
    "finding_f1": _f1,
    "finding_precision": _precision,
    "finding_recall": _recall,
    "polarity": _share("same_polarity", "spoken_of"),
    "side": _share("right_sides", "sided"),
    **TEXT_SCORES,
}


def by_reference(references: Sequence[Reference], drafts: Sequence[Drafted]) -> dict[str, Drafted]:
    """Return the draft to each reference, by their id.

    Raises:
        PermanentError: A reference has no draft, or a draft no reference.
    """
    by_id = {draft.id: draft for draft in drafts}
    strangers = sorted(by_id.keys() ^ {reference.id for reference in references})
    if strangers:
        raise PermanentError(f"References and drafts are not of the same: {strangers[0]}.")
    return by_id


def rows_of(references: Sequence[Reference], drafts: Sequence[Drafted], language: Language) -> Rows:
    """Return the numbers of each report in one language; see `by_reference`."""
    by_id = by_reference(references, drafts)
    return np.array([_row(ref, by_id[ref.id], language) for ref in references])


def _readings(
    reference: Reference, draft: Drafted, language: Language
) -> tuple[Reading, Reading, bool]:
    """Return what is true, what a draft says, and whether it was withheld."""
    told = read_report(reference.reports[language], language)
    truth = _with_denials(reference.truth, told) if reference.truth else told
    return truth, read_report(draft.reports.get(language, ""), language), draft.is_withheld


def _row(reference: Reference, draft: Drafted, language: Language) -> list[float]:
    text = "" if draft.is_withheld else draft.reports.get(language, "")
    truth, said, is_withheld = _readings(reference, draft, language)
    counts = compare(truth, said, is_withheld=is_withheld)
    numbers = _text_numbers(text, reference.reports[language])
    numbers |= {
        "answered": float(not draft.is_withheld),
        "found": counts.found,
        "invented": counts.invented,
        "missed": counts.missed,
        "same_polarity": counts.same_polarity,
        "spoken_of": counts.spoken_of,
        "right_sides": counts.right_sides,
        "sided": counts.sided,
        "count": 1,
    }
    return [numbers[name] for name in _COLUMNS]


def _with_denials(truth: Reading, told: Reading) -> Reading:
    return Reading(affirmed=truth.affirmed, denied=told.denied - truth.affirmed, sides=truth.sides)


def _text_numbers(text: str, wanted_text: str) -> dict[str, float]:
    ours, wanted = split_words(text), split_words(wanted_text)
    hits, totals = bleu_counts(ours, wanted)
    return {
        "length": len(ours),
        "wanted": len(wanted),
        "rouge_l": rouge_l(ours, wanted),
        "meteor": meteor(ours, wanted),
        **{f"hits_{n}": hits[n] for n in range(BLEU_ORDER)},
        **{f"totals_{n}": totals[n] for n in range(BLEU_ORDER)},
    }


def _summary_rows(
    references: Sequence[Reference], drafts: Sequence[Drafted], language: Language
) -> Rows:
    by_id = {draft.id: draft for draft in drafts}
    rows = []
    for reference in references:
        draft = by_id[reference.id]
        text = "" if draft.is_withheld else draft.summaries.get(language, "")
        numbers = dict.fromkeys(_COLUMNS, 0.0) | {"count": 1.0}
        numbers |= _text_numbers(text, reference.summaries.get(language, ""))
        rows.append([numbers[name] for name in _COLUMNS])
    return np.array(rows)


def score_reports(references: Sequence[Reference], drafts: Sequence[Drafted]) -> Scores:
    """Return every score of a run.

    Raises:
        PermanentError: There is no reference, or references and drafts do not match.
    """
    if not references:
        raise PermanentError("There is nothing to evaluate.")
    languages = [lang for lang in Language if all(lang in ref.reports for ref in references)]
    return Scores(
        count=len(references),
        by_language={
            language: {name: interval(rows, score) for name, score in SCORES.items()}
            for language, rows in ((lang, rows_of(references, drafts, lang)) for lang in languages)
        },
        summaries={
            language: {name: interval(rows, score) for name, score in TEXT_SCORES.items()}
            for language, rows in (
                (lang, _summary_rows(references, drafts, lang))
                for lang in languages
                if all(lang in ref.summaries for ref in references)
            )
        },
        agreement=_agreement(drafts) if len(languages) == len(Language) else None,
        findings={lang: _by_finding(references, drafts, lang) for lang in languages},
        withheld=_withheld(drafts),
    )


def _by_finding(
    references: Sequence[Reference], drafts: Sequence[Drafted], language: Language
) -> dict[str, Counts]:
    by_id = by_reference(references, drafts)
    return by_finding(_readings(ref, by_id[ref.id], language) for ref in references)


def _withheld(drafts: Sequence[Drafted]) -> dict[str, int]:
    codes = Counter(
        code for draft in drafts if draft.is_withheld for code in dict.fromkeys(draft.reasons)
    )
    return dict(codes.most_common())


def _agreement(drafts: Sequence[Drafted]) -> Interval | None:
    """Return the share of delivered drafts whose two languages affirm the same, side by side."""
    delivered = [draft for draft in drafts if not draft.is_withheld]
    if not delivered:
        return None
    same = [
        agree(*(read_report(draft.reports.get(lang, ""), lang) for lang in Language))
        for draft in delivered
    ]
    rows = np.array([[float(is_same), 1.0] for is_same in same])
    return interval(rows, lambda total: float(total[0] / total[1]))


def compare_drafts(
    references: Sequence[Reference], first: Sequence[Drafted], second: Sequence[Drafted]
) -> dict[Language, dict[str, Difference]]:
    """Return by how much a second run's scores exceed a first's, with a paired test."""
    languages = [lang for lang in Language if all(lang in ref.reports for ref in references)]
    rows = {
        lang: (rows_of(references, first, lang), rows_of(references, second, lang))
        for lang in languages
    }
    return {
        lang: {name: compare_runs(ours, theirs, score) for name, score in SCORES.items()}
        for lang, (ours, theirs) in rows.items()
    }


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Return the records of a file of JSON lines.

    Raises:
        PermanentError: It cannot be read; file and line are named.
    """
    records = []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"{file} cannot be read ({error}).") from None
    # Not splitlines(): JSON allows U+2028 and U+0085 within a text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise PermanentError(f"{file}:{number}: this is no JSON.") from None
        if not isinstance(record, dict):
            raise PermanentError(f"{file}:{number}: a record is a JSON object.")
        records.append(record)
    return records


def read_references(file: Path) -> list[Reference]:
    """Return the references of a file: lines of `truth.jsonl`, or of reports alone.

    A line has ``id`` (or ``file``), ``report`` and perhaps ``summary`` by language, and perhaps
    ``findings`` with ``kind`` and ``side``.

    Raises:
        PermanentError: A line is none.
    """
    return [_reference(file, n, record) for n, record in enumerate(read_lines(file), start=1)]


def _reference(file: Path, number: int, record: dict[str, Any]) -> Reference:
    try:
        return Reference(
            id=str(record.get("id") or record["file"]),
            reports=_by_language(record["report"]),
            summaries=_by_language(record.get("summary", {})),
            truth=truth_of(record["findings"]) if "findings" in record else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(f"{file}: record {number} is no reference ({error}).") from None


def truth_of(findings: list[dict[str, str]]) -> Reading:
    """Return the truth that a record of a phantom tells."""
    sides: dict[str, frozenset[str]] = {}
    for finding in findings:
        own = frozenset({finding["side"]}) if "side" in finding else frozenset()
        sides[finding["kind"]] = sides.get(finding["kind"], frozenset()) | own
    return Reading(affirmed=frozenset(sides), sides=sides)


def _by_language(texts: dict[str, str]) -> dict[Language, str]:
    return {Language(language): str(text) for language, text in texts.items()}


def read_drafts(file: Path) -> list[Drafted]:
    """Return the drafts that `draft_line` wrote.

    Raises:
        PermanentError: A line is none.
    """
    drafts = []
    for number, record in enumerate(read_lines(file), start=1):
        try:
            drafts.append(
                Drafted(
                    id=str(record.get("id") or record["file"]),
                    reports=_by_language(record["report"]),
                    summaries=_by_language(record.get("summary", {})),
                    is_withheld=bool(record.get("is_withheld", False)),
                    reasons=tuple(record.get("reasons", ())),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"{file}: record {number} is no draft ({error}).") from None
    return drafts


def draft_line(draft: Drafted) -> str:
    """Return a draft as one line of JSON."""
    record = {
        "id": draft.id,
        "is_withheld": draft.is_withheld,
        "reasons": list(draft.reasons),
        "report": draft.reports,
        "summary": draft.summaries,
    }
    return json.dumps(record, ensure_ascii=False)
