"""`node`: the receiving processes and the index, supervised."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from cli.options import with_settings_apart
from cli.running import only_one, supervise
from cli.supervisor import Program
from core import log
from core.associations import Associations, index_ready_file
from core.blobs import InstanceFiles
from core.errors import SettingsError
from core.footprint import apart
from core.listening import open_listeners
from core.process import usable_cores
from core.settings import Settings

_GRACE_SECONDS = 10.0
# The index brings the tables up to date and indexes what an earlier run left, then it is ready.
_MIGRATION_SECONDS = 600.0


@click.command()
@with_settings_apart
def node(settings: Settings, config: Path | None) -> None:
    """Run the DICOM node: receive objects, index them, tell when a study is complete."""
    log.configure()
    with only_one(settings, "node"):
        supervise(node_programs(settings, config), lambda: click.echo(_describe(settings)))


def node_programs(settings: Settings, config: Path | None) -> list[Program]:
    """Return the node's programs; the listening sockets are opened here and inherited by them.

    Raises:
        SettingsError: A port is taken, or a certificate cannot be used.
    """
    if settings.node.tls is not None:
        for warning in apart(_check_tls, settings):
            click.echo(f"taqrir: {warning}", err=True)
    sockets = _open_listeners(settings)
    InstanceFiles(settings.data_dir).prepare()
    Associations.forget_all(settings.data_dir)
    options = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "cli.receiving", *options]
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
        command=[sys.executable, "-m", "cli.indexing", *options],
        is_ready=index_ready_file(settings.data_dir).exists,
        ready_seconds=_MIGRATION_SECONDS,
        grace_seconds=_GRACE_SECONDS,
    )
    return [index, *receivers]


def _check_tls(settings: Settings) -> list[str]:
    from dicom_node.tls_check import check_tls

    return check_tls(settings)


def _open_listeners(settings: Settings) -> dict[str, socket.socket]:
    try:
        return open_listeners(settings.node)
    except OSError as error:
        raise SettingsError(
            f"node.port = {settings.node.port}: cannot listen on {settings.node.host}: "
            f"{error.strerror}"
        ) from None


def _describe(settings: Settings) -> str:
    where = settings.node
    return f"taqrir node is up: {where.ae_title} on {where.host}:{where.port}"


COMMANDS = (node,)
