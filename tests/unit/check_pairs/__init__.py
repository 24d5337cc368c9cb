"""English and Arabic reports against one another, in the wording of radiologists.

The texts go through the whole drafter, parsing included; only the engine is a scripted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.drafting import DraftContext, DraftRequest, ModelImage
from core.report import FrameReference, ModelVersion, Report, Severity
from model.drafter import ModelDrafter
from model.generation import Completion, GenerationRequest

NEUTRAL_EN = "Clinical correlation is advised."
NEUTRAL_AR = "يُنصح بالربط مع المعطيات السريرية."


@dataclass
class ScriptedEngine:
    """Answers the four questions of a draft, in their order, with texts given beforehand."""

    texts: Sequence[str]
    cut_off: int | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def version(self) -> ModelVersion:
        return ModelVersion(name="scripted", revision="000000000000", is_demonstration=True)

    def version_of(self, adapter: str) -> ModelVersion:
        del adapter
        return self.version

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        future: Future[Completion] = Future()
        future.set_result(self.generate(request.question, request.images))
        return future

    def generate(
        self, question_text: str, images: Sequence[ModelImage], *_: object, **__: object
    ) -> Completion:
        assert images
        index = len(self.asked)
        self.asked.append(question_text)
        return Completion(
            text=self.texts[index], is_complete=index != self.cut_off, token_count=len(self.texts)
        )


def image(*, is_orientation_known: bool = True) -> ModelImage:
    frame = FrameReference(series_uid="1.2.3", sop_class_uid="1.2.4", sop_instance_uid="1.2.5")
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    return ModelImage(pixels=pixels, frame=frame, is_orientation_known=is_orientation_known)


def draft(
    texts: Sequence[str], *, is_orientation_known: bool = True, cut_off: int | None = None
) -> Report:
    engine: Any = ScriptedEngine(texts, cut_off)
    images = (image(is_orientation_known=is_orientation_known),)
    drafter = ModelDrafter(engine, attempts=1)
    # A fault of a summary alone is to be seen here, not to be left out with it.
    severities = (("SUMMARY_LEFT_OUT", Severity.BLOCK),)
    report = drafter.draft(
        DraftRequest(images=images, context=DraftContext(), severities=severities)
    )
    assert len(engine.asked) == len(texts)
    return report


def english(findings: str, impression: str = NEUTRAL_EN) -> str:
    return f"FINDINGS:\n{findings}\n\nIMPRESSION:\n{impression}"


def arabic(findings: str, impression: str = NEUTRAL_AR) -> str:
    return f"النتائج:\n{findings}\n\nالانطباع:\n{impression}"


def compare(in_english: str, in_arabic: str) -> Report:
    """Draft a report whose findings are these, all else being the same in both languages."""
    return draft([english(in_english), arabic(in_arabic), NEUTRAL_EN, NEUTRAL_AR])


def blocking(report: Report) -> set[str]:
    return {finding.code for finding in report.blocking}


# Findings, impression and summary of one language.
Texts = tuple[str, str, str]


def draft_sections(in_english: Texts, in_arabic: Texts) -> Report:
    return draft([english(*in_english[:2]), arabic(*in_arabic[:2]), in_english[2], in_arabic[2]])
