r"""From the bytes of a message to its segments: character set, delimiters, line ends.

MSH says all three about itself, in ASCII: MSH-1 and MSH-2 the delimiters, MSH-18 the character set.
Decoding is strict: a byte that the declared set does not have refuses the message, since guessing
is how "????" gets into a record.
"""

from __future__ import annotations

import re

from core.errors import UnreadableMessageError
from hl7.escape import Delimiters

# HL7 table 0211 by Python codec. A sender that says ASCII loses nothing by its superset.
_UTF_8 = frozenset({"ASCII", "UNICODE UTF-8", "UNICODE", "UTF-8", "UTF8"})
_ISO_8859 = re.compile(r"(?:ISO[ _-]?)?8859[/_-]([1-9]|1[013-6])")
# Not in the table, but what Windows senders write.
_WINDOWS = re.compile(r"(?:CP|WINDOWS|WIN)?[ _-]?(125[0-8])")
_MSH_18 = 17  # the separator is itself MSH-1, so fields split off the line count one less
# Stand for delimiters that MSH-2 leaves out; no decoded text can hold them.
_NEVER = "\udc01\udc02\udc03\udc04\udc05"


def decode(data: bytes, default_charset: str = "utf-8") -> tuple[list[str], Delimiters, str]:
    r"""Return the segments of a message as lines, its delimiters and its Python codec.

    A line feed that no segment follows is a line break within a field and becomes ``\.br\``.

    Args:
        data: One message without its frame.
        default_charset: Python codec of a sender that leaves MSH-18 empty.

    Raises:
        UnreadableMessageError: No MSH, impossible delimiters, an unknown character set, or bytes
            that are not in it.
    """
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n\t ")
    delimiters = delimiters_of(data)
    charset = _charset(data, delimiters, default_charset)
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        raise UnreadableMessageError(
            f"The message is not in the character set that its MSH-18 says (read as {charset})."
        ) from error
    mark = delimiters.escape
    text = text.replace("\r\n", "\r")
    ends = f"[A-Z][A-Z0-9]{{2}}(?:{re.escape(delimiters.field)}|[\r\n]|$)|[\r\n]|$"
    text = re.sub(f"\n(?!{ends})", lambda _: f"{mark}.br{mark}", text).replace("\n", "\r")
    return [line for line in text.split("\r") if line.strip()], delimiters, charset


def delimiters_of(data: bytes) -> Delimiters:
    """Return the delimiters that a message names in its first bytes.

    Raises:
        UnreadableMessageError: It does not begin with MSH, or they cannot be delimiters.
    """
    header = data[:10].decode("latin-1")
    if not re.match("MSH[!-/:-@\\[-`{-~]{2}", header):
        raise UnreadableMessageError("The message does not begin with an MSH segment.")
    separator = header[3]
    marks = re.split(f"[{re.escape(separator)}\r\n]", header[4:])[0]
    every = separator + marks
    if len(set(every)) != len(every) or not re.fullmatch("[!-/:-@\\[-`{-~]{2,6}", every):
        raise UnreadableMessageError("The message's MSH-1 and MSH-2 are no usable delimiters.")
    component, repetition, mark, subcomponent, truncation = list(marks + _NEVER[len(marks) :])
    return Delimiters(
        field=separator,
        component=component,
        repetition=repetition,
        escape=mark,
        subcomponent=subcomponent,
        truncation=truncation,
    )


def _charset(data: bytes, delimiters: Delimiters, default: str) -> str:
    """Return the Python codec of MSH-18, whose first repetition is what the message begins in."""
    header = re.split(b"[\r\n]", data, maxsplit=1)[0].decode("latin-1").split(delimiters.field)
    if len(header) <= _MSH_18:
        return default
    declared = header[_MSH_18].split(delimiters.repetition)[0]
    return codec_of(declared) if declared.strip() else default


def codec_of(declared: str) -> str:
    """Return the Python codec of a character set as MSH-18 names it.

    Raises:
        UnreadableMessageError: No character set is called so.
    """
    name = declared.strip().upper()
    if name in _UTF_8:
        return "utf-8"
    if match := _ISO_8859.fullmatch(name):
        return f"iso8859-{match[1]}"
    if match := _WINDOWS.fullmatch(name):
        return f"cp{match[1]}"
    raise UnreadableMessageError("The message's MSH-18 names a character set that is not known.")
