"""Where English and Arabic put things elsewhere, at another level or lobe, or make them other."""

from __future__ import annotations

from collections.abc import Iterator

from core.report import Finding
from model.faults import fault
from model.locations import by_code, contrary
from model.statements import Statements

# What differs, by the code of the fault.
_WHAT = {
    "SIZE_MISMATCH": "The size or severity",
    "QUALITY_MISMATCH": "The change, age or nature",
    "PLACE_MISMATCH": "The place",
}


def differing_locations(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield levels and parts of the body that the two texts do not share."""
    differing = _only_in(english, arabic) | _only_in(arabic, english)
    if differing:
        message = (
            f"Levels differ: {_listed(english.levels)} in English and "
            f"{_listed(arabic.levels)} in Arabic."
        )
        yield fault("LEVEL_MISMATCH", message, words=tuple(sorted(differing)))
    for code, names in by_code(contrary(english.places, arabic.places)).items():
        message = f"In one language only, each instead of another: {_listed(names)}."
        yield fault(code, message, words=names)
    if len(english.sentences) == len(arabic.sentences) == 1:
        yield from _exchanged(english, arabic)
    yield from _placed_elsewhere(english, arabic)


def _only_in(one: Statements, other: Statements) -> frozenset[str]:
    """Return the levels that the other text lacks.

    A text that names no region at all may still give the number: "T12" and الفقرة الثانية عشرة.
    """
    lacking = one.levels - other.levels
    if other.levels:
        return lacking
    numbers = {str(quantity) for quantity in other.quantities if not quantity.unit}
    return frozenset(level for level in lacking if level.lstrip("CTLS") not in numbers)


def _exchanged(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield findings of one sentence that change places with one another."""
    for name in sorted(english.levels_of.keys() & arabic.levels_of.keys()):
        ours, theirs = english.levels_of[name], arabic.levels_of[name]
        if ours != theirs and english.levels == arabic.levels:
            message = f"The level of {_human(name)} differs between English and Arabic."
            yield fault("LEVEL_MISMATCH", message, words=tuple(sorted(ours | theirs)))


def _placed_elsewhere(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield findings that lie elsewhere, although their place may belong to another finding too."""
    for name in sorted(english.places_of.keys() & arabic.places_of.keys()):
        ours, theirs = english.places_of[name], arabic.places_of[name]
        for code, names in by_code(contrary(frozenset(ours), frozenset(theirs))).items():
            message = f"{_WHAT[code]} of {_human(name)} differs between English and Arabic."
            yield fault(code, message, words=names)


def _human(name: str) -> str:
    return name.replace("_", " ")


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"
