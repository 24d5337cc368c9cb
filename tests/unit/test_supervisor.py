"""Programs under one roof: started in order, revived, stopped together, never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from servers import wait_until

from cli.supervisor import Program, StartError, Supervisor

# Writes its pid and start into a file, then does what it is told.
_CHILD = """\
import os, signal, sys, time
name, what = sys.argv[1:3]
with open("starts", "a") as file:
    file.write(f"{name} {os.getpid()}\\n")
def leave(*_):
    with open("stops", "a") as file:
        file.write(f"{name}\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if what == "deaf" else leave)
if what == "dies":
    sys.exit(3)
time.sleep(60)
"""
_SUPERVISOR = """\
import sys
from cli.supervisor import Program, Supervisor
child = sys.argv[1]
programs = [
    Program(name=name, command=[sys.executable, child, name, what], grace_seconds=0.5)
    for name, what in (words.split("=") for words in sys.argv[2:])
]
Supervisor(programs).run(lambda: print("ready", flush=True))
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


class House:
    """A supervisor in a process of its own, in a folder where its programs leave traces."""

    def __init__(self, folder: Path, *programs: str) -> None:
        self.folder = folder
        child = folder / "child.py"
        child.write_text(_CHILD)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SUPERVISOR, str(child), *programs],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def starts(self, name: str) -> list[int]:
        return [int(line.split()[1]) for line in self.lines("starts") if line.startswith(name)]

    def end(self, number: signal.Signals = signal.SIGTERM) -> list[dict[str, object]]:
        """Stop it; return its log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=20)
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_programs_are_started_in_order_and_stopped_the_last_one_first(
    tmp_path: Path, number: signal.Signals
) -> None:
    house = House(tmp_path, "a=waits", "b=waits", "c=waits")
    wait_until(lambda: len(house.lines("starts")) == 3)

    house.end(number)

    assert house.process.returncode == 0
    assert house.lines("stops") == ["c", "b", "a"]
    assert not any(_is_alive(pid) for name in "abc" for pid in house.starts(name))


def test_a_program_that_dies_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    house = House(tmp_path, "a=waits", "b=waits")
    wait_until(lambda: len(house.lines("starts")) == 2)

    os.kill(house.starts("b")[0], signal.SIGKILL)
    wait_until(lambda: len(house.starts("b")) == 2)
    log = house.end()

    assert len(house.starts("a")) == 1
    (died,) = [line for line in log if line["event"] == "program_died"]
    assert (died["name"], died["exit_code"]) == ("b", -9)


def test_a_program_that_keeps_dying_is_started_less_and_less_often(tmp_path: Path) -> None:
    house = House(tmp_path, "a=waits", "b=dies")
    wait_until(lambda: len(house.starts("b")) == 3, timeout=15)
    log = house.end()

    pauses = [line["seconds"] for line in log if line["event"] == "program_died"]
    assert pauses[:2] == [0.5, 1.0]
    assert house.lines("stops") == ["a"]


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    house = House(tmp_path, "a=waits", "b=deaf")
    wait_until(lambda: len(house.lines("starts")) == 2)
    # The signal's handler is set right after the start is written down.
    time.sleep(0.2)

    log = house.end()

    assert [line["name"] for line in log if line["event"] == "program_killed"] == ["b"]
    assert house.lines("stops") == ["a"]
    assert not _is_alive(house.starts("b")[0])


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_no_program_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    house = House(tmp_path, "a=waits", "b=deaf")
    wait_until(lambda: len(house.lines("starts")) == 2)

    house.end(signal.SIGKILL)

    pids = [*house.starts("a"), *house.starts("b")]
    wait_until(lambda: not any(map(_is_alive, pids)))


def test_a_program_that_is_gone_when_it_is_to_be_revived_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    fragile = Program(name="fragile", command=[str(link), "-c", "import time; time.sleep(60)"])
    steady = _sleeper("steady", pid)
    supervisor = Supervisor([steady, fragile])

    def break_it() -> None:
        link.unlink()
        child = supervisor._children[1].process
        assert child is not None
        child.kill()

    def watch() -> None:
        time.sleep(1.5)
        assert _is_alive(int(pid.read_text()))
        link.symlink_to(sys.executable)
        wait_until(lambda: supervisor._children[1].is_running, timeout=10)
        supervisor._stopping.set()

    watcher = threading.Thread(target=watch)

    def on_ready() -> None:
        break_it()
        watcher.start()

    supervisor.run(on_ready)
    watcher.join()

    assert not _is_alive(int(pid.read_text()))


# The start


def _sleeper(name: str, path: Path, **options: object) -> Program:
    code = f"import os, time; open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    command = [sys.executable, "-c", code]
    return Program(name=name, command=command, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _keep_signals() -> object:
    before = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def test_a_program_that_ends_while_it_starts_fails_the_start_and_stops_the_others(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x'); exit(3)"
    first = _sleeper("first", pid, is_ready=lambda: pid.exists() and pid.read_text() != "")
    second = Program(name="second", command=[sys.executable, "-c", code], is_ready=lambda: False)

    with pytest.raises(StartError, match="second ended while it was starting"):
        Supervisor([first, second]).run(lambda: pytest.fail("it is not ready"))

    assert starts.read_text() == "x"
    assert not _is_alive(int(pid.read_text()))


def test_a_program_that_is_killed_in_its_very_first_start_is_started_again(tmp_path: Path) -> None:
    pid, ready = tmp_path / "pid", tmp_path / "ready"
    code = (
        f"import os, pathlib, time; pid = pathlib.Path({str(pid)!r}); again = pid.exists()\n"
        "pid.write_text(str(os.getpid()))\n"
        f"pathlib.Path({str(ready)!r}).touch() if again else None\n"
        "time.sleep(60)"
    )
    fragile = Program(name="fragile", command=[sys.executable, "-c", code], is_ready=ready.exists)
    first = _sleeper("first", tmp_path / "first")

    def kill() -> None:
        wait_until(lambda: pid.exists() and pid.read_text() != "")
        os.kill(int(pid.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    supervisor = Supervisor([first, fragile])
    supervisor.run(supervisor._stopping.set)
    killer.join()

    assert ready.exists()
    assert not _is_alive(int(pid.read_text()))


def test_a_program_that_dies_while_a_later_one_starts_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x'); import time; time.sleep(60)"
    early = Program(
        name="early",
        command=[sys.executable, "-c", code],
        is_ready=lambda: starts.exists() and starts.read_text() != "",
    )

    def is_early_back() -> bool:
        child = supervisor._children[0].process
        assert child is not None
        if starts.read_text() == "x":
            child.kill()
        return starts.read_text() == "xx"

    late = _sleeper("late", tmp_path / "late", is_ready=is_early_back)
    supervisor = Supervisor([early, late])

    supervisor.run(supervisor._stopping.set)

    assert starts.read_text() == "xx"


def test_a_program_that_is_killed_in_each_start_fails_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.supervisor._MOST_FIRST_KILLS", 2)
    starts = tmp_path / "starts"
    code = f"import os; open({str(starts)!r}, 'a').write('x'); os.kill(os.getpid(), 9)"
    program = Program(name="doomed", command=[sys.executable, "-c", code], is_ready=lambda: False)

    with pytest.raises(StartError, match="doomed was killed 2 times"):
        Supervisor([program]).run(lambda: pytest.fail("it is not ready"))

    assert starts.read_text() == "xx"


def test_a_program_that_never_gets_ready_fails_the_start_in_time(tmp_path: Path) -> None:
    program = _sleeper("slow", tmp_path / "pid", is_ready=lambda: False, ready_seconds=0.3)
    began = time.monotonic()

    with pytest.raises(StartError, match=r"slow was not ready after 0\.3 s"):
        Supervisor([program]).run()

    assert time.monotonic() - began < 5


def test_a_program_that_does_not_exist_fails_the_start_and_stops_the_others(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    first = _sleeper("first", pid, is_ready=lambda: pid.exists() and pid.read_text() != "")
    missing = Program(name="missing", command=[str(tmp_path / "nothing")])

    with pytest.raises(StartError, match="missing"):
        Supervisor([first, missing]).run()

    assert not _is_alive(int(pid.read_text()))


def test_the_next_program_waits_until_the_one_before_is_ready(tmp_path: Path) -> None:
    order: list[str] = []

    def ready(name: str) -> bool:
        order.append(name)
        return order.count(name) >= 3

    programs = [
        _sleeper(name, tmp_path / name, is_ready=lambda name=name: ready(name))
        for name in ("a", "b")
    ]
    supervisor = Supervisor(programs)

    supervisor.run(supervisor._stopping.set)

    assert order == ["a"] * 3 + ["b"] * 3
