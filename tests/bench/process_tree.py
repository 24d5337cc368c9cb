"""What a program and its children cost: processor time and memory, read from `/proc` (Linux)."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.1
# A process that sleeps and polls spends less than one tick in a window.
_FLAT_WINDOW_SECONDS = 0.25
_FLAT_CPU_SECONDS = 0.015


@dataclass(frozen=True, kw_only=True)
class _Stat:
    pid: int
    parent: int
    cpu_ticks: int


def _stat(pid: int) -> _Stat | None:
    """Return a process's times, of children that it has waited for too; None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 2 is a name that may hold anything; fields are counted from behind it (proc(5)).
    fields = text.rpartition(b")")[2].split()
    times = fields[11:15]  # utime, stime, cutime, cstime
    return _Stat(pid=pid, parent=int(fields[1]), cpu_ticks=sum(map(int, times)))


def tree(root: int) -> list[int]:
    """Return a process and all its living descendants, zombies included."""
    names = os.listdir("/proc")  # noqa: PTH208  ten times a second: names are enough
    found = [stat for name in names if name.isdigit() and (stat := _stat(int(name)))]
    children: dict[int, list[int]] = {}
    for stat in found:
        children.setdefault(stat.parent, []).append(stat.pid)
    pids, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        pids.append(pid)
        waiting += children.get(pid, [])
    return pids


def name_of(pid: int) -> str:
    """Return the words of a process's command that tell it from its siblings."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    options = words.index("--config") if "--config" in words else len(words)
    return " ".join(words[3:options]) or Path(words[0]).name


def is_alive(pid: int) -> bool:
    """Say whether a process still runs."""
    return _stat(pid) is not None


def cpu_seconds(root: int) -> float:
    """Return user and system time of a tree: living, zombies, and those waited for."""
    stats = [stat for pid in tree(root) if (stat := _stat(pid))]
    return sum(stat.cpu_ticks for stat in stats) / _TICKS_PER_SECOND


def settled_cpu_seconds(root: int, timeout: float = 120.0) -> float:
    """Wait until a tree rests; return its processor time as it was when it came to rest."""
    deadline = time.monotonic() + timeout
    before = cpu_seconds(root)
    while time.monotonic() < deadline:
        time.sleep(_FLAT_WINDOW_SECONDS)
        now = cpu_seconds(root)
        if abs(now - before) < _FLAT_CPU_SECONDS:
            return before
        before = now
    return before


def resident_kb(pid: int) -> tuple[int, int]:
    """Return peak and present resident memory of a process; zeros where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    values = dict(line.split(":", 1) for line in lines if ":" in line)

    def kilobytes(name: str) -> int:
        return int(values.get(name, "0 kB").split()[0])

    return kilobytes("VmHWM"), kilobytes("VmRSS")


def reset_peaks(root: int) -> None:
    """Let VmHWM of a tree begin again at what is resident now: start-up is no part of a round."""
    for pid in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            Path(f"/proc/{pid}/clear_refs").write_bytes(b"5")


class MemoryWatch:
    """Looks at a tree's memory while a block runs: forked children live only as long as that.

    Attributes:
        peak_mb: VmHWM of the largest process.
        together_mb: The largest sum of VmRSS at one moment; pages that are shared count again.
    """

    def __init__(self, root: int) -> None:
        self.peak_mb = 0.0
        self.together_mb = 0.0
        self._root = root
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stopping.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        sizes = [resident_kb(pid) for pid in tree(self._root)]
        self.peak_mb = max(self.peak_mb, max(peak for peak, _ in sizes) / 1024)
        self.together_mb = max(self.together_mb, sum(now for _, now in sizes) / 1024)
