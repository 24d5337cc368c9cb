"""Foreign text brought into the form that a DICOM attribute allows.

What describes is shortened. What identifies (patient, accession, study id) is never shortened or
altered, since half an identifier may be somebody else's: where it does not fit it is left out, and
the Study Instance UID still says whose report it is.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_NAME_GROUPS, _NAME_COMPONENTS = 3, 5
_LO_LENGTH = 64


def described(text: str, length: int = _LO_LENGTH) -> str:
    """Return a description cut to so many bytes of UTF-8, as validators count them."""
    clean = _printable(text).replace("\\", "/")
    return clean.encode()[:length].decode(errors="ignore").strip()


def identified(text: str, length: int) -> str:
    """Return an identifier unchanged, or nothing where it cannot stand in the attribute."""
    fits = len(text) <= length and "\\" not in text and text == _printable(text)
    return text if fits else ""


def named(text: str) -> str:
    """Return a person's name: at most three groups of 64 characters, of five components each.

    Source: PS3.5 6.2, 6.2.1.
    """
    groups = _printable(text).replace("\\", " ").split("=")[:_NAME_GROUPS]
    return "=".join(_name_group(group) for group in groups).rstrip("=")


def _name_group(group: str) -> str:
    parts = group.split("^")
    first, rest = parts[: _NAME_COMPONENTS - 1], parts[_NAME_COMPONENTS - 1 :]
    components = [*first, " ".join(rest)] if rest else first
    return "^".join(part.strip() for part in components)[:_LO_LENGTH].rstrip("^ ")


def dated(text: str) -> str:
    """Return a DA, empty where the text is no date."""
    try:
        is_date = re.fullmatch(r"[0-9]{8}", text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        is_date = False
    return text if is_date else ""


def timed(text: str) -> str:
    """Return a TM, empty where the text is no time of day."""
    pattern = r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?"
    return text if re.fullmatch(pattern, text) else ""


def _printable(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs"}).strip()
