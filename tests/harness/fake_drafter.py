"""A drafter without a model: it writes what a test told it to, or fails as told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.drafting import Answer, AskRequest, DraftRequest
from core.report import (
    Decoding,
    Finding,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Report,
    Section,
    SectionKind,
    Severity,
)

VERSION = ModelVersion(name="Fake-Drafter", revision="0123456789ab", is_demonstration=True)
_TEXTS = {
    Language.EN: ("The lungs are clear.\nNo pneumothorax.", "Normal chest.", "A normal film."),
    Language.AR: ("الرئتان صافيتان.\nلا يوجد استرواح صدري.", "صدر طبيعي.", "صورة طبيعية."),
}
_KINDS = (SectionKind.FINDINGS, SectionKind.IMPRESSION, SectionKind.SUMMARY)


def a_report(
    *,
    frames: tuple[FrameReference, ...] = (),
    findings: tuple[Finding, ...] = (),
    languages: tuple[Language, ...] = (Language.EN, Language.AR),
) -> Report:
    """Return a small report in some languages."""
    return Report(
        narratives=tuple(
            Narrative(
                language=language,
                sections=tuple(
                    Section(kind=kind, text=text)
                    for kind, text in zip(_KINDS, _TEXTS[language], strict=True)
                ),
            )
            for language in languages
        ),
        model=VERSION,
        frames=frames,
        findings=findings,
    )


def a_finding(code: str = "SIDE_MISMATCH", severity: Severity = Severity.BLOCK) -> Finding:
    """Return what a check might say."""
    return Finding(code=code, severity=severity, message=f"{code}: the two languages disagree.")


class FakeDrafter:
    """Implements `core.drafting.Drafter`.

    `script` is worked off a draft at a time: an exception is raised, a tuple of findings stands in
    the report. When it is used up, drafts are without findings. `during` runs in the middle of
    every draft.
    """

    version = VERSION

    def __init__(self) -> None:
        self.requests: list[DraftRequest] = []
        self.questions: list[AskRequest] = []
        self.script: deque[Exception | tuple[Finding, ...]] = deque()
        self.during: Callable[[], None] = lambda: None

    def draft(
        self, request: DraftRequest, on_step: Callable[[str], None] = lambda _step: None
    ) -> Report:
        self.requests.append(request)
        on_step("report_en")
        step = self.script.popleft() if self.script else ()
        self.during()
        on_step("report_ar")
        if isinstance(step, Exception):
            raise step
        frames = tuple(image.frame for image in request.images)
        return a_report(frames=frames, findings=step, languages=request.languages)

    def answer(self, request: AskRequest) -> Answer:
        """Answer that this is the n-th question; `script` gives findings as for a draft."""
        self.questions.append(request)
        step = self.script.popleft() if self.script else ()
        if isinstance(step, Exception):
            raise step
        return Answer(
            question=request.question,
            text=f"Answer {len(self.questions)}.",
            language=request.language,
            model=VERSION,
            decoding=Decoding(prompts_version="1", max_new_tokens=request.max_new_tokens),
            findings=step,
        )
