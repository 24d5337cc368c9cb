"""A FHIR R4 server that is not ours: Medplum's router and memory, from npm."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.ports import free_port
from servers.process import missing, program, running

_FOLDER = Path(__file__).parents[1] / "peer" / "fhir_server"


@dataclass(frozen=True, kw_only=True)
class FhirServer:
    """A running server."""

    url: str

    def reports(self) -> list[Any]:
        """Return the DiagnosticReports that it holds."""
        return [entry["resource"] for entry in self._get("/DiagnosticReport")["entry"]]

    def versions(self, resource_id: str) -> int:
        """Return how many versions of a report it knows."""
        return len(self._get(f"/DiagnosticReport/{resource_id}/_history")["entry"])

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def running_fhir_server(folder: Path) -> Iterator[FhirServer]:
    """Start a server that keeps what is valid R4."""
    if not (_FOLDER / "node_modules" / "@medplum").is_dir():
        missing("FHIR server")
    port, log = free_port(), folder / "fhir.log"
    with running(
        [program("node"), _FOLDER / "server.js", str(port)],
        log=log,
        is_ready=lambda: log.exists() and "listening" in log.read_text(),
    ):
        yield FhirServer(url=f"http://127.0.0.1:{port}")
