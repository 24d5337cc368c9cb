"""`orders`: the listener for messages of an information system."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.options import with_settings
from cli.running import command_line, open_database, wait_for_stop
from cli.supervisor import Program
from core import log
from core.errors import SettingsError
from core.settings import Settings


@click.command()
@with_settings
def orders(settings: Settings, config: Path | None) -> None:
    """Listen for orders and merges by MLLP; `worker` follows them."""
    del config
    log.configure()
    from hl7.listener import OrdersListener

    listener = OrdersListener(settings, open_database(settings))
    where = settings.orders
    try:
        listener.start()
    except OSError as error:
        raise SettingsError(
            f"orders.port = {where.port}: cannot listen on {where.host}: {error.strerror}"
        ) from None
    ready_file(settings).parent.mkdir(parents=True, exist_ok=True)
    ready_file(settings).touch()
    click.echo(describe(settings))
    sys.stdout.flush()
    wait_for_stop()
    listener.stop()


def orders_programs(settings: Settings, config: Path | None) -> list[Program]:
    """Return the listener, where the settings have a section for it."""
    if "orders" not in settings.model_fields_set:
        return []
    ready_file(settings).unlink(missing_ok=True)
    return [
        Program(
            name="orders",
            command=command_line(config, "orders"),
            is_ready=ready_file(settings).exists,
        )
    ]


def ready_file(settings: Settings) -> Path:
    """Return what the listener leaves once it serves."""
    return settings.data_dir / ".orders-ready"


def describe(settings: Settings) -> str:
    """Return where orders are taken, and from whom."""
    where = settings.orders
    hosts = ", ".join(dict.fromkeys(peer.host for peer in where.peers))
    how = "MLLP over TLS" if where.tls else "MLLP"
    return (
        f"taqrir takes orders on {where.host}:{where.port} ({how}) from {hosts or 'this machine'}"
    )


COMMANDS = (orders,)
