"""What a finding is said to be, where a denial may be limited to that: acute, large, new."""

from __future__ import annotations

from model.terms import Kind, Lexicon, place_groups
from model.words import Word

# What the lexicon lists among the places and a denial may be limited to.
_AGES_AND_SIZES = frozenset({"acute", "large"})
# "No other nodule": nothing that a nodule is said to be answers to this.
_OTHER = "other"
_IMPLIED = {"large": frozenset({"substantial"})}
_NOTHING: frozenset[str] = frozenset()


def read_limits(row: tuple[Word, ...], known: Lexicon) -> dict[int, str]:
    """Return by its place the name of each word that a denial may be limited by."""
    names = {start: name for name, start, _ in _named(row, known)}
    limits = known.starts(row, frozenset({Kind.QUALIFIER}))
    return {start: names.get(start, _OTHER) for start in limits}


def read_qualities(row: tuple[Word, ...], known: Lexicon) -> list[tuple[str, int, int]]:
    """Return the qualities that a sentence names and does not deny, with what each implies.

    "Non-displaced" and غير متبدل name none.
    """
    denied = {match.end for match in known.matches(row, frozenset({Kind.NEGATION}))}
    return [
        (implied, start, end)
        for name, start, end in _named(row, known)
        if start not in denied
        for implied in {name} | _IMPLIED.get(name, _NOTHING)
    ]


def _named(row: tuple[Word, ...], known: Lexicon) -> list[tuple[str, int, int]]:
    """Return the qualities by their places; what only looks like one is another place's word."""
    groups = place_groups()
    found = known.matches(row, frozenset({Kind.PLACE, Kind.QUALITY}))
    return [
        (match.name, match.start, match.end)
        for match in found
        if match.name in _AGES_AND_SIZES or match.name not in groups
    ]
