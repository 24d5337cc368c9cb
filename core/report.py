"""A report as the domain knows it: no DICOM, no HL7, no model, only the standard library.

A `Report` holds one `Narrative` a language, each a row of `Section`s of plain text. How finished it
is stands in one place, `Report.status`; everything a peer can see of that (SR flags, OBR-25, the
notice in both languages) comes from `standing()`, so that a draft can never look like a report.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Language(StrEnum):
    """Languages of a narrative, by RFC 5646 tag."""

    EN = "en"
    AR = "ar"


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


class ReportStatus(StrEnum):
    """How finished a report is; signing will add its own members."""

    DRAFT = "draft"


class Severity(StrEnum):
    """What a check's finding does to a draft."""

    NOTE = "note"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the outside is told of a report's status.

    Attributes:
        completion_flag: DICOM (0040,A491).
        verification_flag: DICOM (0040,A493).
        preliminary_flag: DICOM (0040,A496).
        result_status: HL7 OBR-25 and OBX-11, table 0123 and 0085.
        order_status: HL7 ORC-5, table 0038.
        mark: First words of a series description, at most 20 letters with a language behind it.
        notices: The sentence that every rendering carries, by language.
    """

    completion_flag: str
    verification_flag: str
    preliminary_flag: str
    result_status: str
    order_status: str
    mark: str
    notices: dict[Language, str]


_STANDINGS = {
    ReportStatus.DRAFT: Standing(
        completion_flag="PARTIAL",
        verification_flag="UNVERIFIED",
        preliminary_flag="PRELIMINARY",
        # R, not P: P means "verified, early", R "stored, not yet verified" (HL7 table 0123).
        result_status="R",
        order_status="IP",
        mark="AI DRAFT",
        notices={
            Language.EN: (
                "AI DRAFT - NOT VERIFIED. "
                "This is not a report until a radiologist has reviewed and signed it."
            ),
            Language.AR: (
                "مسودة من الذكاء الاصطناعي - لم يتم التحقق منها. "
                "هذه ليست تقريرا قبل أن يراجعها ويوقعها طبيب الأشعة."
            ),
        },
    )
}


def standing(status: ReportStatus) -> Standing:
    """Return what the outside is told of a status: the one source of every draft flag."""
    return _STANDINGS[status]


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
    """

    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int = 1
    transform: str = "identity"
    reason: str = ""


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
        is_greedy: The most likely token was taken each time; nothing was drawn.
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
    """

    narratives: tuple[Narrative, ...]
    model: ModelVersion
    status: ReportStatus = ReportStatus.DRAFT
    frames: tuple[FrameReference, ...] = ()
    findings: tuple[Finding, ...] = ()
    confidences: tuple[SentenceConfidence, ...] = ()
    decoding: Decoding | None = None
    reasons: tuple[str, ...] = ()

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

    The standing comes first, then who wrote it, then (for a demonstration checkpoint) that the text
    means nothing clinically.
    """
    written_by = {
        Language.EN: f"Written by {report.model}.",
        Language.AR: f"كتبها النموذج {report.model}.",
    }
    demonstration = {
        Language.EN: "DEMONSTRATION MODEL: this text has no clinical meaning.",
        Language.AR: "نموذج للعرض فقط: هذا النص بلا أي معنى سريري.",
    }
    lines = [standing(report.status).notices[language], written_by[language]]
    if report.model.is_demonstration:
        lines.append(demonstration[language])
    return tuple(lines)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who the study is of, as the images say it.

    Attributes:
        id: Patient ID (0010,0020).
        issuer: Issuer of Patient ID (0010,0021); empty where absent.
        name: Person Name in DICOM form, component groups and carets included.
        birth_date: ``YYYYMMDD`` or empty.
        sex: ``M``, ``F``, ``O`` or empty.
    """

    id: str = ""
    issuer: str = ""
    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """Patient and study attributes that SR and ORU repeat, as text (dates ``YYYYMMDD``)."""

    study_uid: str
    patient: Patient = field(repr=False)
    study_id: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    referring_physician: str = field(default="", repr=False)
    modality: str = ""
    body_part: str = ""


def to_json(report: Report) -> str:
    """Return a report as JSON text, Arabic letters as they are."""
    return json.dumps(asdict(report), ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Report:
    """Return the report that `to_json` wrote.

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
    )
