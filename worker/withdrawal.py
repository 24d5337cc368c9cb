"""Taking back drafts that stand with peers and are no longer to be read: `[withdrawal]`.

A draft is taken back when its study ends without it: rejected, reported by somebody else, failed
or withheld in a newer version, two patients in one study among it. Where a newer version took its
place, that version says so itself, in its own patient's name.

The sweep looks for such studies, so that no way to end one can forget it, and none is lost where a
process dies in between. A report that a person signed is never taken back by us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from io import BytesIO
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from core import patients, store, versions
from core.database import reading, writing
from core.errors import PatientConflictError
from core.lifecycle import DECIDED, Origin, State
from core.log import log
from core.orders import OrderReference
from core.report import Patient, ReportStatus, from_json, standing
from core.tables import Artifact, Delivery, Draft, Study
from dicom_node.header import read_header
from worker.issuing import issue
from worker.parts import Parts
from worker.sources import order_of

_ENDED = (State.REJECTED, State.IGNORED, State.WITHHELD, State.FAILED)
# The study's newest object names another patient than the drafts do.
_OTHER_PATIENT = "PATIENT_CONFLICT"
_UNKNOWN_PATIENT = (
    "patient conflict: objects of this Study Instance UID name different patients, and which of "
    "them the draft was sent of is no longer known; take it back where it stands by hand"
)
_log = log(__name__)


def withdraw_ended(parts: Parts) -> int:
    """Take back what stands of studies that ended without it; return of how many studies."""
    settings = parts.settings.withdrawal
    if settings.archives == "none" and not settings.ris:
        return 0
    with reading(parts.engine) as session:
        studies = _standing(session)
    count = 0
    for study in studies:
        try:
            with writing(parts.engine) as session:
                count += withdraw(session, parts, store.get(session, study, lock=True))
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001  one study's border: it stops no other's
            _log.error("withdrawal_crashed", study=study, exc_info=error)
    return count


def _standing(session: Session) -> Sequence[int]:
    """Return the studies that ended and whose current version is with a peer."""
    later = aliased(Draft)
    is_superseded = (
        select(later.id)
        .where(
            later.study_id == Draft.study_id,
            later.is_withheld.is_(False),
            later.report_version > Draft.report_version,
        )
        .exists()
    )
    return session.scalars(
        select(Draft.study_id)
        .join(Study, Study.id == Draft.study_id)
        .where(
            Study.state.in_(_ENDED),
            Study.purged_at.is_(None),
            Draft.is_withheld.is_(False),
            Draft.origin != Origin.WITHDRAWN,
            ~is_superseded,
            _is_out(Draft.study_id),
        )
        .order_by(Draft.study_id)
    ).all()


def _is_out(study: Any) -> Any:
    return (
        select(Delivery.id)
        .where(
            Delivery.study_id == study,
            Delivery.is_out,
        )
        .exists()
    )


def withdraw(session: Session, parts: Parts, study: Study) -> bool:
    """Take back a study's current version where it ended without it; False: there is nothing to."""
    draft = versions.current(session, study.id)
    if (
        draft is None
        or study.state not in _ENDED
        or draft.origin == Origin.WITHDRAWN
        or not draft.report
    ):
        return False
    report = from_json(draft.report)
    out = versions.objects_out(session, study.id, before=draft.report_version + 1)
    holders = _holders(session, study.id, out)
    if standing(report.status).is_final or not holders:
        return False
    at = parts.clock()
    changes: dict[str, Any] = {"against": draft.report_version}
    try:
        changes |= _to_keep(session, study, out, has_conflict=study.reason_code == _OTHER_PATIENT)
    except PatientConflictError:
        _tell_a_person(session, study, draft.report_version, at=at, actor=parts.name)
        return False
    withdrawn = issue(
        session,
        parts.settings,
        study,
        replace(report, status=ReportStatus.WITHDRAWN),
        origin=Origin.WITHDRAWN,
        at=at,
        actor=parts.name,
        selection=draft.selection,
        changes=changes,
        only=holders,
    )
    store.note(
        session,
        study.id,
        "draft_withdrawn",
        at=at,
        actor=parts.name,
        report_version=withdrawn.report_version,
        against=draft.report_version,
        reason=study.reason or str(study.state),
    )
    _log.info("draft_withdrawn", study=study.id, state=study.state)
    return True


def keep_patient(parts: Parts, withdrawal: int, *, has_conflict: bool) -> None:
    """Let a withdrawal bear the patient of what it takes back, whoever came into the study since.

    Args:
        parts: The worker's.
        withdrawal: The report version that takes back.
        has_conflict: The study's objects name different patients.

    Raises:
        PatientConflictError: They do, and nobody knows any more whom that was of.
    """
    with writing(parts.engine) as session:
        draft = session.get_one(Draft, withdrawal)
        study = store.get(session, draft.study_id, lock=True)
        if "header" not in draft.changes:
            out = versions.objects_out(session, study.id, before=draft.report_version)
            draft.changes = {
                **draft.changes,
                **_to_keep(session, study, out, has_conflict=has_conflict),
            }


def _to_keep(
    session: Session, study: Study, out: Sequence[tuple[Artifact, Draft]], *, has_conflict: bool
) -> dict[str, Any]:
    """Return what a withdrawal keeps of how objects were sent; empty: the study's row says it.

    The row names the newest object's patient: all images may have come again under another number.
    Where a person decided it names the patient of the decision, which may be of a later version.

    Raises:
        PatientConflictError: Two patients are in the study, and whom they were sent of is unknown.
    """
    sent_as = _sent_as(out)
    is_in_doubt = has_conflict and study.state not in DECIDED
    if is_in_doubt and not sent_as:
        raise PatientConflictError(_UNKNOWN_PATIENT)
    if is_in_doubt or (sent_as and _is_of_another(session, study, sent_as)):
        return sent_as
    return {}


def _is_of_another(session: Session, study: Study, sent_as: dict[str, Any]) -> bool:
    return patients.is_another(session, study, Patient(**sent_as["header"]["patient"]))


def _holders(session: Session, study: int, out: Sequence[tuple[Artifact, Draft]]) -> set[str]:
    """Return the destinations with a version that they were not told is withdrawn.

    They have it or may have it. That they were told counts only where they said so.
    """
    holders = versions.holders(session, study)
    found: set[str] = set()
    told: set[str] = set()
    for artifact, draft in out:
        for destination, is_sure in holders.get(artifact.id, {}).items():
            if draft.origin != Origin.WITHDRAWN and destination not in told:
                found.add(destination)
            elif draft.origin == Origin.WITHDRAWN and is_sure:
                told.add(destination)
    return found


def _sent_as(out: Sequence[tuple[Artifact, Draft]]) -> dict[str, Any]:
    """Return what is to be kept of how objects were sent: `header`, and `order` where it is known.

    Empty where nobody knows. What an older release sent says it in its documents only.
    """
    newest = next((draft.id for artifact, draft in out if artifact.sent_as), None)
    if newest is not None:
        kept = [a.sent_as for a, draft in out if a.sent_as and draft.id == newest]
        # An order may have come between two objects of one version; an older one may have been of
        # another patient, and so its order.
        orders = (sent["order"] for sent in kept if OrderReference() != order_of(sent["order"]))
        return {"header": kept[0]["header"], "order": next(orders, kept[0]["order"])}
    for artifact, _ in out:
        if artifact.kind == "sr" and artifact.content:
            header = read_header(BytesIO(artifact.content)).study
            # What the images are says the study still.
            return {"header": asdict(replace(header, modality="", body_part=""))}
    return {}


def _tell_a_person(
    session: Session, study: Study, report_version: int, *, at: datetime, actor: str
) -> None:
    """Write once into the timeline that a draft stands, which Taqrir cannot take back."""
    event = "withdrawal_impossible"
    if any(
        row.event == event and row.detail.get("report_version") == report_version
        for row in store.timeline(session, study.id)
    ):
        return
    store.note(
        session,
        study.id,
        event,
        at=at,
        actor=actor,
        report_version=report_version,
        reason=_UNKNOWN_PATIENT,
    )
    _log.warning("withdrawal_impossible", study=study.id)
