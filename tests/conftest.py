"""Fixtures of every test: real servers, started when the first test asks and stopped at the end.

`redis_url`, `postgres_url` and `orthanc` last the whole session and keep what a test leaves in
them; `fresh_redis_url`, `fresh_postgres_url` and `fresh_orthanc` are the same servers, empty. For a
server that a test stops or configures itself, use the context managers of `servers`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import hypothesis
import pytest
import redis
from pynetdicom.transport import AssociationSocket
from servers import (
    Orthanc,
    StoreScp,
    free_port,
    fresh_database,
    running_orthanc,
    running_postgres,
    running_redis,
    running_storescp,
)

# DCMTK and Orthanc leave Nagle's algorithm on; each of their answers would wait some 45 ms.
os.environ.setdefault("TCP_NODELAY", "1")


def _close(self: AssociationSocket) -> None:
    if self.socket is not None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# pynetdicom does not close a socket that cannot be shut down any more, because its peer was
# quicker: the interpreter does, and warns of it in whichever test runs at that moment.
AssociationSocket._shutdown_socket = _close

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("taqrir", deadline=None)
hypothesis.settings.load_profile("taqrir")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", metavar="DIR", help="keep pictures of viewers' pages there")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Redis."""
    port = free_port()
    with running_redis(tmp_path_factory.mktemp("redis"), port):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def fresh_redis_url(redis_url: str) -> str:
    """Address of a real Redis that holds nothing."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy address of a real PostgreSQL."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy address of an empty PostgreSQL database, dropped after the test."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A real PACS."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def fresh_orthanc(orthanc: Orthanc) -> Orthanc:
    """A real PACS that holds nothing and knows nobody."""
    orthanc.clear()
    return orthanc


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., StoreScp]]:
    """Start DCMTK receivers: ``storescp()``, ``storescp("--refuse", ae_title="ARCHIVE")``."""
    with ExitStack() as stack:
        count = 0

        def start(*options: str, ae_title: str = "STORESCP", port: int | None = None) -> StoreScp:
            nonlocal count
            count += 1
            folder = tmp_path / f"storescp-{count}"
            folder.mkdir()
            return stack.enter_context(
                running_storescp(folder, *options, ae_title=ae_title, port=port)
            )

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell why a test was run again: its first failure is told nowhere else."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"run again: {report.nodeid}", sep="-")
        terminalreporter.write_line(report.longreprtext[-6000:])
