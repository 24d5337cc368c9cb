"""Objects that came when a test says, over the association and from the sender that it says."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from servers import wait_until

from core.associations import Associations, OpenAssociation
from core.settings import Settings
from dicom_node.completion import Completion
from dicom_node.index import Indexer
from dicom_node.receive import Reception, Status, StorePolicy, StoreRequest
from harness.films import save
from harness.site import MODALITY, Site

ASSOCIATION = "00aaaaaaaaaa"


def come(
    site: Site,
    *objects: Dataset,
    at: datetime,
    association: str = ASSOCIATION,
    sender: str = MODALITY,
    is_indexed: bool = True,
) -> None:
    """Put objects into the inbox as if they had been whole at a moment; index them."""
    for dataset in objects:
        reception = begin(site, dataset, association=association, sender=sender)
        before = set(site.parts.files.inbox.iterdir())
        assert reception.finish() is Status.SUCCESS
        (path,) = set(site.parts.files.inbox.iterdir()) - before
        _, _, rest = path.name.partition("-")
        path.rename(path.with_name(f"{int(at.timestamp() * 1e9):016x}-{rest}"))
    if is_indexed:
        index(site)


def index(site: Site) -> None:
    """Make rows of what waits in the inbox."""
    Indexer(site.engine, site.parts.files).catch_up()


def begin(
    site: Site, dataset: Dataset, *, association: str = ASSOCIATION, sender: str = MODALITY
) -> Reception:
    """Begin to receive an object: its head is on the disk, nobody was told Success."""
    files = site.parts.files
    files.prepare(leftovers_of=None)
    path = save(dataset, site.folder)
    body = path.read_bytes()
    start = 144 + int.from_bytes(body[140:144], "little")
    request = StoreRequest(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        calling_ae_title=sender,
        called_ae_title=site.settings.node.ae_title,
    )
    reception = Reception(files, request, StorePolicy(is_synced=False), association)
    reception.write([body[start:]])
    return reception


def open_association(site: Site, association: str = ASSOCIATION) -> Associations:
    """Enter an association into the register; `leave` of what is returned ends it."""
    associations = Associations(site.settings.data_dir)
    if not (site.settings.data_dir / "associations").is_dir():
        associations.prepare()
    entry = OpenAssociation(id=association, ae_title=MODALITY, address="127.0.0.1", since=0)
    associations.enter(entry, limit=100, limit_of_sender=100)
    return associations


def changed(site: Site, **changes: Any) -> Settings:
    """Give a site other settings: `completion` and `senders` as tables of the file."""
    data = site.settings.model_dump()
    data["completion"] |= changes.get("completion", {})
    data["senders"] = changes.get("senders", data["senders"])
    base = Path(site.config).parent
    settings = Settings.model_validate(data)
    settings._base_dir = base
    site.settings = settings
    return settings


class Watch:
    """The completion loop of a site, looked with at moments that the test says."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.start = site.clock.now
        self.completion = Completion(site.engine, site.bell, site.settings, site.clock)

    def at(self, seconds: float) -> datetime:
        """Return a moment so many seconds after the test's start."""
        return self.start + timedelta(seconds=seconds)

    def ask(self, seconds: float, *studies: int, sender: str = MODALITY) -> int:
        """Look, wait for what the archives answer, and look again."""
        completed = self.look(seconds)
        archives = self.completion.archives
        wait_until(lambda: not any(archives.is_asked(sender, study) for study in studies or (1,)))
        return completed + self.look(seconds)

    def look(self, seconds: float) -> int:
        """Look at all studies, so many seconds after the test's start."""
        self.site.clock.now = self.at(seconds)
        completed = self.completion.look()
        self.site.check()
        return completed
