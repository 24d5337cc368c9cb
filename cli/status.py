"""`status`: where all studies and deliveries are, and whether the parts consume."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.disk import describe_disk, describe_retention, disk_lines
from cli.options import as_json, open_database, print_json, with_settings
from cli.order_lines import describe_orders, orders_lines
from core import commitments, confirmation, outbox, store
from core.audit_backlog import shipping_state
from core.blobs import InstanceFiles
from core.clock import utcnow
from core.database import reading
from core.errors import TransientError
from core.lifecycle import DeliveryState, State
from core.queue import Doorbell
from core.queue_names import QUEUES
from core.settings import Settings
from core.tables import Delivery, Study

# States in which a person has to do something.
_TROUBLED = (State.FAILED, State.WITHHELD)
_MEGABYTE = 1 << 20


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


COMMANDS = (status,)
