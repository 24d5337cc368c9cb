"""What the commands that keep running share: the start, the lock, the stop."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.supervisor import Program, StartError, Supervisor
from core.errors import SettingsError
from core.footprint import apart
from core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


@contextmanager
def only_one(settings: Settings, what: str) -> Iterator[None]:
    """Hold the data folder: a second `up` would start a second broker over the first.

    Args:
        settings: Whose data folder.
        what: The command that may run once.

    Raises:
        SettingsError: Somebody holds it.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / f"{what}.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SettingsError(
                f"data_dir = {settings.data_dir}: `taqrir {what}` already runs on this folder "
                f"(process {lock.read().strip() or 'unknown'})"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def open_database(settings: Settings) -> Engine:
    """Return the database's engine; its tables are brought up to date."""
    from core.database import database_url, open_engine

    migrate(settings)
    return open_engine(database_url(settings))


def migrate(settings: Settings) -> None:
    """Bring the tables up to date; nothing of what that takes stays in memory."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    apart(_migrate, settings)


def _migrate(settings: Settings) -> None:
    from core import database, migration

    engine = database.open_engine(database.database_url(settings))
    migration.migrate(engine)
    engine.dispose()


def command_line(config: Path | None, *words: str) -> list[str]:
    """Return how this installation's own command is started with the same settings."""
    options = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "cli", *words, *options]


def supervise(programs: list[Program], on_ready: Callable[[], None]) -> None:
    """Run programs until a signal comes.

    Raises:
        SettingsError: One of them could not be started.
    """
    try:
        Supervisor(programs).run(on_ready)
    except StartError as error:
        raise SettingsError(f"the start failed: {error}; its own lines above say why") from None


def wait_for_stop() -> None:
    """Wait for SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()
