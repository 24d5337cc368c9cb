"""The floor: bytes from a socket to a file for each instance, no DICOM between; a program.

`floor.py receive PORT FOLDER [--fsync]` takes connections, each in a process of its own.
`floor.py send PORT FILE...` sends files, each after the answer to the one before, as a C-STORE
sender does. It needs the standard library alone, so that it starts as fast as `storescu`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

_BUFFER_BYTES = 1 << 20
_LENGTH_BYTES = 8


def receive(port: int, folder: Path, *, is_synced: bool) -> None:
    """Take connections until killed."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _take(connection, folder, is_synced=is_synced)
            os._exit(0)
        connection.close()
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _take(connection: socket.socket, folder: Path, *, is_synced: bool) -> None:
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    number = 0
    while header := connection.recv(_LENGTH_BYTES, socket.MSG_WAITALL):
        left = int.from_bytes(header, "big")
        path = folder / f"{os.getpid()}-{number}"
        number += 1
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        while left:
            count = connection.recv_into(buffer, min(left, _BUFFER_BYTES))
            if not count:
                return
            os.write(file, buffer[:count])
            left -= count
        if is_synced:
            os.fsync(file)
            os.fsync(directory)
        os.close(file)
        connection.sendall(b"\0")


def send(port: int, paths: list[str]) -> None:
    """Send files over one connection.

    Raises:
        SystemExit: The receiver hung up.
    """
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for path in paths:
            with open(path, "rb") as file:  # noqa: PTH123  pathlib costs start-up time
                size = os.fstat(file.fileno()).st_size
                connection.sendall(size.to_bytes(_LENGTH_BYTES, "big"))
                connection.sendfile(file)
            if not connection.recv(1):
                sys.exit("the receiver hung up")


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(int(sys.argv[2]), Path(sys.argv[3]), is_synced="--fsync" in sys.argv)
    else:
        send(int(sys.argv[2]), sys.argv[3:])
