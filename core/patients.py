"""Who a patient is by now: numbers that were merged into others, names that were corrected.

The information system is asked first: what it said of a patient number stands above what an image
says. The row of a study always carries the latest identity that is known (`identify` brings it up
to date whenever an image, a merge or an update comes), so that `core.store.header_of`, and with it
every SR and ORU, does too. `core.merges` writes what is known.

Two numbers are the same patient's where number and assigning authority agree; an authority that one
side leaves out agrees with any. Names and birth dates never match anybody.

Source: HL7 v2.5.1 3.3.31 (A31), 3.3.40 (A40) and 3.6.2 (merging).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from core.lifecycle import DeliveryState, MessageState
from core.order_tables import Hl7Message, PatientIdentity
from core.report import Patient
from core.tables import Artifact, Delivery, Draft, Study

# A chain of merges that is longer was never meant; it also ends a circle that should not be there.
_LONGEST_CHAIN = 64

# What holds a send


def pending() -> ColumnElement[bool]:
    """Return the condition that a merge was received and not yet processed.

    Whose it is, is known only once it is: until then no result goes out. That is a moment, unless
    whoever processes messages is away, and then nobody knows whom a result would be sent for.
    Orders, reports and updates hold nothing; a message that does not say what it is holds as a
    merge does.
    """
    return (
        select(Hl7Message.id)
        .where(Hl7Message.state == MessageState.RECEIVED, Hl7Message.is_merge)
        .exists()
    )


def is_pending(session: Session) -> bool:
    """Tell whether a merge was received and not yet processed: see `pending`."""
    return bool(session.scalar(select(pending())))


# Who a patient is


def current(session: Session, patient: Patient) -> Patient:
    """Return a patient as the information system knows them by now; unchanged where it does not.

    An empty issuer stays empty, merged or not: an archive would take the same number with an issuer
    for another patient.
    """
    row = _find(session, patient)
    if row is None:
        return patient
    row = chain(session, row)[-1]
    return replace(
        patient,
        id=row.patient_id,
        issuer=(row.issuer or patient.issuer) if patient.issuer else "",
        name=row.name or patient.name,
        birth_date=row.birth_date or patient.birth_date,
        sex=row.sex or patient.sex,
    )


def all_current(session: Session, numbers: Sequence[tuple[str, str]]) -> list[Patient]:
    """Return the patient of each number and authority as the information system knows it by now."""
    return [current(session, Patient(id=number, issuer=issuer)) for number, issuer in numbers]


def agree(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether two pairs of number and authority name the same patient."""
    same_issuer = not one[1] or not other[1] or one[1] == other[1]
    return bool(one[0]) and one[0] == other[0] and same_issuer


def identify(session: Session, study: Study) -> bool:
    """Bring a study's patient up to date; True where anything of it was not.

    Objects that were made and never sent are forgotten, so that they are made anew.
    """
    known = patient_of(study)
    patient = current(session, known)
    if patient == known:
        return False
    study.patient_id, study.patient_issuer = patient.id, patient.issuer
    study.patient_name = patient.name
    study.patient_birth_date, study.patient_sex = patient.birth_date, patient.sex
    _forget_unsent(session, study.id)
    return True


def patient_of(study: Study) -> Patient:
    """Return the patient that a study's row names."""
    return Patient(
        id=study.patient_id,
        issuer=study.patient_issuer,
        name=study.patient_name,
        birth_date=study.patient_birth_date,
        sex=study.patient_sex,
    )


def is_another(session: Session, study: Study, patient: Patient) -> bool:
    """Tell whether a patient, after known merges, is another than the one of a study's row.

    Without a number only the very same words are the same patient. A row that names nobody, as a
    purge leaves it, is nobody else's.
    """
    known, other = patient_of(study), current(session, patient)
    if known in (Patient(), other):
        return False
    return not agree((known.id, known.issuer), (other.id, other.issuer))


def _find(session: Session, patient: Patient) -> PatientIdentity | None:
    """Return what is known of a number; None too where an authority is missing and several fit.

    A number may have two rows, with its authority and without one: then a merge of the one is a
    merge of the other.
    """
    if not patient.id:
        return None
    rows = session.scalars(
        select(PatientIdentity).where(PatientIdentity.patient_id == patient.id)
    ).all()
    exact = [row for row in rows if row.issuer == patient.issuer]
    others = [row for row in rows if row.issuer != patient.issuer]
    fitting = [row for row in others if not row.issuer or not patient.issuer]
    if not exact:
        return fitting[0] if len(fitting) == 1 else None
    # Of three authorities' numbers nobody knows which one is meant.
    if exact[0].merged_into_id is None and len(others) == len(fitting) == 1:
        return exact[0] if fitting[0].merged_into_id is None else fitting[0]
    return exact[0]


def chain(session: Session, row: PatientIdentity) -> list[PatientIdentity]:
    """Return a number, the one that it was merged into, and so on: the last one survives."""
    steps = [row]
    while steps[-1].merged_into_id is not None and len(steps) < _LONGEST_CHAIN:
        steps.append(session.get_one(PatientIdentity, steps[-1].merged_into_id))
    return steps


def _forget_unsent(session: Session, study: int) -> None:
    """Forget the bytes of what nobody has tried to send yet: they name the patient as before."""
    attempted = select(Delivery.artifact_id).where(
        Delivery.study_id == study,
        or_(
            Delivery.first_attempt_at.is_not(None),
            Delivery.is_out,
            Delivery.state != DeliveryState.PENDING,
        ),
    )
    session.execute(
        update(Artifact)
        .where(
            Artifact.draft_id.in_(select(Draft.id).where(Draft.study_id == study)),
            Artifact.id.not_in(attempted),
        )
        .values(content=None, sha256="")
        .execution_options(synchronize_session=False)
    )
