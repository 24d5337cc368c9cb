"""How the bytes of an object's text become letters, and what is said where they do not.

Bytes that a character set does not assign become U+FFFD, never a guess at other letters: an object
that lies about its character set is told of (`text_problem`), and whoever knows better says so in
`[[senders]] character_set`, which then holds whatever the objects say.

Source: PS3.3 C.12.1.1.2, PS3.5 6.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

from core.character_sets import terms_of
from dicom_node import PYDICOM_ERRORS

_DELIMITERS = frozenset(b"\r\n\t\f^=\\")
_ESCAPE = "\x1b"
# ISO 2022 IR 58 is designated by it (PS3.3 table C.12-4).
_TO_GB2312 = "\x1b$)A"
_REPLACEMENT = "\ufffd"
# Codes that no character set of DICOM gives a letter to; Windows' code pages do.
_C1 = re.compile("[\x80-\x9f]")
# Spellings of old software: ISO-IR 192, ISO_IR_100, ISO 2022-IR 127.
_SPELLING = re.compile(r"ISO[-_ ](2022[-_ ])?IR[-_ ]?([0-9]{1,3})")


@dataclass(frozen=True, kw_only=True)
class CharacterSet:
    """What bytes mean.

    Attributes:
        encodings: Python's codecs; the first one holds until an escape sequence names another.
        name: As objects or settings name it; empty where nothing is named.
        is_override: A setting names it: items of sequences do not change it.
        is_unknown: Something is named that nobody knows.
    """

    encodings: tuple[str, ...]
    name: str = ""
    is_override: bool = False
    is_unknown: bool = False

    def decode(self, value: bytes) -> tuple[str, str]:
        """Return the letters, and a sentence without patient data where they are not all right."""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii"), ""
        if self.is_override and len(self.encodings) == 1:
            # As a whole: in Shift JIS and Big5 the second byte of a letter may be a backslash.
            text = value.decode(self.encodings[0], "replace")
        else:
            text = self._decode_with_escapes(value)
        text = _C1.sub(_REPLACEMENT, text)
        return text, self._problem(value, text)

    def _decode_with_escapes(self, value: bytes) -> str:
        try:
            text = decode_bytes(value, self.encodings, set(_DELIMITERS))
        except PYDICOM_ERRORS:
            return value.decode("ascii", "replace")
        # pydicom leaves this one to Python's codec, which hands it back as letters.
        return text.replace(_TO_GB2312, "") if "iso_ir_58" in self.encodings else text

    def _problem(self, value: bytes, text: str) -> str:
        guess = "; it looks like UTF-8" if not self._is_utf8 and _is_utf8(value) else ""
        if _REPLACEMENT not in text and _ESCAPE not in text and not guess:
            return ""
        if self.is_override:
            return f"text is not in {self.name}, which [[senders]] character_set names{guess}"
        if self.is_unknown:
            return f"text beyond ASCII in an unknown character set{guess}"
        if not self.name:
            return f"text beyond ASCII without a character set{guess}"
        return f"text is not in {self.name}, which the object names{guess}"

    @property
    def _is_utf8(self) -> bool:
        return self.encodings[0].lower().replace("-", "").replace("_", "") == "utf8"


ASCII = CharacterSet(encodings=("ascii",))


def declared(terms: Sequence[str]) -> CharacterSet:
    """Return what the values of Specific Character Set (0008,0005) name.

    Nothing, or a term that nobody knows, means ASCII.
    """
    terms = tuple(_SPELLING.sub(_spelled, term) for term in terms)
    if not any(terms):
        return ASCII
    if any(term not in python_encoding for term in terms):
        return CharacterSet(encodings=("ascii",), is_unknown=True)
    return CharacterSet(encodings=_encodings(terms), name="\\".join(terms))


def overriding(setting: str) -> CharacterSet | None:
    """Return the character set that a checked setting names; None where it is empty."""
    if not setting:
        return None
    terms = terms_of(setting)
    encodings = _encodings(terms) if terms else (setting,)
    return CharacterSet(encodings=encodings, name=setting, is_override=True)


def _spelled(match: re.Match[str]) -> str:
    return f"ISO 2022 IR {match[2]}" if match[1] else f"ISO_IR {match[2]}"


def _encodings(terms: Sequence[str]) -> tuple[str, ...]:
    # ISO_IR 6 and an empty first term mean ASCII, where pydicom would take Latin-1.
    return tuple("ascii" if e == "iso8859" else e for e in convert_encodings(list(terms)))


def _is_utf8(value: bytes) -> bool:
    """Say whether bytes are letters beyond ASCII in UTF-8: by chance hardly any others are."""
    try:
        return not value.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False
