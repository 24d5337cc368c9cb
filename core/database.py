"""The engine: SQLite in WAL mode embedded, PostgreSQL on a site."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

from core.settings import EMBEDDED, Settings

# Writers of the embedded database take turns; a turn is milliseconds, a stalled disk is not.
_BUSY_SECONDS = 30
# Prepared statements that a connection keeps. A list of UIDs of another length is another
# statement, of some 100 kB where it has hundreds: Python's 128 of them would be the largest part of
# a process that only writes rows.
_KEPT_STATEMENTS = 16
# Of pages, a connection: half of SQLite's own measure. The system keeps the file's pages anyway.
_CACHE_KIB = 1024


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
    options = {"timeout": _BUSY_SECONDS, "cached_statements": _KEPT_STATEMENTS}
    # The one that was used last is used next, so that few come to hold pages.
    engine = create_engine(url, connect_args=options, pool_use_lifo=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    # The driver's own BEGIN comes late and is never IMMEDIATE: `_begin_sqlite` says it instead.
    connection.isolation_level = None
    cache = f"cache_size=-{_CACHE_KIB}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", cache):
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
