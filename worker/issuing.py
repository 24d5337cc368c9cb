"""A new report version: recorded with all that has to be sent of it, and what it ends.

Everything that makes a version calls `issue`: the pipeline, a signature, a corrected header, a
withdrawal.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import outbox, versions
from core.lifecycle import Origin
from core.report import Report, to_json
from core.settings import Settings
from core.tables import Draft, Study
from worker.destinations import Issue, plan_results
from worker.sources import drafts_out


def issue(
    session: Session,
    settings: Settings,
    study: Study,
    report: Report,
    *,
    origin: Origin,
    at: datetime,
    actor: str,
    selection: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    seconds: float = 0.0,
    is_withheld: bool = False,
    only: Collection[str] | None = None,
) -> Draft:
    """Record a report version and its deliveries; drop what of earlier ones was not sent.

    `only` names the destinations that it goes to; None: all.

    A version that is withheld is recorded and goes nowhere.
    """
    draft = Draft(
        study_id=study.id,
        study_version=study.version,
        report_version=versions.next_report_version(session, study.id),
        is_withheld=is_withheld,
        created_at=at,
        seconds=seconds,
        model_name=report.model.name,
        model_revision=report.model.revision,
        report=to_json(report),
        selection=selection or {},
        origin=origin,
        changes=changes or {},
    )
    session.add(draft)
    session.flush()
    if not is_withheld:
        reason = f"report version {draft.report_version} took its place"
        outbox.drop_pending(session, study.id, at=at, actor=actor, reason=reason)
        issued = Issue(
            study_uid=study.study_uid,
            report_version=draft.report_version,
            report=report,
            has_drafts_out=bool(drafts_out(session, study.id, before=draft.report_version)),
        )
        outbox.plan(session, draft, plan_results(settings, issued, only=only), at=at)
    return draft
