"""What the information system says of patients: corrections, and numbers that become one.

Whoever processes its messages calls this; `core.patients` reads what is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import store
from core.errors import PermanentError
from core.order_tables import OutsideReport, PatientIdentity
from core.patients import agree, chain, current, identify
from core.report import Patient
from core.tables import Study


class MergeRefusedError(PermanentError):
    """A merge that would make a circle, or that contradicts an earlier one."""


def update_patient(session: Session, patient: Patient, *, at: datetime, actor: str) -> int:
    """Take over what was said of a patient; return how many studies it changed.

    Empty words change nothing, and neither do words about a number that was merged away: they are
    older than the merge, whenever they come.
    """
    row = _known(session, patient, at=at)
    if row.merged_into_id is not None:
        return 0
    _take_words(row, patient, at=at)
    session.flush()
    return _identify_all(session, _merged_into(session, row), "patient_updated", at, actor)


def merge(
    session: Session, *, retired: Patient, surviving: Patient, at: datetime, actor: str
) -> int:
    """Let one number stand for another from now on; return how many studies it re-keyed.

    The same merge again changes nothing.

    Raises:
        MergeRefusedError: It would lead back to where it began, or the retired number was merged
            into somebody else before.
    """
    old, new = _known(session, retired, at=at), _known(session, surviving, at=at)
    if old is new:
        raise MergeRefusedError("The merge names the same number twice.")
    steps = chain(session, new)
    if old in steps:
        raise MergeRefusedError(
            "The merge would make a circle: the number that survives was merged into the one "
            "that is retired."
        )
    target = steps[-1]
    if old.merged_into_id is not None and chain(session, old)[-1] is not target:
        raise MergeRefusedError(
            "The merge contradicts an earlier one: the number that it retires was merged into "
            "another patient before."
        )
    if old.merged_into_id is None:
        old.merged_into_id = target.id
    old.updated_at = at
    if target is new:
        _take_words(target, surviving, at=at)
    session.flush()
    return _identify_all(session, _merged_into(session, target), "patient_merged", at, actor)


def studies_of(session: Session, patient: Patient) -> Sequence[Study]:
    """Return the studies of a patient by the number that survives."""
    known = current(session, patient)
    rows = session.scalars(select(Study).where(Study.patient_id == known.id).order_by(Study.id))
    return [
        study
        for study in rows
        if agree((study.patient_id, study.patient_issuer), (known.id, known.issuer))
    ]


def _known(session: Session, patient: Patient, *, at: datetime) -> PatientIdentity:
    """Return the row of a number, a new one where there is none.

    The only row of a number stands for it, too, where one side leaves out the authority; it takes
    over an authority that it did not know, so that another one's number never becomes the same.
    """
    if not patient.id:
        raise MergeRefusedError("A patient identifier is empty.")
    rows = session.scalars(
        select(PatientIdentity).where(PatientIdentity.patient_id == patient.id)
    ).all()
    row = next((row for row in rows if row.issuer == patient.issuer), None)
    if row is None and len(rows) == 1 and not (rows[0].issuer and patient.issuer):
        row = rows[0]
        row.issuer = row.issuer or patient.issuer
    if row is None:
        row = PatientIdentity(
            patient_id=patient.id,
            issuer=patient.issuer,
            name="",
            birth_date="",
            sex="",
            updated_at=at,
        )
        session.add(row)
    session.flush()
    return row


def _take_words(row: PatientIdentity, patient: Patient, *, at: datetime) -> None:
    row.name = patient.name or row.name
    row.birth_date = patient.birth_date or row.birth_date
    row.sex = patient.sex or row.sex
    row.updated_at = at


def _merged_into(session: Session, row: PatientIdentity) -> list[PatientIdentity]:
    """Return a number and all that were merged into it, over any number of steps."""
    found = [row]
    for known in found:
        found += session.scalars(
            select(PatientIdentity).where(PatientIdentity.merged_into_id == known.id)
        )
    return found


def _identify_all(
    session: Session, rows: Sequence[PatientIdentity], event: str, at: datetime, actor: str
) -> int:
    """Bring the studies of some numbers up to date, whatever state they are in."""
    numbers = {row.patient_id for row in rows}
    studies = session.scalars(
        select(Study).where(Study.patient_id.in_(numbers)).order_by(Study.id).with_for_update()
    ).all()
    changed = [study for study in studies if identify(session, study)]
    for study in changed:
        store.note(session, study.id, event, at=at, actor=actor)
    for report in session.scalars(
        select(OutsideReport).where(OutsideReport.patient_id.in_(numbers))
    ):
        patient = current(session, Patient(id=report.patient_id, issuer=report.patient_issuer))
        report.patient_id, report.patient_issuer = patient.id, patient.issuer
    session.flush()
    return len(changed)
