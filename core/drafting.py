"""What passes between the pipeline and a model: pictures and plain metadata in, a report out.

The model never sees a DICOM data set, a name or a number that identifies anybody: `DraftContext` is
the whole allow-list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.report import (
    ArabicSource,
    Decoding,
    Finding,
    FrameReference,
    Language,
    ModelVersion,
    Report,
    Severity,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelImage:
    """One picture as a radiologist would see it, in display orientation.

    Attributes:
        pixels: Array (H, W, 3), uint8; the patient's right is on the left of the picture.
        frame: Where it came from, why it was chosen and how it was turned.
        is_orientation_known: False where the object says nothing of its orientation, so that left
            and right in the picture mean nothing.
    """

    pixels: NDArray[np.uint8]  # (H, W, 3)
    frame: FrameReference
    is_orientation_known: bool


@dataclass(frozen=True, kw_only=True)
class DraftContext:
    """All that a model is told about a study besides its pictures.

    Attributes:
        modality: DICOM modality, e.g. ``CR``.
        body_part: Body Part Examined, e.g. ``CHEST``; empty where absent.
        view: View Position, e.g. ``PA``; empty where absent.
        sex: ``M``, ``F``, ``O`` or empty.
        age_band: Decade such as ``60-69``, ``90+``; empty where unknown.
        indication: Why the study was made, as the order says it; empty where unknown.
        prior_impression: The impression of the patient's newest earlier report that somebody
            signed; empty where there is none.

    The last two are free text: whoever drafts takes out what names a patient (`core.cleaning`).
    """

    modality: str = ""
    body_part: str = ""
    view: str = ""
    sex: str = ""
    age_band: str = ""
    indication: str = field(default="", repr=False)
    prior_impression: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class DraftRequest:
    """One study to draft for.

    Attributes:
        severities: Severity by check code, where a site or a sender set another than its own.
        max_new_tokens: Longest text of one task, where a rule set another than the model's own.
        adapter: Name of the adapter that writes, where a rule named one.
        is_urgent: It overtakes what is not.
        cancelled: Once it is set nobody waits for the draft any more.
        arabic: What the Arabic report is made from.
        laterality: ``R`` or ``L`` where every picture is of that side; for the checks.
        has_prior: The model was told of an earlier study; None where nobody knows. For the checks.
        identifiers: Names, numbers and dates of the patient: taken out of what the model is told,
            looked for in what it wrote, and never given to it.
    """

    images: tuple[ModelImage, ...]
    context: DraftContext
    languages: tuple[Language, ...] = (Language.EN, Language.AR)
    severities: tuple[tuple[str, Severity], ...] = ()
    max_new_tokens: int | None = None
    adapter: str = ""
    is_urgent: bool = False
    cancelled: Event | None = None
    arabic: ArabicSource = ArabicSource.TRANSLATE
    laterality: str = ""
    has_prior: bool | None = None
    identifiers: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class AskRequest:
    """A question about a study.

    Attributes:
        question: What a person wants to know; what names the patient is taken out of it.
        history: Earlier turns, question as it was asked and answer each, oldest first.
        severities: As in `DraftRequest`; so are `adapter`, `laterality` and `identifiers`.
    """

    images: tuple[ModelImage, ...]
    context: DraftContext
    question: str = field(repr=False)
    language: Language
    history: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    severities: tuple[tuple[str, Severity], ...] = ()
    max_new_tokens: int | None = None
    adapter: str = ""
    laterality: str = ""
    identifiers: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model answered: a draft as any other, not verified by anybody.

    Attributes:
        question: The question as the model was asked it.
        findings: Of the checks; one that blocks keeps the answer from being shown.
        reasons: What was left out of the prompt, in sentences.
    """

    question: str
    text: str
    language: Language
    model: ModelVersion
    decoding: Decoding
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def is_withheld(self) -> bool:
        """A check says that it is not fit to be shown."""
        return any(finding.severity is Severity.BLOCK for finding in self.findings)


class Drafter(Protocol):
    """Writes a report from pictures; `model.drafter` is the real one."""

    @property
    def version(self) -> ModelVersion:
        """Which model writes."""
        ...

    def draft(
        self, request: DraftRequest, on_step: Callable[[str], None] = lambda _step: None
    ) -> Report:
        """Write and check a report; the findings of the checks stand in `Report.findings`.

        Args:
            request: Pictures and context.
            on_step: Called with the name of each step as it begins, for progress and for stopping:
                what it raises ends the draft.

        Raises:
            TransientError: Another try may succeed (a remote engine that is away).
            MemoryExhaustedError: Fewer pictures may do.
            DraftCancelledError: `request.cancelled` was set.
            PermanentError: Another try will not succeed.
        """
        ...

    def answer(self, request: AskRequest) -> Answer:
        """Answer a question about pictures and check the answer.

        Raises:
            TransientError, PermanentError: As `draft`.
        """
        ...
