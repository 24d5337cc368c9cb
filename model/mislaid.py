"""Where English and Arabic put things elsewhere, at another level or lobe, or make them larger."""

from __future__ import annotations

from collections.abc import Iterator

from core.report import Finding
from model.faults import fault
from model.locations import contrary, parted
from model.statements import Statements


def differing_locations(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield levels and parts of the body that the two texts do not share."""
    differing = _only_in(english, arabic) | _only_in(arabic, english)
    if differing:
        message = (
            f"Levels differ: {_listed(english.levels)} in English and "
            f"{_listed(arabic.levels)} in Arabic."
        )
        yield fault("LEVEL_MISMATCH", message, words=tuple(sorted(differing)))
    sizes, places = parted(contrary(english.places, arabic.places))
    for code, names in (("SIZE_MISMATCH", sizes), ("PLACE_MISMATCH", places)):
        if names:
            message = f"In one language only, each instead of another: {_listed(names)}."
            yield fault(code, message, words=names)
    if len(english.sentences) == len(arabic.sentences) == 1:
        yield from _exchanged(english, arabic)


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
    for name in sorted(english.places_of.keys() & arabic.places_of.keys()):
        ours, theirs = english.places_of[name], arabic.places_of[name]
        sizes, places = parted(contrary(frozenset(ours), frozenset(theirs)))
        if sizes:
            message = f"The size of {_human(name)} differs between English and Arabic."
            yield fault("SIZE_MISMATCH", message, words=sizes)
        if places:
            message = f"The place of {_human(name)} differs between English and Arabic."
            yield fault("PLACE_MISMATCH", message, words=places)


def _human(name: str) -> str:
    return name.replace("_", " ")


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"
