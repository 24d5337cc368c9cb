"""`deliveries` and `park`: what is on its way to whom, and what a person takes off the way."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.options import as_json, open_database, print_json, with_settings
from core import outbox, store
from core.clock import utcnow
from core.database import reading, writing
from core.errors import SettingsError
from core.lifecycle import DeliveryState
from core.settings import Settings
from core.tables import Artifact, Channel, Delivery, Draft, Study

# Enough for a person; `--all` has no limit.
_MOST = 200
_MOST_REASON_LETTERS = 200


@click.command()
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in DeliveryState], case_sensitive=False),
    multiple=True,
    help="Only deliveries in this state; may be given several times.",
)
@click.option("--destination", help="Only to it, such as `pacs:main`.")
@click.option("--study", help="Only of it: a Study Instance UID or an accession number.")
@click.option("--all", "is_all", is_flag=True, help=f"More than the newest {_MOST}.")
@as_json
@with_settings
def deliveries(
    settings: Settings,
    config: Path | None,
    states: tuple[str, ...],
    destination: str | None,
    study: str | None,
    *,
    is_all: bool,
    as_json: bool,
) -> None:
    """List deliveries, newest first, and destinations that cannot be reached."""
    del config
    engine = open_database(settings)
    with reading(engine) as session:
        rows = _rows(session, states, destination, study, limit=None if is_all else _MOST)
        channels = _channels(session)
    if as_json:
        print_json({"deliveries": rows, "destinations": channels})
        return
    for row in rows:
        click.echo(_line(row))
    for channel in channels:
        if channel["failures"]:
            since: datetime = channel["failing_since"]
            click.echo(
                f"{channel['destination']} cannot be reached since "
                f"{since.astimezone():%Y-%m-%d %H:%M:%S}, tried {channel['failures']} times"
            )


def _rows(
    session: Session,
    states: tuple[str, ...],
    destination: str | None,
    study: str | None,
    *,
    limit: int | None,
) -> list[dict[str, Any]]:
    query = (
        select(Delivery, Artifact, Draft, Study)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .join(Draft, Draft.id == Delivery.draft_id)
        .join(Study, Study.id == Delivery.study_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if states:
        query = query.where(Delivery.state.in_(states))
    if destination:
        query = query.where(Delivery.destination == destination)
    if study:
        query = query.where(Study.id.in_([row.id for row in store.find(session, study)]))
    return [
        {
            "study_uid": row[3].study_uid,
            "accession_number": row[3].accession_number,
            "report_version": row[2].report_version,
            "origin": row[2].origin,
            "destination": row[0].destination,
            "kind": row[1].kind,
            "language": row[1].language,
            "uid": row[1].uid,
            "state": row[0].state,
            "attempts": row[0].attempts,
            "created_at": row[0].created_at,
            "next_attempt_at": row[0].next_attempt_at,
            "sent_at": row[0].sent_at,
            "reason": row[0].reason,
            "dismissed_at": row[0].dismissed_at,
        }
        for row in session.execute(query)
    ]


def _channels(session: Session) -> list[dict[str, Any]]:
    return [
        {
            "destination": row.name,
            "failures": row.failures,
            "failing_since": row.failing_since,
            "held_until": row.held_until,
        }
        for row in session.scalars(select(Channel).order_by(Channel.name))
    ]


def _line(row: dict[str, Any]) -> str:
    name = f"{row['kind']} {row['language']}".strip()
    reason = f": {row['reason']}" if row["reason"] else ""
    return (
        f"{row['state']:<9} {row['destination']:<16} {name:<6} version {row['report_version']} "
        f"of {row['study_uid']}, {row['attempts']} attempts  {row['uid']}{reason}"
    )


@click.command()
@click.argument("uid", metavar="DELIVERY")
@click.option("--reason", required=True, help="Why, for the timeline; no patient data.")
@click.option("--destination", help="Only to it, such as `pacs:main`.")
@with_settings
def park(
    settings: Settings, config: Path | None, uid: str, reason: str, destination: str | None
) -> None:
    """Take a delivery that waits off the way: PARKED, until `taqrir retry`.

    DELIVERY is the SOP Instance UID or message control id that `taqrir deliveries` prints. What
    waited behind it goes on. Exit code 1: nothing of it waits.
    """
    del config
    words = " ".join(reason.split())
    if not words or len(words) > _MOST_REASON_LETTERS:
        raise SettingsError(f"--reason takes 1 to {_MOST_REASON_LETTERS} letters")
    engine = open_database(settings)
    actor = f"operator {getpass.getuser()}"
    with writing(engine) as session:
        count = outbox.park(
            session, uid, destination=destination, at=utcnow(), actor=actor, reason=words
        )
    if not count:
        click.echo(f"{uid}: nothing of it waits to be sent", err=True)
        sys.exit(1)
    click.echo(f"{uid}: {count} deliveries parked")


COMMANDS = (deliveries, park)
