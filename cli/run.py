"""`up` and `worker`: all parts on one machine, or the worker's alone."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import redis

from cli.node import node_programs
from cli.options import with_settings
from cli.orders import describe, orders_programs
from cli.running import command_line, only_one, open_database, supervise, wait_for_stop
from cli.supervisor import Program
from core import broker, database, log, metrics
from core.audit_metrics import AuditCollector
from core.errors import SettingsError
from core.queue import DELIVER_QUEUE, DRAFT_QUEUE
from core.retention_metrics import RetentionCollector
from core.settings import EMBEDDED, Settings

_SWEEP = "sweep"
_PARTS = (DRAFT_QUEUE, DELIVER_QUEUE, _SWEEP)
# A draft under way is finished on a stop, if it takes no longer; else its lease brings it back.
_DRAFT_GRACE_SECONDS = 30.0


@click.command()
@with_settings
def up(settings: Settings, config: Path | None) -> None:
    """Run all parts on this machine, the embedded broker and database included."""
    log.configure()
    with only_one(settings, "up"), only_one(settings, "node"):
        _prepare(settings)
        programs = [
            *_broker_program(settings),
            *node_programs(settings, config),
            *orders_programs(settings, config),
            *_worker_programs(config),
        ]
        supervise(programs, lambda: click.echo(_describe(settings)))


@click.command()
@click.option(
    "--part",
    type=click.Choice(_PARTS),
    help="Run one part only: drafting, delivering, or the sweep with the metrics.",
)
@with_settings
def worker(settings: Settings, config: Path | None, part: str | None) -> None:
    """Run the worker: draft queued studies, deliver drafts, ring again for what was lost."""
    log.configure()
    if part is None:
        _prepare(settings)
        supervise(_worker_programs(config), lambda: click.echo("taqrir worker is up"))
    elif part == _SWEEP:
        _sweep(settings)
    else:
        from worker.app import run_worker

        open_database(settings).dispose()
        sys.exit(run_worker(settings, part))


def _sweep(settings: Settings) -> None:
    from worker.parts import Parts
    from worker.sweep import Sweep

    parts = Parts(settings=settings)
    database.migrate(parts.engine)
    where = settings.metrics
    try:
        more = (RetentionCollector(parts.engine, settings), AuditCollector(settings))
        stop_metrics = metrics.serve(parts.engine, where.host, where.port, *more)
    except OSError as error:
        raise SettingsError(
            f"metrics.port = {where.port}: cannot listen on {where.host}: {error.strerror}"
        ) from None
    sweep = Sweep(parts)
    thread = threading.Thread(target=sweep.run, name="sweep")
    thread.start()
    wait_for_stop()
    sweep.stop()
    thread.join()
    stop_metrics()


def _prepare(settings: Settings) -> None:
    """Refuse a start that cannot come to anything, then bring the tables up to date."""
    from model.faults import SEVERITIES

    if unknown := sorted(set(settings.checks.severities) - set(SEVERITIES)):
        raise SettingsError(
            f"checks.severities names no check: {', '.join(unknown)}; docs/checks.md lists them"
        )
    # In a process of its own: what calls this supervises others for months, and torch would stay.
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as apart:
        apart.submit(_check_models, settings).result()
    open_database(settings)


def _check_models(settings: Settings) -> None:
    from model.opening import check_models

    check_models(settings)


def _broker_program(settings: Settings) -> list[Program]:
    if settings.broker.url != EMBEDDED:
        return []
    path = broker.socket_path(settings.data_dir)
    return [
        Program(
            name="broker",
            command=broker.command(settings.data_dir),
            is_ready=lambda: _answers(path),
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


def _answers(path: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(path)) as connection:
            return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False


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
