"""One C-STORE: a durable file, then Success. Nothing is answered Success before it cannot be lost.

What a receive loop hands in (command set fields and the data set's bytes as they came) is all that
is needed: another loop than pynetdicom's can call the same function.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from core.blobs import InstanceFiles, ReceivedFile
from core.errors import UnreadableInstanceError
from core.identifiers import DEVICE_UID
from core.log import log
from dicom_node import PYDICOM_ERRORS
from dicom_node.header import InstanceHeader, is_valid_uid, read_header

# Tells in a file, and on an association, which software wrote it (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID = DEVICE_UID
IMPLEMENTATION_VERSION_NAME = "TAQRIR"
# Preamble (128), "DICM" (4), tag, VR and length of (0002,0000) (8), its value (4).
_GROUP_LENGTH_END = 144
_log = log(__name__)


class Status(IntEnum):
    """C-STORE statuses that we answer (PS3.4 B.2.3, PS3.7 C.4)."""

    SUCCESS = 0x0000
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    INVALID_INSTANCE = 0x0117
    NOT_AUTHORISED = 0x0124


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """The command set of a C-STORE and who sent it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str


class _MismatchError(UnreadableInstanceError):
    """The data set and its command name different objects."""


def store(
    files: InstanceFiles,
    request: StoreRequest,
    body: Iterable[bytes | memoryview],
    *,
    minimum_free_bytes: int,
) -> tuple[Status, ReceivedFile | None]:
    """Keep one object and return what to answer.

    Args:
        files: Where it goes.
        request: The command set.
        body: The data set's bytes as they came, in pieces.
        minimum_free_bytes: Free disk under which nothing more is taken.
    """
    if not is_valid_uid(request.sop_instance_uid):
        return Status.INVALID_INSTANCE, None
    if files.free_bytes() < minimum_free_bytes:
        _log.error("disk_nearly_full", status=f"{Status.OUT_OF_RESOURCES:04X}")
        return Status.OUT_OF_RESOURCES, None
    try:
        received = files.receive(
            header=file_header(request),
            body=body,
            salt=request.transfer_syntax_uid,
            inspect=lambda path: _compare(request, path),
        )
    except _MismatchError as error:
        _log.warning("instance_refused", uid=request.sop_instance_uid, reason=str(error))
        return Status.DATA_SET_MISMATCH, None
    except UnreadableInstanceError as error:
        _log.warning("instance_refused", uid=request.sop_instance_uid, reason=str(error))
        return Status.CANNOT_UNDERSTAND, None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        _log.error("instance_not_stored", uid=request.sop_instance_uid, error=name)
        return Status.OUT_OF_RESOURCES, None
    return Status.SUCCESS, received


def _compare(request: StoreRequest, path: Path) -> None:
    """Refuse an object that is not what its command said.

    Raises:
        UnreadableInstanceError: It cannot be understood or says to be another one.
    """
    header: InstanceHeader = read_header(path)
    if header.sop_instance_uid != request.sop_instance_uid:
        raise _MismatchError("the data set's SOP Instance UID is not the command's")
    if header.sop_class_uid != request.sop_class_uid:
        raise _MismatchError("the data set's SOP Class UID is not the command's")


def file_header(request: StoreRequest) -> bytes:
    """Return preamble and file meta information for a received data set (PS3.10 7.1).

    The sender's AE title stands in Source Application Entity Title (0002,0016): an index that is
    built anew from the files knows it again.
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(request.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(request.sop_instance_uid)
    meta.TransferSyntaxUID = UID(request.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle = request.calling_ae_title
    meta.ReceivingApplicationEntityTitle = request.called_ae_title
    buffer = DicomBytesIO()
    buffer.write(b"\x00" * 128 + b"DICM")
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()


def digest_of(path: Path) -> tuple[str, int]:
    """Return the digest that `InstanceFiles.receive` gave a file of ours, and its size in bytes.

    Raises:
        UnreadableInstanceError: It has no header of ours: somebody else put it there.
        OSError: The file cannot be read.
    """
    try:
        digest = hashlib.sha256(_meta_of(path).TransferSyntaxUID.encode("ascii"))
    except PYDICOM_ERRORS:
        raise UnreadableInstanceError("The file has no DICOM header.") from None
    with path.open("rb") as file:
        # The group length (PS3.10 7.1), which `file_header` always writes, tells where data begin.
        start = file.read(_GROUP_LENGTH_END)
        file.seek(_GROUP_LENGTH_END + int.from_bytes(start[-4:], "little"))
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest(), file.tell()


def source_ae_title(path: Path) -> str:
    """Return who sent a file of ours."""
    return str(_meta_of(path).get("SourceApplicationEntityTitle", "")).strip()


def _meta_of(path: Path) -> Dataset:
    return read_file_meta_info(path)
