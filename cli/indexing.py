"""The index process of the node: `python -m cli.indexing`, started by `taqrir node` and `up`.

Apart from the other commands, and without the libraries that only pixels need, so that it stays
small.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli.running import open_database, wait_for_stop
from core import log
from core.associations import index_ready_file
from core.errors import TaqrirError
from core.footprint import PIXEL_LIBRARIES, leave_out
from core.settings import Settings
from core.settings_file import load


def main() -> None:
    """Index until a signal comes; an error of ours is a sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="taqrir-indexing", description=__doc__)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    log.configure()
    try:
        _index(load(options.config))
    except TaqrirError as error:
        print(f"taqrir: {error}", file=sys.stderr)
        sys.exit(2)


def _index(settings: Settings) -> None:
    # Before pydicom is imported, which looks for them.
    leave_out(PIXEL_LIBRARIES)
    from core.queue import Doorbell
    from dicom_node.server import Index

    index = Index(settings, open_database(settings), Doorbell(settings))
    index.start()
    index_ready_file(settings.data_dir).touch()
    wait_for_stop()
    index.stop()


if __name__ == "__main__":
    main()
