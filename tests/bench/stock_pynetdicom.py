"""A storage SCP as pynetdicom's own examples write it: decode and save; a program.

`stock_pynetdicom.py PORT FOLDER`. Its settings are the library's defaults.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt


def _save(event: evt.Event, folder: Path) -> int:
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0x0000


if __name__ == "__main__":
    entity = AE()
    entity.supported_contexts = AllStoragePresentationContexts
    entity.start_server(
        ("127.0.0.1", int(sys.argv[1])),
        evt_handlers=[(evt.EVT_C_STORE, _save, [Path(sys.argv[2])])],
    )
