"""What is written beside a phantom: its truth, and the conversations that a model learns from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.drafting import DraftContext
from core.report import Language
from model.phantom.case import Case, Kind, PhantomFinding, Side, Size, View, Zone, draw_case
from model.phantom.contexts import draw_context
from model.phantom.wording import Style, Wording, write
from model.prompts import IMAGE, Task, question

# Wording and context come from generators of their own: a film stays the same if they change.
_WORDING, _CONTEXT, _QUOTED, _MANNER = 1, 2, 3, 4
_PRIOR = 0.12
# Ends the id of a record that quotes the report of another phantom than the one in the picture.
FOREIGN_MARK = "-foreign"
# What a question begins with that asks for another manner than the model's own.
_MANNERS = {Style.ORGANS: "Manner: organ by organ.", Style.PLACES: "Manner: the place first."}
_ASKED = {**_MANNERS, Style.MIXED: "Manner: any."}


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What a model meets beside a phantom's own texts in one manner; shares from 0 to 1.

    Attributes:
        foreign: Of the reports to translate or to summarise, those of another phantom than the one
            in the picture: a model that could always look would never learn to keep to the text.
        manners: Of the phantoms of which all is asked once more, in another manner: the question
            names it, or the text that it quotes shows it.
        mixed: Of those, the ones in which the manner changes from sentence to sentence.
        contrary: Of the foreign ones, those that are drawn until they put one finding
            on the right and another on the left: texts in which each has to keep its own side.
    """

    foreign: float = 0.5
    manners: float = 0.0
    mixed: float = 0.0
    contrary: float = 0.0


USUAL = Mixture()
# A site's export holds a study's own reports and nothing else.
OWN_TEXTS = Mixture(foreign=0.0)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth about one phantom, as it stands in `truth.jsonl`.

    Attributes:
        file: Name of its DICOM file or picture.
        accession_number: Of its study; empty where it is a picture only.
        seed: With `index`, what it was drawn from.
    """

    file: str
    seed: int
    index: int
    case: Case
    wording: Wording
    accession_number: str = ""


def truth_of(
    seed: int,
    index: int,
    case: Case,
    file: str,
    *,
    accession_number: str = "",
    style: Style = Style.STANDARD,
) -> Truth:
    """Return the truth about a phantom, with its reference report in a style."""
    wording = write(case, np.random.default_rng([seed, index, _WORDING]), style)
    return Truth(
        file=file,
        seed=seed,
        index=index,
        case=case,
        wording=wording,
        accession_number=accession_number,
    )


def to_line(truth: Truth) -> str:
    """Return a truth as one line of JSON."""
    content = {
        "file": truth.file,
        "seed": truth.seed,
        "index": truth.index,
        "view": truth.case.view,
        "accession_number": truth.accession_number,
        "findings": findings_of(truth.case),
        "report": {lang: truth.wording.report(lang) for lang in Language},
        "summary": {lang: truth.wording.summary(lang) for lang in Language},
    }
    return json.dumps(content, ensure_ascii=False)


def from_line(line: str) -> Truth:
    """Return the truth that `to_line` wrote.

    Raises:
        ValueError, KeyError, TypeError: The line is none.
    """
    held = json.loads(line)
    report, summary = held["report"], held["summary"]
    return Truth(
        accession_number=held.get("accession_number", ""),
        file=held["file"],
        seed=held["seed"],
        index=held["index"],
        case=Case(
            findings=tuple(_read_finding(f) for f in held["findings"]), view=View(held["view"])
        ),
        wording=Wording(
            report_en=report["en"],
            report_ar=report["ar"],
            summary_en=summary["en"],
            summary_ar=summary["ar"],
        ),
    )


def findings_of(case: Case) -> list[dict[str, str]]:
    """Return a case's findings as plain data."""
    return [_finding(finding) for finding in case.findings]


def _finding(finding: PhantomFinding) -> dict[str, str]:
    held = {
        "kind": finding.kind,
        "side": finding.side,
        "zone": finding.zone,
        "size": finding.size,
    }
    return {name: str(value) for name, value in held.items() if value is not None}


def _read_finding(held: dict[str, str]) -> PhantomFinding:
    return PhantomFinding(
        kind=Kind(held["kind"]),
        side=Side(held["side"]) if "side" in held else None,
        zone=Zone(held["zone"]) if "zone" in held else None,
        size=Size(held["size"]) if "size" in held else None,
    )


def context_of(truth: Truth) -> DraftContext:
    """Return a context such as the study might bring."""
    rng = np.random.default_rng([truth.seed, truth.index, _CONTEXT])
    drawn = draw_context(rng)
    prior = ""
    if rng.random() < _PRIOR:
        # Of a case of its own: what was seen then tells nothing of what is seen now.
        report = write(draw_case(rng), rng).report_en
        prior = report.partition("IMPRESSION:\n")[2]
    view = str(truth.case.view) if drawn.view else ""
    return replace(drawn, view=view, prior_impression=prior)


def conversations_of(
    truth: Truth, style: Style = Style.STANDARD, *, mixture: Mixture = USUAL
) -> list[dict[str, Any]]:
    """Return what a model is to say of a phantom: one record for each of the drafter's tasks.

    The Arabic report is asked for twice: from the English one, and straight from the picture.

    Args:
        truth: Of the phantom.
        style: Manner of the reports; it is not asked for.
        mixture: What comes beside it.
    """
    rng = np.random.default_rng([truth.seed, truth.index, _QUOTED])
    records = _records(truth, style, rng, mixture)
    rng = np.random.default_rng([truth.seed, truth.index, _MANNER])
    if rng.random() < mixture.manners:
        other = list(_MANNERS)[int(rng.integers(len(_MANNERS)))]
        if mixture.mixed and rng.random() < mixture.mixed:
            other = Style.MIXED
        records += _records(truth, other, rng, mixture)
    return records


def _foreign_case(rng: np.random.Generator, contrary: float) -> Case:
    """Return another phantom's case; a share of them with findings on opposite sides."""
    is_contrary = bool(contrary) and rng.random() < contrary
    while True:
        case = draw_case(rng)
        sides = [case.sides(kind) for kind in case.kinds]
        if not is_contrary or all({side.value} in sides for side in Side):
            return case


def _records(
    truth: Truth, style: Style, rng: np.random.Generator, mixture: Mixture
) -> list[dict[str, Any]]:
    context, manner = context_of(truth), _ASKED.get(style, "")
    wording = write(truth.case, rng, style) if manner else truth.wording
    tasks: list[tuple[str, Task, str | None, str]] = [
        ("report_en", Task.REPORT_EN, None, wording.report_en),
        ("seen_ar", Task.REPORT_AR, None, wording.report_ar),
    ]
    for task in (Task.REPORT_AR, Task.SUMMARY_EN, Task.SUMMARY_AR):
        is_foreign = rng.random() < mixture.foreign
        told = write(_foreign_case(rng, mixture.contrary), rng, style) if is_foreign else wording
        source, answer = {
            Task.REPORT_AR: (told.report_en, told.report_ar),
            Task.SUMMARY_EN: (told.report_en, told.summary_en),
            Task.SUMMARY_AR: (told.report_ar, told.summary_ar),
        }[task]
        tasks.append((f"{task}{FOREIGN_MARK * is_foreign}", task, source, answer))
    records = []
    for name, task, quoted, said in tasks:
        # A text to work from shows its manner itself.
        asked = "\n".join(filter(None, ("" if quoted else manner, question(task, context, quoted))))
        records.append(_record(truth, f"{style}-{name}" if manner else name, asked, said))
    return records


def _record(truth: Truth, name: str, asked: str, answer: str) -> dict[str, Any]:
    return {
        "id": f"{truth.seed}-{truth.index}-{name}",
        "image": truth.file,
        "language": name.removesuffix(FOREIGN_MARK)[-2:],
        "conversations": [
            {"from": "human", "value": f"{IMAGE}\n{asked}"},
            {"from": "gpt", "value": answer},
        ],
    }
