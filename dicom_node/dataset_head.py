"""The first elements of a data set, read without decoding it: is it what its command said?

A receiver that decodes data sets spends its time on them. This walk steps from element to element
by their lengths, looks at four UIDs and stops behind the last of them, a few dozen steps into an
object of any size. Whatever else is wrong with an object shows when it is indexed.

Source: PS3.5 7.1 (element structure), 7.5 (sequences and items).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from core.errors import UnreadableInstanceError

# Explicit VRs whose length has four bytes after two reserved ones (PS3.5 7.1.2).
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SHORT_VRS = frozenset(
    (
        *(
            b"AE",
            b"AS",
            b"AT",
            b"CS",
            b"DA",
            b"DS",
            b"DT",
            b"FD",
            b"FL",
            b"IS",
            b"LO",
            b"LT",
            b"PN",
        ),
        *(b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_WANTED = frozenset((_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_GROUP = 0xFFFE
_DEEPEST = 32
# All but these three are Explicit VR Little Endian around their pixels (PS3.5 A.4).
_NOT_EXPLICIT = frozenset(
    (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)
)
_STUDY_BYTES, _SERIES_BYTES = b"\x20\x00\x0d\x00UI", b"\x20\x00\x0e\x00UI"
_INFLATED_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Head:
    """The UIDs that name an object and its place; empty where absent."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""


class HeadTooShortError(Exception):
    """The bytes end before the last of the wanted elements: hand in more of them."""


def read_head(data: bytes, transfer_syntax_uid: str) -> Head:
    """Return the UIDs at the start of a data set.

    Args:
        data: Its first bytes, or all of them.
        transfer_syntax_uid: How it is encoded.

    Raises:
        HeadTooShortError: More bytes are needed to tell.
        UnreadableInstanceError: These are no elements in ascending order.
    """
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        data = _inflate(data)
    is_big = transfer_syntax_uid == ExplicitVRBigEndian
    walk = Walk(data, is_big=is_big, is_implicit=transfer_syntax_uid == ImplicitVRLittleEndian)
    return walk.head()


def find_head(data: bytes, transfer_syntax_uid: str) -> Head | None:
    """Return what `read_head` would, sooner; None where only that can tell.

    The first elements are stepped over as there, up to the instance's UID; study and series are
    then searched for by tag and VR instead of a hundred steps. Such bytes may stand inside another
    value, so what is found says that the UIDs are there, and where they differ from those of the
    walk the index, which decodes the header, has the word.
    """
    if transfer_syntax_uid in _NOT_EXPLICIT:
        return None
    try:
        walk = Walk(data, is_big=False, is_implicit=False)
        sop_class, sop_instance, at = walk.instance()
    except (HeadTooShortError, UnreadableInstanceError):
        return None
    study, at = _find_uid(data, _STUDY_BYTES, at)
    series, at = _find_uid(data, _SERIES_BYTES, at)
    if not (study and series):
        return None
    return Head(
        sop_class_uid=sop_class, sop_instance_uid=sop_instance, study_uid=study, series_uid=series
    )


def _find_uid(data: bytes, start: bytes, at: int) -> tuple[str, int]:
    """Return the UID of the first element that begins so, and the offset behind it."""
    found = data.find(start, at)
    if found < 0:
        return "", at
    value = found + len(start) + 2
    end = value + int.from_bytes(data[value - 2 : value], "little")
    text = data[value:end].rstrip(b"\0 ")
    # Digits and dots, as far as they are there: anything else is no UID, or is cut off.
    if end > len(data) or not text.replace(b".", b"0").isdigit():
        return "", at
    return text.decode("ascii"), end


def _inflate(data: bytes) -> bytes:
    # No bomb can grow: no more comes out than a head needs, or than went in.
    try:
        limit = max(len(data), _INFLATED_BYTES)
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
    except zlib.error:
        raise UnreadableInstanceError("the deflated data set is damaged") from None


class Walk:
    """Steps over elements; every length is checked against the bytes that there are."""

    def __init__(self, data: bytes, *, is_big: bool, is_implicit: bool) -> None:
        order = ">" if is_big else "<"
        self._data = data
        self._is_implicit = is_implicit
        self._is_unknown = False
        self._tag = Struct(f"{order}HH").unpack_from
        self._explicit = Struct(f"{order}HH2sH").unpack_from
        self._long = Struct(f"{order}L").unpack_from
        self._implicit = Struct(f"{order}HHL").unpack_from

    def head(self) -> Head:
        """Return the UIDs at the start of a data set.

        Raises:
            HeadTooShortError, UnreadableInstanceError: As `read_head`.
        """
        found = self._top_level()
        return Head(
            sop_class_uid=found.get(_SOP_CLASS, ""),
            sop_instance_uid=found.get(_SOP_INSTANCE, ""),
            study_uid=found.get(_STUDY, ""),
            series_uid=found.get(_SERIES, ""),
        )

    def instance(self) -> tuple[str, str, int]:
        """Return SOP Class and SOP Instance UID, and the offset behind them.

        Raises:
            HeadTooShortError, UnreadableInstanceError: They are not at the start, or not seen.
        """
        uids, at, last = dict[int, str](), 0, -1
        while True:
            at, last = self._after_plain(at, last)
            tag, start, length = self._element(at)
            if tag > _SOP_INSTANCE or tag <= last or length == _UNDEFINED_LENGTH:
                raise HeadTooShortError
            last, at = tag, start + length
            if tag in _WANTED:
                uids[tag] = self._uid(start, at)
            if tag == _SOP_INSTANCE:
                return uids.get(_SOP_CLASS, ""), uids[tag], at

    def _top_level(self) -> dict[int, str]:
        data, found, at, last = self._data, dict[int, str](), 0, -1
        while at < len(data):
            if not self._is_implicit:
                at, last = self._after_plain(at, last)
            tag, start, length = self._element(at)
            if tag > _SERIES:
                return found
            if tag <= last:
                raise UnreadableInstanceError("the data set's elements are out of order")
            last = tag
            if length == _UNDEFINED_LENGTH:
                at = self._after_undefined(start, 0)
                continue
            at = start + length
            if tag in _WANTED:
                found[tag] = self._uid(start, at)
                if tag == _SERIES:
                    return found
        raise HeadTooShortError

    def _uid(self, start: int, end: int) -> str:
        if end > len(self._data):
            raise HeadTooShortError
        return self._data[start:end].rstrip(b"\0 ").decode("ascii", "replace")

    def _after_plain(self, at: int, last: int) -> tuple[int, int]:
        """Step over elements that are like most, fast; stop at one that asks for a closer look."""
        data, explicit, end = self._data, self._explicit, len(self._data) - 8
        while at <= end:
            group, element, vr, length = explicit(data, at)
            tag = group << 16 | element
            if vr not in _SHORT_VRS or tag in _WANTED or not last < tag < _SERIES:
                break
            last = tag
            at += 8 + length
        return at, last

    def _element(self, at: int) -> tuple[int, int, int]:
        """Return tag, start of the value and length of the element at an offset."""
        data = self._data
        if at + 8 > len(data):
            raise HeadTooShortError
        if self._is_implicit:
            group, element, length = self._implicit(data, at)
            return group << 16 | element, at + 8, length
        group, element, vr, length = self._explicit(data, at)
        self._is_unknown = vr == b"UN"
        if group == _ITEM_GROUP:
            # Items and delimiters have no VR, whatever the transfer syntax.
            return group << 16 | element, at + 8, self._long(data, at + 4)[0]
        if vr in _LONG_VRS:
            if at + 12 > len(data):
                raise HeadTooShortError
            return group << 16 | element, at + 12, self._long(data, at + 8)[0]
        if not vr.isalpha() or not vr.isupper():
            raise UnreadableInstanceError("the data set holds no DICOM elements")
        return group << 16 | element, at + 8, length

    def after_sequence(self, at: int, depth: int) -> int:
        """Return the offset behind a sequence of undefined length."""
        if depth > _DEEPEST:
            raise UnreadableInstanceError("the data set's sequences are nested too deep")
        while True:
            tag, at, length = self._element(at)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise UnreadableInstanceError("the data set holds a damaged sequence")
            at = self._after_item(at, depth) if length == _UNDEFINED_LENGTH else at + length

    def _after_item(self, at: int, depth: int) -> int:
        while True:
            tag, at, length = self._element(at)
            if tag == _ITEM_END:
                return at
            at = (
                self._after_undefined(at, depth + 1) if length == _UNDEFINED_LENGTH else at + length
            )

    def _after_undefined(self, at: int, depth: int) -> int:
        """Return the offset behind a value of undefined length, whose VR was the last one read."""
        if self._is_unknown:
            # Unknown to whoever wrote it explicitly: what is inside stayed implicit (PS3.5 6.2.2).
            return Walk(self._data, is_big=False, is_implicit=True).after_sequence(at, depth)
        return self.after_sequence(at, depth)
