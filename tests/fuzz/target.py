"""A whole association on a folder of its own, fed with an example; what must hold afterwards."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.receiving import Receiving, receiving

from core.errors import UnreadableInstanceError
from dicom_node import command_set, upper_layer
from dicom_node.association import Association, Patience
from dicom_node.command_set import Command, CommandSet, Field
from dicom_node.receive import Status
from dicom_node.services import Services
from dicom_node.upper_layer import UpperLayer
from fuzz.streams import Example

_PATIENCE = Patience(artim=0.05, stall=0.05, idle=0.05)
_TICK_SECONDS = 0.02
# Far beyond all of these timers together.
_LONGEST_SECONDS = 10.0


class CutSocket(socket.socket):
    """A connection that gives each read only so many bytes."""

    def __init__(self, connection: socket.socket, cuts: tuple[int, ...]) -> None:
        super().__init__(fileno=connection.detach())
        self._cuts = itertools.cycle(cuts or (1 << 30,))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer[: next(self._cuts)], nbytes, flags)


@dataclass(frozen=True)
class Message:
    """A command with its data set."""

    command: CommandSet
    data: bytes


def messages(stream: bytes) -> list[Message]:
    """Return the messages of a stream as far as they make sense, whatever is wrong around them."""
    found: list[Message] = []
    parts = {True: b"", False: b""}
    command: CommandSet | None = None
    for is_command, is_last, data in _fragments(stream):
        parts[is_command] += data
        if not is_last:
            continue
        whole, parts[is_command] = parts[is_command], b""
        if is_command:
            try:
                command = command_set.decode(whole)
            except UnreadableInstanceError:
                return found
        if command is not None and command.has_data_set != is_command:
            found.append(Message(command, b"" if is_command else whole))
            command = None
    return found


def _fragments(stream: bytes) -> Iterator[tuple[bool, bool, bytes]]:
    while len(stream) >= 6:
        kind, length = struct.unpack_from(">BxL", stream)
        body, stream = stream[6 : 6 + length], stream[6 + length :]
        while kind == 4 and len(body) >= 6:
            size, _, control = struct.unpack_from(">LBB", body)
            data = body[6 : 4 + size]
            if size < 2 or len(data) != size - 2:
                return
            body = body[4 + size :]
            yield bool(control & 1), bool(control & 2), data


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Prepare what examples run against."""
    tick, upper_layer.TICK_SECONDS = upper_layer.TICK_SECONDS, _TICK_SECONDS
    try:
        with receiving(folder) as node, socket.create_server(("127.0.0.1", 0)) as server:
            yield Target(node, server)
    finally:
        upper_layer.TICK_SECONDS = tick


class Target:
    """Runs examples, one after the other, in this thread."""

    def __init__(self, node: Receiving, server: socket.socket) -> None:
        self._node = node
        self._server = server
        self._parts = node.receiver._parts

    def run(self, example: Example) -> list[int]:
        """Run an example; return the statuses of its C-STOREs.

        Raises:
            AssertionError: What must always hold does not.
        """
        descriptors = _open_files()
        answers = self._serve(example)
        stores = [m for m in messages(answers) if _is(m, Command.C_STORE_RQ | Command.RESPONSE)]
        asked = [m for m in messages(example.data) if _is(m, Command.C_STORE_RQ)]
        assert len(stores) <= len(asked), "more answers than requests"
        expected = []
        for answer, store in zip(stores, asked, strict=False):
            same = (Field.RESPONDED_MESSAGE_ID, Field.MESSAGE_ID)
            assert answer.command.number(same[0]) == store.command.number(same[1])
            if answer.command.number(Field.STATUS, -1) == Status.SUCCESS:
                expected.append(store.data)
        assert self._node.stored() == expected, "not what was answered Success"
        self._node.forget()
        assert self._node.is_empty_handed(), "something half received is left"
        assert _open_files() == descriptors, "an open file is left"
        return [m.command.number(Field.STATUS, -1) for m in stores]

    def _serve(self, example: Example) -> bytes:
        """Return what came back."""
        with socket.create_connection(self._server.getsockname()) as peer:
            accepted, _ = self._server.accept()
            peer.sendall(example.data)
            if not example.stays:
                peer.shutdown(socket.SHUT_WR)
            started = time.monotonic()
            layer = UpperLayer(CutSocket(accepted, example.cuts))
            Association(layer, Services(self._parts, "127.0.0.1"), _PATIENCE).run()
            assert time.monotonic() - started < _LONGEST_SECONDS, "it took too long"
            return _everything(peer)


def _open_files() -> int:
    """Return how many files this process has open (Linux)."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _everything(peer: socket.socket) -> bytes:
    """Return all bytes that came back: whole PDUs, and nothing else."""
    data = b""
    try:
        while piece := peer.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        # It was closed before it had read everything.
        pass
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(">BxL", data, at)
        assert kind in {2, 3, 4, 6, 7}, f"a PDU of type {kind} came back"
        at += 6 + length
    assert at == len(data), "half a PDU came back"
    return data


def _is(message: Message, command: int) -> bool:
    return message.command.number(Field.COMMAND_FIELD) == command
