"""`complete`: an operator says that a study is whole."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from cli.options import as_json, open_database, print_json, with_settings
from core import store
from core.clock import utcnow
from core.database import writing
from core.errors import TransitionError
from core.lifecycle import State
from core.queue import Doorbell
from core.settings import Settings
from core.tables import Study

_SEVERAL = 2


@click.command()
@click.argument("study")
@as_json
@with_settings
def complete(settings: Settings, config: Path | None, study: str, *, as_json: bool) -> None:
    """Take a RECEIVING study for whole now, whatever may still come; it is drafted at once.

    STUDY is a Study Instance UID or an accession number. What holds for every whole study holds
    here: two patients under one UID, no image, an image that no rule admits, too many versions.

    Exit code 1: it was not queued; 2: several studies bear the accession number, and all are
    listed, untouched.
    """
    del config
    engine = open_database(settings)
    with writing(engine) as session:
        found = store.find(session, study)
    if len(found) != 1:
        _say_which(study, found, is_json=as_json)
    result = _complete(engine, settings, found[0].id)
    if result["state"] == State.QUEUED and not result["problem"]:
        Doorbell(settings).ring_study(found[0].id)
    if as_json:
        print_json(result)
    if result["problem"]:
        click.echo(f"taqrir: {result['problem']}", err=True)
        sys.exit(1)
    if not as_json:
        click.echo(f"{result['study_uid']} is {result['state']}")


def _complete(engine: Engine, settings: Settings, study: int) -> dict[str, Any]:
    from dicom_node.completion import complete_now

    actor = f"operator {getpass.getuser()}"
    with writing(engine) as session:
        row = store.get(session, study, lock=True)
        problem = ""
        try:
            complete_now(session, row, settings, at=utcnow(), actor=actor)
        except TransitionError:
            problem = f"{row.study_uid} is {row.state}; only a RECEIVING study can be completed"
        else:
            if row.state != State.QUEUED:
                problem = f"{row.study_uid} is {row.state}: {row.reason}"
        return _described(row) | {"problem": problem}


def _described(study: Study) -> dict[str, Any]:
    return {
        "study_uid": study.study_uid,
        "accession_number": study.accession_number,
        "state": study.state,
        "version": study.version,
        "completed_by": "" if study.state == State.RECEIVING else study.completed_by,
        "reason_code": study.reason_code,
        "reason": study.reason,
    }


def _say_which(name: str, found: Sequence[Study], *, is_json: bool) -> None:
    """Say that no study or several bear a name, and end."""
    if is_json:
        print_json([_described(study) for study in found])
    if not found:
        click.echo(f"taqrir: nothing was received under {name}", err=True)
        sys.exit(1)
    if not is_json:
        for study in found:
            click.echo(f"{study.study_uid} is {study.state}")
    click.echo(f"taqrir: {len(found)} studies bear {name}: name one by its UID", err=True)
    sys.exit(_SEVERAL)


COMMANDS = (complete,)
