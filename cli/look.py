"""`status`, `show`, `settings`: looking without touching."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.disk import describe_disk, describe_retention, disk_lines
from cli.options import as_json, open_database, print_json, with_settings
from cli.order_lines import (
    describe_orders,
    orders_lines,
    orders_of_study,
    study_orders_lines,
)
from cli.settings_page import describe_settings
from cli.turns import describe_turns, turn_lines
from core import commitments, confirmation, outbox, store
from core.audit_backlog import shipping_state
from core.blobs import InstanceFiles
from core.clock import utcnow
from core.database import reading
from core.errors import TransientError
from core.lifecycle import DeliveryState, State
from core.queue import Doorbell
from core.queue_names import QUEUES
from core.report import ReportStatus
from core.settings import Settings
from core.settings_file import masked
from core.tables import AuditEvent, Delivery, Draft, Study

# States in which a person has to do something.
_TROUBLED = (State.FAILED, State.WITHHELD)
_MEGABYTE = 1 << 20
_PURGED = "images, texts and patient were removed; what is sent again begins a new version"


@click.command()
@as_json
@with_settings
def status(settings: Settings, config: Path | None, *, as_json: bool) -> None:
    """Show where all studies and deliveries are, and whether the parts consume."""
    del config
    engine = open_database(settings)
    with reading(engine) as session:
        report = _status(session, settings)
    print_json(report) if as_json else click.echo(_status_text(report))


def _status(session: Session, settings: Settings) -> dict[str, Any]:
    counts = store.count_states(session)
    troubled = session.scalars(
        select(Study)
        .where(Study.state.in_(_TROUBLED), Study.dismissed_at.is_(None))
        .order_by(Study.id)
    ).all()
    parked = session.scalars(
        select(Delivery)
        .where(
            ((Delivery.state == DeliveryState.PARKED) & Delivery.dismissed_at.is_(None))
            | ((Delivery.state == DeliveryState.PENDING) & (Delivery.reason != ""))
            | (
                (Delivery.state == DeliveryState.SENT)
                & Delivery.reason.startswith(confirmation.NOTE)
            )
        )
        .order_by(Delivery.id)
    ).all()
    deliveries: dict[str, dict[str, int]] = {}
    for (destination, state), number in outbox.count_deliveries(session).items():
        deliveries.setdefault(destination, dict.fromkeys(DeliveryState, 0))[state] = number
    files = InstanceFiles(settings.data_dir)
    now = utcnow()
    return {
        "studies": {"received": sum(counts.values()), **counts},
        "queued": store.count_queued(session),
        "troubled_studies": [
            {
                "study_uid": study.study_uid,
                "accession_number": study.accession_number,
                "state": study.state,
                "rule": study.rule,
                "priority": study.priority,
                "reason_code": study.reason_code,
                "reason": study.reason,
            }
            for study in troubled
        ],
        "deliveries": deliveries,
        "troubled_deliveries": [
            {
                "study_uid": store.get(session, row.study_id).study_uid,
                "destination": row.destination,
                "state": row.state,
                "attempts": row.attempts,
                "next_attempt_at": row.next_attempt_at,
                "reason": row.reason,
            }
            for row in parked
        ],
        "commitments": dict(commitments.count_commitments(session)),
        "troubled_commitments": list(commitments.unreported(session)),
        **describe_orders(session),
        "queues": _queues(settings),
        "heartbeats": {
            name: round((now - at).total_seconds(), 1)
            for name, at in store.heartbeats(session).items()
        },
        "audit": asdict(shipping_state(settings, at=now)),
        "files": {
            "free_mb": files.free_bytes() // _MEGABYTE,
            "inbox": _count(files.inbox),
            "quarantine": _count(files.quarantine),
        },
        "disk": describe_disk(session, settings),
        "retention": describe_retention(session, settings, at=now),
    }


def _audit_lines(audit: dict[str, Any]) -> list[str]:
    """Return what an operator must know of the audit trail, nothing where all is well."""
    lines = []
    if since := audit["unwritten_since"]:
        lines.append(f"Audit       NOT WRITTEN since {since.astimezone():%Y-%m-%d %H:%M:%S}")
    if audit["messages"]:
        age = f"the oldest {audit['oldest_seconds']:.0f} s old"
        lines.append(f"Audit       {audit['messages']} messages wait for the repository, {age}")
    return lines


def _queues(settings: Settings) -> dict[str, int | None]:
    """Return how many messages wait in each queue; None where the broker is away."""
    doorbell = Doorbell(settings)
    waiting: dict[str, int | None] = {}
    for queue in QUEUES:
        try:
            waiting[queue] = doorbell.waiting(queue)
        except TransientError:
            waiting[queue] = None
    return waiting


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def _status_text(report: dict[str, Any]) -> str:
    states = "  ".join(f"{state} {report['studies'][state]}" for state in State)
    lines = [f"Studies     {report['studies']['received']} received: {states}"]
    if any(report["queued"].values()):
        lanes = "  ".join(f"{lane} {number}" for lane, number in report["queued"].items())
        lines.append(f"To draft    {lanes}")
    for destination, counts in sorted(report["deliveries"].items()):
        numbers = "  ".join(f"{state} {counts[state]}" for state in DeliveryState)
        lines.append(f"Deliveries  {destination}: {numbers}")
    if any(report["commitments"].values()):
        numbers = "  ".join(f"{state} {n}" for state, n in report["commitments"].items())
        lines.append(f"Commitments {numbers}")
    lines += orders_lines(report)
    for queue, waiting in report["queues"].items():
        age = report["heartbeats"].get(f"worker:{queue}")
        taken = "no beat taken yet" if age is None else f"last beat taken {age:.0f} s ago"
        rings = "broker away" if waiting is None else f"{waiting} waiting"
        lines.append(f"Queue       {queue}: {rings}, {taken}")
    lines += _audit_lines(report["audit"])
    files = report["files"]
    lines.append(
        f"Files       {files['free_mb']} MB free, {files['inbox']} to index, "
        f"{files['quarantine']} set aside"
    )
    lines += disk_lines(report["disk"], report["retention"])
    for study in report["troubled_studies"]:
        number = study["accession_number"] or "no accession"
        lines.append(f"{study['state']:<11} {study['study_uid']} ({number}): {study['reason']}")
    lines += [
        "{state:<11} {study_uid} to {destination}, {attempts} attempts: {reason}".format(**row)
        for row in report["troubled_deliveries"]
    ]
    lines += [
        "UNREPORTED  storage commitment {transaction_uid} to {ae_title}, {attempts} attempts: "
        "{reason}".format(**row)
        for row in report["troubled_commitments"]
    ]
    return "\n".join(lines)


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
                    name: value for name, value in draft.changes.items() if name != "header"
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


@click.command("settings")
@click.option("--describe", is_flag=True, help="Print the page that describes every setting.")
@as_json
@with_settings
def show_settings(
    settings: Settings, config: Path | None, *, describe: bool, as_json: bool
) -> None:
    """Show the effective settings, secrets masked."""
    if describe:
        click.echo(describe_settings(), nl=False)
        return
    data = masked(settings)
    if as_json:
        print_json(data)
        return
    click.echo(f"# from {config or 'defaults'} and TAQRIR_* variables")
    for key, value in data.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                click.echo(f"{key}.{name} = {json.dumps(inner)}")
        else:
            click.echo(f"{key} = {json.dumps(value)}")


COMMANDS = (status, show, show_settings)
