"""The row of an order: which ones a message is about, and what it changes of them.

`core.ordering` decides what becomes of an order; here its words are compared and written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import patients
from core.instructions import PlaceOrder, StudyKey
from core.lifecycle import OrderState
from core.order_tables import Order
from core.report import Patient

# Orders that bear the same number: of different placers, or gone wrong.
_MOST_ALIKE = 100
# Columns that one word of a message fills: parts of two messages' words are never mixed.
_COLUMNS = {
    "accession_number": ("accession_number", "accession_issuer"),
    "procedure": ("procedure_code", "procedure_meaning", "procedure_scheme"),
    "ordering_provider": ("ordering_provider_id", "ordering_provider"),
    "visit_number": ("visit_number", "visit_issuer"),
    "priority": ("priority", "priority_code"),
    "reason": ("indication",),
}


def numbers_of(order: Order) -> list[tuple[str, str]]:
    """Return the numbers and authorities of the patient that an order is for."""
    return [(row[0], row[1]) for row in order.patient_ids]


def key_of(order: Order) -> StudyKey:
    """Return by what an order names its study."""
    return StudyKey(
        study_uid=order.study_uid,
        accession_number=order.accession_number,
        accession_issuer=order.accession_issuer,
        scheduled_step_id=order.scheduled_step_id,
    )


def known(session: Session, order: PlaceOrder) -> list[Order]:
    """Return the rows that a message is about: the same numbers and, after merges, patient.

    A message that names neither step nor filler number is about every one of its placer number; of
    several rows those count that bear the step, the filler number, the accession that it names.
    """
    reference, key = order.reference, order.key
    placer, filler = reference.placer_number, reference.filler_number
    query = select(Order)
    if placer:
        query = query.where(Order.placer_number == placer)
        if filler:
            query = query.where(Order.filler_number.in_(["", filler]))
    elif filler:
        query = query.where(Order.filler_number == filler)
    else:
        query = query.where(
            Order.accession_number == key.accession_number, Order.placer_number == ""
        )
    if key.scheduled_step_id:
        steps = ["", key.scheduled_step_id] if placer or filler else [key.scheduled_step_id]
        query = query.where(Order.scheduled_step_id.in_(steps))
    found = session.scalars(query.order_by(Order.id.desc()).limit(_MOST_ALIKE)).all()
    named = patients.all_current(session, [(p.id, p.issuer) for p in order.patients])
    rows = [
        row
        for row in found
        if _is_same_exam(row, order)
        and _share_patient(patients.all_current(session, numbers_of(row)), named)
    ]
    for name, value in (
        ("scheduled_step_id", key.scheduled_step_id),
        ("filler_number", filler),
        ("accession_number", key.accession_number),
    ):
        bearing = [row for row in rows if value and getattr(row, name) == value]
        rows = bearing or rows
    return rows


def _is_same_exam(row: Order, order: PlaceOrder) -> bool:
    """Tell whether a row of the same number may be what a message is about.

    One placer number may stand for several examinations. Where only one side names a step or a
    filler number, another accession number is another of them; else it is a corrected one.
    """
    reference, key = order.reference, order.key
    if row.scheduled_step_id == key.scheduled_step_id and (
        row.filler_number in {"", reference.filler_number}
    ):
        return True
    return not key.accession_number or row.accession_number in {"", key.accession_number}


def _share_patient(one: Sequence[Patient], other: Sequence[Patient]) -> bool:
    return any(patients.agree((a.id, a.issuer), (b.id, b.issuer)) for a in one for b in other)


def new(order: PlaceOrder, *, message: int) -> Order:
    """Return the row of an order that is not known; it waits."""
    return Order(
        state=OrderState.WAITING, reason="", study_id=None, message_id=message, **_values(order)
    )


def is_brief(order: PlaceOrder) -> bool:
    """Tell whether a message names no study, as many that only tell how far an order has come."""
    return order.key == StudyKey()


def take(row: Order, order: PlaceOrder, *, message: int) -> None:
    """Write what a message says of an order; what it leaves out stays, what it takes away goes.

    Source: HL7 v2.5.1 2.5.3: an empty field changes nothing, the null value deletes.
    """
    values = _values(order)
    if not order.priority_code and "priority" not in order.removed:
        del values["priority"]
    gone = {column for name in order.removed for column in _COLUMNS.get(name, (name,))}
    for columns in _COLUMNS.values():
        if any(_contradicts(getattr(row, name), values.get(name, "")) for name in columns):
            gone.update(columns)
    if _contradicts(row.accession_number, order.key.accession_number):
        # The study that was named is the one of the number before, and would be found first.
        gone.add("study_uid")
    for name, value in values.items():
        if value or name in gone:
            setattr(row, name, value)
    row.message_id = message


def _contradicts(known: str, said: str) -> bool:
    return bool(known and said) and known != said


def _values(order: PlaceOrder) -> dict[str, Any]:
    reference = order.reference
    words = {
        "placer_number",
        "placer_issuer",
        "filler_number",
        "filler_issuer",
        "requested_procedure_id",
        "ordering_provider_id",
        "ordering_provider",
        "patient_class",
        "visit_number",
        "visit_issuer",
    }
    return {
        "study_uid": order.key.study_uid,
        "accession_number": order.key.accession_number,
        "accession_issuer": order.key.accession_issuer,
        "scheduled_step_id": order.key.scheduled_step_id,
        "patient_ids": [[p.id, p.issuer] for p in order.patients],
        "priority": order.priority,
        "priority_code": order.priority_code,
        "modality": order.modality,
        "indication": reference.reason,
        "procedure_code": reference.procedure.code,
        "procedure_meaning": reference.procedure.meaning,
        "procedure_scheme": reference.procedure.scheme,
        **{name: getattr(reference, name) for name in words},
    }
