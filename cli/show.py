"""`show`: all that is known of one study."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.options import as_json, open_database, print_json, with_settings
from cli.order_lines import orders_of_study, study_orders_lines
from cli.turns import describe_turns, turn_lines
from core import outbox, store
from core.database import reading
from core.lifecycle import State
from core.report import ReportStatus
from core.settings import Settings
from core.tables import AuditEvent, Draft, Study

_PURGED = "images, texts and patient were removed; what is sent again begins a new version"


@click.command()
@click.argument("study")
@as_json
@with_settings
def show(settings: Settings, config: Path | None, study: str, *, as_json: bool) -> None:
    """Show a study's timeline, drafts and deliveries.

    STUDY is a Study Instance UID or an accession number. Exit code 1: nothing was received under
    it; 2: several studies bear the accession number, and all are shown.
    """
    del config
    engine = open_database(settings)
    with reading(engine) as session:
        reports = [describe_study(session, row) for row in store.find(session, study)]
    if as_json:
        print_json(reports[0] if len(reports) == 1 else reports)
    else:
        click.echo("\n\n".join(study_text(report) for report in reports))
    if not reports:
        click.echo(f"taqrir: nothing was received under {study}", err=True)
        sys.exit(1)
    if len(reports) > 1:
        click.echo(f"taqrir: {len(reports)} studies bear {study}", err=True)
        sys.exit(2)


def describe_study(session: Session, study: Study) -> dict[str, Any]:
    """Return all that is known of a study, as plain data; no patient data but what drafts say."""
    drafts = session.scalars(
        select(Draft).where(Draft.study_id == study.id).order_by(Draft.report_version)
    ).all()
    timeline = store.timeline(session, study.id)
    return {
        "study_uid": study.study_uid,
        "accession_number": study.accession_number,
        "state": study.state,
        "version": study.version,
        "rule": study.rule,
        "priority": study.priority,
        "options": study.options,
        "reason_code": study.reason_code,
        "reason": study.reason,
        "needs_addendum": study.needs_addendum,
        "dismissed_at": study.dismissed_at,
        "purged_at": study.purged_at,
        **_completion(study, timeline),
        "sender": study.sender,
        "instances": len(store.instances_of(session, study.id)),
        "timeline": [
            {
                "at": row.at,
                "event": row.event,
                "from": row.from_state,
                "to": row.to_state,
                "actor": row.actor,
                "detail": row.detail,
            }
            for row in timeline
        ],
        "drafts": [
            {
                "report_version": draft.report_version,
                "study_version": draft.study_version,
                "origin": draft.origin,
                "is_withheld": draft.is_withheld,
                "created_at": draft.created_at,
                "seconds": round(draft.seconds, 2),
                # Purged: its text is gone.
                "report": json.loads(draft.report) if draft.report else None,
                "selection": draft.selection,
                "changes": {
                    name: value
                    for name, value in draft.changes.items()
                    if name not in {"header", "order"}
                },
            }
            for draft in drafts
        ],
        "orders": orders_of_study(session, study),
        "conversation": describe_turns(session, study),
        "deliveries": [
            {
                "destination": row.destination,
                "kind": artifact.kind,
                "language": artifact.language,
                "uid": artifact.uid,
                "state": row.state,
                "attempts": row.attempts,
                "next_attempt_at": row.next_attempt_at,
                "sent_at": row.sent_at,
                "sha256": artifact.sha256,
                "reason": row.reason,
                "dismissed_at": row.dismissed_at,
            }
            for row, artifact in outbox.deliveries_of(session, study.id)
        ],
    }


def _completion(study: Study, timeline: Sequence[AuditEvent]) -> dict[str, Any]:
    """Return why the study's version was taken for whole, and on which evidence.

    While it is being received nothing says so: what the row holds is of the version before.
    """
    if study.state == State.RECEIVING:
        return {"completed_by": "", "completion": {}}
    rows = [row.detail for row in timeline if "completed_by" in row.detail]
    return {"completed_by": study.completed_by, "completion": rows[-1] if rows else {}}


def _completion_line(report: dict[str, Any]) -> str:
    if not report["completed_by"]:
        return "Complete  not yet" if report["state"] == State.RECEIVING else "Complete  -"
    return f"Complete  {report['completed_by']}: {report['completion'].get('evidence', '')}"


def study_text(report: dict[str, Any], *, with_timeline: bool = True) -> str:
    """Return a study's description for a person at a terminal."""
    lines = [
        f"Study     {report['study_uid']}  accession {report['accession_number'] or '-'}",
        f"State     {report['state']}, version {report['version']}"
        + (f": {report['reason']}" if report["reason"] else ""),
        _completion_line(report),
        _rule_line(report),
    ]
    if report["purged_at"]:
        lines.append(f"Purged    {report['purged_at'].astimezone():%Y-%m-%d %H:%M:%S}: {_PURGED}")
    if report["dismissed_at"]:
        lines.append(f"Dismissed {report['dismissed_at'].astimezone():%Y-%m-%d %H:%M:%S}")
    if with_timeline:
        lines += ["Timeline", *(timeline_line(row) for row in report["timeline"])]
    lines += study_orders_lines(report["orders"])
    for draft in report["drafts"]:
        lines += ["", *_draft_lines(draft)]
    lines += turn_lines(report["conversation"])
    if report["deliveries"]:
        lines += ["", "Deliveries"]
    for row in report["deliveries"]:
        name = f"{row['kind']} {row['language']}".strip()
        reason = f": {row['reason']}" if row["reason"] else ""
        reason += ", dismissed" if row["dismissed_at"] else ""
        lines.append(
            f"  {row['destination']:<16} {name:<6} {row['state']:<9} "
            f"{row['attempts']} attempts  {row['uid']}{reason}"
        )
    return "\n".join(lines)


def _rule_line(report: dict[str, Any]) -> str:
    options = "".join(f", {name} {value}" for name, value in report["options"].items())
    return f"Rule      {report['rule'] or 'none of the site'}: {report['priority']}{options}"


def timeline_line(row: dict[str, Any]) -> str:
    """Return one line of a timeline."""
    at: datetime = row["at"]
    move = f"{row['from']} -> {row['to']}".strip() if row["from"] != row["to"] else ""
    detail = "  ".join(f"{key}={value}" for key, value in row["detail"].items() if value)
    words = (f"  {at.astimezone():%H:%M:%S}  {row['event']:<20}", f"{move:<22}", detail)
    return " ".join(words).rstrip()


def _draft_lines(draft: dict[str, Any]) -> list[str]:
    report = draft["report"]
    if report is None:
        return [
            f"Draft {draft['report_version']} of study version {draft['study_version']}: purged"
        ]
    model = report["model"]
    withheld = ", WITHHELD" if draft["is_withheld"] else ""
    versions = f"{draft['report_version']} of study version {draft['study_version']}{withheld}"
    lines = [f"{_name_of(report)} {versions}, by {model['name']} {model['revision']}"]
    lines[0] += _standing_of(report)
    if model["is_demonstration"]:
        lines.append("  DEMONSTRATION MODEL: this text has no clinical meaning.")
    for narrative in report["narratives"]:
        lines.append(f"  [{narrative['language']}]")
        for section in narrative["sections"]:
            lines.append(f"  {section['kind'].upper()}")
            lines += [f"    {line}" for line in section["text"].splitlines()]
    lines += [f"  {f['severity']}: {f['code']}: {f['message']}" for f in report["findings"]]
    lines += [f"  seen: {f['sop_instance_uid']}: {f['reason']}" for f in report["frames"]]
    lines += [f"  note: {reason}" for reason in draft["selection"].get("reasons", ())]
    return lines


def _name_of(report: dict[str, Any]) -> str:
    return "Report" if report.get("signature") else "Draft"


def _standing_of(report: dict[str, Any]) -> str:
    """Return how finished a version is, in words for a person."""
    signature = report.get("signature")
    if signature:
        languages = ", ".join(signature["languages"])
        return f", {report['status']} in {languages} by {signature['reader_name']}"
    return ", WITHDRAWN" if report["status"] == ReportStatus.WITHDRAWN else ", not verified"


COMMANDS = (show,)
