"""The elements of an ordinary file, found by their lengths alone: several times pydicom's speed.

pydicom meets whatever archives hold, and pays for it at every element. Nearly all that is received
is plain: little endian, every VR known, nothing cut off. Of such a file this walk makes the same
raw elements that pydicom would. It gives up at the first thing that is not plain, and pydicom reads
the file instead.

Source: PS3.5 7.1 (element structure), 7.5 (sequences).
"""

from __future__ import annotations

from functools import cache
from struct import Struct

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from core.errors import UnreadableInstanceError
from dicom_node.dataset_head import HeadTooShortError, Walk
from dicom_node.file_meta import read_meta

_STANDARD_SYNTAXES = "1.2.840.10008.1.2"
# The last two are JPIP Referenced and JPIP HTJ2K Referenced, deflated (PS3.5 A.6, A.8).
_NOT_PLAIN = frozenset(
    (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.205",
    )
)
_SHORT_VRS = {v.encode(): str(v) for v in VR if v not in EXPLICIT_VR_LENGTH_32 and len(v) == 2}  # noqa: PLR2004  two letters
_LONG_VRS = {v.encode(): str(v) for v in EXPLICIT_VR_LENGTH_32}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM_GROUP = 0xFFFE
_TRANSFER_SYNTAX = BaseTag(0x00020010)
# Float, double float and integer pixel data: nobody reads behind their tags.
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_Elements = dict[BaseTag, DataElement | RawDataElement]
_explicit = Struct("<HH2sH").unpack_from
_implicit = Struct("<HHL").unpack_from
_long = Struct("<L").unpack_from


class _NotPlainError(Exception):
    """Something that pydicom must look at."""


def read_plain(data: bytes) -> Dataset | None:
    """Return a file's elements up to its pixels, unconverted; None where the file is not plain."""
    try:
        meta = read_meta(data)
        syntax = meta.transfer_syntax_uid
        if not syntax.startswith(_STANDARD_SYNTAXES) or syntax in _NOT_PLAIN:
            return None
        is_implicit = syntax == ImplicitVRLittleEndian
        elements = _elements(data, meta.end, is_implicit=is_implicit)
    except (_NotPlainError, HeadTooShortError, UnreadableInstanceError):
        return None
    dataset = Dataset(elements)
    dataset.set_original_encoding(is_implicit, True, "iso8859")  # noqa: FBT003  pydicom's own order
    dataset.file_meta = _file_meta(syntax)
    return dataset


@cache
def _file_meta(syntax: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta[_TRANSFER_SYNTAX] = RawDataElement(
        _TRANSFER_SYNTAX,
        "UI",
        len(syntax),
        syntax.encode("ascii"),
        value_tell=0,
        is_implicit_VR=False,
        is_little_endian=True,
    )
    return meta


def _elements(data: bytes, at: int, *, is_implicit: bool) -> _Elements:
    found: _Elements = {}
    size = len(data)
    if is_implicit and data[at + 4 : at + 6].isalpha():
        # Said to be implicit, and it is not.
        raise _NotPlainError
    while at < size:
        if at + 12 > size:
            raise _NotPlainError
        tag, vr, start, length = _element(data, at, is_implicit=is_implicit)
        if tag in _PIXELS:
            break
        end = start + length
        if length == _UNDEFINED_LENGTH:
            end, at = _sequence_end(data, start, vr, is_implicit=is_implicit)
        elif end > size:
            raise _NotPlainError
        else:
            at = end
        key = BaseTag(tag)
        found[key] = RawDataElement(
            key, vr, length, data[start:end], start, is_implicit, is_little_endian=True
        )
    return found


def _element(data: bytes, at: int, *, is_implicit: bool) -> tuple[int, str | None, int, int]:
    """Return tag, VR, start and length of the value at an offset."""
    if is_implicit:
        group, element, length = _implicit(data, at)
        name, start = None, at + 8
    else:
        group, element, vr, length = _explicit(data, at)
        name, start = _SHORT_VRS.get(vr), at + 8
        if name is None:
            name, start = _LONG_VRS.get(vr), at + 12
            length = _long(data, at + 8)[0]
        if name is None:
            raise _NotPlainError
    if group == _ITEM_GROUP:
        raise _NotPlainError
    return group << 16 | element, name, start, length


def _sequence_end(data: bytes, start: int, vr: str | None, *, is_implicit: bool) -> tuple[int, int]:
    """Return the ends of a sequence of undefined length: of its items, and of its delimiter."""
    if vr not in {"SQ", None}:
        raise _NotPlainError
    end = Walk(data, is_big=False, is_implicit=is_implicit).after_sequence(start, 0)
    return end - 8, end
