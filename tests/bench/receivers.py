"""Who receives: ours in its modes, DCMTK, Orthanc, stock pynetdicom, and the floor under them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from servers import dcmtk, free_port, running, running_orthanc
from servers.process import is_listening

from bench import process_tree

SENDER = "STORESCU"
# One title may hold only so many associations: the check with 200 of them calls from several.
SENDERS = (SENDER, "BENCH0", "BENCH1", "BENCH2", "BENCH3")
_HERE = Path(__file__).parent
# The largest that DCMTK can; its senders obey what the receiver allows, 16,384 by default.
_LARGE_PDU = ("--max-pdu", "131072")

Command = Callable[[int, Sequence[Path]], list[str]]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A receiver that listens.

    Attributes:
        stored: Tells how many instances it has, and their bytes where files show them.
        is_done: Tells whether nothing is left to do for what it has taken.
        folder: Where it keeps what it needs.
    """

    pid: int
    port: int
    folder: Path
    stored: Callable[[], tuple[int, int | None]]
    is_done: Callable[[], bool] = lambda: True


Start = Callable[[Path], AbstractContextManager[Running]]


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A receiver that can be started.

    Attributes:
        send: Makes the command that sends files to a port over one association.
    """

    name: str
    label: str
    start: Start
    send: Command


def storescu(called: str) -> Command:
    """Return how DCMTK sends to a title; its PDU is as large as the receiver allows."""

    def command(port: int, files: Sequence[Path]) -> list[str]:
        options = ["-R", *_LARGE_PDU, "-aet", SENDER, "-aec", called]
        return [dcmtk("storescu"), *options, "127.0.0.1", str(port), *map(str, files)]

    return command


def _send_plainly(port: int, files: Sequence[Path]) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-S",
        str(_HERE / "floor.py"),
        "send",
        str(port),
        *map(str, files),
    ]


def count_files(*folders: Path) -> tuple[int, int]:
    """Count files and their bytes; one that has two names, or an empty one, counts once or not."""
    sizes: dict[int, int] = {}
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                entry = os.stat(os.path.join(where, name))  # noqa: PTH116, PTH118  thousands of them
                if entry.st_size:
                    sizes[entry.st_ino] = entry.st_size
    return len(sizes), sum(sizes.values())


@contextmanager
def _listening(
    command: Sequence[str], folder: Path, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    with running(command, log=folder / "log", is_ready=lambda: is_listening(port)) as process:
        try:
            yield process
        finally:
            stop_tree(process)


def stop_tree(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, then end what is left of its children: each by its own id."""
    pids = process_tree.tree(process.pid)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    alive = [pid for pid in pids[1:] if process_tree.is_alive(pid)]
    for pid in alive:
        os.kill(pid, 9)


def _program(arguments: Callable[[int, Path], list[str]]) -> Start:
    @contextmanager
    def start(folder: Path) -> Iterator[Running]:
        (folder / "received").mkdir(parents=True)
        port = free_port()
        files = folder / "received"
        with _listening(arguments(port, files), folder, port) as process:
            yield Running(
                pid=process.pid, port=port, folder=folder, stored=partial(count_files, files)
            )

    return start


def _storescp(*options: str) -> Start:
    return _program(
        lambda port, folder: [
            dcmtk("storescp"),
            "--fork",
            *options,
            "--output-directory",
            str(folder),
            str(port),
        ]
    )


def _floor(*options: str) -> Start:
    return _program(
        lambda port, folder: [
            sys.executable,
            str(_HERE / "floor.py"),
            "receive",
            str(port),
            str(folder),
            *options,
        ]
    )


def _script(name: str) -> Start:
    return _program(
        lambda port, folder: [sys.executable, str(_HERE / name), str(port), str(folder)]
    )


@contextmanager
def _orthanc(folder: Path) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    with running_orthanc(folder) as orthanc:
        yield Running(
            pid=_child_running("Orthanc", folder),
            port=orthanc.dicom_port,
            folder=folder,
            stored=lambda: (orthanc.get("/statistics")["CountInstances"], None),
        )


def _child_running(name: str, folder: Path) -> int:
    """Return our child that runs a program in a folder: the server's own start tells no id."""
    for pid in process_tree.tree(os.getpid())[1:]:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if Path(line[0]).name == name and any(word.startswith(str(folder)) for word in line):
            return pid
    raise AssertionError(f"{name} does not run in {folder}")


@dataclass(frozen=True, kw_only=True)
class Taqrir:
    """How our node is started.

    Attributes:
        is_indexed: The index runs beside: a round is over for us when the inbox is empty.
    """

    durability: str
    is_indexed: bool = True
    quiet_seconds: float = 600.0

    @contextmanager
    def start(self, folder: Path) -> Iterator[Running]:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = folder / "taqrir.toml"
        config.write_text(self._settings(port), encoding="utf-8")
        command = [sys.executable, "-m", "cli", "node", "--config", str(config)]
        if not self.is_indexed:
            command = [sys.executable, str(_HERE / "receiving_alone.py"), str(config)]
        inbox, studies = folder / "data" / "inbox", folder / "data" / "studies"
        kept = (studies,) if self.is_indexed else (inbox, studies)
        with _listening(command, folder, port) as process:
            yield Running(
                pid=process.pid,
                port=port,
                folder=folder,
                stored=partial(count_files, *kept),
                is_done=lambda: not self.is_indexed or not any(inbox.iterdir()),
            )

    def _settings(self, port: int) -> str:
        senders = "".join(f'[[senders]]\nae_title = "{title}"\n' for title in SENDERS)
        return f"""\
data_dir = "data"
[node]
host = "127.0.0.1"
port = {port}
durability = "{self.durability}"
[completion]
quiet_seconds = {self.quiet_seconds}
learn = false
{senders}"""


def all_receivers() -> list[Receiver]:
    """Return every receiver, ours first."""
    ours = []
    for durability in ("written", "fsync"):
        alone = Taqrir(durability=durability, is_indexed=False)
        ours.append((f"{durability}-alone", f"taqrir {durability}, no index", alone))
        ours.append((durability, f"taqrir {durability}", Taqrir(durability=durability)))
    return [
        *(
            Receiver(name=name, label=label, start=node.start, send=storescu("TAQRIR"))
            for name, label, node in ours
        ),
        *(
            Receiver(name=name, label=label, start=start, send=storescu("ANY"))
            for name, label, start in (
                ("storescp", "storescp --fork", _storescp()),
                ("storescp-b", "storescp --fork +B", _storescp("+B")),
                ("storescp-pdu", "storescp --fork, PDU 128 K", _storescp(*_LARGE_PDU)),
                ("storescp-b-pdu", "storescp --fork +B, PDU 128 K", _storescp("+B", *_LARGE_PDU)),
                ("orthanc", "Orthanc (synced)", _orthanc),
                ("pynetdicom", "pynetdicom, decode and save", _script("stock_pynetdicom.py")),
                ("floor-dicom", "floor: DICOM, nothing checked", _script("floor_dicom.py")),
            )
        ),
        *(
            Receiver(name=name, label=label, start=start, send=_send_plainly)
            for name, label, start in (
                ("floor", "floor: socket to file", _floor()),
                ("floor-fsync", "floor: socket to file, fsync", _floor("--fsync")),
            )
        ),
    ]
