"""A deflated data set, inflated no further than its header may reach.

A few kilobytes may inflate to gigabytes, so that whoever only wants the header takes so much and no
more. What is behind (the pixels) stays unread.

Source: PS3.5 A.5, PS3.10 7.1.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from core.errors import UnreadableInstanceError

# Functional groups of thousands of frames, or a long structured report, are a tenth of it.
INFLATED_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20
# The file meta information is a few hundred bytes, the transfer syntax among the first.
_START_BYTES = 4096
# Preamble (128), "DICM" (4), tag, VR and length of (0002,0000) (8), its value (4).
_GROUP_LENGTH_AT, _GROUP_LENGTH_END = 132, 144
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
_DEFLATED, _PLAIN = (
    str(syntax).encode("ascii")
    for syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian)
)


@dataclass(frozen=True, kw_only=True)
class Inflated:
    """A file whose data set was deflated, as Explicit VR Little Endian in memory.

    Attributes:
        is_whole: All of it was inflated; else the limit was reached.
    """

    file: BytesIO
    is_whole: bool

    @property
    def is_read_through(self) -> bool:
        """Whether whoever read it reached its end."""
        return self.file.tell() >= len(self.file.getbuffer())


def inflate(source: Path | BinaryIO, limit: int = INFLATED_BYTES) -> Inflated | None:
    """Return a deflated object with at most so many bytes of its data set; None for any other.

    Raises:
        UnreadableInstanceError: It cannot be inflated.
        OSError: The file cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _inflate(file, limit)
    place = source.tell()
    try:
        return _inflate(source, limit)
    finally:
        source.seek(place)


def _inflate(file: BinaryIO, limit: int) -> Inflated | None:
    place = file.tell()
    start = file.read(_START_BYTES)
    if _DEFLATED not in start or start[_GROUP_LENGTH_AT:][: len(_GROUP_LENGTH)] != _GROUP_LENGTH:
        return None
    length = int.from_bytes(start[_GROUP_LENGTH_END - 4 : _GROUP_LENGTH_END], "little")
    meta = start[: _GROUP_LENGTH_END + length]
    if _DEFLATED not in meta:
        return None
    file.seek(place + len(meta))
    # The same length, so that the group length stays true.
    buffer = BytesIO(meta.replace(_DEFLATED, _PLAIN.ljust(len(_DEFLATED), b"\0")))
    buffer.seek(0, 2)
    is_whole = _inflate_into(buffer, file, limit)
    buffer.seek(0)
    return Inflated(file=buffer, is_whole=is_whole)


def _inflate_into(buffer: BytesIO, file: BinaryIO, limit: int) -> bool:
    """Inflate the rest of a file; False where the limit was reached before its end."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not stream.eof:
            piece = stream.unconsumed_tail or file.read(_PIECE_BYTES)
            inflated = stream.decompress(piece, min(limit, _PIECE_BYTES))
            # At the file's end the stream may still hold back what was over the limit.
            if not (piece or inflated or stream.eof):
                raise UnreadableInstanceError("The deflated data set is cut off; send it again.")
            buffer.write(inflated)
            limit -= len(inflated)
            if limit <= 0:
                return False
    except zlib.error:
        raise UnreadableInstanceError("The deflated data set is damaged.") from None
    return True
