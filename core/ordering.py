"""Orders and the studies that they are for: placed, attached, never used for another patient.

An order may come before, during or after the images. It is looked at when it comes, when a study
is complete or gets another accession number, and when patients are merged. It finds its study by
Study Instance UID, else by accession and issuer, else by scheduled procedure step, and is attached
only if Patient ID and authority agree; an order whose study is another patient's stands as a
CONFLICT. Where a study turns out to be another patient's, or of another accession number, its order
is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from core import order_rows, outbox, patients, store
from core.instructions import STAT, NoteReport, PlaceOrder, StudyKey
from core.lifecycle import TRANSITIONS, Event, OrderState, State
from core.order_tables import Hl7Message, Order, OutsideReport
from core.orders import CodedProcedure, OrderReference
from core.tables import Instance, Study

_OPEN = (OrderState.WAITING, OrderState.CONFLICT)
_FINAL_ELSEWHERE = "a final report exists elsewhere"


# Orders


def place(session: Session, order: PlaceOrder, *, message: int, at: datetime, actor: str) -> str:
    """Write an order down, or what is new of one that is known, and look for its study.

    What a later message said stands: an earlier one that is followed again changes nothing of it.

    Returns:
        What became of it, in words for a person, without patient data.
    """
    rows = order_rows.known(session, order)
    if not rows:
        rows = [order_rows.new(order, message=message)]
        session.add_all(rows)
    words = [_place(session, row, order, message=message, at=at, actor=actor) for row in rows]
    return "; ".join(dict.fromkeys(words))


def _place(
    session: Session, row: Order, order: PlaceOrder, *, message: int, at: datetime, actor: str
) -> str:
    if row.message_id > message:
        return "order unchanged: a later message has changed it"
    row.updated_at = at
    if order.is_cancelled:
        row.message_id = message
        row.state, row.reason = OrderState.CANCELLED, "it was cancelled"
        session.flush()
    elif row.state != OrderState.CANCELLED or not order_rows.is_brief(order):
        order_rows.take(row, order, message=message)
        row.state = OrderState.WAITING
        session.flush()
        _look(session, row, at=at, actor=actor)
    return f"order {row.state.lower()}" + (f": {row.reason}" if row.reason else "")


def _look(session: Session, order: Order, *, at: datetime, actor: str) -> None:
    """Attach an order to its study, or say why it waits.

    Of several studies it keeps the one that it has, else it takes the newest.
    """
    numbers = order_rows.numbers_of(order)
    found, by = find_studies(session, order_rows.key_of(order), numbers)
    mine = [study for study in found if agrees(session, study, numbers)]
    if mine:
        study = next((study for study in mine if study.id == order.study_id), mine[-1])
        _attach(session, order, study, by=by, at=at, actor=actor)
    elif found:
        reason = f"the study with this {by} is of another patient; the order is not used"
        _become(session, order, OrderState.CONFLICT, None, reason)
        for study in found:
            _note_once(session, study, "order_conflict", order, by=by, at=at, actor=actor)
    else:
        _become(session, order, OrderState.WAITING, None, "no study has come that it is for")


def _become(
    session: Session, order: Order, state: OrderState, study: int | None, reason: str
) -> None:
    order.state, order.study_id, order.reason = state, study, reason
    session.flush()


def _attach(
    session: Session, order: Order, study: Study, *, by: str, at: datetime, actor: str
) -> None:
    is_news = order.study_id != study.id
    _become(session, order, OrderState.ATTACHED, study.id, "")
    if is_news:
        store.note(session, study.id, "order_attached", at=at, actor=actor, order=order.id, by=by)
    waits = study.state in {State.RECEIVING, State.QUEUED}
    if order.priority == STAT and waits and study.priority != STAT:
        study.priority = STAT
        store.note(session, study.id, "hastened", at=at, actor=actor, order=order.id)
        session.flush()


def _note_once(
    session: Session, study: Study, event: str, order: Order, *, by: str, at: datetime, actor: str
) -> None:
    known = store.timeline(session, study.id)
    if not any(row.event == event and row.detail.get("order") == order.id for row in known):
        store.note(session, study.id, event, at=at, actor=actor, order=order.id, by=by)


def find_studies(
    session: Session, key: StudyKey, numbers: Sequence[tuple[str, str]]
) -> tuple[Sequence[Study], str]:
    """Return the studies that a key names, and by what: the first of its parts that finds any.

    A purged one is none: what is left of it tells of no patient.
    """
    present = select(Study).where(Study.purged_at.is_(None)).order_by(Study.id)
    if key.study_uid:
        query = present.where(Study.study_uid == key.study_uid)
        if found := session.scalars(query).all():
            return found, "Study Instance UID"
    if key.accession_number:
        query = present.where(Study.accession_number == key.accession_number)
        if key.accession_issuer:
            query = query.where(Study.accession_issuer.in_(["", key.accession_issuer]))
        if found := session.scalars(query).all():
            return found, "accession number"
    if key.scheduled_step_id:
        # A step has no number of its own among studies: it is looked for in the patient's.
        ids = {patient.id for patient in patients.all_current(session, numbers)}
        query = present.where(Study.patient_id.in_(ids))
        found = [s for s in session.scalars(query) if key.scheduled_step_id in _steps(session, s)]
        if found:
            return found, "scheduled procedure step"
    return [], ""


def agrees(session: Session, study: Study, numbers: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a study is of the patient with one of these numbers, after known merges."""
    of_study = (study.patient_id, study.patient_issuer)
    return any(
        patients.agree(of_study, (patient.id, patient.issuer))
        for patient in patients.all_current(session, numbers)
    )


def _steps(session: Session, study: Study) -> set[str]:
    """Return the scheduled steps that a study's objects name."""
    headers = session.scalars(
        select(Instance.header).where(Instance.study_id == study.id, Instance.is_current)
    )
    return {step for header in headers for step in header.get("scheduled_step_ids", ())}


# Studies


def meet(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Look for what came before a study did: its orders, and a report that makes it needless.

    To be called when it is complete, and again when its patient or its accession number changes: an
    order of the one that it had before is let go.
    """
    _let_go(session, study, at=at, actor=actor)
    keys = [Order.study_uid == study.study_uid]
    if study.accession_number:
        keys.append(Order.accession_number == study.accession_number)
    if steps := _steps(session, study):
        keys.append(Order.scheduled_step_id.in_(steps))
    query = select(Order).where(Order.state.in_(_OPEN), or_(*keys)).order_by(Order.id)
    for order in session.scalars(query).all():
        _look(session, order, at=at, actor=actor)
    named = [OutsideReport.study_uid == study.study_uid]
    if study.accession_number:
        named.append(OutsideReport.accession_number == study.accession_number)
    for report in session.scalars(select(OutsideReport).where(or_(*named))).all():
        issuers = {"", report.accession_issuer} if report.accession_issuer else None
        is_same = report.study_uid == study.study_uid or (
            issuers is None or study.accession_issuer in issuers
        )
        if is_same and agrees(session, study, [(report.patient_id, report.patient_issuer)]):
            end_for_final_report(session, study, at=at, actor=actor)


def _let_go(session: Session, study: Study, *, at: datetime, actor: str) -> None:
    """Look anew for the studies of orders whose patient or key is no longer that of this one."""
    query = select(Order).where(Order.study_id == study.id, Order.state == OrderState.ATTACHED)
    for order in session.scalars(query.order_by(Order.id)).all():
        numbers = order_rows.numbers_of(order)
        found, _by = find_studies(session, order_rows.key_of(order), numbers)
        if study not in found or not agrees(session, study, numbers):
            store.note(session, study.id, "order_released", at=at, actor=actor, order=order.id)
            _look(session, order, at=at, actor=actor)


def orders_of(session: Session, study: int) -> Sequence[Order]:
    """Return the orders that are attached to a study, the newest last.

    One of another patient is left out: the study's patient may have been corrected a moment ago.
    """
    query = select(Order).where(Order.study_id == study, Order.state == OrderState.ATTACHED)
    rows = session.scalars(query.order_by(Order.updated_at, Order.id)).all()
    owner = store.get(session, study)
    return [row for row in rows if agrees(session, owner, order_rows.numbers_of(row))]


def conflicts_of(session: Session, study: Study) -> Sequence[Order]:
    """Return the orders that name a study of another patient."""
    keys = [Order.study_uid == study.study_uid]
    if study.accession_number:
        keys.append(Order.accession_number == study.accession_number)
    query = select(Order).where(Order.state == OrderState.CONFLICT, or_(*keys))
    return session.scalars(query.order_by(Order.id)).all()


def reference_of(session: Session, study: int) -> OrderReference:
    """Return what results repeat of a study's newest order; empty words where it has none.

    The reasons of several orders are joined, each once.
    """
    orders = orders_of(session, study)
    if not orders:
        return OrderReference()
    newest = orders[-1]
    return OrderReference(
        placer_number=newest.placer_number,
        placer_issuer=newest.placer_issuer,
        filler_number=newest.filler_number,
        filler_issuer=newest.filler_issuer,
        requested_procedure_id=newest.requested_procedure_id,
        scheduled_step_id=newest.scheduled_step_id,
        procedure=CodedProcedure(
            code=newest.procedure_code,
            meaning=newest.procedure_meaning,
            scheme=newest.procedure_scheme,
        ),
        ordering_provider_id=newest.ordering_provider_id,
        ordering_provider=newest.ordering_provider,
        patient_class=newest.patient_class,
        visit_number=newest.visit_number,
        visit_issuer=newest.visit_issuer,
        reason=indication_of(session, study),
    )


def indication_of(session: Session, study: int) -> str:
    """Return why a study was made, as its orders say it."""
    reasons = (order.indication for order in orders_of(session, study))
    return "; ".join(dict.fromkeys(filter(None, reasons)))


# Reports of others


def note_report(
    session: Session, report: NoteReport, *, message: int, at: datetime, actor: str
) -> bool:
    """Keep a report that was signed elsewhere; True where it made a study's draft needless."""
    leading = report.patients[0]
    session.add(
        OutsideReport(
            message_id=message,
            study_uid=report.key.study_uid,
            accession_number=report.key.accession_number,
            accession_issuer=report.key.accession_issuer,
            patient_id=leading.id,
            patient_issuer=leading.issuer,
            status=report.status,
            modality=report.modality,
            observed_at=report.observed_at,
            impression=report.impression,
        )
    )
    session.flush()
    numbers = [(p.id, p.issuer) for p in report.patients]
    found, _by = find_studies(session, report.key, numbers)
    mine = [study for study in _locked(session, found) if agrees(session, study, numbers)]
    ended = [end_for_final_report(session, study, at=at, actor=actor) for study in mine]
    return any(ended)


def _locked(session: Session, studies: Sequence[Study]) -> Sequence[Study]:
    """Return studies as they are by now; nobody else writes them before the session's end.

    What is being completed does not know of a report that is not committed: it is waited for.
    """
    query = select(Study).where(Study.id.in_([study.id for study in studies])).order_by(Study.id)
    locking = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(locking).all()


def end_for_final_report(session: Session, study: Study, *, at: datetime, actor: str) -> bool:
    """Let a study be IGNORED for a final report elsewhere, where its state allows that."""
    if (State(study.state), Event.FINAL_ELSEWHERE) not in TRANSITIONS:
        return False
    outbox.drop_pending(session, study.id, at=at, actor=actor, reason=_FINAL_ELSEWHERE)
    changes = {"reason_code": "FINAL_ELSEWHERE", "reason": _FINAL_ELSEWHERE}
    store.advance(
        session, study, Event.FINAL_ELSEWHERE, at=at, actor=actor, changes=changes, detail=changes
    )
    return True


def prior_impression_of(session: Session, study: Study, modality: str) -> str:
    """Return the impression of the patient's newest earlier report of the same modality."""
    if not study.patient_id:
        return ""
    before = study.study_date or study.created_at.strftime("%Y%m%d")
    query = (
        select(OutsideReport)
        .where(
            OutsideReport.patient_id == study.patient_id,
            OutsideReport.impression != "",
            OutsideReport.modality == modality,
            OutsideReport.observed_at != "",
            OutsideReport.observed_at < before,
        )
        .order_by(OutsideReport.observed_at.desc())
    )
    of_study = (study.patient_id, study.patient_issuer)
    return next(
        (
            report.impression
            for report in session.scalars(query)
            if patients.agree(of_study, (report.patient_id, report.patient_issuer))
            and report.study_uid != study.study_uid
        ),
        "",
    )


def forget(session: Session, *, before: datetime) -> None:
    """Remove orders that no study had by then, and what was noted of others' reports.

    An order that is attached goes with its study.
    """
    session.execute(delete(Order).where(Order.study_id.is_(None), Order.updated_at < before))
    old = select(Hl7Message.id).where(Hl7Message.received_at < before)
    session.execute(delete(OutsideReport).where(OutsideReport.message_id.in_(old)))


def count_orders(session: Session) -> dict[OrderState, int]:
    """Return how many orders are in each state."""
    counts = dict.fromkeys(OrderState, 0)
    rows = session.execute(select(Order.state, func.count()).group_by(Order.state))
    return counts | {OrderState(row[0]): row[1] for row in rows}
