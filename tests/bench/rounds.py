"""One round: a fresh receiver, its senders at once, and what it took."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import process_tree
from bench.data import Load
from bench.receivers import Receiver, Running, Start

_SEND_SECONDS = 900.0
_DONE_SECONDS = 300.0
_PIECE_BYTES = 1 << 17


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round took.

    Attributes:
        seconds: From the start of the senders to the end of the last.
        cpu_seconds: Of the receiver's processes, start-up apart, until it has nothing left to do.
        voided: Why the round does not count; empty where it does.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    together_mb: float = 0.0
    voided: str = ""


@dataclass(kw_only=True)
class Result:
    """All rounds of one load, receiver and number of associations; figures are medians."""

    load: Load
    receiver: Receiver
    associations: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def valid(self) -> list[Round]:
        return [one for one in self.rounds if not one.voided]

    def _median(self, figure: Callable[[Round], float]) -> float | None:
        values = [figure(one) for one in self.valid]
        return statistics.median(values) if values else None

    @property
    def instances_per_second(self) -> float | None:
        return self._median(lambda one: len(self.load.files) / one.seconds)

    @property
    def mb_per_second(self) -> float | None:
        return self._median(lambda one: self.load.size_bytes / 1e6 / one.seconds)

    @property
    def cpu_per_gb(self) -> float | None:
        return self._median(lambda one: one.cpu_seconds / (self.load.size_bytes / 1e9))

    @property
    def peak_mb(self) -> float | None:
        return self._median(lambda one: one.peak_mb)

    @property
    def together_mb(self) -> float | None:
        return self._median(lambda one: one.together_mb)

    def as_json(self) -> dict[str, object]:
        return {
            "load": str(self.load),
            "receiver": self.receiver.name,
            "associations": self.associations,
            "instances_per_second": self.instances_per_second,
            "mb_per_second": self.mb_per_second,
            "cpu_seconds_per_gb": self.cpu_per_gb,
            "peak_mb": self.peak_mb,
            "together_mb": self.together_mb,
            "rounds": [asdict(one) for one in self.rounds],
        }


def run_round(receiver: Receiver, load: Load, associations: int, folder: Path) -> Round:
    """Start a receiver, send it a load, stop it, remove what it stored."""
    try:
        with run_fresh(receiver.start, folder) as listening:
            return _measure(receiver, listening, load, associations)
    except AssertionError as error:
        return Round(voided=str(error)[-500:])


@contextmanager
def run_fresh(start: Start, folder: Path) -> Iterator[Running]:
    """Run a receiver in a folder of its own; what it stored is emptied, and removed at the end.

    Not removed at once: ext4 gives no inode away again for a minute or more after its file is gone,
    and looks through all of those for each new file. Whoever comes next would pay for that, the
    more the more of the disk's time is its own.
    """
    # What was left to be written back by others would be paid by this one.
    os.sync()
    folder = folder.with_name(f"{folder.name}-{time.time_ns():x}")
    try:
        with start(folder) as listening:
            yield listening
    finally:
        _empty(folder)


def _empty(folder: Path) -> None:
    """Give back the room of what a receiver stored."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)


def _measure(receiver: Receiver, listening: Running, load: Load, associations: int) -> Round:
    cpu_before = process_tree.settled_cpu_seconds(listening.pid)
    _touch_memory(listening.folder, load.size_bytes)
    commands = [receiver.send(listening.port, files) for files in load.split(associations)]
    process_tree.reset_peaks(listening.pid)
    with process_tree.MemoryWatch(listening.pid) as memory:
        began = time.perf_counter()
        failure = send_at_once(commands)
        seconds = time.perf_counter() - began
        wait_until_done(listening)
    return Round(
        seconds=seconds,
        cpu_seconds=process_tree.settled_cpu_seconds(listening.pid) - cpu_before,
        peak_mb=memory.peak_mb,
        together_mb=memory.together_mb,
        voided=failure or _missing(listening, load),
    )


def _touch_memory(folder: Path, size_bytes: int) -> None:
    """Write and remove a file as large as the load, so that every round finds the same memory.

    A virtual machine gives memory back to its host; a round that is the first to use a page again
    pays for it, which is a matter of luck and several times the price of the copy.
    """
    path = folder / "scratch"
    piece = bytes(_PIECE_BYTES)
    with path.open("wb") as file:
        for _ in range(size_bytes // _PIECE_BYTES + 1):
            file.write(piece)
    path.unlink()


def send_at_once(commands: Sequence[Sequence[str]]) -> str:
    """Run senders at once; return what went wrong with one of them, if anything did."""
    senders = [
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for command in commands
    ]
    failure = ""
    try:
        for sender in senders:
            words, _ = sender.communicate(timeout=_SEND_SECONDS)
            if sender.returncode or b"E: " in words:
                said = words.decode(errors="replace")[-300:]
                failure = f"sender ended with {sender.returncode}: {said}"
    except subprocess.TimeoutExpired:
        failure = f"a sender was not done within {_SEND_SECONDS:g} s"
    finally:
        for sender in senders:
            if sender.poll() is None:
                sender.kill()
                sender.wait()
    return failure


def wait_until_done(listening: Running) -> None:
    """Wait until the receiver has nothing left to do; a later count tells whether it has it all."""
    deadline = time.monotonic() + _DONE_SECONDS
    while not listening.is_done() and time.monotonic() < deadline:
        time.sleep(0.1)


def _missing(listening: Running, load: Load) -> str:
    count, size = listening.stored()
    pixels = load.size_bytes - 4096 * len(load.files)
    if count != len(load.files):
        return f"{count} of {len(load.files)} instances are stored"
    if size is not None and size < pixels:
        return f"{size} bytes are stored of {load.size_bytes}"
    return ""
