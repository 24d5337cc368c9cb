"""Which open associations carry which study: while one does, the study is not whole.

What an association brought stands in the index. What it is bringing right now stands in `partial/`
under its ID, and the first bytes of such a file tell the study, long before the object is whole: a
multi-frame object of 4 GB takes minutes, and nothing of it is in the index yet.

Everything here is somebody else's, changes while it is looked at, and is believed only where it
reads well: a file that vanished, or that has no head yet, tells nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import read_file_meta_info

from core.associations import Associations
from core.blobs import InstanceFiles
from core.errors import UnreadableInstanceError
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.dataset_head import HeadTooShortError, read_head

# Preamble, "DICM" and the element that tells where the data set begins (PS3.10 7.1).
_GROUP_LENGTH_END = 144
# Nearly always the first bite holds the Study Instance UID.
_BITES = (16 << 10, 4 << 20)


class Carriers:
    """The open associations of one installation and the studies whose objects are under way."""

    def __init__(self, files: InstanceFiles) -> None:
        self._partial = files.partial
        self._associations = Associations(files.root)
        # What the head of a file in `partial/` said: it is read once. Serials are never used again.
        self._studies: dict[str, str] = {}

    def open_associations(self) -> dict[str, frozenset[str]]:
        """Return each open association with the Study UIDs of what it is bringing now."""
        under_way: dict[str, set[str]] = {a.id: set() for a in self._associations.all()}
        seen: dict[str, str] = {}
        for path in self._partial_files():
            association = path.name.partition("-")[0]
            if association not in under_way:
                # Its process died over it: nobody writes it any more.
                continue
            study = self._studies.get(path.name) or study_of(path)
            if study:
                seen[path.name] = study
                under_way[association].add(study)
        self._studies = seen
        return {association: frozenset(studies) for association, studies in under_way.items()}

    def _partial_files(self) -> list[Path]:
        try:
            return list(self._partial.iterdir())
        except FileNotFoundError:
            return []


def study_of(path: Path) -> str:
    """Return the Study UID of an object that is being written; empty as long as it is unknown."""
    try:
        with pydicom_warnings("ignore"):
            meta = read_file_meta_info(path)
            syntax, length = meta.TransferSyntaxUID, meta.FileMetaInformationGroupLength
        with path.open("rb") as file:
            file.seek(_GROUP_LENGTH_END + length)
            return _study_in(file, syntax)
    except (OSError, UnreadableInstanceError, *PYDICOM_ERRORS):
        return ""


def _study_in(file: BinaryIO, transfer_syntax_uid: str) -> str:
    data = b""
    for size in _BITES:
        data += file.read(size)
        try:
            return read_head(data, transfer_syntax_uid).study_uid
        except HeadTooShortError:
            continue
    return ""
