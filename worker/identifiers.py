"""Everything that names somebody in a study: what must not stand in a text that leaves the site.

More than a model is guarded from: besides the patient's names, numbers and dates of now, those that
the images came with, those of merged numbers and of orders, and whoever ordered or read the study.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core import ordering, store
from core.order_tables import PatientIdentity
from core.report import Patient, StudyHeader
from core.spellings import name_forms
from core.tables import Instance, Study
from worker.context import identifiers_of


def all_identifiers(session: Session, study: Study) -> tuple[str, ...]:
    """Return names, numbers and dates, each once, none of them empty."""
    found = (
        *_of_header(store.header_of(session, study)),
        *_of_objects(session, study.id),
        *_of_orders(session, study.id),
        *_of_readers(session, study.id),
    )
    return tuple(dict.fromkeys((*found, *_of_merged(session, study, found))))


def _of_header(header: StudyHeader) -> tuple[str, ...]:
    dates = (header.study_date,) if header.study_date else ()
    return (*identifiers_of(header), header.study_uid, *dates)


def _of_objects(session: Session, study: int) -> Iterator[str]:
    """Give what the objects came with, replaced ones too: a merge has not changed them."""
    for header in session.scalars(select(Instance.header).where(Instance.study_id == study)):
        yield from _of_header(
            StudyHeader(
                study_uid=header["study_uid"],
                patient=Patient(**header["patient"]),
                study_id=header["study_id"],
                accession_number=header["accession_number"],
                study_date=header["study_date"],
                referring_physician=header["referring_physician"],
            )
        )


def _of_orders(session: Session, study: int) -> Iterator[str]:
    for order in ordering.orders_of(session, study):
        texts = (
            order.placer_number,
            order.filler_number,
            order.accession_number,
            order.requested_procedure_id,
            order.scheduled_step_id,
            order.visit_number,
            order.ordering_provider_id,
            order.ordering_provider,
            *(number for number, _issuer in order.patient_ids),
        )
        yield from filter(None, texts)


def _of_readers(session: Session, study: int) -> Iterator[str]:
    for row in store.timeline(session, study):
        yield from filter(None, (row.detail.get("reader", ""), row.detail.get("id", "")))


def _of_merged(session: Session, study: Study, known: tuple[str, ...]) -> Iterator[str]:
    """Give the patient under every number that means the same, as the information system has it."""
    rows = session.scalars(
        select(PatientIdentity).where(
            or_(
                PatientIdentity.patient_id.in_({*known, study.patient_id}),
                PatientIdentity.merged_into_id.in_(
                    select(PatientIdentity.id).where(PatientIdentity.patient_id == study.patient_id)
                ),
            )
        )
    )
    for row in rows:
        yield from filter(None, (*name_forms(row.name), row.patient_id, row.birth_date))
