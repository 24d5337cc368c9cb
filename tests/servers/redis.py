"""Debian's Redis."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.process import is_listening, program, running


@contextmanager
def running_redis(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run Redis on a port; what it holds is in `folder` and survives a restart on the same."""
    command = [program("/usr/bin/redis-server", "redis-server"), "--bind", "127.0.0.1"]
    command += ["--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    with running(command, log=folder / "redis.log", is_ready=lambda: is_listening(port)) as process:
        yield process
