"""The last look before each send: is it still true, and is it still the same patient?

* A version that is no longer the study's current one is dropped.
* Where the study's objects name different patients, nothing is sent but what takes a draft back: a
  final report would even list the other patient's images. The delivery is parked, for a person.
* A study that has somebody's final report by now needs no draft: it ends, and so does its draft.
* Where patient or study attributes changed before the first attempt, the object is rendered with
  what is known now. After it the bytes are fixed, since a peer may have them: the same text goes
  out as a new report version that names the earlier one as its predecessor.

What a merge that is still pending holds back is not due in the first place (`core.outbox.due`).
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, store, versions
from core.database import reading, writing
from core.errors import PatientConflictError
from core.lifecycle import Origin, State
from core.log import log
from core.report import from_json, standing
from core.tables import Delivery, Draft, Instance
from dicom_node.final_reports import is_final_report, may_be_report
from worker.issuing import issue
from worker.parts import Parts
from worker.sources import header_for
from worker.withdrawal import keep_patient

_log = log(__name__)
_STALE = "the draft was superseded or withheld before it was sent"
_FINAL = "the study has a final report by now"
_CONFLICT = (
    "patient conflict: objects of this Study Instance UID name different patients; correct "
    "them and send them again, then `taqrir retry`"
)
_CHANGED = "patient or study attributes changed after the first attempt"


def look(parts: Parts, delivery: Delivery) -> str:
    """Return why a delivery is not to be sent, empty where it is; act on what was found.

    Raises:
        PatientConflictError: The study's objects name different patients.
    """
    with reading(parts.engine) as session:
        draft = session.get_one(Draft, delivery.draft_id)
        if not versions.is_current(session, draft):
            return _STALE
        has_conflict = store.has_patient_conflict(session, draft.study_id)
    if has_conflict and draft.origin != Origin.WITHDRAWN:
        raise PatientConflictError(_CONFLICT)
    if draft.origin == Origin.WITHDRAWN:
        keep_patient(parts, draft.id, has_conflict=has_conflict)
    with reading(parts.engine) as session:
        draft = session.get_one(Draft, delivery.draft_id)
        final = _final_report(parts, session, draft)
        has_changed = _has_changed(session, draft)
    if final:
        return _end_study(parts, draft, final)
    if has_changed:
        return _renew(parts, draft)
    return ""


def _final_report(parts: Parts, session: Session, draft: Draft) -> str:
    """Return the UID of somebody else's final report that a draft's study has received."""
    if standing(from_json(draft.report).status).is_final or draft.origin == Origin.WITHDRAWN:
        return ""
    rows = session.execute(
        select(Instance.sop_instance_uid, Instance.sop_class_uid, Instance.path).where(
            Instance.study_id == draft.study_id,
            Instance.is_current,
            Instance.is_image.is_(False),
            Instance.is_own.is_(False),
        )
    )
    for uid, sop_class_uid, path in rows:
        if may_be_report(sop_class_uid) and is_final_report(parts.files.resolve(path)):
            return str(uid)
    return ""


def _end_study(parts: Parts, draft: Draft, final: str) -> str:
    """End a study that somebody else has reported."""
    with writing(parts.engine) as session:
        study = store.get(session, draft.study_id, lock=True)
        if study.state != State.IN_REVIEW or study.version != draft.study_version:
            return _STALE
        at = parts.clock()
        store.note(session, study.id, "final_report_found", at=at, actor=parts.name, uid=final)
        ordering.end_for_final_report(session, study, at=at, actor=parts.name)
    _log.info("final_report_found", study=draft.study_id)
    return _FINAL


def _has_changed(session: Session, draft: Draft) -> bool:
    digest = versions.header_digest(header_for(session, draft))
    return versions.was_made_of_another_header(session, draft, digest)


def _renew(parts: Parts, draft: Draft) -> str:
    """Issue the same text again, under the attributes that are known now."""
    with writing(parts.engine) as session:
        study = store.get(session, draft.study_id, lock=True)
        if not versions.is_current(session, draft) or not _has_changed(session, draft):
            return _STALE
        at = parts.clock()
        is_withdrawn = draft.origin == Origin.WITHDRAWN
        renewed = issue(
            session,
            parts.settings,
            study,
            from_json(draft.report),
            origin=Origin.WITHDRAWN if is_withdrawn else Origin.RENEWED,
            at=at,
            actor=parts.name,
            selection=draft.selection,
            changes={**draft.changes, "against": draft.report_version, "reason": _CHANGED},
            # Who never had the draft is not told that it is withdrawn.
            only=_takers(session, draft) if is_withdrawn else None,
        )
        store.note(
            session,
            study.id,
            "report_renewed",
            at=at,
            actor=parts.name,
            report_version=renewed.report_version,
            against=draft.report_version,
            reason=_CHANGED,
        )
    return _CHANGED


def _takers(session: Session, draft: Draft) -> set[str]:
    """Return the destinations that a version goes to."""
    query = select(Delivery.destination).where(Delivery.draft_id == draft.id)
    return set(session.scalars(query))
