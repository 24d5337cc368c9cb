"""The node's processes stay small: none keeps in memory what it never needs.

Each is run as it is started on a site, takes an object, and tells at its end what it has imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from bench.wire import Sender, SmallImages
from servers import free_port, wait_until
from servers.process import is_listening

from core.errors import SettingsError, TransientError
from core.footprint import apart, leave_out

pytestmark = [pytest.mark.service, pytest.mark.slow]
_TITLE = "MODALITY"
_PIXELS = {"numpy", "gdcm", "PIL"}
_MODELS = {"torch", "transformers"}
# Runs a module as `python -m` does; its children, forked or not, write nothing.
_TELLING = """\
import atexit, json, runpy, sys
def tell(path=sys.argv.pop(1)):
    loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    open(path, "w").write(json.dumps(sorted(loaded)))
atexit.register(tell)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


class _Node:
    """The node's settings, and what its processes had imported when they ended."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.port = free_port()
        self.data = folder / "data"
        self._folder = folder
        self._config = folder / "taqrir.toml"
        self._config.write_text(
            f'data_dir = "data"\n[node]\nhost = "127.0.0.1"\nport = {self.port}\nprocesses = 1\n'
            f'minimum_free_mb = 0\n[[senders]]\nae_title = "{_TITLE}"\n'
            f'[[rules]]\nname = "films"\nmodality = ["CR"]\n{more}',
            encoding="utf-8",
        )

    @contextmanager
    def telling(self, module: str, *words: str) -> Iterator[set[str]]:
        """Run a module; what it gives is filled with the names of packages when it has ended."""
        path, log = self._folder / f"{module}.json", self._folder / f"{module}.log"
        command = [sys.executable, "-c", _TELLING, str(path), module, *words]
        packages: set[str] = set()
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--config", str(self._config)], stdout=file, stderr=file
            )
        try:
            yield packages
        finally:
            process.terminate()
            code = process.wait(30)
        assert code == 0, log.read_text()
        packages.update(json.loads(path.read_text()))

    def take_one_object(self) -> None:
        wait_until(lambda: is_listening(self.port), timeout=60)
        with Sender(self.port, _TITLE) as sender:
            assert sender.store(*SmallImages(per_study=1, side=64).next()) == 0

    def await_indexed(self) -> None:
        inbox, studies = self.data / "inbox", self.data / "studies"
        wait_until(lambda: any(studies.rglob("*.dcm")) and not any(inbox.iterdir()), timeout=60)


def test_the_nodes_processes_import_no_more_than_they_need(tmp_path: Path) -> None:
    node = _Node(tmp_path)

    with node.telling("cli", "node") as supervisor:
        node.take_one_object()
        node.await_indexed()
    with node.telling("cli.receiving") as receiver:
        node.take_one_object()
    with node.telling("cli.indexing") as index:
        node.await_indexed()

    # DICOM's libraries and the database's come with the parts, not with who watches them.
    assert not supervisor & (_PIXELS | _MODELS)
    assert not supervisor & {"pydicom", "pynetdicom", "sqlalchemy", "alembic", "celery", "redis"}
    assert "click" in supervisor
    assert not receiver & (_PIXELS | _MODELS | {"sqlalchemy", "alembic", "celery", "click"})
    assert {"pydicom", "pynetdicom"} <= receiver
    assert not index & (_PIXELS | _MODELS | {"alembic", "mako"})
    assert {"pydicom", "sqlalchemy"} <= index


def test_who_supervises_all_parts_imports_none_of_their_libraries(tmp_path: Path) -> None:
    node = _Node(tmp_path, "[orders]\nport = 1\n")
    code = """\
import json, sys
from pathlib import Path
from cli import run
from cli.options import _load
config = Path(sys.argv[1])
settings = _load(config, is_apart=True)
settings.data_dir.mkdir()
run._prepare(settings)
programs = run._programs(settings, config)
assert not any(program.is_ready() for program in programs if program.name == "broker")
print(json.dumps([len(programs), sorted({name.partition(".")[0] for name in sys.modules})]))
"""

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "taqrir.toml")],
        capture_output=True,
        text=True,
        check=True,
    )

    programs, loaded = json.loads(done.stdout)
    assert programs == 7  # broker, index, a receiver, orders, three of the worker
    assert (node.data / "taqrir.db").exists()
    assert not set(loaded) & (_PIXELS | _MODELS | {"pydicom", "pynetdicom", "hl7apy"})
    assert not set(loaded) & {"sqlalchemy", "alembic", "celery", "redis", "prometheus_client"}


# What keeps them small


def _of_another_process(number: int) -> tuple[int, bool]:
    import sqlite3

    del sqlite3
    if number < 0:
        raise SettingsError("negative")
    return os.getpid(), "sqlite3" in sys.modules


def _killed_the_first_time(folder: Path) -> str:
    trace = folder / "trace"
    with trace.open("a") as file:
        file.write("x")
    if trace.read_text() == "x":
        os.kill(os.getpid(), 9)
    return trace.read_text()


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _always_killed() -> None:
    os.kill(os.getpid(), 9)


def test_what_is_done_apart_answers_and_raises_as_if_it_were_here() -> None:
    pid, has_imported = apart(_of_another_process, 1)

    assert pid != os.getpid()
    assert has_imported
    with pytest.raises(SettingsError, match="negative"):
        apart(_of_another_process, -1)


def test_what_is_done_apart_is_done_again_where_it_is_killed_but_not_for_ever(
    tmp_path: Path,
) -> None:
    assert apart(_killed_the_first_time, tmp_path) == "xx"
    with pytest.raises(TransientError, match="killed 3 times"):
        apart(_always_killed)


def test_what_is_done_apart_ends_with_who_wanted_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import os, pathlib, sys, time; from core.footprint import apart\n"
        "def wait(): pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)\n"
        "apart(wait)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(pid)])
    wait_until(lambda: pid.exists() and pid.read_text() != "")

    process.kill()
    process.wait(10)

    wait_until(lambda: not _is_alive(int(pid.read_text())))


def test_what_is_there_already_cannot_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)

    with pytest.raises(RuntimeError, match="json has been imported already"):
        leave_out(("json",))
    leave_out(("this",))
    try:
        with pytest.raises(ModuleNotFoundError):
            __import__("this")
    finally:
        del sys.modules["this"]
