"""Start a foreign program, wait for it, stop it by pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

_T = TypeVar("_T")

# Loaded machines start servers slowly; a server that died is noticed at once (see wait_until).
START_SECONDS = 60.0
STOP_SECONDS = 15.0


def is_listening(port: int) -> bool:
    """Say whether somebody accepts connections on a port of the loopback."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(predicate: Callable[[], _T], timeout: float = 10.0, interval: float = 0.05) -> _T:
    """Ask until the answer is truthy, and return it.

    Raises:
        AssertionError: It was not within `timeout` seconds; the last answer is named.
    """
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            name = getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(f"{name} was not so within {timeout} s; last answer: {answer!r}")
        time.sleep(interval)
    return answer


def program(*candidates: str | Path) -> str:
    """Return the first candidate that is there: an absolute path, or a name to look for on PATH.

    Where none is, the test ends as `missing` says.
    """
    for candidate in candidates:
        if found := shutil.which(candidate):
            return found
    return missing(Path(candidates[-1]).name)


def missing(what: str) -> NoReturn:
    """End a test for want of a foreign peer.

    It is skipped on a laptop and fails on a build server (``CI=true``), where a skip would hide
    that nothing was tested.
    """
    reason = f"no {what} here: `make test-deps` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def ending_with_us() -> list[str]:
    """Return what stands before a command to stop it also when pytest itself is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    is_ready: Callable[[], object],
    user: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; its output goes to `log`.

    A session of its own keeps Ctrl-C for pytest, which then stops the program.

    Raises:
        AssertionError: It ended or did not become ready; its last words are quoted.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*ending_with_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=log.parent,
        )
    try:
        wait_until(lambda: process.poll() is not None or is_ready(), START_SECONDS)
        if process.poll() is not None:
            raise AssertionError(
                f"{command[0]} ended with {process.returncode}:\n{_last_words(log)}"
            )
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program: asked first, killed when it does not listen."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
