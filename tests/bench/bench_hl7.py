"""HL7 v2, ours beside hl7apy's server and python-hl7's endpoint: `make bench-hl7`.

One run, one machine, one table; docs/benchmarks.md says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from hl7apy.core import Message
from servers import free_port, running

from bench.table import Target, print_targets
from core.report import (
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    Section,
    SectionKind,
    StudyHeader,
)
from hl7.er7 import parse
from hl7.oru import build_oru
from hl7.result import Envelope, Result
from hl7.result_reading import verify_result

_PYTHON_HL7 = "hl7==0.4.5"
_IN_FLIGHT = 256
_ANSWER_SECONDS = 300.0
_BENCH = Path(__file__).parent
_ORDER = (
    "MSH|^~\\&|HIS|HOSP|TAQRIR|RAD|20261126080000+0300||OMI^O23^OMI_O23|{number}|P|2.5.1||||||"
    "UNICODE UTF-8\rPID|1||P{number}^^^HOSP||Salem^Ali||19700101|M\rORC|NW|PL{number}^HIS\r"
    "OBR|1|PL{number}^HIS||XR01^Chest PA^99HOSP|||||||||||||||ACC{number}\r"
    "IPC|ACC{number}|RP{number}|1.2.3.{number}|SPS{number}|CR\r"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of receipt.

    Attributes:
        cpu_ms: Of the receiver and its children, for a message.
    """

    name: str
    rate: float
    cpu_ms: float


@dataclass(kw_only=True)
class Peer:
    """A receiver and how it is started."""

    name: str
    command: Callable[[int, Path], list[str | Path]]
    keeps_connections: bool = True
    rows: list[Row] = field(default_factory=list)


def main() -> int:
    """Measure; return 0 if every target is met, 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few messages: a smoke run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; figures are medians")
    parser.add_argument("--work", help="folder on the disk to measure")
    options = parser.parse_args()
    rounds, count = (1, 300) if options.quick else (options.rounds, 5_000)
    with tempfile.TemporaryDirectory(prefix="taqrir-bench-", dir=options.work) as folder:
        work = Path(folder)
        peers = [*_own(), *_python_hl7(work)]
        _describe(count, rounds)
        rows = _receive_small(peers, work, rounds=rounds, count=count)
        sizes = (250_000, 1_000_000) if options.quick else (1_000_000, 10_000_000)
        large = _receive_large(peers, work, sizes, rounds=rounds)
        built = _build(rounds * (5 if options.quick else 20))
    targets = _targets(rows, large, sizes, built)
    print("\nTargets\n")
    print_targets(targets)
    return int(any(target.verdict.startswith("MISS") for target in targets))


def _own() -> Iterator[Peer]:
    script = _BENCH / "mllp_peers.py"

    def command(kind: str) -> Callable[[int, Path], list[str | Path]]:
        return lambda port, folder: [sys.executable, script, kind, str(port), folder]

    yield Peer(name="taqrir", command=command("taqrir"))
    yield Peer(name="hl7apy's server", command=command("hl7apy"), keeps_connections=False)


def _python_hl7(work: Path) -> Iterator[Peer]:
    """Yield python-hl7's endpoint, in an environment of its own; nothing without a network."""
    environment = work / "python-hl7"
    python = environment / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, _PYTHON_HL7], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        print(f"{_PYTHON_HL7} cannot be installed here: its rows are left out")
        return
    script = _BENCH / "python_hl7_peer.py"
    yield Peer(
        name="python-hl7's endpoint",
        command=lambda port, folder: [python, script, str(port), folder / "messages"],
    )


def _describe(count: int, rounds: int) -> None:
    size = len(_ORDER.format(number=10_000))
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{count} orders of {size} bytes, medians of {rounds} round(s); all keep before AA")


@contextmanager
def _started(peer: Peer, work: Path) -> Iterator[tuple[int, psutil.Process]]:
    folder = Path(tempfile.mkdtemp(dir=work))
    port = free_port()

    def is_ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    log = folder / "log"
    with running(peer.command(port, folder), log=log, is_ready=is_ready) as process:
        yield port, psutil.Process(process.pid)
    shutil.rmtree(folder)


def _receive_small(peers: list[Peer], work: Path, *, rounds: int, count: int) -> list[Row]:
    """Send orders to everybody in turn, round after round; return the medians, and print them."""
    modes: list[tuple[Peer, str, int]] = []
    for peer in peers:
        if peer.keeps_connections:
            modes += [
                (peer, f"{peer.name}, {_IN_FLIGHT} in flight", _IN_FLIGHT),
                (peer, f"{peer.name}, one at a time", 1),
            ]
        else:
            modes.append((peer, f"{peer.name}, a connection each", 0))
    found: dict[str, list[Row]] = {name: [] for _, name, _ in modes}
    for _ in range(rounds):
        for peer, name, in_flight in modes:
            # Those that wait for every answer need a tenth to give a figure.
            number = count if in_flight > 1 else count // 10
            with _started(peer, work) as (port, process):
                found[name].append(_measure(name, port, process, in_flight, number))
    floor = statistics.median(_floor(work, count // 10) for _ in range(rounds))
    rows = [_median(several) for several in found.values()]
    print(f"\n{'Durable receipt':42s} {'messages/s':>12s} {'CPU ms':>8s}")
    for row in rows:
        print(f"{row.name:42s} {row.rate:12,.0f} {row.cpu_ms:8.2f}")
    print(f"{'floor: append and fsync, one by one':42s} {floor:12,.0f}")
    return rows


def _floor(work: Path, count: int) -> float:
    """Return how many messages a second the disk takes one by one."""
    message = _ORDER.format(number=10_000).encode()
    with (work / "floor").open("ab", buffering=0) as file:
        began = time.monotonic()
        for _ in range(count):
            file.write(message)
            os.fsync(file.fileno())
        return count / (time.monotonic() - began)


def _median(rows: list[Row]) -> Row:
    return Row(
        name=rows[0].name,
        rate=statistics.median(row.rate for row in rows),
        cpu_ms=statistics.median(row.cpu_ms for row in rows),
    )


def _measure(name: str, port: int, process: psutil.Process, in_flight: int, count: int) -> Row:
    frames = [_frame(_ORDER.format(number=n).encode()) for n in range(10_000, 10_000 + count)]
    before, began = _cpu_seconds(process), time.monotonic()
    if in_flight:
        _converse(port, frames, in_flight)
    else:
        for frame in frames:
            _converse(port, [frame], 1)
    seconds = time.monotonic() - began
    cpu = _cpu_seconds(process) - before
    return Row(name=name, rate=count / seconds, cpu_ms=1000 * cpu / count)


def _converse(port: int, frames: list[bytes], in_flight: int) -> None:
    """Send frames over one connection, so many in flight; every answer must be AA.

    Raises:
        RuntimeError: One is not.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"".join(frames[:in_flight]))
        sent, ended = min(in_flight, len(frames)), 0
        answers = bytearray()
        while ended < len(frames):
            piece = connection.recv(1 << 16)
            if not piece:
                break
            answers += piece
            come = piece.count(b"\x1c")
            ended += come
            connection.sendall(b"".join(frames[sent : sent + come]))
            sent += come
    if answers.count(b"MSA|AA|") != len(frames):
        raise RuntimeError(f"{answers.count(b'MSA|AA|')} of {len(frames)} answers are AA")


def _receive_large(
    peers: list[Peer], work: Path, sizes: tuple[int, ...], *, rounds: int
) -> dict[tuple[str, int], float]:
    """Send one large message of each size; return and print the seconds until its answer."""
    found: dict[tuple[str, int], float] = {}
    for peer in peers:
        for size in sizes:
            if not peer.keeps_connections and size > min(sizes):
                continue  # it reads a byte at a time, and looks at all of them for each
            frame = _frame(_large(size))
            times = []
            for _ in range(rounds if peer.keeps_connections else 1):
                with _started(peer, work) as (port, _process):
                    began = time.monotonic()
                    _converse(port, [frame], 1)
                    times.append(time.monotonic() - began)
            found[(peer.name, size)] = statistics.median(times)
    heads = "".join(f"{size / 1e6:>9g} MB" for size in sizes)
    print(f"\n{'One large message, seconds until AA':42s} {heads}")
    for peer in peers:
        cells = (found.get((peer.name, size)) for size in sizes)
        print(f"{peer.name:42s} " + "".join(f"{c:12.3f}" if c else f"{'-':>12s}" for c in cells))
    return found


def _large(size: int) -> bytes:
    head = (
        "MSH|^~\\&|HIS|HOSP|TAQRIR|RAD|20261126080000+0300||ORU^R01^ORU_R01|L1|P|2.5.1||||||"
        "UNICODE UTF-8\rPID|1||P1^^^HOSP\rOBR|1|||X^Y\rOBX|1|ED|PDF^Report^99HOSP||"
        "^Application^PDF^Base64^"
    )
    return (head + "QUJD" * (size // 4) + "\r").encode()


def _build(count: int) -> dict[str, float]:
    """Return and print messages a second of CPU: built, read back, built by hl7apy's tree."""
    result, envelope = _result(), Envelope(control_id="BENCH", created_at=datetime.now(UTC))
    data = build_oru(result, envelope)
    rates = {
        "built": _per_cpu_second(lambda: build_oru(result, envelope), count * 10),
        "read back and compared": _per_cpu_second(lambda: verify_result(data, result), count),
        "built by hl7apy's tree": _per_cpu_second(lambda: _built_by_tree(data), count // 2 or 1),
    }
    both = 1 / (1 / rates["built"] + 1 / rates["read back and compared"])
    rates["built, read back and compared"] = both
    print(f"\n{f'ORU of two languages, {len(data)} bytes':42s} {'a CPU second':>12s}")
    for name, rate in rates.items():
        print(f"{name:42s} {rate:12,.1f}")
    return rates


def _per_cpu_second(work: Callable[[], object], count: int) -> float:
    work()
    began = time.process_time()
    for _ in range(count):
        work()
    return count / (time.process_time() - began)


def _result() -> Result:
    texts = {Language.EN: "No focal consolidation. ", Language.AR: "لا يوجد تصلب بؤري. "}
    return Result(
        report=Report(
            narratives=tuple(
                Narrative(
                    language=language,
                    sections=tuple(Section(kind=kind, text=text * 12) for kind in SectionKind),
                )
                for language, text in texts.items()
            ),
            model=ModelVersion(name="Bench", revision="0123456789ab"),
        ),
        header=StudyHeader(
            study_uid="1.2.3",
            patient=Patient(id="P1", issuer="HOSP", name="Salem^Ali"),
            accession_number="ACC1",
            description="Chest PA",
            modality="CR",
        ),
    )


def _built_by_tree(data: bytes) -> str:
    """Build the same message as hl7apy's objects; of its texts it is told the raw form."""
    message = Message("ORU_R01", version="2.5.1")
    for segment in parse(data).segments:
        line = segment.line.split("|")
        made: Any = message.msh if segment.name == "MSH" else message.add_segment(segment.name)
        first = 2 if segment.name == "MSH" else 1
        for number, value in enumerate(line[first:], start=first + (segment.name == "MSH")):
            if value:
                setattr(made, f"{segment.name}_{number}".lower(), value)
    er7: str = message.to_er7()
    return er7


def _targets(
    rows: list[Row],
    large: dict[tuple[str, int], float],
    sizes: tuple[int, ...],
    built: dict[str, float],
) -> list[Target]:
    rates = {row.name: row.rate for row in rows}
    ours = rates[f"taqrir, {_IN_FLIGHT} in flight"]
    targets = [Target(name="durable receipt on one connection", value=ours, wanted=1000, unit="/s")]
    targets += [
        Target(name=f"  against {name}", value=ours / rate, wanted=None, unit="x")
        for name, rate in rates.items()
        if not name.startswith("taqrir")
    ]
    growth = large[("taqrir", sizes[-1])] / large[("taqrir", sizes[0])]
    factor = sizes[-1] / sizes[0]
    targets.append(
        Target(
            name=f"a message {factor:g} times as large",
            value=growth,
            wanted=1.5 * factor,
            is_most=True,
            unit="x",
        )
    )
    targets += [
        Target(
            name=f"  {sizes[0] / 1e6:g} MB against {name}",
            value=seconds / large[("taqrir", size)],
            wanted=None,
            unit="x",
        )
        for (name, size), seconds in large.items()
        if name != "taqrir" and size == sizes[0]
    ]
    for name in ("built", "built, read back and compared"):
        targets.append(Target(name=f"ORU {name}", value=built[name], wanted=20, unit="/s"))
    tree = built["built"] / built["built by hl7apy's tree"]
    return [
        *targets,
        Target(name="  built, against hl7apy's tree", value=tree, wanted=None, unit="x"),
    ]


def _frame(message: bytes) -> bytes:
    return b"\x0b" + message + b"\x1c\r"


def _cpu_seconds(process: psutil.Process) -> float:
    processes = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in processes)


if __name__ == "__main__":
    sys.exit(main())
