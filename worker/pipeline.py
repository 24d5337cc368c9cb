"""From a queued study to a recorded draft: claim, select, render, gather context, draft, record.

Every way out of a draft is a row of the lifecycle table, and each is written with the claim as its
guard: a worker that lost its claim writes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from core import intake, outbox, store, versions
from core.database import reading, writing
from core.drafting import Drafter, DraftRequest
from core.errors import (
    DraftCancelledError,
    MemoryExhaustedError,
    NotForUsError,
    PatientConflictError,
    PermanentError,
    TransientError,
    TransitionError,
)
from core.lifecycle import Event, Origin
from core.log import log
from core.report import Report
from core.tables import Study
from dicom_node.selection import RenderedSelection, Selection
from worker.context import context_of, identifiers_of, laterality_of, severities_of
from worker.issuing import issue
from worker.lease import Lease, LostLeaseError
from worker.parts import Parts
from worker.seeing import look_at

_log = log(__name__)
# A ring takes the first study in line that no other worker takes; so many may be at it at once.
_CANDIDATES = 16


def draft_next(parts: Parts) -> bool:
    """Draft for the most urgent study that waits; True where this call recorded something."""
    study = claim_next(parts)
    return study is not None and draft_claimed(parts, study)


def claim_next(parts: Parts) -> Study | None:
    """Take the most urgent study that waits; None where none does.

    Which study was rung for plays no part: there is a ring for each, and the database knows their
    order. So a stat study overtakes all that was rung for before it, whatever the broker does with
    the order of messages, and also where it lost them and the sweep rang again.
    """
    with reading(parts.engine) as session:
        waiting = store.due_studies(session, at=parts.clock(), limit=_CANDIDATES)
    for study_id in waiting:
        try:
            return _claim(parts, study_id)
        except TransitionError:
            # Another worker was faster; the next one in line, then.
            continue
    return None


def draft_study(parts: Parts, study_id: int) -> bool:
    """Draft for a study if it waits for that; True where this call recorded something.

    A call for a study that somebody else drafts, or that is done, is not an error.
    """
    try:
        study = _claim(parts, study_id)
    except TransitionError:
        return False
    return draft_claimed(parts, study)


def draft_claimed(parts: Parts, study: Study) -> bool:
    """Draft for a study that was taken; True where the outcome was recorded."""
    _log.info("draft_started", study=study.id, version=study.version, attempt=study.attempts + 1)
    with Lease(parts, study) as lease:
        write = _work(parts, study, lease)
    try:
        with writing(parts.engine) as session:
            write(session)
    except TransitionError:
        _log.info("draft_dropped", study=study.id, version=study.version, reason="no longer ours")
        return False
    _ring_for_deliveries(parts, study.id)
    return True


def _claim(parts: Parts, study_id: int) -> Study:
    lease = timedelta(seconds=parts.settings.worker.lease_seconds)
    with writing(parts.engine) as session:
        # The threads of one process are told apart: a lease that one lost is not another's.
        owner = f"{parts.name}/{threading.get_native_id()}"
        return store.claim(session, study_id, owner=owner, at=parts.clock(), lease=lease)


def _work(parts: Parts, study: Study, lease: Lease) -> Callable[[Session], None]:
    """Do the work of a claimed study; return what writes its outcome."""
    began = time.monotonic()
    try:
        selection, rendering = look_at(parts, study)
        lease.require()
        report = _draft(parts, study, selection, rendering, lease)
    except Exception as error:  # noqa: BLE001  the task's border: every error ends in a state
        return _outcome_of(parts, study, error)
    seconds = time.monotonic() - began
    explained = _explain(study, selection, rendering, report)
    return _recording(parts, study, report, explained, seconds)


def _outcome_of(parts: Parts, study: Study, error: Exception) -> Callable[[Session], None]:
    """Return what writes the end of a draft that failed."""
    match error:
        case LostLeaseError() | DraftCancelledError():
            return _lose
        case PatientConflictError():
            return lambda session: intake.withhold_for_conflict(
                session, study, at=parts.clock(), actor=parts.name
            )
        case NotForUsError():
            return _ending(parts, study, Event.NOT_FOR_US, "NO_READABLE_IMAGE", error)
        case PermanentError():
            return _ending(parts, study, Event.FAILED_PERMANENT, type(error).__name__, error)
        case TransientError():
            return _another_attempt(parts, study, str(error))
        case _:
            # A bug, or a library that failed in a way nobody foresaw. It is loud in the log, and
            # the study ends FAILED after as many attempts as a transient failure would have.
            _log.error("draft_crashed", study=study.id, exc_info=error)
            return _another_attempt(parts, study, f"unexpected {type(error).__name__}")


def _draft(
    parts: Parts, study: Study, selection: Selection, rendering: RenderedSelection, lease: Lease
) -> Report:
    model = parts.settings.model
    with reading(parts.engine) as session:
        context = context_of(session, study, selection)
        identifiers = identifiers_of(store.header_of(session, study))
    request = DraftRequest(
        images=rendering.images,
        context=context,
        languages=model.languages,
        severities=severities_of(parts, study),
        max_new_tokens=study.options.get("max_new_tokens", model.max_new_tokens),
        adapter=study.options.get("adapter", ""),
        is_urgent=study.priority == "stat",
        cancelled=lease.lost,
        arabic=model.arabic,
        laterality=laterality_of(selection),
        # What the model was not told it cannot compare with.
        has_prior=bool(context.prior_impression),
        identifiers=identifiers,
    )

    def on_step(step: str) -> None:
        lease.require()
        _log.info("draft_step", study=study.id, step=step)

    return draft_within_memory(parts.drafter, request, on_step)


def draft_within_memory(
    drafter: Drafter, request: DraftRequest, on_step: Callable[[str], None]
) -> Report:
    """Draft; where memory runs out, with half as many pictures, the first ones.

    Raises:
        MemoryExhaustedError: It does not even hold one.
    """
    wanted = len(request.images)
    while True:
        try:
            report = drafter.draft(request, on_step)
        except MemoryExhaustedError:
            count = len(request.images) // 2
            if not count:
                raise
            _log.warning("draft_with_fewer_images", count=count)
            request = replace(request, images=request.images[:count])
            continue
        if (seen := len(request.images)) == wanted:
            return report
        reason = f"Memory ran out with {wanted} images; the model saw the first {seen}."
        return replace(report, reasons=(reason, *report.reasons))


def _explain(
    study: Study, selection: Selection, rendering: RenderedSelection, report: Report
) -> dict[str, Any]:
    """Return what the model saw and why, as it is stored with the draft."""
    # A frame may be several pictures, a window each; the report names it once.
    seen = {(frame.sop_instance_uid, frame.frame_number) for frame in report.frames}
    frames = [image.frame for image in rendering.images]
    return {
        "rule": study.rule,
        "priority": study.priority,
        "options": study.options,
        "frames": [
            asdict(frame)
            for frame in frames
            if (frame.sop_instance_uid, frame.frame_number) in seen
        ],
        "reasons": [*selection.reasons, *rendering.unreadable, *report.reasons],
    }


def _lose(session: Session) -> None:
    del session
    raise TransitionError("the claim was lost while drafting")


def _ending(
    parts: Parts, study: Study, event: Event, code: str, error: PermanentError
) -> Callable[[Session], None]:
    def write(session: Session) -> None:
        reason = str(error)
        store.advance(
            session,
            study,
            event,
            at=parts.clock(),
            actor=parts.name,
            changes={"reason_code": code, "reason": reason},
            detail={"code": code, "reason": reason},
        )
        _log.info("draft_ended", study=study.id, kind=event, code=code)

    return write


def _another_attempt(parts: Parts, study: Study, reason: str) -> Callable[[Session], None]:
    def write(session: Session) -> None:
        worker = parts.settings.worker
        at = parts.clock()
        store.fail_attempt(
            session,
            study,
            Event.FAILED_TRANSIENT,
            at=at,
            actor=parts.name,
            retry_at=at + timedelta(seconds=worker.retry_seconds * 2**study.attempts),
            max_attempts=worker.max_attempts,
            reason=reason,
        )
        _log.warning("draft_failed", study=study.id, reason=reason)

    return write


def _recording(
    parts: Parts, study: Study, report: Report, selection: dict[str, Any], seconds: float
) -> Callable[[Session], None]:
    """Return what writes a finished draft: the state, the draft and its deliveries, or WITHHELD."""

    def write(session: Session) -> None:
        at = parts.clock()
        blocking = report.blocking
        reason = "; ".join(finding.message for finding in blocking)
        code = ",".join(sorted({finding.code for finding in blocking}))
        detail: dict[str, Any] = {
            "report_version": versions.next_report_version(session, study.id),
            "study_version": study.version,
            "model": str(report.model),
            "seconds": round(seconds, 1),
            "images": len(report.frames),
            "findings": sorted({finding.code for finding in report.findings}),
            "rule": study.rule,
        }
        store.advance(
            session,
            study,
            Event.WITHHELD if blocking else Event.DRAFTED,
            at=at,
            actor=parts.name,
            changes={"reason_code": code, "reason": reason, "attempts": 0},
            detail=detail | ({"reason": reason} if reason else {}),
        )
        issue(
            session,
            parts.settings,
            study,
            report,
            origin=Origin.MODEL,
            at=at,
            actor=parts.name,
            selection=selection,
            seconds=seconds,
            is_withheld=bool(blocking),
        )
        _log.info("draft_recorded", study=study.id, version=study.version, code=code or "OK")

    return write


def _ring_for_deliveries(parts: Parts, study: int) -> None:
    with reading(parts.engine) as session:
        waiting = outbox.due(session, at=parts.clock(), study=study)
    for delivery in waiting:
        parts.doorbell.ring_delivery(delivery)
