"""Measures the demonstration model as a site would run it: saved, loaded, drafted, checked."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from core.drafting import DraftContext, DraftRequest, ModelImage
from core.report import FrameReference, Language, Report, SectionKind
from model.demo.dataset import phantom
from model.demo.phantoms import Phantom
from model.demo.wording import Case, Pattern
from model.drafter import ModelDrafter, open_drafter
from model.statements import read_statements

log = logging.getLogger(__name__)

_FINDINGS = {
    "pleural_effusion": Pattern.EFFUSION,
    "nodule": Pattern.NODULE,
    "consolidation": Pattern.CONSOLIDATION,
    "enlargement": Pattern.CARDIOMEGALY,
    "pneumothorax": Pattern.PNEUMOTHORAX,
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured on fresh phantoms.

    Attributes:
        unblocked: Drafts that no check blocks.
        right_pattern: Drafts whose English findings name the phantom's pattern and no other.
        sided: Phantoms whose pattern has a side.
        right_side: Of those, drafts with the right pattern on the right side.
    """

    drafts: int
    unblocked: int
    right_pattern: int
    sided: int
    right_side: int
    seconds_per_draft: float
    blocked_by: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        blocked = ", ".join(f"{code} {count}" for code, count in self.blocked_by) or "none"
        return (
            f"{self.unblocked} of {self.drafts} drafts pass every blocking check "
            f"(blocked by: {blocked}); pattern right in {self.right_pattern} of {self.drafts}; "
            f"side right in {self.right_side} of {self.sided} phantoms that have one; "
            f"{self.seconds_per_draft:.1f} s a draft"
        )


def as_image(made: Phantom) -> ModelImage:
    """Return a phantom as the drafter takes pictures."""
    frame = FrameReference(
        series_uid="2.25.1", sop_class_uid="1.2.840.10008.5.1.4.1.1.1", sop_instance_uid="2.25.2"
    )
    return ModelImage(pixels=made.pixels, frame=frame, is_orientation_known=True)


def case_of(report: Report) -> tuple[set[Pattern], set[str]]:
    """Return the patterns and sides that a report's English findings affirm."""
    text = report.narrative(Language.EN).text_of(SectionKind.FINDINGS)
    said = read_statements(text, Language.EN)
    affirmed = {name for name, polarity in said.polarities.items() if True in polarity}
    patterns = {_FINDINGS[name] for name in affirmed & _FINDINGS.keys()}
    sides = set().union(*said.sides.values())
    many = {"nodules"} & {word.lower() for word in said.words_of.get("nodule", set())}
    if many:
        patterns = patterns - {Pattern.NODULE} | {Pattern.NODULES}
    return patterns or {Pattern.NORMAL}, sides


def _is_right_side(case: Case, sides: set[str]) -> bool:
    return case.side is not None and sides == {case.side.value}


def evaluate(drafter: ModelDrafter, count: int, seed: int) -> Figures:
    """Return the figures over `count` phantoms that training never saw (another seed)."""
    tally: Counter[str] = Counter()
    blocked_by: Counter[str] = Counter()
    started = time.monotonic()
    for index in range(count):
        made = phantom(seed, index)
        context = DraftContext(modality="CR", body_part="CHEST", view="PA")
        report = drafter.draft(DraftRequest(images=(as_image(made),), context=context))
        patterns, sides = case_of(report)
        is_right = patterns == {made.case.pattern}
        tally["unblocked"] += not report.blocking
        tally["pattern"] += is_right
        tally["sided"] += made.case.side is not None
        tally["side"] += is_right and _is_right_side(made.case, sides)
        blocked_by.update({finding.code for finding in report.blocking})
        if (index + 1) % 10 == 0:
            log.info("evaluated %d of %d: %s", index + 1, count, dict(tally))
    return Figures(
        drafts=count,
        unblocked=tally["unblocked"],
        right_pattern=tally["pattern"],
        sided=tally["sided"],
        right_side=tally["side"],
        seconds_per_draft=(time.monotonic() - started) / count,
        blocked_by=tuple(sorted(blocked_by.items())),
    )


def evaluate_folder(folder: Path, count: int, seed: int) -> Figures:
    """Return the figures of a saved checkpoint, on the CPU."""
    return evaluate(open_drafter(folder, device="cpu"), count, seed)
