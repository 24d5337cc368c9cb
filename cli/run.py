"""`up`, `node`, `worker`: the commands that keep running."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis
from sqlalchemy import Engine

from cli.options import with_settings
from cli.supervisor import Program, StartError, Supervisor
from core import broker, database, log, metrics
from core.errors import SettingsError
from core.queue import DELIVER_QUEUE, DRAFT_QUEUE, Doorbell
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
    with _only_one(settings):
        _prepare(settings)
        programs = [
            *_broker_program(settings),
            Program(
                name="node",
                command=_command(config, "node"),
                is_ready=lambda: _is_listening(settings.node.host, settings.node.port),
            ),
            *_worker_programs(config),
        ]
        _supervise(programs, lambda: click.echo(_describe(settings)))


@click.command()
@with_settings
def node(settings: Settings, config: Path | None) -> None:
    """Run the DICOM node: receive objects, index them, tell when a study is complete."""
    del config
    from dicom_node.server import Node

    log.configure()
    engine = _open(settings)
    server = Node(settings, engine, Doorbell(settings))
    try:
        server.start()
    except OSError as error:
        raise SettingsError(
            f"node.port = {settings.node.port}: cannot listen on {settings.node.host}: "
            f"{error.strerror}"
        ) from None
    _wait_for_stop()
    server.stop()


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
        _supervise(_worker_programs(config), lambda: click.echo("taqrir worker is up"))
    elif part == _SWEEP:
        _sweep(settings)
    else:
        from worker.app import run_worker

        _open(settings).dispose()
        sys.exit(run_worker(settings, part))


def _sweep(settings: Settings) -> None:
    from worker.parts import Parts
    from worker.sweep import Sweep

    parts = Parts(settings=settings)
    database.migrate(parts.engine)
    where = settings.metrics
    try:
        stop_metrics = metrics.serve(parts.engine, where.host, where.port)
    except OSError as error:
        raise SettingsError(
            f"metrics.port = {where.port}: cannot listen on {where.host}: {error.strerror}"
        ) from None
    sweep = Sweep(parts)
    thread = threading.Thread(target=sweep.run, name="sweep")
    thread.start()
    _wait_for_stop()
    sweep.stop()
    thread.join()
    stop_metrics()


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the data folder: a second `up` on it would start a second broker over the first.

    Raises:
        SettingsError: Somebody holds it.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / "up.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SettingsError(
                f"data_dir = {settings.data_dir}: `taqrir up` already runs on this folder "
                f"(process {lock.read().strip() or 'unknown'})"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _prepare(settings: Settings) -> None:
    """Refuse a start that cannot come to anything, then bring the tables up to date."""
    from model.checkpoint import inspect_checkpoint

    if settings.orders.peers:
        click.echo("taqrir: [orders] has no effect in this release", err=True)
    inspect_checkpoint(settings.checkpoint_folder)
    _open(settings)


def _open(settings: Settings) -> Engine:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = database.open_engine(database.database_url(settings))
    database.migrate(engine)
    return engine


def _command(config: Path | None, *words: str) -> list[str]:
    options = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "cli", *words, *options]


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
            command=_command(config, "worker", "--part", part),
            grace_seconds=_DRAFT_GRACE_SECONDS,
        )
        for part in _PARTS
    ]


def _supervise(programs: list[Program], on_ready: Callable[[], None]) -> None:
    try:
        Supervisor(programs).run(on_ready)
    except StartError as error:
        raise SettingsError(f"the start failed: {error}; its own lines above say why") from None


def _answers(path: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(path)) as connection:
            return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False


def _is_listening(host: str, port: int) -> bool:
    address = "127.0.0.1" if host in {"", "0.0.0.0"} else host  # noqa: S104  means: every address
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _wait_for_stop() -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()


def _describe(settings: Settings) -> str:
    node_settings = settings.node
    where = f"{node_settings.ae_title} on {node_settings.host}:{node_settings.port}"
    lines = [
        f"taqrir is up: {where}, data in {settings.data_dir}",
        f"  senders: {', '.join(s.ae_title for s in settings.senders) or 'none: nobody may send'}",
        f"  archives: {', '.join(p.name for p in settings.pacs) or 'none'}",
        f"  information systems: {', '.join(r.name for r in settings.ris) or 'none'}",
    ]
    return "\n".join(lines)


COMMANDS = (up, node, worker)
