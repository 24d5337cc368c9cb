"""Scores as a table: text for a terminal, JSON for a program, HTML for a page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from core.report import Language
from model.evaluate.findings import Counts
from model.evaluate.mbench import Ratings
from model.evaluate.reports import Scores
from model.evaluate.resampling import Difference, Interval

NAMES = {
    "coverage": "coverage (drafts not withheld)",
    "finding_f1": "finding F1 (micro, our lexicon)",
    "finding_precision": "finding precision",
    "finding_recall": "finding recall",
    "polarity": "polarity",
    "side": "side accuracy",
    "bleu_1": "BLEU-1",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR (exact words)",
    "agreement": "English and Arabic agree",
}


class Format(StrEnum):
    """How a table is written."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a heading, with the numbers that they were made of.

    Attributes:
        more: Tables that stand below it; `content` has their numbers too.
    """

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    content: dict[str, Any] = field(default_factory=dict)
    more: tuple[Table, ...] = ()

    def render(self, form: Format) -> str:
        """Return the table in a form."""
        match form:
            case Format.TEXT:
                return self._text()
            case Format.JSON:
                return json.dumps(self.content, ensure_ascii=False, indent=2)
            case Format.HTML:
                return self._html()

    def _text(self) -> str:
        lines = (self.heading, *self.rows)
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heading))]
        rows = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        below = ("\n" + table.render(Format.TEXT) for table in self.more)
        return "\n".join((self.title, "", *rows, *below))

    def _html(self) -> str:
        title = html.escape(self.title)
        parts = "\n".join((_part(self, "h1"), *(_part(table, "h2") for table in self.more)))
        return (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
            f"{parts}\n</html>"
        )


def _part(table: Table, heading: str) -> str:
    """Return a table under its title, as HTML."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.heading)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    title = html.escape(table.title)
    return f"<{heading}>{title}</{heading}>\n<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _cell(value: Interval | None) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})" if value else ""


def scores_table(title: str, scores: Scores, others: Mapping[str, Interval] | None = None) -> Table:
    """Return the scores of one run: a column a language, 95 % intervals in brackets.

    Below stand each finding by itself, and which checks withheld drafts.

    Args:
        title: Of which run.
        scores: The scores.
        others: Scores of metrics that know English alone (`model.evaluate.pairs`).
    """
    languages = tuple(scores.by_language)
    rows = [
        (NAMES[name], *(_cell(scores.by_language[lang][name]) for lang in languages))
        for name in scores.by_language[languages[0]]
    ]
    if scores.agreement:
        shared = _cell(scores.agreement)
        rows.append((NAMES["agreement"], *(shared for _ in languages)))
    for name in next(iter(scores.summaries.values()), {}):
        cells = (_cell(scores.summaries.get(lang, {}).get(name)) for lang in languages)
        rows.append((f"summary: {NAMES[name]}", *cells))
    for name, score in (others or {}).items():
        cells = (_cell(score if lang is Language.EN else None) for lang in languages)
        rows.append((f"{name} (not ours)", *cells))
    more = [_findings_table(language, scores.findings[language]) for language in languages]
    if scores.withheld:
        more.append(_withheld_table(scores.withheld))
    content = {"title": title, **asdict(scores)}
    if others is not None:
        content["others"] = {name: asdict(score) for name, score in others.items()}
    return Table(
        title=f"{title}: {scores.count} reports",
        heading=("score", *(_named(lang) for lang in languages)),
        rows=tuple(rows),
        content=content,
        more=tuple(more),
    )


def _findings_table(language: Language, findings: Mapping[str, Counts]) -> Table:
    return Table(
        title=f"Findings, {_named(language)}",
        heading=("finding", "found", "missed", "invented", "F1", "side right"),
        rows=tuple(
            (
                name.replace("_", " "),
                str(counts.found),
                str(counts.missed),
                str(counts.invented),
                f"{counts.f1:.3f}",
                f"{counts.right_sides} of {counts.sided}" if counts.sided else "",
            )
            for name, counts in findings.items()
        ),
    )


def _withheld_table(withheld: Mapping[str, int]) -> Table:
    return Table(
        title="Withheld drafts; several checks may withhold one",
        heading=("check", "drafts"),
        rows=tuple((code, str(count)) for code, count in withheld.items()),
    )


def comparison_table(title: str, differences: dict[Language, dict[str, Difference]]) -> Table:
    """Return by how much a second run is better: difference, interval, p of a paired test."""
    languages = tuple(differences)
    rows = tuple(
        (
            NAMES[name],
            *(
                f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}), p = {d.p:.3f}"
                for d in (differences[lang][name] for lang in languages)
            ),
        )
        for name in differences[languages[0]]
    )
    content = {lang: {n: asdict(d) for n, d in row.items()} for lang, row in differences.items()}
    return Table(
        title=title,
        heading=("score", *(_named(lang) for lang in languages)),
        rows=rows,
        content={"title": title, "differences": content},
    )


def ratings_table(title: str, ratings: Ratings) -> Table:
    """Return the scores of BiMed-MBench: of all questions, of each kind and domain."""
    unread = ratings.unread
    by = f" by {', '.join(ratings.judges)}" if ratings.judges else ""
    title = f"{title}: {ratings.counts['all']} ratings{by}, {len(unread)} not readable"
    if unread:
        title += f" (question {', '.join(unread)})"
    return Table(
        title=title,
        heading=("BiMed-MBench", "score", "ratings"),
        rows=tuple(
            (name.replace("_", " "), _cell(score), str(ratings.counts[name]))
            for name, score in ratings.scores.items()
        ),
        content={"title": title, **asdict(ratings)},
    )


def plain_table(title: str, values: Sequence[tuple[str, Interval]]) -> Table:
    """Return one column of scores."""
    return Table(
        title=title,
        heading=("score", "value"),
        rows=tuple((name, _cell(value)) for name, value in values),
        content={"title": title, **{name: asdict(value) for name, value in values}},
    )


def _named(language: Language) -> str:
    return {Language.EN: "English", Language.AR: "Arabic"}[language]
