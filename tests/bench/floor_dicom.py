"""The least that a DICOM receiver in Python can do; a program: `floor_dicom.py PORT FOLDER`.

It takes every context in the first syntax offered, writes what comes to a file, renames it, and
answers Success: no check, no limit, no log, no header of a file, one process an association. What
is slower than it can hope to get near it; what it cannot reach, no receive loop in Python can.

PDUs are those of DCMTK's `storescu`: one PDV each, a command set in one.

Source: PS3.8 9.3 (PDUs), PS3.7 9.3.1.2 (C-STORE-RSP).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from struct import Struct, pack

_BUFFER_BYTES = 1 << 20
_PDU_BYTES = 131_072
_HEADERS = Struct(">BxLLBB")
_RELEASE_RQ = 5
_ITEMS_START = 74
_APPLICATION_CONTEXT, _CONTEXT, _CONTEXT_ANSWER, _SYNTAX, _USER = 0x10, 0x20, 0x21, 0x40, 0x50


def receive(port: int, folder: str) -> None:
    """Take associations until killed."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start = connection.recv(6, socket.MSG_WAITALL)
            rest = connection.recv(int.from_bytes(start[2:], "big"), socket.MSG_WAITALL)
            connection.sendall(_accepting(start + rest))
            _take(connection, folder)
            os._exit(0)
        connection.close()
        _reap()


def _reap() -> None:
    """Take leave of the children that have ended: their CPU time counts as ours then."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at], data[at + 4 : at + 4 + length]
        at += 4 + length


def _item(kind: int, value: bytes) -> bytes:
    return pack(">BxH", kind, len(value)) + value


def _accepting(request: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC that takes everything."""
    answer = request[6:_ITEMS_START]
    for kind, value in _items(request[_ITEMS_START:]):
        if kind == _APPLICATION_CONTEXT:
            answer += _item(kind, value)
        elif kind == _CONTEXT:
            syntax = next(one for inner, one in _items(value[4:]) if inner == _SYNTAX)
            answer += _item(_CONTEXT_ANSWER, value[:1] + bytes(3) + _item(_SYNTAX, syntax))
        elif kind == _USER:
            user = _item(0x51, _PDU_BYTES.to_bytes(4, "big")) + _item(0x52, b"2.25.1")
            answer += _item(kind, user)
    return pack(">BxL", 2, len(answer)) + answer


def _take(connection: socket.socket, folder: str) -> None:  # noqa: C901  a floor has no calls
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    start = end = left = control = context = number = 0
    command = b""
    name = f"{folder}/{os.getpid()}"
    file = _open(name, number)
    while True:
        buffer[: end - start] = bytes(buffer[start:end])
        start, end = 0, end - start
        count = connection.recv_into(buffer[end:])
        if not count:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        end += count
        views: list[memoryview] = []
        while start < end:
            if not left:
                if buffer[start] == _RELEASE_RQ:
                    connection.sendall(pack(">BxLL", 6, 4, 0))
                    return
                if end - start < _HEADERS.size:
                    break
                _, _, inner, context, control = _HEADERS.unpack_from(buffer, start)
                start += _HEADERS.size
                left = inner - 2
            size = min(left, end - start)
            if control & 1:
                command = command * (size < left) + bytes(buffer[start : start + size])
            else:
                views.append(buffer[start : start + size])
            start += size
            left -= size
            if not left and control == 2:
                os.writev(file, views)
                views = []
                os.rename(f"{name}-{number}", f"{name}-{number}.dcm")  # noqa: PTH104  as above
                connection.sendall(_success(command, context))
                os.close(file)
                number += 1
                file = _open(name, number)
        if views:
            os.writev(file, views)


def _open(name: str, number: int) -> int:
    return os.open(f"{name}-{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)


def _success(command: bytes, context: int) -> bytes:
    elements, at = {}, 0
    while at < len(command):
        number, length = int.from_bytes(command[at + 2 : at + 4], "little"), command[at + 4]
        elements[number] = command[at : at + 8 + length]
        at += 8 + length
    answer = b"".join(
        (
            elements[0x0002],
            pack("<HHLH", 0, 0x0100, 2, 0x8001),
            pack("<HHL", 0, 0x0120, 2) + elements[0x0110][8:],
            pack("<HHLH", 0, 0x0800, 2, 0x0101),
            pack("<HHLH", 0, 0x0900, 2, 0),
            elements[0x1000],
        )
    )
    answer = pack("<HHLL", 0, 0, 4, len(answer)) + answer
    return pack(">BxLLBB", 4, len(answer) + 6, len(answer) + 2, context, 3) + answer


if __name__ == "__main__":
    receive(int(sys.argv[1]), sys.argv[2])
