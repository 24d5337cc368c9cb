r"""The guarded way into and out of hl7apy, which is used nowhere else.

hl7apy 1.3.5 knows the segments and fields of each version, but not how to keep a text: it leaves
``^`` and ``&`` of an assigned text unescaped, lets a newline start a segment, spoils ``\.br\`` and
``\X..\``, drops fields of blanks, and loses all segments behind the first of a message with LF line
ends. So it never sees a text: in both directions a *ticket* goes in its place, a number between two
lone surrogates. No text can contain those (`hl7.escape` refuses them, no decoder makes them), so a
ticket cannot be forged, and what it stands for is swapped in after hl7apy has done its work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from hl7apy import SUPPORTED_LIBRARIES, load_library
from hl7apy.core import Message
from hl7apy.exceptions import ChildNotFound, HL7apyException
from hl7apy.parser import parse_segment

from core.errors import UnreadableMessageError
from hl7.charset import decode
from hl7.escape import DEFAULT, Delimiters, escape, unescape

# A component is a text, or a row of texts (its subcomponents).
Component = str | tuple[str, ...]
# A field is a text, a row of components, or a list of repetitions, each one of the two.
Repetition = str | tuple[Component, ...]
Value = Repetition | list[Repetition]

_DEFAULT_VERSION = "2.5.1"
# What we write; from 2.7 on a fifth delimiter would have to be escaped too.
WRITTEN_VERSIONS = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6")
# hl7apy takes a tenth of a millisecond for each part of a segment, an empty one too.
_MOST_PARTS = 5000
# MSH-1 and MSH-2 are delimiters themselves.
_DELIMITER_FIELDS = 2
_OPEN, _CLOSE = "\ud800", "\udfff"
_TICKET = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
# Codes such as a value type; hl7apy may see these as they are, and must see OBX-2.
_CODE = re.compile("[A-Z][A-Z0-9_]*")


class Er7Writer:
    """Writes one message, segment by segment.

    Field names are checked by hl7apy against the version; texts are guarded. The same calls give
    the same bytes.
    """

    def __init__(self, structure: str, *, version: str = _DEFAULT_VERSION) -> None:
        """Begin a message, e.g. of structure ``ORU_R01``.

        Raises:
            ValueError: The version is none of `WRITTEN_VERSIONS`.
        """
        if version not in WRITTEN_VERSIONS:
            raise ValueError(f"HL7 version {version!r} is not one of {WRITTEN_VERSIONS}")
        self._message = Message(structure, version=version)
        # hl7apy has set MSH-7 to the time of day.
        self._message.msh.msh_7 = ""
        self._texts: list[str] = []

    def add(self, name: str, fields: Mapping[int, Value]) -> None:
        """Add a segment (or fill MSH, which is there); empty values are left out.

        Raises:
            HL7apyException: The version has no such segment or field: a bug of the caller.
        """
        segment = self._message.msh if name == "MSH" else self._message.add_segment(name)
        for number, value in fields.items():
            for count, repetition in enumerate(value if isinstance(value, list) else [value]):
                rendered = self._render(repetition)
                if not rendered:
                    continue
                if count == 0:
                    setattr(segment, f"{name}_{number}".lower(), rendered)
                else:
                    segment.add_field(f"{name}_{number}".lower()).value = rendered

    def encode(self) -> bytes:
        r"""Return the message in UTF-8, each segment ended by ``\r``.

        Raises:
            TextIntegrityError: A text holds a lone surrogate.
        """
        text = _TICKET.sub(lambda match: self._texts[int(match[1])], self._message.to_er7())
        return f"{text}\r".encode()

    def _render(self, repetition: Repetition) -> str:
        components = (repetition,) if isinstance(repetition, str) else repetition
        rendered = (
            self._ticket(c) if isinstance(c, str) else "&".join(map(self._ticket, c)).rstrip("&")
            for c in components
        )
        return "^".join(rendered).rstrip("^")

    def _ticket(self, text: str) -> str:
        if not text or _CODE.fullmatch(text):
            return text
        self._texts.append(escape(text))
        return f"{_OPEN}{len(self._texts) - 1}{_CLOSE}"


@dataclass(frozen=True, kw_only=True)
class Er7Segment:
    """One segment as received; hl7apy reads it when a field is first asked for.

    Attributes:
        name: Three characters, known to hl7apy or not.
        line: The segment as it came, escape sequences included, without its end.
    """

    name: str
    line: str = field(repr=False)
    version: str = _DEFAULT_VERSION
    delimiters: Delimiters = DEFAULT
    charset: str = "utf-8"

    def text(self, number: int, component: int = 1, *, subcomponent: int = 1, rep: int = 1) -> str:
        """Return the text of a component, unescaped; empty where there is none (all 1-based).

        Raises:
            UnreadableMessageError: hl7apy cannot read the segment.
        """
        repetitions = self.repetitions(number)
        raw = repetitions[rep - 1] if rep <= len(repetitions) else ""
        for position, delimiter in (
            (component, self.delimiters.component),
            (subcomponent, self.delimiters.subcomponent),
        ):
            parts = raw.split(delimiter)
            raw = parts[position - 1] if position <= len(parts) else ""
        return unescape(raw, self.delimiters, self.charset)

    def repetitions(self, number: int) -> list[str]:
        """Return a field's repetitions as they came, escape sequences included.

        Raises:
            UnreadableMessageError: hl7apy cannot read the segment.
        """
        segment, atoms = self._parsed
        encoding = _encoding_chars(self.delimiters)
        try:
            rows = segment.children.get(f"{segment.name}_{number}")
        except ChildNotFound:
            # Past the fields of the version, where hl7apy would lose the number.
            return self._split(number)
        found = [
            _TICKET.sub(lambda match: atoms[int(match[1])], row.to_er7(encoding_chars=encoding))
            for row in rows
        ]
        if self.name == "MSH" and number <= _DELIMITER_FIELDS:
            return found
        # Empty components of a field that a version withdrew (OBR-27 in 2.7) hl7apy leaves out,
        # and so moves the others, without a word: what came counts.
        raw = self._split(number)
        ends = self.delimiters.component + self.delimiters.subcomponent
        is_same = [row.rstrip(ends) for row in found] == [row.rstrip(ends) for row in raw]
        return found if is_same else raw

    def _split(self, number: int) -> list[str]:
        fields = self.line.split(self.delimiters.field)
        # The separator is itself MSH-1.
        place = number - 1 if self.name == "MSH" else number
        raw = fields[place] if place < len(fields) else ""
        return raw.split(self.delimiters.repetition) if raw else []

    @cached_property
    def _parsed(self) -> tuple[Any, list[str]]:
        """Return hl7apy's segment, with tickets for texts, and the raw texts by ticket."""
        marks = self.delimiters
        parts = (marks.field, marks.component, marks.repetition, marks.subcomponent)
        if sum(map(self.line.count, parts)) > _MOST_PARTS:
            raise UnreadableMessageError(
                f"A segment of the message has more than {_MOST_PARTS} parts."
            )
        atoms: list[str] = []

        def ticket(match: re.Match[str]) -> str:
            if _CODE.fullmatch(match[0]):
                return match[0]
            atoms.append(match[0])
            return f"{_OPEN}{len(atoms) - 1}{_CLOSE}"

        separators = re.escape(marks.field + marks.component + marks.repetition)
        atom = f"[^{separators}{re.escape(marks.subcomponent)}]+"
        # MSH-1 and MSH-2 are delimiters themselves; the name stays as it is.
        fixed = self.line.split(marks.field, 2) if self.name == "MSH" else [self.line[:3]]
        start = len(marks.field.join(fixed[:2]))
        # hl7apy takes any segment whose name begins with Z, and no other that it does not know.
        name = self.name if self.name in _known_segments(self.version) else "ZZZ"
        line = name + self.line[3:start] + re.sub(atom, ticket, self.line[start:])
        try:
            segment = parse_segment(line, self.version, _encoding_chars(marks))
        except (HL7apyException, ValueError, LookupError, AttributeError, TypeError) as error:
            raise UnreadableMessageError(
                f"A segment of the message cannot be read ({type(error).__name__})."
            ) from error
        return segment, atoms


@dataclass(frozen=True, kw_only=True)
class Er7Message:
    """A message as received."""

    segments: tuple[Er7Segment, ...]

    def named(self, name: str) -> Iterator[Er7Segment]:
        """Return the segments of a name, in order."""
        return (segment for segment in self.segments if segment.name == name)

    def text(self, name: str, number: int, component: int = 1) -> str:
        """Return the text of a component in the first segment of a name, else empty."""
        segment = next(self.named(name), None)
        return "" if segment is None else segment.text(number, component)


def parse(data: bytes, *, default_charset: str = "utf-8") -> Er7Message:
    r"""Return a received message: any line ends, any delimiters, any segments.

    Args:
        data: One message without its frame.
        default_charset: Python codec of a sender that leaves MSH-18 empty.

    Raises:
        UnreadableMessageError: No MSH, impossible delimiters, or bytes that MSH-18 does not allow.
    """
    lines, delimiters, charset = decode(data, default_charset)
    header = lines[0].split(delimiters.field)
    declared = header[11].split(delimiters.component)[0] if len(header) > 11 else ""  # noqa: PLR2004 - MSH-12
    # An unknown version is read as the one that we speak ourselves.
    version = declared if declared in SUPPORTED_LIBRARIES else _DEFAULT_VERSION
    return Er7Message(
        segments=tuple(
            Er7Segment(
                name=line[:3], line=line, version=version, delimiters=delimiters, charset=charset
            )
            for line in lines
        )
    )


@cache
def _known_segments(version: str) -> frozenset[str]:
    return frozenset(load_library(version).SEGMENTS)


def _encoding_chars(delimiters: Delimiters) -> dict[str, str]:
    """Return delimiters in hl7apy's form."""
    return {
        "SEGMENT": "\r",
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "SUBCOMPONENT": delimiters.subcomponent,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape,
    }
