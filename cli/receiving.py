"""One receiving process of the node: `python -m cli.receiving`, started by `taqrir node` and `up`.

Apart from the other commands, because what those import would make each of these processes twice as
large; and without the libraries that only pixels need.
"""

from __future__ import annotations

import argparse
import gc
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from core import log
from core.footprint import PIXEL_LIBRARIES, leave_out
from core.listening import open_listeners
from core.settings import Settings
from core.settings_file import load

if TYPE_CHECKING:
    from sqlalchemy import Engine


def main() -> None:
    """Receive until a signal comes."""
    parser = argparse.ArgumentParser(prog="taqrir-receiving", description=__doc__)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--slot", type=int, default=0, help="number of this process, 0 to 255")
    parser.add_argument("--plain", type=int, help="descriptor of the listening socket")
    parser.add_argument("--tls", type=int, help="descriptor of the TLS port's listening socket")
    options = parser.parse_args()
    log.configure()
    settings = load(options.config)
    handed_over = {"plain": options.plain, "tls": options.tls}
    sockets = {
        name: socket.socket(fileno=descriptor)
        for name, descriptor in handed_over.items()
        if descriptor is not None
    }
    # Before pydicom is imported, which looks for them.
    leave_out(PIXEL_LIBRARIES)
    from dicom_node.receiving import make_receiver, serve_on

    listeners = serve_on(settings, sockets or open_listeners(settings.node))
    receiver = make_receiver(settings, lambda: _open(settings), listeners, slot=options.slot)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # What is there now stays: the collector need not look through it again and again.
    gc.freeze()
    receiver.start()
    stopping.wait()
    receiver.stop()


def _open(settings: Settings) -> Engine:
    # The supervisor has brought the tables up to date.
    from core import database

    return database.open_engine(database.database_url(settings))


if __name__ == "__main__":
    main()
