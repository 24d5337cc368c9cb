"""Values of a data set, taken from the raw bytes: plain text and numbers that never raise.

pydicom's own conversions raise or warn (quoting the value) on much of what real archives hold. The
rules here:

* text is decoded by Specific Character Set; without one, or with one that nobody knows, it is
  ASCII; bytes that cannot be decoded become U+FFFD, never a guess at other letters;
* control characters are dropped, spaces at the ends too;
* several values where the standard grants one: identifiers and text keep them all, joined by
  backslashes as stored (half a Patient ID may be somebody else's), codes keep the first;
* a number that is none is absent.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_node import PYDICOM_ERRORS

_UNDEFINED_LENGTH = 0xFFFFFFFF
_DELIMITERS = b"\r\n\t\f^=\\"


def _without_controls(text: str) -> str:
    if text.isprintable():
        return text.strip()
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs"}).strip()


class Attributes:
    """The values of one data set or sequence item.

    To be used under ``pydicom_warnings("ignore")``.
    """

    def __init__(self, dataset: Dataset, encodings: Sequence[str] | None = None) -> None:
        self.dataset = dataset
        self._encodings = encodings or self._read_encodings()

    def _read_encodings(self) -> list[str]:
        terms = self.codes("SpecificCharacterSet")
        if not any(terms) or any(term not in python_encoding for term in terms):
            return ["ascii"]
        # ISO_IR 6 and an empty first term mean ASCII, where pydicom would take Latin-1.
        return ["ascii" if e == "iso8859" else e for e in convert_encodings(list(terms))]

    def _raw(self, keyword: str) -> DataElement | RawDataElement | None:
        try:
            return self.dataset.get_item(Tag(keyword))
        except PYDICOM_ERRORS:
            return None

    def _bytes(self, keyword: str) -> bytes:
        value = getattr(self._raw(keyword), "value", None)
        if value is None or isinstance(value, bytes):
            return value or b""
        # pydicom itself has converted it while it read: Specific Character Set, always ASCII.
        parts = [value] if isinstance(value, str) else value
        return "\\".join(map(str, parts)).encode("ascii", "replace")

    def is_cut_off(self) -> bool:
        """Say whether an element announces more bytes than the file holds."""
        return any(
            isinstance(e, RawDataElement)
            and e.value is not None
            and e.length != _UNDEFINED_LENGTH
            and len(e.value) < e.length
            for e in self.dataset.values()
        )

    def text(self, keyword: str) -> str:
        """Return an attribute as text, all its values."""
        value = self._bytes(keyword)
        try:
            text = decode_bytes(value, self._encodings, set(_DELIMITERS))
        except PYDICOM_ERRORS:
            text = value.decode("ascii", "replace")
        return _without_controls(text)

    def codes(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute that is plain ASCII, such as CS and UI."""
        text = _without_controls(self._bytes(keyword).decode("ascii", "replace"))
        return tuple(part.strip() for part in text.split("\\")) if text else ()

    def code(self, keyword: str) -> str:
        """Return the first value of an ASCII attribute, empty where there is none."""
        return next(iter(self.codes(keyword)), "")

    def numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """Return exactly so many finite numbers of a DS, or none."""
        try:
            numbers = tuple(float(part) for part in self.codes(keyword))
        except ValueError:
            return ()
        return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()

    def integer(self, keyword: str) -> int | None:
        """Return an IS, None where it is absent or no number that 32 bits hold."""
        try:
            number = int(self.code(keyword))
        except ValueError:
            return None
        return number if abs(number) < 1 << 31 else None

    def unsigned(self, keyword: str) -> int:
        """Return a US, 0 where it is absent."""
        element = self._raw(keyword)
        if isinstance(element, RawDataElement):
            order: Literal["little", "big"] = "little" if element.is_little_endian else "big"
            return int.from_bytes((element.value or b"")[:2], order)
        value = getattr(element, "value", 0)
        return value if isinstance(value, int) else 0

    def date(self, keyword: str) -> str:
        """Return a DA as eight digits; the dotted form of old objects loses its dots."""
        text = self.code(keyword).replace(".", "")
        return text if re.fullmatch(r"[0-9]{8}", text) else ""

    def time(self, keyword: str) -> str:
        """Return a TM; the form with colons of old objects loses them."""
        text = self.code(keyword).replace(":", "")
        return text if re.fullmatch(r"([0-9]{2}){1,3}(\.[0-9]{1,6})?", text) else ""

    def items(self, keyword: str) -> list[Attributes]:
        """Return the items of a sequence; none where it is absent or cannot be parsed."""
        try:
            return [Attributes(item, self._encodings) for item in self.dataset.get(keyword) or []]
        except PYDICOM_ERRORS:
            return []

    def item(self, keyword: str) -> Attributes:
        """Return the first item of a sequence; an empty one where there is none."""
        return next(iter(self.items(keyword)), Attributes(Dataset(), self._encodings))
