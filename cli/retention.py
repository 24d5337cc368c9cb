"""`dismiss` and `purge`: what a person gives up, and what goes when its days are over."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cli.disk import in_words
from cli.options import as_json, open_database, print_json, with_settings
from core import dismissal, retention, store
from core.clock import utcnow
from core.database import reading, writing
from core.dismissal import Dismissal, Dismissed
from core.errors import SettingsError
from core.retention import HOLDS, Hold, RetentionPolicy
from core.settings import Settings
from core.tables import Study

_MOST_REASON_LETTERS = 200
# What `purge --dry-run` lists; the numbers count all of them.
_MOST_LISTED = 10_000


@click.command()
@click.argument("name", metavar="STUDY|DELIVERY")
@click.option("--reason", required=True, help="Why, for the timeline; no patient data.")
@click.option("--destination", help="Only deliveries to it, such as `pacs:main`.")
@with_settings
def dismiss(
    settings: Settings, config: Path | None, name: str, reason: str, destination: str | None
) -> None:
    """Say that nothing more will be done about a study or a delivery that waits for a person.

    STUDY is a Study Instance UID or an accession number that only one study bears: dismissed is a
    FAILED or WITHHELD state, and every delivery that is PARKED or that an archive does not confirm.
    DELIVERY is the SOP Instance UID or MSH-10 of an object, as `taqrir show` prints it.

    What is dismissed leaves the list of troubles, and retention may remove it. `taqrir retry` takes
    it back. Exit code 1: nothing of it waited for a person.
    """
    del config
    engine = open_database(settings)
    policy = RetentionPolicy.of(settings)
    words = Dismissal(
        at=utcnow(), actor=f"operator {getpass.getuser()}", reason=_checked_reason(reason)
    )
    with writing(engine) as session:
        done = _dismiss(session, name, destination, policy, words)
    if not (done.is_study or done.deliveries):
        click.echo(f"{name}: nothing of it waits for a person", err=True)
        sys.exit(1)
    what = [f"{done.study.state}, dismissed"] if done.is_study else []
    what += [f"{done.deliveries} deliveries dismissed"] if done.deliveries else []
    click.echo(f"{done.study.study_uid}: {', '.join(what)}")
    click.echo(f"Its files and texts: {_fate(engine, done.study, policy)}")


def _checked_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason or len(reason) > _MOST_REASON_LETTERS:
        raise SettingsError(f"--reason takes 1 to {_MOST_REASON_LETTERS} letters")
    return reason


def _dismiss(
    session: Session,
    name: str,
    destination: str | None,
    policy: RetentionPolicy,
    words: Dismissal,
) -> Dismissed:
    studies = [study.id for study in store.find(session, name)]
    if not studies:
        studies, is_delivery = dismissal.studies_with_delivery(session, name), True
    else:
        is_delivery = False
    if len(studies) != 1:
        raise SettingsError(
            f"{len(studies)} studies bear {name}: name one by its Study Instance UID, or a "
            "delivery by the UID that `taqrir show` prints"
        )
    [study] = studies
    if not is_delivery and destination is None:
        return dismissal.dismiss_study(session, study, policy, words)
    return dismissal.dismiss_delivery(
        session,
        study,
        policy,
        words,
        uid=name if is_delivery else "",
        destinations=[destination] if destination else (),
    )


def _fate(engine: Engine, study: Study, policy: RetentionPolicy) -> str:
    with reading(engine) as session:
        hold = session.scalar(
            select(retention.hold(policy, at=utcnow())).where(Study.id == study.id)
        )
    return HOLDS[Hold(str(hold))]


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would go, and what holds the rest.")
@as_json
@with_settings
def purge(settings: Settings, config: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Remove files, texts and patient of studies whose days are over (`retention.days`).

    The worker does so by itself, about once a minute. Exit code 1: somebody else is purging, or
    files could not be deleted.
    """
    del config
    engine = open_database(settings)
    if dry_run:
        report = _plan(engine, settings)
        print_json(report) if as_json else click.echo(_plan_text(report))
        return
    from worker.parts import Parts
    from worker.purge import Purge

    result = Purge(Parts(settings=settings), actor=f"operator {getpass.getuser()}").run()
    if as_json:
        print_json(
            {
                "purged": result.studies,
                "instances": result.instances,
                "bytes": result.size_bytes,
                "unfinished": result.unfinished,
                "is_other_running": result.is_other_running,
            }
        )
    elif result.is_other_running:
        click.echo("taqrir: somebody else is purging", err=True)
    else:
        size = in_words(result.size_bytes)
        click.echo(f"{result.studies} studies purged: {result.instances} objects, {size}")
        if result.unfinished:
            click.echo(
                f"taqrir: the files of {result.unfinished} studies could not be deleted; the log "
                "says why, and the next purge tries again",
                err=True,
            )
    if result.is_other_running or result.unfinished:
        sys.exit(1)


def _plan(engine: Engine, settings: Settings) -> dict[str, Any]:
    policy = RetentionPolicy.of(settings)
    at = utcnow()
    with reading(engine) as session:
        rows = retention.kept(session, policy, at=at, limit=_MOST_LISTED)
        counts = retention.overview(session, policy, at=at).holds
    listed = [
        {
            "study_uid": row.study_uid,
            "state": row.state,
            "since": row.since,
            "instances": row.instances,
            "bytes": row.size_bytes,
            "hold": row.hold,
        }
        for row in rows
    ]
    return {
        "days": policy.days,
        "due": [row for row in listed if row["hold"] == Hold.DUE],
        "held": [row for row in listed if row["hold"] != Hold.DUE],
        "counts": dict(counts),
        "is_cut": len(listed) == _MOST_LISTED,
    }


def _plan_text(report: dict[str, Any]) -> str:
    lines = [f"retention.days = {report['days']}"]
    lines += [_plan_line("would go", row) for row in report["due"]]
    lines += [_plan_line(HOLDS[row["hold"]], row) for row in report["held"]]
    if report["is_cut"]:
        lines.append(f"... only the oldest {_MOST_LISTED} are listed")
    counted = [
        f"{HOLDS[hold]}: {number}"
        for hold, number in report["counts"].items()
        if number and hold in (Hold.IN_WORK, Hold.YOUNG, Hold.FOR_EVER)
    ]
    return "\n".join([*lines, *counted])


def _plan_line(words: str, row: dict[str, Any]) -> str:
    size = f"{row['instances']} objects, {in_words(row['bytes'])}"
    since = f"since {row['since'].astimezone():%Y-%m-%d}"
    return f"{row['study_uid']}  {row['state']} {since}, {size}: {words}"


COMMANDS = (dismiss, purge)
