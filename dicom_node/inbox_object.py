"""One file of the inbox, read once: whole, durable, digest and header.

A small object is read into memory, a large one in pieces; either way the digest, the file meta
information and the header come from one open file. Files are synced before anybody counts on them:
a row must not outlive its bytes, or a resend would count as the duplicate of a torn file.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from core.blobs import WaitingFile
from core.errors import UnreadableInstanceError
from dicom_node.dataset_head import Head, HeadTooShortError, read_head
from dicom_node.file_meta import read_meta
from dicom_node.header import InstanceHeader, read_header

# An object up to this size is held in memory; of a larger one only the start.
_IN_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 20
_SYNCS_AT_ONCE = 16
# The disk cannot give this one file; others may be fine.
_THIS_FILE_ONLY = frozenset((errno.EIO, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP))


@dataclass(frozen=True, kw_only=True)
class InboxObject:
    """What a file of the inbox holds.

    Attributes:
        digest: SHA-256 over transfer syntax and data set, in hexadecimal digits: the same object
            from another sender has the same.
        sender: AE title of who sent it.
    """

    file: WaitingFile
    header: InstanceHeader
    digest: str
    sender: str


def read_object(file: WaitingFile, character_sets: Mapping[str, str]) -> InboxObject:
    """Read a file of the inbox.

    Args:
        file: Which.
        character_sets: By a sender's AE title, what its text is in, whatever it says itself.

    Raises:
        UnreadableInstanceError: It is torn, no object, or the disk cannot read it.
        FileNotFoundError: It is gone.
        OSError: The disk fails.
    """
    with _opened(file.path) as descriptor:
        return _read(file, descriptor, character_sets)


def sync_all(paths: Sequence[Path]) -> list[OSError | UnreadableInstanceError | None]:
    """Make files durable; return for each what went wrong.

    Several at once: a sync is mostly waiting, though its receiver has synced it already, and disks
    make one flush of many.
    """
    with ThreadPoolExecutor(min(_SYNCS_AT_ONCE, max(len(paths), 1))) as pool:
        return list(pool.map(_sync, paths))


def _sync(path: Path) -> OSError | UnreadableInstanceError | None:
    try:
        with _opened(path) as descriptor:
            os.fdatasync(descriptor)
    except (OSError, UnreadableInstanceError) as error:
        return error
    return None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a file; what the disk cannot give of it alone is the file's fault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _THIS_FILE_ONLY:
            name = errno.errorcode[error.errno]
            raise UnreadableInstanceError(f"The file cannot be read: {name}.") from None
        raise


def _read(file: WaitingFile, descriptor: int, character_sets: Mapping[str, str]) -> InboxObject:
    size = os.fstat(descriptor).st_size
    if size != file.size_bytes:
        raise UnreadableInstanceError(
            f"The file is torn: it has {size} of {file.size_bytes} bytes. It was never answered "
            "Success, so that its sender still has it."
        )
    start = _read_up_to(descriptor, min(size, _IN_MEMORY_BYTES))
    meta = read_meta(start)
    digest = hashlib.sha256(meta.transfer_syntax_uid.encode("ascii"))
    digest.update(memoryview(start)[meta.end :])
    while len(start) == _IN_MEMORY_BYTES and (piece := os.read(descriptor, _PIECE_BYTES)):
        digest.update(piece)
    sender = meta.source_ae_title
    source = BytesIO(start) if size < _IN_MEMORY_BYTES else file.path
    header = read_header(source, character_sets.get(sender, ""))
    return InboxObject(file=file, header=header, digest=digest.hexdigest(), sender=sender)


def _read_up_to(descriptor: int, size: int) -> bytes:
    pieces = []
    while size and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def head_of(path: Path) -> Head:
    """Return the UIDs of a file that cannot be understood as a whole, as far as they can be had."""
    try:
        with path.open("rb") as file:
            start = file.read(_PIECE_BYTES)
        meta = read_meta(start)
        return read_head(start[meta.end :], meta.transfer_syntax_uid)
    except (OSError, UnreadableInstanceError, HeadTooShortError):
        return Head()
