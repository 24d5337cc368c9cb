"""A web service that answers as a test tells it to, and remembers what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

# Status and body, or a function that has the connection to itself.
Answer = tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None]


def listing(uid: str, *, failed: int | None = None, warning: int | None = None) -> bytes:
    """Return a STOW-RS answer about one object (PS3.18 10.5.3, F.2)."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if failed is not None:
        item["00081197"] = {"vr": "US", "Value": [failed]}
        return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()
    if warning is not None:
        item["00081196"] = {"vr": "US", "Value": [warning]}
    return json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()


class ScriptedWeb:
    """`with ScriptedWeb([(503, b"")]) as web:`; when the answers are used up it says 200 to all.

    Attributes:
        received: The bodies that came.
        headers: Their headers.
        paths: Method and path of each request.
    """

    def __init__(self, answers: list[Answer] | None = None) -> None:
        self.answers = answers or []
        self.received: list[bytes] = []
        self.headers: list[Message] = []
        self.paths: list[str] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                web._answer(self)

            def do_PUT(self) -> None:
                web._answer(self)

            def do_GET(self) -> None:
                web._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing: that a client goes away is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak https from now on; a handshake that fails ends that connection only."""
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def url(self) -> str:
        """Root of the service."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    @property
    def objects(self) -> list[bytes]:
        """The DICOM files that came: the one part of each body."""
        found = []
        for body in self.received:
            boundary, _, rest = body.partition(b"\r\n")
            _, _, part = rest.partition(b"\r\n\r\n")
            found.append(part.removesuffix(b"\r\n" + boundary + b"--\r\n"))
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.paths.append(f"{handler.command} {handler.path}")
        self.headers.append(handler.headers)
        if handler.command in {"POST", "PUT"}:
            self.received.append(handler.rfile.read(int(handler.headers["Content-Length"])))
        answer: Answer = self.answers.pop(0) if self.answers else (200, b"")
        if callable(answer):
            handler.close_connection = True
            answer(handler)
            return
        status, body = answer
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
