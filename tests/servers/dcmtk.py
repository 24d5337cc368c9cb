"""DCMTK's programs: `storescu`, `echoscu` and the rest as senders, `storescp` as a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.ports import free_port
from servers.process import is_listening, program, running


def dcmtk(name: str) -> str:
    """Return the path of a DCMTK program.

    By its full path: pynetdicom installs scripts of the same names, and a virtual environment puts
    them first.
    """
    return program(f"/usr/bin/{name}", f"/usr/local/bin/{name}", f"/opt/homebrew/bin/{name}")


@dataclass(frozen=True, kw_only=True)
class StoreScp:
    """A receiver that keeps the bytes of each data set as they came."""

    ae_title: str
    port: int
    folder: Path
    host: str = "127.0.0.1"

    def files(self) -> list[Path]:
        """Return what arrived completely, oldest first."""
        found = [path for path in self.folder.iterdir() if path.is_file()]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


@contextmanager
def running_storescp(
    folder: Path, *options: str, ae_title: str = "STORESCP", port: int | None = None
) -> Iterator[StoreScp]:
    """Run storescp; `options` are its own, e.g. ``--refuse`` or ``--abort-after``."""
    receiver = StoreScp(ae_title=ae_title, port=port or free_port(), folder=folder / "received")
    receiver.folder.mkdir(parents=True, exist_ok=True)
    command = [dcmtk("storescp"), "--fork", "--bit-preserving", "--promiscuous", "+xa"]
    command += ["--aetitle", ae_title, "--output-directory", str(receiver.folder), *options]
    command.append(str(receiver.port))
    with running(
        command, log=folder / "storescp.log", is_ready=lambda: is_listening(receiver.port)
    ):
        yield receiver
