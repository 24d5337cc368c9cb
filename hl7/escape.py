r"""Text into ER7 and back, so that nothing a report says can end a field or a segment.

Delimiters become ``\F\ \S\ \R\ \E\ \T\``, a line break ``\.br\``, any other control character its
code as ``\Xhh\``: nothing below a space is ever written, so neither the segment end nor the bytes
that frame a message on the wire can come from a text. Every other character, private-use ones and
bidirectional isolates included, goes as it is.

Two things do not come back as they were, on purpose: ``\r\n`` and ``\r`` are line breaks like
``\n`` and come back as ``\n``; lone surrogates have no bytes in any character set and are refused.

Source: HL7 v2.5.1 chapter 2.7 (escape sequences), 2.7.4 and 2.7.6.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.errors import TextIntegrityError

_CONTROLS = [*range(0x20), 0x7F]
_ESCAPES = {code: f"\\X{code:02X}\\" for code in _CONTROLS} | {
    ord("|"): "\\F\\",
    ord("^"): "\\S\\",
    ord("~"): "\\R\\",
    ord("\\"): "\\E\\",
    ord("&"): "\\T\\",
    ord("\n"): "\\.br\\",
}
# Two quotation marks alone are HL7's null, "delete what you have": as a text they must not be it.
_NULL = '""'
_NULL_AS_TEXT = "\\X2222\\"
_SURROGATE = re.compile("[\ud800-\udfff]")
# A formatting command: .br, .sp3, .in+4 and so on.
_FORMAT = re.compile(r"\.(br|sp|ce|sk|in|ti|fi|nf)\s*([+-]?\d*)")
# A peer's .sp99999999 must not become a text of that many lines.
_MAX_REPEAT = 100


@dataclass(frozen=True, kw_only=True)
class Delimiters:
    """The delimiters that a message names in MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = "#"


DEFAULT = Delimiters()


def normalise_lines(text: str) -> str:
    r"""Return a text with every line end as a line feed: what `unescape` gives back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def one_line(text: str) -> str:
    """Return a text for a field of one line: line ends, controls and runs of blanks as one blank.

    Joiners and bidirectional marks stay: they are part of how a name reads.
    """
    breaks = {"Cc", "Cs", "Zl", "Zp"}
    return " ".join("".join(" " if unicodedata.category(c) in breaks else c for c in text).split())


def escape(text: str) -> str:
    r"""Return a text as it may stand in a field with the default delimiters.

    Raises:
        TextIntegrityError: The text holds a lone surrogate, which no character set can write.
    """
    if _SURROGATE.search(text):
        raise TextIntegrityError("The text holds half a character (a lone surrogate).")
    if text == _NULL:
        return _NULL_AS_TEXT
    return normalise_lines(text).translate(_ESCAPES)


def unescape(raw: str, delimiters: Delimiters = DEFAULT, charset: str = "utf-8") -> str:
    r"""Return what a field's raw content says.

    One pass from left to right: what an escape sequence stands for is never read as another. A
    sequence that is cut off or unknown stays as it is, visible, rather than vanish. Highlighting
    and indentation (``\H\``, ``\.in+4\``) hold no text and go.

    Args:
        raw: Content of a field, component or subcomponent.
        delimiters: Those of the message.
        charset: Python codec of the message, which ``\X..\`` bytes are in.
    """
    mark = re.escape(delimiters.escape)
    return re.sub(
        f"{mark}([^{mark}]*){mark}",
        lambda match: _meaning(match.group(1), match.group(), delimiters, charset),
        raw,
    )


def _meaning(name: str, whole: str, delimiters: Delimiters, charset: str) -> str:
    """Return what one escape sequence stands for; itself where that is unknown."""
    characters = {
        "F": delimiters.field,
        "S": delimiters.component,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "T": delimiters.subcomponent,
        "P": delimiters.truncation,
        "H": "",
        "N": "",
    }
    if name in characters:
        return characters[name]
    if name.startswith("X"):
        return _from_hexadecimal(name[1:], charset, whole)
    return _formatted(name, whole)


def _from_hexadecimal(digits: str, charset: str, otherwise: str) -> str:
    try:
        return bytes.fromhex(digits).decode(charset) if digits else otherwise
    except ValueError:
        return otherwise


def _formatted(name: str, otherwise: str) -> str:
    match = _FORMAT.fullmatch(name)
    if match is None:
        return otherwise
    command, number = match.groups()
    count = min(max(int(number), 0), _MAX_REPEAT) if number.lstrip("+-") else 1
    repeated = {"br": "\n", "sp": "\n", "ce": "\n", "sk": " "}
    return repeated.get(command, "") * count
