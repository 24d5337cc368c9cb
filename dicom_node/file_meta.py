"""The file meta information of a DICOM file, as far as we need it (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import UnreadableInstanceError

# Preamble (128) and "DICM" (4).
_META_START = 132
# It is a few hundred bytes; private information may be more.
_META_BYTES = 64 << 10
_TRANSFER_SYNTAX, _SOURCE_AE_TITLE = 0x10, 0x16
_LONG_VRS = (b"OB", b"UN", b"UT")


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """How the data set is encoded, who sent it, and where in the file it begins."""

    transfer_syntax_uid: str
    source_ae_title: str
    end: int


def read_meta(start: bytes) -> FileMeta:
    """Read group 0002, which is always Explicit VR Little Endian, from a file's first bytes.

    Raises:
        UnreadableInstanceError: There is none.
    """
    values: dict[int, str] = {}
    at = _META_START
    is_dicom = start[128:at] == b"DICM"
    while is_dicom and start[at : at + 2] == b"\x02\x00" and at < _META_BYTES:
        element = int.from_bytes(start[at + 2 : at + 4], "little")
        is_long = start[at + 4 : at + 6] in _LONG_VRS
        begin = at + (12 if is_long else 8)
        length = int.from_bytes(start[at + 8 if is_long else at + 6 : begin], "little")
        if element in {_TRANSFER_SYNTAX, _SOURCE_AE_TITLE}:
            value = start[begin : begin + length].decode("ascii", "replace")
            values[element] = value.strip("\0 ")
        at = begin + length
    syntax = values.get(_TRANSFER_SYNTAX, "")
    if not syntax.isascii() or not syntax or at > len(start):
        raise UnreadableInstanceError("The file has no DICOM header.")
    return FileMeta(
        transfer_syntax_uid=syntax, source_ae_title=values.get(_SOURCE_AE_TITLE, ""), end=at
    )
