"""MSH, read without hl7apy: what an endpoint must know before a message is stored.

Of the segments behind it EVN is looked at, and only where MSH-9 names no trigger.

A header is ASCII in all that matters. It is read as Latin-1, where every byte is a character, so
that an answer repeats a peer's own names byte for byte, whatever character set they are in.

Source: HL7 v2.5.1 2.15.9 (MSH), 3.4.1 (EVN).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from core.errors import UnreadableMessageError
from hl7.charset import delimiters_of
from hl7.escape import Delimiters
from hl7.kinds import NULL, kind_of

# No header is longer; without a limit a message of one endless segment would be copied for it.
_LONGEST_HEADER = 1 << 16
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_APPLICATION, _FACILITY, _KIND, _CONTROL_ID = 3, 4, 9, 10


@dataclass(frozen=True, kw_only=True)
class Header:
    """The fields of MSH as they came, control characters left out.

    Attributes:
        event: EVN-1, where MSH-9 names no trigger.
    """

    delimiters: Delimiters
    fields: tuple[str, ...] = field(repr=False)
    event: str = ""

    def raw(self, number: int) -> str:
        """Return a field as it came, delimiters and escape sequences included; else empty."""
        # The separator is itself MSH-1.
        return self.fields[number - 1] if number - 1 < len(self.fields) else ""

    def first(self, number: int, component: int = 1) -> str:
        """Return a component of a field's first repetition."""
        return _first(self.raw(number), self.delimiters, component)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.raw(_CONTROL_ID).strip()

    @property
    def sending_application(self) -> str:
        """The name in MSH-3."""
        return self.first(_APPLICATION)

    @property
    def sending_facility(self) -> str:
        """The name in MSH-4."""
        return self.first(_FACILITY)

    @property
    def kind(self) -> str:
        """Message and trigger, such as ``ORM^O01``."""
        return kind_of(self.first(_KIND), self.first(_KIND, 2), self.event)


def read_header(message: bytes) -> Header:
    """Return the header of a message.

    Raises:
        UnreadableMessageError: It does not begin with an MSH whose delimiters make sense, or that
            never ends.
    """
    beginning = message[:_LONGEST_HEADER].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n\t ")
    delimiters = delimiters_of(beginning)
    line, *rest = re.split(b"[\r\n]", beginning, maxsplit=1)
    if len(line) >= _LONGEST_HEADER - 8:
        raise UnreadableMessageError("The message's MSH segment does not end.")
    header = Header(delimiters=delimiters, fields=(delimiters.field, *_fields(line, delimiters)))
    if header.first(_KIND, 2) not in {"", NULL}:
        return header
    return replace(header, event=_event(rest[0] if rest else b"", delimiters))


def _fields(line: bytes, delimiters: Delimiters) -> list[str]:
    texts = line.decode("latin-1").split(delimiters.field)[1:]
    return [_CONTROLS.sub("", text) for text in texts]


def _event(segments: bytes, delimiters: Delimiters) -> str:
    """Return EVN-1, as far as the segments behind MSH lie near it."""
    for line in re.split(b"[\r\n]", segments):
        if line.startswith(b"EVN" + delimiters.field.encode("latin-1")):
            return _first(_fields(line, delimiters)[0], delimiters)
    return ""


def _first(text: str, delimiters: Delimiters, component: int = 1) -> str:
    parts = text.split(delimiters.repetition, maxsplit=1)[0].split(delimiters.component)
    return parts[component - 1].strip() if component <= len(parts) else ""
