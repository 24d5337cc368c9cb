"""Measures the demonstration model as a site would run it: saved, loaded, drafted, checked."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.drafting import DraftContext, DraftRequest, ModelImage
from core.report import FrameReference, Language, Report, SectionKind
from model.demo.contexts import draw_context
from model.demo.dataset import phantom
from model.demo.phantoms import Phantom
from model.demo.wording import Case, recognise
from model.drafter import ModelDrafter, open_drafter

log = logging.getLogger(__name__)

_CONTEXT_SEED = 5_501


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured on fresh phantoms.

    Attributes:
        unblocked: Drafts that no check blocks.
        right_pattern: Drafts whose English findings open with a sentence of the phantom's pattern.
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


def case_of(report: Report) -> Case | None:
    """Return the case that a report's English findings describe, None where they describe none."""
    return recognise(report.narrative(Language.EN).text_of(SectionKind.FINDINGS))


def _has_same_side(truth: Case, said: Case) -> bool:
    return truth.side is not None and said.side is truth.side


def plain_context(_index: int) -> DraftContext:
    """Return the context of a study without an order."""
    return DraftContext(modality="CR", body_part="CHEST", view="PA")


def odd_context(index: int) -> DraftContext:
    """Return a context with parts absent and, often, an indication that means nothing."""
    return draw_context(np.random.default_rng([_CONTEXT_SEED, index]))


def evaluate(
    drafter: ModelDrafter,
    count: int,
    seed: int,
    context_of: Callable[[int], DraftContext] = plain_context,
) -> Figures:
    """Return the figures over `count` phantoms that training never saw (another seed)."""
    tally: Counter[str] = Counter()
    blocked_by: Counter[str] = Counter()
    started = time.monotonic()
    for index in range(count):
        made = phantom(seed, index)
        request = DraftRequest(images=(as_image(made),), context=context_of(index))
        report = drafter.draft(request)
        said = case_of(report)
        is_right = said is not None and said.pattern is made.case.pattern
        tally["unblocked"] += not report.blocking
        tally["pattern"] += is_right
        tally["sided"] += made.case.side is not None
        tally["side"] += is_right and said is not None and _has_same_side(made.case, said)
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


def evaluate_folder(folder: Path, count: int, seed: int) -> tuple[Figures, Figures]:
    """Return the figures of a saved checkpoint on the CPU: plain contexts, then odd ones."""
    drafter = open_drafter(folder, device="cpu")
    return evaluate(drafter, count, seed), evaluate(drafter, count, seed, odd_context)
