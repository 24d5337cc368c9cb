"""A receiver without an index behind it: what it took stays in the inbox to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from servers import wait_until

from core import migration
from core.associations import Associations
from core.blobs import InstanceFiles
from core.listening import open_listeners
from core.settings import Settings
from dicom_node.receive import Status
from dicom_node.receiver import Receiver
from dicom_node.receiving import make_receiver, serve_on
from harness.films import film
from harness.raw_peer import RawPeer, echo_message, encoded, store_message
from harness.site import Site


class Receiving:
    """A running receiver and what it left on the disk."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self.settings = settings
        self.receiver = receiver
        self.port = settings.node.port
        self.files = InstanceFiles(settings.data_dir)
        self.associations = Associations(settings.data_dir)

    def peer(self) -> RawPeer:
        return RawPeer(self.port)

    def stored(self) -> list[bytes]:
        """Return the data sets of the inbox, oldest first, without their file headers."""
        return [_data_set(waiting.path.read_bytes()) for waiting in self.files.waiting()]

    def forget(self) -> None:
        """Empty the inbox."""
        for waiting in self.files.waiting():
            waiting.path.unlink()

    def is_empty_handed(self) -> bool:
        """Whether nothing is half received, and no association open."""
        return not any(self.files.partial.iterdir()) and not list(self.associations.all())

    def assert_unharmed(self) -> None:
        """Nothing is left of earlier associations, and an honest sender is served."""
        wait_until(self.is_empty_handed, interval=0.005)
        dataset: Dataset = film()
        instance, data = str(dataset.SOPInstanceUID), encoded(dataset)
        with self.peer() as peer:
            peer.associate()
            peer.send(echo_message())
            assert peer.status() == Status.SUCCESS
            peer.send(store_message(instance, data))
            assert peer.status() == Status.SUCCESS
            peer.release()
        assert data in self.stored()
        self.forget()
        wait_until(self.is_empty_handed, interval=0.005)


def _data_set(file: bytes) -> bytes:
    """Return what stands behind a file's header (PS3.10 7.1: the group length says where)."""
    assert file[128:132] == b"DICM"
    return file[144 + int.from_bytes(file[140:144], "little") :]


@contextmanager
def receiving(folder: Path, *, sender: Any = None, **node: Any) -> Iterator[Receiving]:
    """Run a receiver with settings of `[node]`, and of the one sender, that differ as told."""
    site = Site(folder, pacs={"main": 1})
    migration.migrate(site.engine)
    settings = site.settings
    changed = settings.node.model_copy(update=node)
    senders = tuple(row.model_copy(update=sender or {}) for row in settings.senders)
    settings = settings.model_copy(update={"node": changed, "senders": senders})
    listeners = serve_on(settings, open_listeners(settings.node))
    receiver = make_receiver(settings, lambda: site.engine, listeners)
    receiver.start()
    try:
        yield Receiving(settings, receiver)
    finally:
        receiver.stop()
        site.close()
