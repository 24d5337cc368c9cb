"""`send`, `retry`, `check`: doing something and saying how it went."""

from __future__ import annotations

import getpass
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.counter import Counter
from cli.golive import Check, run_checks
from cli.inputs import opened
from cli.options import as_json, open_database, print_json, with_settings
from core import outbox, store
from core.clock import utcnow
from core.database import writing
from core.errors import SettingsError
from core.lifecycle import State
from core.queue import Doorbell
from core.settings import Settings
from core.tables import Study

if TYPE_CHECKING:
    from dicom_node.client import Peer


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--calling", help="Our AE title for this (default: the first of [[senders]]).")
@click.option("--tls", is_flag=True, help="To the TLS port, showing the node's own certificate.")
@as_json
@with_settings
def send(
    settings: Settings,
    config: Path | None,
    paths: tuple[Path, ...],
    calling: str | None,
    *,
    tls: bool,
    as_json: bool,
) -> None:
    """Send files, folders or zip archives to the node as a PACS would.

    What is not DICOM is named and skipped. Exit code 1: something was skipped or not accepted.
    """
    del config
    from dicom_node.client import send_files

    if calling is None and not settings.senders:
        raise SettingsError("[[senders]] is empty: the node takes objects from nobody")
    calling = calling or settings.senders[0].ae_title
    peer = _own_node(settings, calling, over_tls=tls or not settings.node.plain)
    with opened(paths) as inputs:
        results = send_files(peer, inputs.files, Counter(len(inputs.files)))
    problems = [f"{name}: not found" for name in inputs.missing] + inputs.unreadable
    problems += [f"{inputs.name_of(r.path)}: {r.problem}" for r in results if not r.is_stored]
    accepted = sum(result.is_stored for result in results)
    if as_json:
        print_json({"accepted": accepted, "problems": problems})
    else:
        click.echo(f"{accepted} accepted by {peer.ae_title}, {len(problems)} not")
        for problem in problems:
            click.echo(f"taqrir: {problem}", err=True)
    if problems:
        sys.exit(1)


def _own_node(settings: Settings, calling: str, *, over_tls: bool) -> Peer:
    """Return how our own node is called.

    Raises:
        SettingsError: It has no TLS port.
    """
    from core.tls_context import PeerTls
    from dicom_node.client import Peer
    from dicom_node.tls import own_pair

    node = settings.node
    host = "127.0.0.1" if node.host == "0.0.0.0" else node.host  # noqa: S104  every address
    peer = Peer(ae_title=node.ae_title, host=host, port=node.port, calling_ae_title=calling)
    if not over_tls:
        return peer
    if node.tls is None:
        raise SettingsError("[node.tls] is missing: the node has no TLS port")
    own = own_pair(node.tls, settings.resolve)
    # It is this very certificate that the node shows, whatever host it names.
    known = PeerTls(trusted=own.certificate, own=own, verify_host=False, setting=own.setting)
    return replace(peer, port=node.tls.port, tls=known)


@click.command()
@click.argument("study")
@with_settings
def retry(settings: Settings, config: Path | None, study: str) -> None:
    """Draft a FAILED, WITHHELD or IGNORED study again, or send what of it is parked or waits.

    STUDY is a Study Instance UID or an accession number that only one study bears.
    """
    del config
    engine = open_database(settings)
    doorbell = Doorbell(settings)
    actor = f"operator {getpass.getuser()}"
    with writing(engine) as session:
        found = store.find(session, study)
        if len(found) != 1:
            raise SettingsError(
                f"{len(found)} studies bear {study}: name one by its Study Instance UID"
            )
        row = found[0]
        at = utcnow()
        if row.state in {State.FAILED, State.WITHHELD, State.IGNORED}:
            store.retry(session, row, at=at, actor=actor)
            queued, sent = True, 0
        else:
            sent = outbox.hurry(session, row.id, at=at)
            sent += outbox.retry_parked(session, row.id, at=at, actor=actor)
            queued = False
    _say_retried(row, queued=queued, deliveries=sent)
    if queued:
        doorbell.ring_study(row.id)
    with writing(engine) as session:
        for delivery in outbox.due(session, at=utcnow()):
            doorbell.ring_delivery(delivery)


def _say_retried(study: Study, *, queued: bool, deliveries: int) -> None:
    if queued:
        click.echo(f"{study.study_uid} is QUEUED")
    elif deliveries:
        click.echo(f"{study.study_uid}: {deliveries} deliveries are tried again now")
    else:
        click.echo(f"{study.study_uid} is {study.state}; nothing of it waits", err=True)
        sys.exit(1)


@click.command()
@as_json
@with_settings
def check(settings: Settings, config: Path | None, *, as_json: bool) -> None:
    """Check before going live: every peer, the database, the broker, the disk, the model.

    Exit code 1: not ready.
    """
    del config
    results: list[Check] = []
    for result in run_checks(settings):
        results.append(result)
        if not as_json:
            mark = "ok  " if result.is_ok else "FAIL"
            click.echo(f"{mark}  {result.name:<22} {result.words}")
            for warning in result.warnings:
                click.echo(f"WARN  {result.name:<22} {warning}")
    if as_json:
        rows = [
            {"name": r.name, "ok": r.is_ok, "words": r.words, "warnings": r.warnings}
            for r in results
        ]
        print_json({"ready": all(r.is_ok for r in results), "checks": rows})
    if not all(result.is_ok for result in results):
        sys.exit(1)


COMMANDS = (send, retry, check)
