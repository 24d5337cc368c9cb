"""OHIF, a viewer that is not ours: its published build before an archive's DICOMweb."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers.orthanc import Orthanc
from servers.process import missing

_BUILD = Path(__file__).parents[1] / "browser/ohif/node_modules/@ohif/app/dist"
# The tour would lie over everything in a browser that comes for the first time, and so would the
# dialogue that says what the viewer may be used for.
_CONFIGURATION = b"""\
localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
const root = window.location.origin + '/dicom-web';
window.config = {
  extensions: [],
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'archive',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'archive',
    configuration: {
      name: 'archive',
      friendlyName: 'Archive',
      wadoUriRoot: root,
      qidoRoot: root,
      wadoRoot: root,
      qidoSupportsIncludeField: false,
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      bulkDataURI: { enabled: true },
    },
  }],
};
"""


@contextmanager
def running_ohif(archive: Orthanc) -> Iterator[str]:
    """Serve the viewer and, from the same origin, the archive's DICOMweb; yield the address.

    Args:
        archive: One that was started with the settings of `dicom_web`.
    """
    if not _BUILD.is_dir():
        missing("OHIF")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, archive))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, archive: Orthanc, *arguments: Any) -> None:
        self._archive = archive
        # It answers the request in here.
        super().__init__(*arguments, directory=str(_BUILD))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web/"):
            self._ask_archive()
        elif path == "/app-config.js":
            self._answer(HTTPStatus.OK, "text/javascript", _CONFIGURATION)
        else:
            # The addresses of pages are the program's own: /viewer is no file.
            if not (_BUILD / path.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def _ask_archive(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._archive.http_port, timeout=30)
        try:
            connection.request("GET", self.path, headers={"Accept": self.headers["Accept"]})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        self._answer(response.status, response.headers["Content-Type"], body)

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the test tells what it saw."""
