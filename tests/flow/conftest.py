"""The flow runs over both databases: one tests what the other forgives."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness import Site
from servers import fresh_database
from servers.postgres import plain

from core import database, migration


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("sqlite") / "taqrir.db"
    engine = database.open_engine(f"sqlite:///{path}")
    migration.migrate(engine)
    # What stands in the write-ahead log would not be copied.
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def empty_postgres(postgres_url: str) -> Iterator[str]:
    """A migrated database, to be used as a template."""
    with fresh_database(postgres_url) as url:
        engine = database.open_engine(url)
        migration.migrate(engine)
        engine.dispose()
        yield url


@contextmanager
def _copied(template: str) -> Iterator[str]:
    """Copy a database and drop the copy at the end."""
    server, _, source = template.rpartition("/")
    name = f"flow_{uuid.uuid4().hex}"
    with psycopg.connect(plain(f"{server}/postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make installations on one kind of database; each is stopped and looked over at the end."""
    with ExitStack() as stack:
        count = 0

        def make(**options: Any) -> Site:
            nonlocal count
            count += 1
            folder = tmp_path / f"site-{count}"
            url = "embedded"
            if request.param == "sqlite":
                (folder / "data").mkdir(parents=True)
                source = request.getfixturevalue("empty_sqlite")
                shutil.copy(source, folder / "data" / "taqrir.db")
            else:
                template = request.getfixturevalue("empty_postgres")
                url = stack.enter_context(_copied(template))
            site = Site(folder, url, **options)
            stack.callback(site.close)
            return site

        yield make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """An installation without destinations."""
    return make_site()
