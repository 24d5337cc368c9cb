"""Our ORU read back, to prove before sending that it says what the report says."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import TextIntegrityError
from core.report import Language, Narrative, Report, Section, StudyHeader, notices
from hl7.er7 import Er7Segment, parse
from hl7.oru_profile import (
    GROUPS,
    LANGUAGE,
    NOTICE,
    SECTIONS,
    STUDY,
    allowed_status,
    written_sections,
)

# What a failed conversion of Arabic leaves behind.
_DAMAGE = ("\N{REPLACEMENT CHARACTER}".encode(), b"????")


@dataclass(frozen=True, kw_only=True)
class OruContent:
    """What an ORU of ours says.

    Attributes:
        result_status: OBR-25.
        text_statuses: OBX-11 of every text and language mark, in order.
        notices: Lines of the notice by language.
        narratives: Sections by language, in the order of the message.
    """

    control_id: str
    study_uid: str
    patient_id: str = field(repr=False)
    patient_issuer: str
    accession_number: str
    result_status: str
    text_statuses: tuple[str, ...]
    notices: dict[Language, tuple[str, ...]]
    narratives: tuple[Narrative, ...] = field(repr=False)


def read_oru(data: bytes) -> OruContent:
    """Return what an ORU of ours says.

    Raises:
        UnreadableMessageError: The bytes are no such message.
    """
    message = parse(data)
    texts = [s for s in message.named("OBX") if s.text(2) == "TX"]
    sections: dict[Language, list[Section]] = {
        language: []
        for segment in message.named("OBX")
        if segment.text(3) == LANGUAGE[0] and (language := _language(segment))
    }
    found: dict[Language, tuple[str, ...]] = {}
    kinds = {code: kind for kind, ((code, _, _), _) in SECTIONS.items()}
    for segment in texts:
        language, code = _language(segment), segment.text(3)
        if language is None:
            continue
        if code == NOTICE[0]:
            found[language] = tuple(segment.text(5).split("\n"))
        elif code in kinds:
            section = Section(kind=kinds[code], text=segment.text(5))
            sections.setdefault(language, []).append(section)
    studies = (s.text(5) for s in message.named("OBX") if s.text(3) == STUDY[0])
    return OruContent(
        control_id=message.text("MSH", 10),
        study_uid=next(studies, ""),
        patient_id=message.text("PID", 3),
        patient_issuer=message.text("PID", 3, 4),
        accession_number=message.text("OBR", 18),
        result_status=message.text("OBR", 25),
        text_statuses=tuple(
            segment.text(11) for segment in message.named("OBX") if segment.text(3) != STUDY[0]
        ),
        notices=found,
        narratives=tuple(
            Narrative(language=language, sections=tuple(row)) for language, row in sections.items()
        ),
    )


def verify_oru(
    data: bytes,
    report: Report,
    *,
    header: StudyHeader | None = None,
    result_status: str | None = None,
) -> None:
    """Prove that a message says what the report says, before it is sent.

    Args:
        data: What `build_oru` returned, or what was stored of it.
        report: What it must say.
        header: Whom and which study it must be about, where given.
        result_status: As given to `build_oru`.

    Raises:
        UnreadableMessageError: The bytes are no such message.
        TextIntegrityError: A text, a notice, a status or an identifier differs, or a character was
            lost on the way.
    """
    content = read_oru(data)
    if any(damage in data for damage in _DAMAGE):
        raise TextIntegrityError("The ORU holds a replacement character or '????'.")
    status = allowed_status(report, result_status)
    if content.result_status != status or set(content.text_statuses) != {status}:
        raise TextIntegrityError(f"The ORU's OBR-25 or an OBX-11 is not {status}.")
    if header is not None:
        _compare_identity(content, header)
    expected = [(n.language, written_sections(n)) for n in report.narratives]
    if [
        (n.language, [(s.kind, s.text) for s in n.sections]) for n in content.narratives
    ] != expected:
        raise TextIntegrityError("The ORU's texts are not those of the report.")
    for language, _ in expected:
        if content.notices.get(language) != notices(report, language):
            raise TextIntegrityError(f"The ORU's draft notice ({language}) is not as it must be.")


def _compare_identity(content: OruContent, header: StudyHeader) -> None:
    pairs = (
        ("Study Instance UID", content.study_uid, header.study_uid),
        ("Patient ID", content.patient_id, header.patient.id),
        ("Issuer of Patient ID", content.patient_issuer, header.patient.issuer),
        ("Accession Number", content.accession_number, header.accession_number),
    )
    for name, got, wanted in pairs:
        if got != wanted.strip():
            raise TextIntegrityError(f"The ORU's {name} is not that of the study.")


def _language(segment: Er7Segment) -> Language | None:
    """Return the language whose group a segment belongs to, by OBX-4."""
    number = segment.text(4).partition(".")[0]
    return next((lang for lang, group in GROUPS.items() if str(group.number) == number), None)
