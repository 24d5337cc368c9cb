"""What is told of a study besides its pictures: to the model by an allow-list, to checks in full.

The model is told an age band, sex, modality, body part, view, the indication and the impression of
an earlier report that somebody signed. The checks are also told the patient's names and numbers, so
that they find them in what the model wrote.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, store
from core.database import reading
from core.drafting import DraftContext
from core.lifecycle import State
from core.report import Language, SectionKind, Severity, StudyHeader, from_json, standing
from core.spellings import name_forms
from core.tables import Draft, Study
from dicom_node.selection import Selection, draft_context
from worker.parts import Parts

# Most severe last.
_SEVERITIES = (Severity.NOTE, Severity.WARN, Severity.BLOCK)


def context_of(session: Session, study: Study, selection: Selection) -> DraftContext:
    """Return what the model is told; its free texts are cleaned where they are used.

    The indication is the attached orders'. An earlier report is one that was signed here, else one
    that the information system passed on.

    Args:
        session: A reading session.
        study: The study that is drafted for.
        selection: What was chosen of it.
    """
    context = draft_context(selection, indication=ordering.indication_of(session, study.id))
    prior = _prior_impression(session, study)
    return replace(
        context,
        prior_impression=prior or ordering.prior_impression_of(session, study, context.modality),
    )


def laterality_of(selection: Selection) -> str:
    """Return ``R`` or ``L`` where every chosen image says the same; empty otherwise."""
    sides = {choice.header.laterality.upper() for choice in selection.frames}
    return sides.pop() if sides in ({"R"}, {"L"}) else ""


def identifiers_of(header: StudyHeader) -> tuple[str, ...]:
    """Return the names, numbers and dates that name a patient, none of them empty."""
    patient = header.patient
    texts = (
        *name_forms(patient.name),
        patient.id,
        patient.birth_date,
        header.accession_number,
        header.study_id,
        *name_forms(header.referring_physician),
    )
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def severities_of(parts: Parts, study: Study) -> tuple[tuple[str, Severity], ...]:
    """Return the severities that the site set, a side without an orientation by the senders'."""
    return (
        *parts.settings.checks.severities.items(),
        ("ORIENTATION_UNKNOWN", _orientation_severity(parts, study)),
    )


def _orientation_severity(parts: Parts, study: Study) -> Severity:
    """Return the strictest severity that the study's senders are configured with."""
    with reading(parts.engine) as session:
        titles = {row.sender for row in store.instances_of(session, study.id) if row.is_image}
    senders = [parts.settings.sender(title) for title in titles]
    configured = [s.orientation_unknown if s else Severity.BLOCK for s in senders]
    return max(configured, key=_SEVERITIES.index, default=Severity.BLOCK)


def _prior_impression(session: Session, study: Study) -> str:
    """Return the English impression of the patient's newest earlier signed report.

    Earlier is a study date before this one's. Only a study of the same body part counts, or of the
    same modality where one of the two names no part: what was seen in a head says nothing of a
    chest.
    """
    if not study.patient_id or not study.study_date:
        return ""
    own = store.header_of(session, study)
    earlier = session.scalars(
        select(Study)
        .where(
            Study.id != study.id,
            Study.patient_id == study.patient_id,
            Study.patient_issuer == study.patient_issuer,
            Study.state == State.SIGNED,
            Study.purged_at.is_(None),
            Study.study_date != "",
            Study.study_date < study.study_date,
        )
        .order_by(Study.study_date.desc(), Study.study_time.desc(), Study.id.desc())
    )
    for candidate in earlier:
        other = store.header_of(session, candidate)
        is_same_part = own.body_part == other.body_part
        if not (own.body_part and other.body_part):
            is_same_part = own.modality == other.modality
        if is_same_part and (text := _impression_of(session, candidate)):
            return text
    return ""


def _impression_of(session: Session, study: Study) -> str:
    """Return the English impression of a study's newest report, where somebody signed it."""
    newest = session.scalars(
        select(Draft)
        .where(Draft.study_id == study.id, Draft.is_withheld.is_(False), Draft.report != "")
        .order_by(Draft.report_version.desc())
        .limit(1)
    ).first()
    if newest is None:
        return ""
    report = from_json(newest.report)
    if not standing(report.status_of(Language.EN)).is_final:
        return ""
    for narrative in report.narratives:
        if narrative.language is Language.EN:
            return narrative.text_of(SectionKind.IMPRESSION)
    return ""
