"""A whole Taqrir of its own, run as a site runs it: `taqrir up` in processes that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from servers import dcmtk, free_port, wait_until
from servers.process import ending_with_us
from sqlalchemy.orm import Session

from cli.show import describe_study
from core import database, store

SENDER = "MODALITY"
_START_SECONDS = 90.0


class Installation:
    """`taqrir up` on a folder, with what a test wants to ask and break.

    Use as a context manager; nothing of it is left behind.
    """

    def __init__(self, folder: Path, *, quiet_seconds: float = 1.0, more: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.metrics_port = free_port()
        self.config = folder / "taqrir.toml"
        self.log = folder / "log.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f"""\
data_dir = "data"
[node]
host = "127.0.0.1"
port = {self.port}
minimum_free_mb = 1
[[senders]]
ae_title = "{SENDER}"
[[senders]]
ae_title = "ORTHANC"
[completion]
quiet_seconds = {quiet_seconds}
[worker]
lease_seconds = 3
sweep_seconds = 0.5
retry_seconds = 0.5
[delivery]
retry_seconds = 0.5
retry_max_seconds = 1
timeout_seconds = 5
[metrics]
port = {self.metrics_port}
{more}
""",
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start all parts and wait until `up` says that it is up."""
        out = self.folder / "out.txt"
        with self.log.open("ab") as log, out.open("wb") as text:
            self._process = subprocess.Popen(
                [
                    *ending_with_us(),
                    sys.executable,
                    "-m",
                    "cli",
                    "up",
                    "--config",
                    str(self.config),
                ],
                stdout=text,
                stderr=log,
                start_new_session=True,
            )

        def is_up() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            return "taqrir is up" in out.read_text()

        wait_until(is_up, timeout=_START_SECONDS)

    def stop(self) -> None:
        """Stop all parts as an operator would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def part(self, *words: str) -> psutil.Process:
        """Return a running part by words of its command line, e.g. `worker` or `valkey-server`."""
        return self.parts(*words)[0]

    def parts(self, *words: str) -> list[psutil.Process]:
        """Return all running parts with these words in their command line, at least one."""
        assert self._process is not None
        found = []
        for child in psutil.Process(self._process.pid).children():
            # A server may write its state behind its name: "valkey-server unixsocket:...".
            line = {Path(argument.partition(" ")[0]).name for argument in child.cmdline()}
            if line.issuperset(words):
                found.append(child)
        assert found, f"no part runs with {words}"
        return found

    def kill(self, *words: str) -> None:
        """Kill a part and its own children at once, as a power cut would."""
        part = self.part(*words)
        for process in [part, *part.children(recursive=True)]:
            process.send_signal(signal.SIGKILL)
        part.wait(10)

    def kill_everything(self) -> None:
        """Kill `up` itself; the kernel takes its parts with it."""
        assert self._process is not None
        parts = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait(10)
        _gone, alive = psutil.wait_procs(parts, timeout=10)
        assert not alive, alive

    def run(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of ours with this installation's settings."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if code is not None:
            assert done.returncode == code, done.stderr[-3000:]
        return done

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def show(self, name: str) -> dict[str, Any]:
        """Return what `taqrir show --json` tells; empty where nothing was received."""
        with self._reading() as session:
            studies = [describe_study(session, row) for row in store.find(session, name)]
        return studies[0] if len(studies) == 1 else {}

    def heartbeats(self) -> set[str]:
        """Return which parts said that they live."""
        with self._reading() as session:
            return set(store.heartbeats(session))

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Look in this process: a command a poll would keep one of two cores from drafting."""
        engine = database.open_engine(f"sqlite:///{self.data / 'taqrir.db'}")
        try:
            with database.reading(engine) as session:
                yield session
        finally:
            engine.dispose()

    def storescu_command(self, *words: str | Path) -> list[str]:
        """Return DCMTK's command that sends files here; options come before files."""
        options = [str(word) for word in words if str(word)[0] in "+-"]
        files = [str(word) for word in words if str(word)[0] not in "+-"]
        where = ("-aet", SENDER, "-aec", "TAQRIR", "127.0.0.1", str(self.port))
        return [dcmtk("storescu"), *options, *where, *files]

    def storescu(self, *words: str | Path) -> None:
        """Send files with DCMTK, as a modality would."""
        subprocess.run(
            self.storescu_command(*words),
            check=True,
            capture_output=True,
            env={**os.environ, "TCP_NODELAY": "1"},
            timeout=120,
        )

    def await_state(self, name: str, *states: str, timeout: float = 90.0) -> dict[str, Any]:
        """Wait until a study is in one of some states, and return it."""

        def shown() -> dict[str, Any]:
            study = self.show(name)
            return study if study.get("state") in states else {}

        return wait_until(shown, timeout=timeout, interval=0.2)

    def await_delivered(
        self, name: str, is_enough: Callable[[list[dict[str, Any]]], bool], timeout: float = 90.0
    ) -> dict[str, Any]:
        """Wait until a study's deliveries are as wanted, and return the study."""

        def shown() -> dict[str, Any]:
            study = self.show(name)
            rows = study.get("deliveries", [])
            return study if rows and is_enough(rows) else {}

        return wait_until(shown, timeout=timeout, interval=0.2)


def all_sent(rows: list[dict[str, Any]]) -> bool:
    """Say whether every delivery was acknowledged."""
    return all(row["state"] == "SENT" for row in rows)
