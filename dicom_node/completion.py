"""When a study is complete. Nothing in DICOM says so; here silence does.

The rule is pure (`decide`), the loop asks it for every study that has been quiet long enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core import intake, store
from core.clock import Clock
from core.database import reading, writing
from core.errors import TransitionError
from core.lifecycle import Event
from core.log import log
from core.queue import Doorbell
from core.settings_node import CompletionSettings
from core.tables import Instance, Study

_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a quiet study."""

    event: Event
    code: str = ""
    reason: str = ""


def decide(*, images: int, version: int, max_versions: int, has_conflict: bool) -> Decision:
    """Return what a study's silence means.

    Two patients under one Study Instance UID come first: nothing of it may be drafted. A study
    without an image (reports, structured data) is not for us. One that gets late images again and
    again is no longer drafted without being asked.
    """
    if has_conflict:
        return Decision(event=Event.IDENTITY_CONFLICT)
    if images == 0:
        return Decision(event=Event.NOT_FOR_US, code="NO_IMAGE", reason="the study holds no image")
    if version > max_versions:
        return Decision(
            event=Event.NOT_FOR_US,
            code="TOO_MANY_VERSIONS",
            reason=(
                f"late images came {version - 1} times; `taqrir retry` drafts the study again "
                f"(completion.max_versions = {max_versions})"
            ),
        )
    return Decision(event=Event.WENT_QUIET)


def complete_quiet(
    engine: Engine, doorbell: Doorbell, settings: CompletionSettings, clock: Clock
) -> int:
    """Complete every study that has been quiet long enough; return how many."""
    at = clock()
    before = at - timedelta(seconds=settings.quiet_seconds)
    with reading(engine) as session:
        quiet = [study.id for study in store.quiet_studies(session, before=before)]
    for study in quiet:
        if _complete(engine, study, settings, at=at, before=before):
            doorbell.ring_study(study)
    return len(quiet)


def _complete(
    engine: Engine, study_id: int, settings: CompletionSettings, *, at: datetime, before: datetime
) -> bool:
    """Apply the rule to one study; True where it was queued."""
    try:
        with writing(engine) as session:
            study = store.get(session, study_id)
            if study.last_instance_at > before:
                return False
            decision = decide(
                images=_count_images(session, study_id),
                version=study.version,
                max_versions=settings.max_versions,
                has_conflict=store.has_patient_conflict(session, study_id),
            )
            _apply(session, study, decision, settings, at=at)
    except TransitionError:
        # An image came in between; the study is looked at again when it is quiet again.
        return False
    _log.info("study_completed", study=study_id, kind=decision.event, code=decision.code)
    return decision.event is Event.WENT_QUIET


def _apply(
    session: Session,
    study: Study,
    decision: Decision,
    settings: CompletionSettings,
    *,
    at: datetime,
) -> None:
    if decision.event is Event.IDENTITY_CONFLICT:
        intake.withhold_for_conflict(session, study, at=at, actor="node")
        return
    detail = {
        "instances": len(store.instances_of(session, study.id)),
        "quiet_seconds": settings.quiet_seconds,
        "reason": decision.reason or f"nothing came for {settings.quiet_seconds:g} s",
    }
    changes = {"reason_code": decision.code, "reason": decision.reason}
    store.advance(
        session, study, decision.event, at=at, actor="node", changes=changes, detail=detail
    )


def _count_images(session: Session, study: int) -> int:
    query = select(func.count()).where(
        Instance.study_id == study,
        Instance.is_current,
        Instance.is_image,
        Instance.is_own.is_(False),
    )
    return session.scalar(query) or 0
