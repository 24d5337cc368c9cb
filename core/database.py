"""The engine: SQLite in WAL mode embedded, PostgreSQL on a site; and the migrations."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from core.settings import EMBEDDED, Settings

# Writers of the embedded database take turns; a turn is milliseconds, a stalled disk is not.
_BUSY_SECONDS = 30
# Any number will do as the advisory lock's name, as long as it stays the same.
_MIGRATION_LOCK = 7_402_173


def database_url(settings: Settings) -> str:
    """Return the database's address; the embedded one is a file in the data folder."""
    if settings.database.url == EMBEDDED:
        return f"sqlite:///{settings.data_dir / 'taqrir.db'}"
    return settings.database.url


def open_engine(url: str) -> Engine:
    """Return an engine on which `writing` and `reading` work.

    SQLite: WAL lets readers pass writers; `synchronous=FULL` keeps what was committed through a
    power cut, which NORMAL would not.
    """
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    # The driver's own BEGIN comes late and is never IMMEDIATE: `_begin_sqlite` says it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts reading and then writes can fail at once with "database is locked";
    # one that says so at its start waits its turn.
    is_writer = connection.get_execution_options().get("taqrir_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session whose changes are committed together, or not at all."""
    bound = engine.execution_options(taqrir_writes=True)
    with Session(bound, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only looks."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


def _migrations(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("core").joinpath("migrations")))
    config.attributes["engine"] = engine
    return config


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest revision; processes that start together take turns."""
    with _migration_turn(engine) as connection:
        config = _migrations(engine)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _migration_turn(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name == "sqlite":
        folder = Path(str(engine.url.database)).parent
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "migration.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with engine.execution_options(taqrir_writes=True).begin() as connection:
                yield connection
        return
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _MIGRATION_LOCK})
        yield connection


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """Return the database's revision and the newest one, for the go-live check."""
    head = ScriptDirectory.from_config(_migrations(engine)).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), head


def alembic_options(connection: Connection) -> dict[str, Any]:
    """Return how Alembic compares and alters; SQLite alters a table by making it anew."""
    return {"connection": connection, "render_as_batch": connection.dialect.name == "sqlite"}
