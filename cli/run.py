"""`up` and `worker`: all parts on one machine, or the worker's alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.node import node_programs
from cli.options import with_settings_apart
from cli.orders import describe, orders_programs
from cli.running import command_line, migrate, only_one, supervise
from cli.supervisor import Program
from core import broker, log
from core.errors import SettingsError
from core.footprint import apart
from core.queue_names import DELIVER_QUEUE, DRAFT_QUEUE
from core.settings import EMBEDDED, Settings

_SWEEP = "sweep"
_PARTS = (DRAFT_QUEUE, DELIVER_QUEUE, _SWEEP)
# A draft under way is finished on a stop, if it takes no longer; else its lease brings it back.
_DRAFT_GRACE_SECONDS = 30.0


@click.command()
@with_settings_apart
def up(settings: Settings, config: Path | None) -> None:
    """Run all parts on this machine, the embedded broker and database included."""
    log.configure()
    with only_one(settings, "up"), only_one(settings, "node"):
        _prepare(settings)
        supervise(_programs(settings, config), lambda: click.echo(_describe(settings)))


@click.command()
@click.option(
    "--part",
    type=click.Choice(_PARTS),
    help="Run one part only: drafting, delivering, or the sweep with the metrics.",
)
@with_settings_apart
def worker(settings: Settings, config: Path | None, part: str | None) -> None:
    """Run the worker: draft queued studies, deliver drafts, ring again for what was lost."""
    log.configure()
    if part is None:
        _prepare(settings)
        supervise(_worker_programs(config), lambda: click.echo("taqrir worker is up"))
        return
    migrate(settings)
    if part == _SWEEP:
        from cli.sweeping import sweep

        sweep(settings)
    else:
        from worker.app import run_worker

        sys.exit(run_worker(settings, part))


def _prepare(settings: Settings) -> None:
    """Refuse a start that cannot come to anything, then bring the tables up to date."""
    from model.faults import SEVERITIES

    if unknown := sorted(set(settings.checks.severities) - set(SEVERITIES)):
        raise SettingsError(
            f"checks.severities names no check: {', '.join(unknown)}; docs/checks.md lists them"
        )
    # What calls this supervises others for months, and torch would stay.
    apart(_check_models, settings)
    migrate(settings)


def _check_models(settings: Settings) -> None:
    from model.opening import check_models

    check_models(settings)


def _programs(settings: Settings, config: Path | None) -> list[Program]:
    return [
        *_broker_program(settings),
        *node_programs(settings, config),
        *orders_programs(settings, config),
        *_worker_programs(config),
    ]


def _broker_program(settings: Settings) -> list[Program]:
    if settings.broker.url != EMBEDDED:
        return []
    return [
        Program(
            name="broker",
            command=broker.command(settings.data_dir),
            is_ready=lambda: broker.answers(settings.data_dir),
        )
    ]


def _worker_programs(config: Path | None) -> list[Program]:
    return [
        Program(
            name=f"worker {part}",
            command=command_line(config, "worker", "--part", part),
            grace_seconds=_DRAFT_GRACE_SECONDS,
        )
        for part in _PARTS
    ]


def _describe(settings: Settings) -> str:
    node_settings = settings.node
    where = f"{node_settings.ae_title} on {node_settings.host}:{node_settings.port}"
    lines = [
        f"taqrir is up: {where}, data in {settings.data_dir}",
        f"  senders: {', '.join(s.ae_title for s in settings.senders) or 'none: nobody may send'}",
        f"  archives: {', '.join(a.name for a in settings.archives) or 'none'}",
        f"  information systems: {', '.join(r.name for r in settings.ris) or 'none'}",
    ]
    if "orders" in settings.model_fields_set:
        lines.append(f"  orders: {describe(settings).removeprefix('taqrir takes orders ')}")
    return "\n".join(lines)


COMMANDS = (up, worker)
