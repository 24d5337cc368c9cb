"""The reference reports of a phantom: findings, impression and summary, in English and Arabic.

The sentences stand in `phrases_standard.yaml`; those of another hospital, whose manner a site's
adapter is to take over, in `phrases_site.yaml`; and two more manners, so that the model has met
others than its own, beside them. Which sentences are used, in which order the organs come, which
denials and hedges stand beside the findings, is drawn anew for each report; both languages say the
same, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from core.report import Language
from model.phantom.case import LABELS, Case, Kind, PhantomFinding, Side, Size, Zone

_EN, _AR = 0, 1

Pair = tuple[str, str]
Phrases = dict[str, Any]

_ORGANS: dict[str, tuple[Kind, ...]] = {
    "devices": (Kind.TUBE, Kind.PACEMAKER),
    "lungs": (Kind.CONSOLIDATION, Kind.NODULE, Kind.MASS, Kind.OEDEMA),
    "pleura": (Kind.EFFUSION, Kind.PNEUMOTHORAX),
    "heart": (Kind.CARDIOMEGALY,),
    "hiatus": (Kind.HERNIA,),
    "bones": (Kind.FRACTURE,),
}
# The ways in which readers go over a chest film.
_ORDERS = (
    ("devices", "lungs", "pleura", "heart", "hiatus", "bones"),
    ("devices", "heart", "hiatus", "lungs", "pleura", "bones"),
    ("lungs", "pleura", "heart", "hiatus", "bones", "devices"),
)
_ORDER_SHARES = (0.6, 0.2, 0.2)
_SIDES = {
    Side.RIGHT: {"s": "right", "S": "Right", "m": "أيمن", "f": "اليمنى"},
    Side.LEFT: {"s": "left", "S": "Left", "m": "أيسر", "f": "اليسرى"},
}
_ZONES = {
    Zone.UPPER: {"z": "upper", "zf": "العليا"},
    Zone.MIDDLE: {"z": "middle", "zf": "الوسطى"},
    Zone.LOWER: {"z": "lower", "zf": "السفلى"},
}
_SIZES = {
    Size.SMALL: {"size": "small", "Size": "Small", "sizem": "صغير"},
    Size.LARGE: {"size": "large", "Size": "Large", "sizem": "كبير"},
}
_BONES_SPOKEN_OF = 0.8
_ADVISED = 0.25
_SENTENCES = ("findings", "bilateral", "normal", "absent", "names", "bilateral_names", "nothing")


class Style(StrEnum):
    """In which manner a report is written: the demonstration's own, or another.

    `ORGANS` and `PLACES` the demonstration's model writes where a question asks for them; in
    `MIXED`, its own and theirs change from sentence to sentence; `SITE` it has never seen.
    """

    STANDARD = "standard"
    ORGANS = "organs"
    PLACES = "places"
    MIXED = "mixed"
    SITE = "site"


_PARTS = (Style.STANDARD, Style.ORGANS, Style.PLACES)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The texts of one phantom, as a model is to write them."""

    report_en: str
    report_ar: str
    summary_en: str
    summary_ar: str

    def report(self, language: Language) -> str:
        """Return the report in a language."""
        return self.report_en if language is Language.EN else self.report_ar

    def summary(self, language: Language) -> str:
        """Return the summary in a language."""
        return self.summary_en if language is Language.EN else self.summary_ar


@cache
def _phrases(style: Style) -> Phrases:
    if style is Style.MIXED:
        return _mixed([_phrases(part) for part in _PARTS])
    file = Path(__file__).with_name(f"phrases_{style}.yaml")
    content: Phrases = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def _mixed(parts: list[Phrases]) -> Phrases:
    """Return all sentences of some manners, in the form of the first."""
    return {
        **parts[0],
        "advice": [pair for part in parts for pair in part["advice"]],
        **{
            table: {
                key: [pair for part in parts for pair in part[table].get(key, ())]
                for key in dict.fromkeys(key for part in parts for key in part[table])
            }
            for table in _SENTENCES
        },
    }


def write(case: Case, rng: np.random.Generator, style: Style = Style.STANDARD) -> Wording:
    """Return report and summary of a case in both languages, the wording drawn from `rng`."""
    phrases = _phrases(style)
    if style is Style.MIXED:
        form = _phrases(_PARTS[int(rng.integers(len(_PARTS)))])
        phrases = {**phrases, "headings": form["headings"], "summary": form["summary"]}
    order = _ORDERS[int(rng.choice(len(_ORDERS), p=_ORDER_SHARES))]
    lines = [line for organ in order for line in _organ(organ, case, phrases, rng)]
    names = [_name(kind, case, phrases, rng) for organ in order for kind in _shown(organ, case)]
    impression = _impression(names, case, phrases, rng)
    findings, closing = (
        tuple(" ".join(line[language] for line in section) for language in (_EN, _AR))
        for section in (lines, impression)
    )
    report_en, report_ar = (
        f"{phrases['headings']['findings'][language]}\n{findings[language]}\n\n"
        f"{phrases['headings']['impression'][language]}\n{closing[language]}"
        for language in (_EN, _AR)
    )
    summary = _summary(names, phrases, rng)
    return Wording(
        report_en=report_en,
        report_ar=report_ar,
        summary_en=summary[_EN],
        summary_ar=summary[_AR],
    )


def _shown(organ: str, case: Case) -> list[Kind]:
    return [kind for kind in _ORGANS[organ] if kind in case.kinds]


def _organ(organ: str, case: Case, phrases: Phrases, rng: np.random.Generator) -> list[Pair]:
    """Return what is said of one organ."""
    shown = _shown(organ, case)
    if not shown:
        is_left_out = organ == "bones" and rng.random() >= _BONES_SPOKEN_OF
        normal = phrases["normal"].get(organ, ())
        return [_drawn(normal, rng)] if normal and not is_left_out else []
    lines = [_finding(case.of(kind), phrases, "findings", "bilateral", rng) for kind in shown]
    lines += [
        _drawn(phrases["absent"][kind], rng)
        for kind in _ORGANS[organ]
        if kind not in shown and kind in phrases["absent"]
    ]
    return lines


def _finding(
    found: tuple[PhantomFinding, ...],
    phrases: Phrases,
    table: str,
    both: str,
    rng: np.random.Generator,
) -> Pair:
    kind = found[0].kind
    if len(found) > 1:
        return _drawn(phrases[both][kind], rng)
    return _filled(_drawn(phrases[table][kind], rng), found[0])


def _name(kind: Kind, case: Case, phrases: Phrases, rng: np.random.Generator) -> Pair:
    return _finding(case.of(kind), phrases, "names", "bilateral_names", rng)


def _impression(
    names: list[Pair], case: Case, phrases: Phrases, rng: np.random.Generator
) -> list[Pair]:
    if not names:
        return [_drawn(phrases["nothing"]["impression"], rng)]
    lines = [(f"{english[0].upper()}{english[1:]}.", f"{arabic}.") for english, arabic in names]
    if case.kinds & {Kind.NODULE, Kind.MASS} and rng.random() < _ADVISED:
        lines.append(_drawn(phrases["advice"], rng))
    return lines


def _summary(names: list[Pair], phrases: Phrases, rng: np.random.Generator) -> Pair:
    if not names:
        return _drawn(phrases["nothing"]["summary"], rng)
    english, arabic = phrases["summary"]
    return (
        english.replace("{list}", "; ".join(name[_EN] for name in names)),
        arabic.replace("{list}", "؛ ".join(name[_AR] for name in names)),
    )


def _drawn(pairs: Any, rng: np.random.Generator) -> Pair:
    english, arabic = pairs[int(rng.integers(len(pairs)))]
    return english, arabic


def _filled(pair: Pair, finding: PhantomFinding) -> Pair:
    words = {
        **(_SIDES[finding.side] if finding.side else {}),
        **(_ZONES[finding.zone] if finding.zone else {}),
        **(_SIZES[finding.size] if finding.size else {}),
    }
    return pair[_EN].format(**words), pair[_AR].format(**words)


def sentences(style: Style = Style.STANDARD) -> list[str]:
    """Return every sentence that can be written, each once: what a tokenizer is trained on."""
    phrases = _phrases(style)
    plain = [
        *(pair for pairs in phrases["normal"].values() for pair in pairs),
        *(pair for pairs in phrases["nothing"].values() for pair in pairs),
        *(pair for table in ("absent", "bilateral", "bilateral_names") for pairs in
          phrases[table].values() for pair in pairs),
        *phrases["advice"],
        phrases["summary"],
    ]  # fmt: skip
    texts = {text for pair in plain for text in pair}
    for label in LABELS:
        for size in Size:
            finding = PhantomFinding(kind=label.kind, side=label.side, zone=label.zone, size=size)
            for table in ("findings", "names"):
                for pair in phrases[table][label.kind]:
                    texts.update(_filled(tuple(pair), finding))
    return sorted(texts)
