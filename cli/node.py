"""`node`: the receiving processes and the index, supervised."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from cli.options import with_settings
from cli.running import command_line, only_one, open_database, supervise, wait_for_stop
from cli.supervisor import Program
from core import log
from core.blobs import InstanceFiles
from core.errors import SettingsError
from core.process import usable_cores
from core.settings import Settings

_GRACE_SECONDS = 10.0
# The index brings the tables up to date and indexes what an earlier run left, then it is ready.
_MIGRATION_SECONDS = 600.0


@click.command()
@click.option(
    "--part",
    type=click.Choice(["index"]),
    help="Run the index alone: rows of what was received, completion, reports.",
)
@with_settings
def node(settings: Settings, config: Path | None, part: str | None) -> None:
    """Run the DICOM node: receive objects, index them, tell when a study is complete."""
    log.configure()
    if part is not None:
        _index(settings)
        return
    with only_one(settings, "node"):
        supervise(node_programs(settings, config), lambda: click.echo(_describe(settings)))


def node_programs(settings: Settings, config: Path | None) -> list[Program]:
    """Return the node's programs; the listening sockets are opened here and inherited by them.

    Raises:
        SettingsError: A port is taken, or a certificate cannot be used.
    """
    from dicom_node.associations import Associations
    from dicom_node.tls_check import check_tls

    for warning in check_tls(settings):
        click.echo(f"taqrir: {warning}", err=True)
    sockets = _open_listeners(settings)
    InstanceFiles(settings.data_dir).prepare()
    Associations.forget_all(settings.data_dir)
    command = [sys.executable, "-m", "cli.receiving"]
    command += ["--config", str(config)] if config else []
    for name, listener in sockets.items():
        command += [f"--{name}", str(listener.fileno())]
    receivers = [
        Program(
            name=f"node receive {slot}",
            command=[*command, "--slot", str(slot)],
            is_ready=Associations(settings.data_dir, slot).is_served,
            grace_seconds=_GRACE_SECONDS,
            sockets=tuple(sockets.values()),
        )
        for slot in range(settings.node.processes or usable_cores())
    ]
    index = Program(
        name="node index",
        command=command_line(config, "node", "--part", "index"),
        is_ready=_ready_file(settings).exists,
        ready_seconds=_MIGRATION_SECONDS,
        grace_seconds=_GRACE_SECONDS,
    )
    return [index, *receivers]


def _open_listeners(settings: Settings) -> dict[str, socket.socket]:
    from dicom_node.receiving import open_listeners

    try:
        return open_listeners(settings)
    except OSError as error:
        raise SettingsError(
            f"node.port = {settings.node.port}: cannot listen on {settings.node.host}: "
            f"{error.strerror}"
        ) from None


def _index(settings: Settings) -> None:
    from core.queue import Doorbell
    from dicom_node.server import Index

    index = Index(settings, open_database(settings), Doorbell(settings))
    index.start()
    _ready_file(settings).touch()
    wait_for_stop()
    index.stop()


def _ready_file(settings: Settings) -> Path:
    """Return what the index leaves where the open associations are, once it serves."""
    return settings.data_dir / "associations" / ".index"


def _describe(settings: Settings) -> str:
    where = settings.node
    return f"taqrir node is up: {where.ae_title} on {where.host}:{where.port}"


COMMANDS = (node,)
