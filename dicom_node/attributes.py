"""Values of a data set, taken from the raw bytes: plain text and numbers that never raise.

pydicom's own conversions raise or warn (quoting the value) on much of what real archives hold. The
rules here:

* text is decoded by Specific Character Set, an item's own one where it has any, or by what the
  sender's settings say instead (`dicom_node.character_sets`); bytes that cannot be decoded become
  U+FFFD, never a guess at other letters, and `text_problem` tells of them;
* control characters are dropped, spaces at the ends too;
* several values where the standard grants one: identifiers and text keep them all, joined by
  backslashes as stored (half a Patient ID may be somebody else's), codes keep the first;
* a number that is none is absent.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import Literal

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_node import PYDICOM_ERRORS
from dicom_node.character_sets import CharacterSet, declared

_UNDEFINED_LENGTH = 0xFFFFFFFF
# Of every object dozens are asked for, always the same ones.
_tag = cache(Tag)


def _without_controls(text: str) -> str:
    if text.isprintable():
        return text.strip()
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs"}).strip()


class Attributes:
    """The values of one data set or sequence item.

    To be used under ``pydicom_warnings("ignore")``.
    """

    def __init__(
        self,
        dataset: Dataset,
        character_set: CharacterSet | None = None,
        problems: list[str] | None = None,
    ) -> None:
        """Look at a data set.

        Args:
            dataset: As pydicom has read it.
            character_set: The one of the data set around it, or the sender's override.
            problems: Where to write down what is wrong with its text.
        """
        self.dataset = dataset
        self._problems = [] if problems is None else problems
        if character_set is None or not character_set.is_override:
            own = self.codes("SpecificCharacterSet")
            if character_set is None or any(own):
                character_set = declared(own)
        self._character_set = character_set

    @property
    def text_problem(self) -> str:
        """What is wrong with the text that was read so far, items included; no patient data."""
        return "; ".join(dict.fromkeys(self._problems))

    def _element(self, keyword: str) -> DataElement | RawDataElement | None:
        try:
            return self.dataset.get_item(_tag(keyword))
        except PYDICOM_ERRORS:
            return None

    def raw(self, keyword: str) -> bytes:
        """Return an attribute's bytes as they came, padding included."""
        value = getattr(self._element(keyword), "value", None)
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
        text, problem = self._character_set.decode(self.raw(keyword))
        if problem:
            self._problems.append(problem)
        return _without_controls(text)

    def codes(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute that is plain ASCII, such as CS and UI."""
        text = _without_controls(self.raw(keyword).decode("ascii", "replace"))
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
        element = self._element(keyword)
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
        if self._element(keyword) is None:
            return []
        try:
            return [self._within(item) for item in self.dataset.get(keyword) or []]
        except (*PYDICOM_ERRORS, OSError):
            # OSError: pydicom's word for a sequence that ends too early.
            return []

    def item(self, keyword: str) -> Attributes:
        """Return the first item of a sequence; an empty one where there is none."""
        return next(iter(self.items(keyword)), None) or self._within(Dataset())

    def _within(self, item: Dataset) -> Attributes:
        return Attributes(item, self._character_set, self._problems)
