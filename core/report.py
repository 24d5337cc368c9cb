"""A report as the domain knows it: no DICOM, no HL7, no model, only the standard library.

A `Report` holds one `Narrative` a language, each a row of `Section`s of plain text. How finished it
is stands in one place, `Report.status`, and for one language in `Report.status_of`; everything a
peer can see of that (SR flags, OBR-25, the notice in both languages) comes from `standing()`, so
that a draft can never look like a report.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.report_status import Language, ReportStatus, Standing, standing
from core.signatures import Addendum, Signature, spoken_name
from core.study_header import Patient, PriorStudy, RequestReference, StudyHeader

__all__ = [
    "Addendum",
    "Finding",
    "FrameReference",
    "Language",
    "ModelVersion",
    "Narrative",
    "Patient",
    "PriorStudy",
    "Report",
    "ReportStatus",
    "RequestReference",
    "Section",
    "SectionKind",
    "Severity",
    "Signature",
    "Standing",
    "StudyHeader",
    "from_json",
    "notices",
    "spoken_name",
    "standing",
    "to_json",
]


class ArabicSource(StrEnum):
    """What the Arabic report is made from; the pictures are in view either way."""

    TRANSLATE = "translate"
    FROM_IMAGE = "from_image"


class SectionKind(StrEnum):
    """Sections of a narrative, in the order in which they are read."""

    HISTORY = "history"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    RECOMMENDATIONS = "recommendations"
    SUMMARY = "summary"


class Severity(StrEnum):
    """What a check's finding does to a draft."""

    NOTE = "note"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of a narrative: plain text, lines parted by a line feed."""

    kind: SectionKind
    text: str


@dataclass(frozen=True, kw_only=True)
class Narrative:
    """The report in one language."""

    language: Language
    sections: tuple[Section, ...]

    def text_of(self, kind: SectionKind) -> str:
        """Return the text of a section, empty where the narrative has none."""
        return next((s.text for s in self.sections if s.kind is kind), "")


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """Which model wrote a draft.

    Attributes:
        name: As a person would call it, e.g. ``BiMediX2-8B-Bi``.
        revision: First 12 hexadecimal digits of the digest over the checkpoint's files.
        is_demonstration: The checkpoint was made to show the path; its text means nothing.
    """

    name: str
    revision: str
    is_demonstration: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.revision}"


@dataclass(frozen=True, kw_only=True)
class FrameReference:
    """A frame that the model saw, and why.

    Attributes:
        frame_number: 1-based, as DICOM counts; 1 for single-frame objects.
        transform: What brought the stored frame to display orientation, e.g. ``identity``.
        reason: Why this frame was chosen, in words for a person.
        window: Name of the window that it was shown through; empty for the object's own.
    """

    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int = 1
    transform: str = "identity"
    reason: str = ""
    window: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a check noticed.

    Attributes:
        code: Stable name such as ``SIDE_MISMATCH``.
        message: A sentence for a person; quotes at most the words it points to.
        language: Narrative that it is about; None where it is about several.
    """

    code: str
    severity: Severity
    message: str
    language: Language | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SentenceConfidence:
    """How sure the model was of a sentence that it wrote: a measure of its words, not of truth.

    Attributes:
        language: Narrative that the sentence stands in.
        section: Section of that narrative.
        start: Where it begins in the section's text, in characters.
        end: Where it ends.
        mean: Geometric mean of its tokens' probabilities, 0 to 1.
        lowest: Probability of the token that the model was least sure of, 0 to 1.
    """

    language: Language
    section: SectionKind
    start: int
    end: int
    mean: float
    lowest: float


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the texts came out of the model, so that the same draft can be made again.

    Attributes:
        prompts_version: Version of the questions that were asked.
        max_new_tokens: Longest text of one task; None where the engine's own limit held.
        arabic: What the Arabic report was made from (`ArabicSource`).
        is_greedy: The most likely token was taken each time; nothing was drawn. A text that was
            asked for again is drawn, the n-th time with seed n - 1.
        seed: Of what is drawn all the same.
    """

    prompts_version: str
    max_new_tokens: int | None
    arabic: str = ""
    is_greedy: bool = True
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report in one or more languages, with what is needed to trace it.

    Attributes:
        confidences: Of the sentences of all narratives; empty where the model does not tell.
        decoding: How it was written; None in drafts of earlier releases.
        reasons: What was done otherwise than asked, in sentences: a prompt that was shortened.
        signature: Who signed the text as it stands here; of every final report, and of no other.
        addenda: What was added since, oldest first.
        withdrawn: Languages of a final report whose draft no longer fits the signed text.

    Raises:
        ValueError: Status, signature and narratives contradict each other.
    """

    narratives: tuple[Narrative, ...]
    model: ModelVersion
    status: ReportStatus = ReportStatus.DRAFT
    frames: tuple[FrameReference, ...] = ()
    findings: tuple[Finding, ...] = ()
    confidences: tuple[SentenceConfidence, ...] = ()
    decoding: Decoding | None = None
    reasons: tuple[str, ...] = ()
    signature: Signature | None = None
    addenda: tuple[Addendum, ...] = ()
    withdrawn: tuple[Language, ...] = ()

    def __post_init__(self) -> None:
        is_final = standing(self.status).is_final
        if is_final != (self.signature is not None):
            raise ValueError("a final report has a signature, and no other has")
        if (self.addenda or self.withdrawn) and not is_final:
            raise ValueError("only to a final report something can be added")
        if (self.status is ReportStatus.ADDENDED) and not self.addenda:
            raise ValueError("an addended report needs an addendum")
        signed = set(self.signature.languages) if self.signature else set()
        if not signed <= {n.language for n in self.narratives}:
            raise ValueError("a language was signed that the report does not have")
        if signed & set(self.withdrawn):
            raise ValueError("a signed text cannot be a withdrawn draft")

    def status_of(self, language: Language) -> ReportStatus:
        """Return how finished one language is; never final unless that language was signed."""
        if language in self.withdrawn:
            return ReportStatus.WITHDRAWN
        if self.signature is not None and language not in self.signature.languages:
            return ReportStatus.DRAFT
        return self.status

    @property
    def languages_in_status(self) -> tuple[Language, ...]:
        """The languages that are as finished as the report says it is, in their order."""
        languages = (narrative.language for narrative in self.narratives)
        return tuple(one for one in languages if self.status_of(one) is self.status)

    def narrative(self, language: Language) -> Narrative:
        """Return the narrative in a language.

        Raises:
            KeyError: The report has none in that language.
        """
        for narrative in self.narratives:
            if narrative.language is language:
                return narrative
        raise KeyError(language)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that keep this report from being sent."""
        return tuple(f for f in self.findings if f.severity is Severity.BLOCK)


def notices(report: Report, language: Language) -> tuple[str, ...]:
    """Return the sentences that every rendering of a report must carry, in a language.

    The standing comes first, then who wrote and who signed it, then what the reader must know of
    the other language, then (of a demonstration checkpoint) that the text has no clinical meaning.
    """
    told = standing(report.status_of(language))
    lines = [told.notices[language], _authorship(report, language)]
    if report.signature is not None:
        if not told.is_final:
            lines.append(_UNSIGNED[language])
        lines += [_added(addendum, language) for addendum in report.addenda]
    if report.model.is_demonstration:
        lines.append(_DEMONSTRATION[language])
    return tuple(lines)


_UNSIGNED = {
    Language.EN: "This text was not signed; the report was signed in another language.",
    Language.AR: "هذا النص لم يوقع؛ تم توقيع التقرير بلغة أخرى.",
}
_DEMONSTRATION = {
    Language.EN: "DEMONSTRATION MODEL: this text has no clinical meaning.",
    Language.AR: "نموذج للعرض فقط: هذا النص بلا أي معنى سريري.",
}


def _authorship(report: Report, language: Language) -> str:
    signature = report.signature
    if signature is None or language not in signature.languages:
        english, arabic = f"Written by {report.model}.", f"كتبها النموذج {report.model}."
    else:
        reader = spoken_name(signature.reader_name, language)
        model = f"{report.model.name}, {report.model.revision}"
        english = f"Prepared with AI assistance ({model}); reviewed and signed by {reader}."
        arabic = f"أعد بمساعدة الذكاء الاصطناعي ({model})؛ راجعه ووقعه {reader}."
    return arabic if language is Language.AR else english


def _added(addendum: Addendum, language: Language) -> str:
    reader = spoken_name(addendum.signature.reader_name, language)
    if addendum.text_in(language):
        english, arabic = f"Addendum signed by {reader}.", f"ملحق وقعه {reader}."
    else:
        english = f"{reader} signed an addendum in another language."
        arabic = f"وقع {reader} ملحقا بلغة أخرى."
    return arabic if language is Language.AR else english


def to_json(report: Report) -> str:
    """Return a report as JSON text, Arabic letters as they are."""
    return json.dumps(asdict(report), ensure_ascii=False, sort_keys=True, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def from_json(text: str) -> Report:
    """Return the report that `to_json` wrote, in this release or in one before it.

    Raises:
        ValueError, KeyError, TypeError: The text is not such a report.
    """
    data: dict[str, Any] = json.loads(text)
    return Report(
        narratives=tuple(
            Narrative(
                language=Language(n["language"]),
                sections=tuple(
                    Section(kind=SectionKind(s["kind"]), text=s["text"]) for s in n["sections"]
                ),
            )
            for n in data["narratives"]
        ),
        model=ModelVersion(**data["model"]),
        status=ReportStatus(data["status"]),
        frames=tuple(FrameReference(**f) for f in data["frames"]),
        findings=tuple(
            Finding(
                code=f["code"],
                severity=Severity(f["severity"]),
                message=f["message"],
                language=Language(f["language"]) if f["language"] else None,
                words=tuple(f["words"]),
            )
            for f in data["findings"]
        ),
        # Drafts of earlier releases have none of these.
        confidences=tuple(
            SentenceConfidence(
                **{**c, "language": Language(c["language"]), "section": SectionKind(c["section"])}
            )
            for c in data.get("confidences", ())
        ),
        decoding=Decoding(**data["decoding"]) if data.get("decoding") else None,
        reasons=tuple(data.get("reasons", ())),
        signature=_to_signature(data["signature"]) if data.get("signature") else None,
        addenda=tuple(
            Addendum(
                texts=tuple((Language(language), text) for language, text in a["texts"]),
                signature=_to_signature(a["signature"]),
            )
            for a in data.get("addenda", ())
        ),
        withdrawn=tuple(Language(one) for one in data.get("withdrawn", ())),
    )


def _to_signature(data: dict[str, Any]) -> Signature:
    return Signature(
        reader_name=data["reader_name"],
        reader_id=data["reader_id"],
        signed_at=datetime.fromisoformat(data["signed_at"]),
        languages=tuple(Language(one) for one in data["languages"]),
        organisation=data["organisation"],
    )
