"""Endpoints under measurement, each a program: `python mllp_peers.py KIND PORT FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hl7apy.mllp import AbstractHandler, MLLPServer

from core import database, migration
from core.clock import local_now
from core.settings_file import load
from hl7.ack import AckCode, build_ack
from hl7.listener import OrdersListener


def taqrir(port: int, folder: Path) -> None:
    """Our own listener over the embedded database, as `taqrir up` starts it."""
    config = folder / "taqrir.toml"
    config.write_text(f'data_dir = "data"\n[orders]\nport = {port}\nmax_message_mb = 64\n')
    settings = load(config, {})
    settings.data_dir.mkdir()
    engine = database.open_engine(database.database_url(settings))
    migration.migrate(engine)
    listener = OrdersListener(settings, engine)
    listener.start()
    signal.sigwait({signal.SIGTERM})
    listener.stop()


def hl7apy(port: int, folder: Path) -> None:
    """hl7apy's server with a handler that keeps what it gets."""
    file = os.open(folder / "messages", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    class Keep(AbstractHandler):  # type: ignore[misc]
        def reply(self) -> str:
            message = self.incoming_message.encode()
            os.write(file, message)
            os.fsync(file)
            answer = build_ack(message, AckCode.AA, created_at=local_now())
            return f"\x0b{answer.decode()}\x1c\r"

    handlers = {"OMI^O23^OMI_O23": (Keep,), "ORU^R01^ORU_R01": (Keep,)}
    MLLPServer("127.0.0.1", port, handlers).serve_forever()


if __name__ == "__main__":
    {"taqrir": taqrir, "hl7apy": hl7apy}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
