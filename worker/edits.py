"""What a person changed in a draft, measured when the text is signed or corrected."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import store
from core.lifecycle import Origin
from core.report import Language, Narrative, Report, from_json
from core.tables import Draft, SignedText, Study
from dicom_node.eligibility import READ_MODALITIES
from model.evaluate.edit_distance import edit_distance

_OTHER = "OTHER"


def note_edits(
    session: Session,
    study: Study,
    report: Report,
    languages: tuple[Language, ...],
    *,
    version: int,
    at: datetime,
) -> None:
    """Write down how far each language that is signed is from its draft.

    A correction takes the place of what was signed before: it is what the draft should have said.
    """
    drafted = draft_of(session, study.id)
    if drafted is None:
        return
    modality = store.header_of(session, study).modality
    for language in languages:
        ours, signed = _texts(drafted, language), _texts(report, language)
        row = session.scalar(
            select(SignedText).where(
                SignedText.study_id == study.id, SignedText.language == language
            )
        )
        if row is None:
            row = SignedText(study_id=study.id, language=language)
            session.add(row)
        # What a sender calls a modality may be any word: the figures have the known ones.
        row.modality = modality if modality in READ_MODALITIES else _OTHER
        row.report_version, row.signed_at = version, at
        row.is_accepted = ours == signed
        row.distance = edit_distance("\n".join(ours), "\n".join(signed))


def draft_of(session: Session, study: int) -> Report | None:
    """Return the newest draft of a study that nobody has signed, withheld ones too."""
    rows = session.scalars(
        select(Draft)
        .where(
            Draft.study_id == study,
            Draft.origin.in_([Origin.MODEL, Origin.RENEWED]),
            Draft.report != "",
        )
        .order_by(Draft.is_withheld, Draft.report_version.desc())
    )
    reports = (from_json(row.report) for row in rows)
    return next((report for report in reports if report.signature is None), None)


def _texts(report: Report, language: Language) -> list[str]:
    narratives: list[Narrative] = [n for n in report.narratives if n.language is language]
    return [section.text for narrative in narratives for section in narrative.sections]
