"""A RIS that answers as a test tells it to, and remembers every byte it was sent."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Self

from core.clock import local_now
from hl7.ack import AckCode, build_ack

_START, _END = b"\x0b", b"\x1c\x0d"


class ScriptedRis:
    """`with ScriptedRis([None, AckCode.AE]) as ris:`; None closes the connection unanswered.

    Bytes are said as they are. When the answers are used up, the answer is AA.
    """

    def __init__(self, answers: list[AckCode | bytes | None] | None = None) -> None:
        self._answers = answers or []
        self.received: list[bytes] = []
        ris = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                ris._answer(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

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

    def _answer(self, handler: socketserver.StreamRequestHandler) -> None:
        frame = b""
        while not frame.endswith(_END):
            piece = handler.rfile.read(1)
            if not piece:
                return
            frame += piece
        message = frame.removeprefix(_START).removesuffix(_END)
        self.received.append(message)
        code = self._answers.pop(0) if self._answers else AckCode.AA
        if isinstance(code, bytes):
            handler.wfile.write(code)
        elif code is not None:
            handler.wfile.write(_START + build_ack(message, code, created_at=local_now()) + _END)
