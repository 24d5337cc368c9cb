"""A RIS that is not ours: node-hl7-server, from npm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.ports import free_port
from servers.process import missing, program, running

_FOLDER = Path(__file__).parents[1] / "peer" / "mllp_listener"


@dataclass(frozen=True, kw_only=True)
class MllpListener:
    """A running listener."""

    port: int
    log: Path

    def messages(self) -> list[Any]:
        """Return what was received: of each message the segments, as the package parsed them."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("[")]


@contextmanager
def running_mllp_listener(folder: Path, answer: str = "AA") -> Iterator[MllpListener]:
    """Start a foreign RIS that gives every message the same answer."""
    if not (_FOLDER / "node_modules" / "node-hl7-server").is_dir():
        missing("node-hl7-server")
    listener = MllpListener(port=free_port(), log=folder / f"mllp-{answer}.log")
    with running(
        [program("node"), _FOLDER / "listener.js", str(listener.port), answer],
        log=listener.log,
        is_ready=lambda: listener.log.exists() and '"listening"' in listener.log.read_text(),
    ):
        yield listener


def field(segment: Any, number: int) -> Any:
    """Return repetitions of components of subcomponents; the listener leaves MSH-1 out."""
    place = number - (2 if segment["name"] == "MSH" else 1)
    return segment["fields"][place] if place < len(segment["fields"]) else []


def send_orders(port: int, orders: list[dict[str, str]]) -> list[list[str]]:
    """Let a foreign information system build and send messages; return MSA-1 and MSA-2 of each."""
    node = program("node")
    if not (_FOLDER / "node_modules" / "node-hl7-client").is_dir():
        missing("node-hl7-client")
    done = subprocess.run(
        [node, _FOLDER / "sender.js", str(port)],
        input=json.dumps(orders),
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
