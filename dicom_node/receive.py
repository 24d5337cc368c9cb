"""One C-STORE: a durable file, then Success. Nothing is answered Success before it cannot be lost.

The data set's bytes go to the file as they came. Only its first elements are looked at: an object
that is not the one that its command named is refused.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info

from core.blobs import Incoming, InstanceFiles
from core.errors import UnreadableInstanceError
from core.identifiers import DEVICE_UID
from core.log import log
from dicom_node import PYDICOM_ERRORS
from dicom_node.dataset_head import Head, HeadTooShortError, find_head, read_head
from dicom_node.header import is_valid_uid

# Tells in a file, and on an association, which software wrote it (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID = DEVICE_UID
IMPLEMENTATION_VERSION_NAME = "TAQRIR"
# Preamble (128), "DICM" (4), tag, VR and length of (0002,0000) (8), its value (4).
_GROUP_LENGTH_END = 144
_PREAMBLE = b"\0" * 128 + b"DICM"
# How much of an object is read back for its UIDs: nearly always the first bite is enough.
_HEAD_BYTES = (8 << 10, 128 << 10, 32 << 20)
_LOOK_AT_THE_DISK_EVERY_BYTES = 64 << 20
# The disk begins while the rest still comes; less than this is not worth the call.
_WORTH_STARTING_BYTES = 64 << 10
_log = log(__name__)


class Status(IntEnum):
    """C-STORE statuses that we answer (PS3.4 B.2.3, PS3.7 C.4)."""

    SUCCESS = 0x0000
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    INVALID_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORISED = 0x0124


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """The command set of a C-STORE and who sent it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str


@dataclass(frozen=True, kw_only=True)
class StorePolicy:
    """What one Success promises, and when nothing more is taken.

    Attributes:
        minimum_free_bytes, minimum_free_percent: Free disk under which we are out of resources; the
            larger one counts.
        is_synced: Success waits for the disk.
    """

    minimum_free_bytes: int = 0
    minimum_free_percent: float = 0.0
    is_synced: bool = True

    def has_room(self, files: InstanceFiles) -> bool:
        """Tell whether another object may be taken."""
        free, total = files.free_and_total_bytes()
        return free >= max(self.minimum_free_bytes, total * self.minimum_free_percent / 100)


class Reception:
    """One object on its way in: `write` its data set in pieces, then `finish` for the status.

    A refusal does not end the pieces: the sender goes on until its data set is through, and hears
    the status then (PS3.7 9.1.1). What comes behind a refusal is dropped.

    Args:
        files: Where it goes.
        request: What its command said.
        policy: What Success promises.
        association: Which one brings it.
        refusal: It was refused before its first byte.
        spare: A file that was opened for it in advance.

    Attributes:
        problem: Why it is refused, in words fit for an Error Comment; empty where it is not.
    """

    def __init__(
        self,
        files: InstanceFiles,
        request: StoreRequest,
        policy: StorePolicy,
        association: str,
        *,
        refusal: tuple[Status, str] | None = None,
        spare: Incoming | None = None,
    ) -> None:
        self._files = files
        self._request = request
        self._policy = policy
        self._refusal: Status | None = None
        self._incoming = spare
        self._header: bytes = b""
        self._meta_bytes = 0
        self._until_next_look = _LOOK_AT_THE_DISK_EVERY_BYTES
        self.problem = ""
        if refusal is not None:
            self._refuse(*refusal)
        elif not is_valid_uid(request.sop_instance_uid):
            self._refuse(Status.INVALID_INSTANCE, "its SOP Instance UID is none")
        elif not policy.has_room(files):
            self._refuse(Status.OUT_OF_RESOURCES, "the disk is nearly full")
        elif spare is None:
            try:
                self._incoming = files.incoming(association)
            except OSError as error:
                self._refuse_for(error)
        if self._incoming is not None:
            self._header = file_header(request)
            self._meta_bytes = len(self._header)

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Take some of the data set's bytes."""
        if self._incoming is None:
            return
        if self._header:
            pieces = [self._header, *pieces]
            self._header = b""
        descriptor = self._incoming.descriptor
        size = sum(map(len, pieces))
        try:
            written = os.writev(descriptor, pieces)
            if written < size:
                _write_rest(descriptor, pieces, written)
        except OSError as error:
            self._refuse_for(error)
            return
        if self._policy.is_synced and size > _WORTH_STARTING_BYTES:
            self._incoming.start_writing()
        self._until_next_look -= size
        if self._until_next_look < 0:
            self._until_next_look = _LOOK_AT_THE_DISK_EVERY_BYTES
            if not self._policy.has_room(self._files):
                self._refuse(Status.OUT_OF_RESOURCES, "the disk is nearly full")

    def finish(self) -> Status:
        """Return what to answer; on Success the object is durable and in the inbox."""
        incoming = self._incoming
        if incoming is None:
            return self._refusal or Status.OUT_OF_RESOURCES
        try:
            if refusal := self._compare(incoming.descriptor):
                return self._refuse(*refusal)
            incoming.keep(is_synced=self._policy.is_synced)
        except OSError as error:
            return self._refuse_for(error)
        self._incoming = None
        return Status.SUCCESS

    def abandon(self) -> None:
        """Forget the object: its association ended before it was whole."""
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None

    def _compare(self, descriptor: int) -> tuple[Status, str] | None:
        """Return why the object is refused, None where it is what its command said."""
        request = self._request
        try:
            head = self._head(descriptor)
        except UnreadableInstanceError as error:
            return Status.CANNOT_UNDERSTAND, str(error)
        if head.sop_instance_uid != request.sop_instance_uid:
            return Status.DATA_SET_MISMATCH, "the data set's SOP Instance UID is not the command's"
        if head.sop_class_uid != request.sop_class_uid:
            return Status.DATA_SET_MISMATCH, "the data set's SOP Class UID is not the command's"
        if not (is_valid_uid(head.study_uid) and is_valid_uid(head.series_uid)):
            return Status.CANNOT_UNDERSTAND, "it has no valid Study or Series Instance UID"
        return None

    def _head(self, descriptor: int) -> Head:
        """Read the UIDs back from the file, in growing bites until all of them are seen.

        Raises:
            UnreadableInstanceError: These are no elements, or they end too early.
        """
        for size in _HEAD_BYTES:
            data = os.pread(descriptor, size, self._meta_bytes)
            syntax = self._request.transfer_syntax_uid
            try:
                return find_head(data, syntax) or read_head(data, syntax)
            except HeadTooShortError:
                if len(data) < size:
                    break
        raise UnreadableInstanceError("the data set ends before its Series Instance UID")

    def _refuse_for(self, error: OSError) -> Status:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        return self._refuse(Status.OUT_OF_RESOURCES, f"it cannot be written: {name}")

    def _refuse(self, status: Status, reason: str) -> Status:
        uid = self._request.sop_instance_uid
        _log.warning(
            "instance_refused",
            # What is no UID may be anything, a name too.
            uid=uid if is_valid_uid(uid) else "",
            ae_title=self._request.calling_ae_title,
            status=f"{status:04X}",
            reason=reason,
        )
        self._refusal = status
        self.problem = reason
        self.abandon()
        return status


def _write_rest(descriptor: int, pieces: Sequence[bytes | memoryview], written: int) -> None:
    """Write what `writev` left over: a disk that fills up, or a signal, cuts it short."""
    for piece in pieces:
        if written >= len(piece):
            written -= len(piece)
            continue
        rest = memoryview(piece)[written:]
        written = 0
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def file_header(request: StoreRequest) -> bytes:
    """Return preamble and file meta information for a received data set (PS3.10 7.1).

    The sender's AE title stands in Source Application Entity Title (0002,0016): an index that is
    built anew from the files knows it again.
    """
    elements = b"".join(
        (
            _meta_element(0x01, b"OB", b"\x00\x01"),
            _meta_element(0x02, b"UI", request.sop_class_uid.encode("ascii")),
            _meta_element.__wrapped__(0x03, b"UI", request.sop_instance_uid.encode("ascii")),
            _meta_element(0x10, b"UI", request.transfer_syntax_uid.encode("ascii")),
            _meta_element(0x12, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
            _meta_element(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
            _meta_element(0x16, b"AE", request.calling_ae_title.encode("ascii", "replace")),
            _meta_element(0x18, b"AE", request.called_ae_title.encode("ascii", "replace")),
        )
    )
    return _PREAMBLE + _meta_element(0x00, b"UL", len(elements).to_bytes(4, "little")) + elements


# All but the instance's own are the same for thousands of objects.
@lru_cache(maxsize=256)
def _meta_element(element: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of group 0002: always Explicit VR Little Endian, of even length."""
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    tag = b"\x02\x00" + element.to_bytes(2, "little")
    if vr == b"OB":
        return tag + vr + b"\0\0" + len(value).to_bytes(4, "little") + value
    return tag + vr + len(value).to_bytes(2, "little") + value


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
