"""The tables' revisions: brought up to date at a start, looked at by the other commands.

Apart from `core.database`: Alembic takes ten megabytes, which no process needs once the tables are
there.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

# Any number will do as the advisory lock's name, as long as it stays the same.
_MIGRATION_LOCK = 7_402_173


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
