"""Orthanc, a PACS that is not ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from servers.ports import free_port
from servers.process import missing, program, running

# Whatever arrives is sent on, what came from the receiver itself included: that is the loop.
_ROUTING = """\
function OnStoredInstance(instanceId, tags, metadata, origin)
  SendToModality(instanceId, '%s')
end
"""


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    ae_title: str
    dicom_port: int
    http_port: int
    folder: Path
    host: str = "127.0.0.1"

    @property
    def http_url(self) -> str:
        """Address of the REST interface and of its web page."""
        return f"http://127.0.0.1:{self.http_port}"

    def request(self, path: str, method: str = "GET", body: object = None) -> bytes:
        """Send one request to the REST interface and return the answer's body.

        Raises:
            RuntimeError: Orthanc said no.
        """
        data = None if body is None else json.dumps(body)
        connection = HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request(method, path, body=data)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise RuntimeError(f"Orthanc: {method} {path}: {response.status} {answer!r}")
        return answer

    def get(self, path: str) -> Any:
        """Return a JSON answer, e.g. of ``/studies``."""
        return json.loads(self.request(path))

    def instances(self) -> list[str]:
        """Return Orthanc's own identifiers of every instance, sorted."""
        return sorted(self.get("/instances"))

    def file(self, instance: str) -> bytes:
        """Return the DICOM file of an instance as it is stored."""
        return self.request(f"/instances/{instance}/file")

    def files(self, modality: str | None = None) -> dict[str, bytes]:
        """Return file by SOP Instance UID, of one modality (``SR``) or of all."""
        found = {}
        for instance in self.instances():
            tags = self.get(f"/instances/{instance}/simplified-tags")
            if modality in (None, tags.get("Modality")):
                found[tags["SOPInstanceUID"]] = self.file(instance)
        return found

    def add_modality(self, name: str, ae_title: str, port: int, host: str = "127.0.0.1") -> None:
        """Make another node known under a name, as the target of routing or `send`."""
        self.request(f"/modalities/{name}", "PUT", {"AET": ae_title, "Host": host, "Port": port})

    def send(self, instance: str, modality: str) -> None:
        """Store an instance at a known node, and wait until it is done."""
        self.request(f"/modalities/{modality}/store", "POST", {"Resources": [instance]})

    def clear(self) -> None:
        """Forget every patient and every node."""
        for patient in self.get("/patients"):
            self.request(f"/patients/{patient}", "DELETE")
        for modality in self.get("/modalities"):
            self.request(f"/modalities/{modality}", "DELETE")

    def is_ready(self) -> bool:
        """Say whether the REST interface answers; the DICOM server starts before it."""
        try:
            self.get("/system")
        except ConnectionError:
            return False
        return True


def dicom_web() -> dict[str, object]:
    """Return the settings with which `running_orthanc` offers DICOMweb under ``/dicom-web/``."""
    plugins = sorted(Path("/usr/lib/orthanc").glob("libOrthancDicomWeb.so*"))
    if not plugins:
        missing("DICOMweb plug-in of Orthanc")
    return {"Plugins": [str(plugins[0])], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}


@contextmanager
def running_orthanc(
    folder: Path,
    *,
    ae_title: str = "ORTHANC",
    route_to: str | None = None,
    dicom_port: int | None = None,
    **settings: object,
) -> Iterator[Orthanc]:
    """Run Orthanc with its storage in `folder`.

    Args:
        folder: Existing and writable; a second run on the same finds what the first stored.
        ae_title: Its own title; it answers to any.
        route_to: Name of the node that every received instance is sent on to; make it known with
            `Orthanc.add_modality` before something arrives.
        dicom_port: Where it listens; a free one by default.
        settings: More of its own configuration, e.g. ``OverwriteInstances=True``.
    """
    server = Orthanc(
        ae_title=ae_title,
        dicom_port=dicom_port or free_port(),
        http_port=free_port(),
        folder=folder,
    )
    scripts = []
    if route_to is not None:
        script = folder / "routing.lua"
        script.write_text(_ROUTING % route_to, encoding="utf-8")
        scripts.append(str(script))
    configuration = {
        "Name": ae_title,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": ae_title,
        "DicomPort": server.dicom_port,
        "DicomCheckCalledAet": False,
        "DefaultEncoding": "Utf8",
        "UnknownSopClassAccepted": True,
        "LuaScripts": scripts,
        "Plugins": [],
        **settings,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    command = [program("/usr/sbin/Orthanc", "Orthanc"), str(file)]
    with running(command, log=folder / "orthanc.log", is_ready=server.is_ready):
        yield server
