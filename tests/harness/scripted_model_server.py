"""A chat server that answers as a test tells it to, over a plain socket: late, garbage, nothing."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Act = Callable[[socket.socket, dict[str, Any]], None]
MODELS = {"object": "list", "data": [{"id": "site/tiny", "created": 1, "owned_by": "vllm"}]}


class ScriptedModelServer:
    """Answers `/v1/models` always, and a chat by the act at hand."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1"
        self.act: Act = whole("FINDINGS:\nClear.")
        self.models: Any = MODELS
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.closed = threading.Event()
        self._listener = listener
        self._tls = tls

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        if self._tls:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:
                client.close()
                return
        with client, client.makefile("rb") as stream:
            head = b""
            while line := stream.readline():
                head += line
                if line == b"\r\n":
                    break
            text = head.decode()
            self.heads.append(text)
            if text.startswith("GET"):
                json_answer(200, self.models)(client, {})
                return
            lengths = [
                int(row.split(":")[1])
                for row in text.splitlines()
                if row.lower().startswith("content-length")
            ]
            body = json.loads(stream.read(*lengths)) if lengths else {}
            self.bodies.append(body)
            try:
                self.act(client, body)
            except OSError:
                self.closed.set()


def _send(client: socket.socket, status: int, kind: str, content: bytes, head: str = "") -> None:
    client.sendall(
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"{head}Connection: close\r\n\r\n".encode()
        + content
    )


def json_answer(status: int, content: Any, head: str = "") -> Act:
    """Answer with a status and JSON; `head` has further lines, each with its end."""
    data = json.dumps(content).encode()
    return lambda client, _: _send(client, status, "application/json", data, head)


def raw(content: bytes, status: int = 200, kind: str = "application/json") -> Act:
    """Answer with a status and bytes."""
    return lambda client, _: _send(client, status, kind, content)


def whole(text: str, finish: str = "stop") -> Act:
    """Answer with a whole completion, as a server that cannot stream does."""
    message = {"role": "assistant", "content": text}
    return json_answer(200, {"choices": [{"message": message, "finish_reason": finish}]})


def events(*pieces: Any, between: Callable[[], None] = lambda: None, ends: bool = True) -> Act:
    """Answer with a stream of events; what is no text is sent as JSON."""

    def act(client: socket.socket, _: dict[str, Any]) -> None:
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        for piece in pieces:
            content = piece if isinstance(piece, str) else json.dumps(piece)
            client.sendall(f"data: {content}\n\n".encode())
            between()
        if ends:
            client.sendall(b"data: [DONE]\n\n")

    return act


def piece(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one event's content."""
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish, **more}]}


@contextmanager
def scripted_model_server(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedModelServer]:
    """Listen until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ScriptedModelServer(listener, tls)
        threading.Thread(target=server.serve, daemon=True).start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
