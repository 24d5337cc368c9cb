"""A DICOM person name as HL7 writes it, and back.

DICOM has up to three component groups (alphabetic, ideographic, phonetic) parted by ``=``; HL7 has
a repetition for each, marked in its eighth component. The order of suffix and prefix differs.

Source: DICOM PS3.5 6.2 (PN); HL7 v2.5.1 2.A.88 (XPN), 2.A.86 (XCN), table 0465.
"""

from __future__ import annotations

from hl7.er7 import Er7Segment
from hl7.escape import one_line

# HL7 table 0465, in the order of DICOM's groups.
_REPRESENTATIONS = ("A", "I", "P")
# Component lengths that HL7 v2.5.1 grants a family name; a longer part is no name but an accident.
_LONGEST_PART = 194
_MOST_NAMES = 8
# What parts components, groups and values of a DICOM name.
_NO_DICOM = dict.fromkeys(map(ord, "^=\\"), " ")


def to_xpn(name: str) -> list[tuple[str, ...]]:
    """Return a person name as repetitions of XPN, the alphabetic group first.

    Where that group is empty the first one that is not takes its place; an Arabic name in the
    second or third group stays, as a repetition of its own.
    """
    groups = zip(name.split("="), _REPRESENTATIONS, strict=False)
    repetitions: list[tuple[str, ...]] = []
    for group, representation in groups:
        family, given, middle, prefix, suffix = _parts(group)
        if any((family, given, middle, prefix, suffix)):
            repetitions.append((family, given, middle, suffix, prefix, "", "", representation))
    return repetitions


def to_xcn(name: str) -> tuple[str, ...]:
    """Return a person name as one XCN without an identifier; empty where there is no name."""
    repetitions = to_xpn(name)
    return ("", *repetitions[0][:5]) if repetitions else ()


def _parts(group: str) -> list[str]:
    """Return the five components of a group, each on one line, blanks around it gone."""
    parts = [one_line(part)[:_LONGEST_PART] for part in group.split("^")[:5]]
    return parts + [""] * (5 - len(parts))


def from_xpn(segment: Er7Segment, number: int) -> str:
    """Return a field of XPN as a DICOM person name; empty where there is no name.

    The first repetition is the alphabetic group, whatever it is marked as; others take their place
    where they are marked as ideographic or phonetic.
    """
    groups = ["", "", ""]
    for rep in range(1, min(len(segment.repetitions(number)), _MOST_NAMES) + 1):
        parts = [segment.text(number, place, rep=rep) for place in (1, 2, 3, 5, 4)]
        mark = segment.text(number, 8, rep=rep).strip()
        place = _REPRESENTATIONS.index(mark) if mark in _REPRESENTATIONS else 0
        if not groups[place] and (rep == 1 or mark):
            groups[place] = _to_group(parts)
    return "=".join(groups).rstrip("=")


def from_xcn(segment: Er7Segment, number: int) -> tuple[str, str]:
    """Return the first person of a field of XCN: its number, and its name in DICOM form."""
    name = _to_group([segment.text(number, place) for place in (2, 3, 4, 6, 5)])
    return _filled(segment.text(number)), name


def _to_group(parts: list[str]) -> str:
    """Return components as a group of DICOM; what would part groups or components goes."""
    plain = [_filled(part.translate(_NO_DICOM))[:_LONGEST_PART] for part in parts]
    return "^".join(plain).rstrip("^")


def _filled(text: str) -> str:
    """Return a text on one line; HL7's null says that there is none."""
    line = one_line(text)
    return "" if line == '""' else line
