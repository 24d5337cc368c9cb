"""A reader of HL7 v2 that shares nothing with our code: what a careful RIS would read.

It knows the default delimiters only, and an escape sequence that it does not know is a fault.
"""

from __future__ import annotations

_CHARACTERS = {"F": "|", "S": "^", "R": "~", "E": "\\", "T": "&", ".br": "\n"}


class Er7FaultError(Exception):
    """The bytes are no message that keeps to the standard."""


def read_segments(data: bytes, charset: str = "utf-8") -> list[list[str]]:
    """Return the fields of each segment as they came; place 0 is the name, as HL7 counts."""
    text = data.decode(charset)
    if not text.startswith("MSH|^~\\&|") or not text.endswith("\r"):
        raise Er7FaultError("no message")
    if any(ord(c) < ord(" ") and c != "\r" for c in text):
        raise Er7FaultError("a control character")
    rows = [line.split("|") for line in text[:-1].split("\r")]
    # The separator is itself MSH-1.
    rows[0][1:2] = ["|", rows[0][1]]
    return rows


def components(field: str) -> list[str]:
    """Return the components of a field, unescaped."""
    if "~" in field:
        raise Er7FaultError("a repetition where none was written")
    return [unescape(part) for part in field.split("^")]


def unescape(raw: str) -> str:
    """Return what a component says, one character after the other."""
    said: list[str] = []
    place = 0
    while place < len(raw):
        if raw[place] != "\\":
            said.append(raw[place])
            place += 1
            continue
        end = raw.index("\\", place + 1)
        said.append(_meaning(raw[place + 1 : end]))
        place = end + 1
    return "".join(said)


def _meaning(name: str) -> str:
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name.startswith("X"):
        return bytes.fromhex(name[1:]).decode("ascii")
    raise Er7FaultError("an unknown escape sequence")
