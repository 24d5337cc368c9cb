"""PostgreSQL, preferably Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from servers.ports import free_port
from servers.process import program, running

USER = "taqrir"


def _server_program(name: str) -> str:
    """Return a program of the newest installed version: Debian keeps them off PATH."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    return program(*(folder / name for folder in reversed(versions)), name)


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a new cluster and yield the SQLAlchemy address of its database ``postgres``.

    The server refuses to run as root, so that root starts it as Debian's user ``postgres``, in a
    folder which that user owns (pytest's own temporary folders are closed to others). Durability is
    off: the cluster lives as long as the tests.
    """
    initdb, server = _server_program("initdb"), _server_program("postgres")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="taqrir-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user, user)
        data = folder / "data"
        command = [initdb, "--pgdata", str(data), "--username", USER, "--auth", "trust"]
        command += ["--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8"]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=folder,
        )
        port = free_port()
        url = f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"
        command = [server, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        with running(command, log=folder / "log", is_ready=lambda: _answers(url), user=user):
            yield url
    finally:
        shutil.rmtree(folder)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Make an empty database beside the one at `url`, yield its address, drop it at the end."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(url, f"CREATE DATABASE {name}")
    try:
        yield url.rpartition("/")[0] + f"/{name}"
    finally:
        # FORCE: a test that failed may have left a connection open.
        _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def plain(url: str) -> str:
    """Return SQLAlchemy's address as libpq writes it."""
    return url.replace("+psycopg", "")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(statement.encode())


def _answers(url: str) -> bool:
    try:
        _execute(url, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
