r"""The guarded way into and out of hl7apy, which is used nowhere else.

hl7apy 1.3.5 knows the segments and fields of each version, but not how to keep a text: it leaves
``^`` and ``&`` of an assigned text unescaped, lets a newline start a segment, spoils ``\.br\`` and
``\X..\``, drops fields of blanks, and loses all segments behind the first of a message with LF line
ends. So it never sees a text. On the way out only its tables are asked. On the way in a *ticket*
goes in the place of each text, a number between two lone surrogates. No text can contain those
(`hl7.escape` refuses them, no decoder makes them), so a ticket cannot be forged, and what it stands
for is swapped in after hl7apy has done its work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any

from hl7apy import SUPPORTED_LIBRARIES, load_library
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segment

from core.errors import UnreadableMessageError, UnwritableTextError
from hl7.charset import decode
from hl7.escape import DEFAULT, Delimiters, escape, unescape

# A component is a text, or a row of texts (its subcomponents).
Component = str | tuple[str, ...]
# A field is a text, a row of components, or a list of repetitions, each one of the two.
Repetition = str | tuple[Component, ...]
Value = Repetition | list[Repetition]

# As a component it is written as two quotation marks, HL7's "delete what you have" (2.5.3.2); no
# text is it, since none holds a lone surrogate.
NULL = "\udc22"
_DEFAULT_VERSION = "2.5.1"
# What we write; from 2.7 on a fifth delimiter would have to be escaped too.
WRITTEN_VERSIONS = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6")
# hl7apy takes a tenth of a millisecond for each part of a segment, an empty one too.
_MOST_PARTS = 5000
# Of the segments of a message that are read: some ten seconds. 200 orders have half as many.
_MOST_PARTS_IN_ALL = 50_000
# Segments of more letters than this, tickets and not texts, are not remembered.
_LONGEST_KEPT_FORM = 1000
# MSH-1 and MSH-2 are delimiters themselves.
_DELIMITER_FIELDS = 2
_OPEN, _CLOSE = "\ud800", "\udfff"
_TICKET = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
# Codes such as a value type; hl7apy may see these as they are, and must see OBX-2.
_CODE = re.compile("[A-Z][A-Z0-9_]*")


class Er7Writer:
    """Writes one message, segment by segment.

    Which segments a structure has, and how many fields a segment has in a version, says hl7apy;
    its tree of objects, some 50 ms a message, is not built (docs/decisions/0007-er7-by-hand.md).
    The same calls give the same bytes.
    """

    def __init__(self, structure: str, *, version: str = _DEFAULT_VERSION) -> None:
        """Begin a message, e.g. of structure ``ORU_R01``; MSH is added first.

        Raises:
            ValueError: The version is none of `WRITTEN_VERSIONS`.
        """
        if version not in WRITTEN_VERSIONS:
            raise ValueError(f"HL7 version {version!r} is not one of {WRITTEN_VERSIONS}")
        self._known = _fields_of(version, structure)
        self._lines: list[str] = []

    def add(self, name: str, fields: Mapping[int, Value]) -> None:
        """Add a segment; empty values are left out.

        Raises:
            ValueError: The structure has no such segment, or the version no such field: a bug of
                the caller.
            TextIntegrityError: A text holds a lone surrogate.
        """
        known = self._known.get(name)
        if known is None or not known.issuperset(fields):
            raise ValueError(f"no segment {name} with fields {sorted(fields)} in this structure")
        row = [name] + [""] * max(fields, default=0)
        for number, value in fields.items():
            repetitions = value if isinstance(value, list) else [value]
            row[number] = "~".join(filter(None, map(_write_repetition, repetitions)))
        if name == "MSH":
            # The separator is itself MSH-1.
            row[1:3] = ["^~\\&"]
        self._lines.append("|".join(row).rstrip("|"))

    def encode(self, codec: str = "utf-8") -> bytes:
        r"""Return the message, each segment ended by ``\r``.

        Args:
            codec: Python codec of what MSH-18 says.

        Raises:
            UnwritableTextError: The character set lacks a character of the message.
        """
        try:
            return "".join(f"{line}\r" for line in self._lines).encode(codec)
        except UnicodeEncodeError as error:
            character = ord(error.object[error.start])
            # The error itself would carry the whole message along.
            raise UnwritableTextError(
                f"The destination's character set ({codec}) cannot write U+{character:04X}, which "
                "the message holds: nothing was sent. Set its character_set to UNICODE UTF-8, or "
                "leave out the language that it cannot hold."
            ) from None


def _write_repetition(repetition: Repetition) -> str:
    components = (repetition,) if isinstance(repetition, str) else repetition
    rendered = (
        _write_text(c) if isinstance(c, str) else "&".join(map(_write_text, c)).rstrip("&")
        for c in components
    )
    return "^".join(rendered).rstrip("^")


def _write_text(text: str) -> str:
    return '""' if text is NULL else escape(text)


@dataclass(kw_only=True)
class _Allowance:
    """How many parts of a message hl7apy may still take apart."""

    parts: int = _MOST_PARTS_IN_ALL


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
    _allowance: _Allowance = field(default_factory=_Allowance, repr=False, compare=False)

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
        form, atoms = self._parsed
        if number not in form:
            # Empty, or past the fields of the version.
            return self._split(number)
        found = [_TICKET.sub(lambda match: atoms[int(match[1])], row) for row in form[number]]
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
    def _parsed(self) -> tuple[Mapping[int, tuple[str, ...]], list[str]]:
        """Return the fields as hl7apy reads them, with tickets for texts, and texts by ticket."""
        marks = self.delimiters
        parts = (marks.field, marks.component, marks.repetition, marks.subcomponent)
        count = sum(map(self.line.count, parts))
        if count > _MOST_PARTS:
            raise UnreadableMessageError(
                f"A segment of the message has more than {_MOST_PARTS} parts."
            )
        self._allowance.parts -= count
        if self._allowance.parts < 0:
            raise UnreadableMessageError(
                f"The message's segments have more than {_MOST_PARTS_IN_ALL} parts in all."
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
        read = _read_form if len(line) <= _LONGEST_KEPT_FORM else _read_form.__wrapped__
        return read(line, self.version, marks), atoms


@lru_cache(maxsize=256)
def _read_form(line: str, version: str, delimiters: Delimiters) -> dict[int, tuple[str, ...]]:
    """Return the repetitions of each field of a segment, as hl7apy reads them.

    A segment with tickets for texts has few forms: those of a message's OBX are nearly all the
    same, and hl7apy takes 2 ms to read one.
    """
    encoding = _encoding_chars(delimiters)
    try:
        fields = parse_segment(line, version, encoding).children
        form: dict[int, tuple[str, ...]] = {}
        for field_read in fields:
            if field_read.name is None:
                # Past the fields of the version: its number is lost here.
                continue
            number = int(field_read.name.rpartition("_")[2])
            form[number] = (*form.get(number, ()), field_read.to_er7(encoding_chars=encoding))
    except (HL7apyException, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UnreadableMessageError(
            f"A segment of the message cannot be read ({type(error).__name__})."
        ) from error
    return form


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
    allowance = _Allowance()
    return Er7Message(
        segments=tuple(
            Er7Segment(
                name=line[:3],
                line=line,
                version=version,
                delimiters=delimiters,
                charset=charset,
                _allowance=allowance,
            )
            for line in lines
        )
    )


@cache
def _known_segments(version: str) -> frozenset[str]:
    return frozenset(load_library(version).SEGMENTS)


@cache
def _fields_of(version: str, structure: str) -> dict[str, frozenset[int]]:
    """Return which fields each segment of a structure has in a version, as hl7apy knows them."""
    library = load_library(version)
    return {
        name: frozenset(int(row[0].rpartition("_")[2]) for row in library.SEGMENTS[name][1])
        for name in _segments_of(library.MESSAGES[structure])
    }


def _segments_of(node: Any) -> Iterator[str]:
    """Yield the names of the segments below a message or group of hl7apy's tables."""
    for name, child, _cardinality, kind in node[1]:
        if kind == "SEG":
            yield name
        else:
            yield from _segments_of(child)


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
