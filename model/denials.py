"""The words of a sentence that deny or that end a denial, and which way each reaches."""

from __future__ import annotations

from dataclasses import replace

from model.terms import Kind, Lexicon, Match
from model.words import Word


def read_denials(row: tuple[Word, ...], known: Lexicon) -> dict[int, Match]:
    """Return the negations of a sentence by where they start.

    A bare "not" reaches backwards, too, if a word of perceiving follows: "has not clearly been
    seen".
    """
    perceived = known.starts(row, frozenset({Kind.PERCEIVED}))
    between = known.starts(row, frozenset({Kind.PLAINLY}))
    negations = known.starts(row, frozenset({Kind.NEGATION}))
    return {start: _reaching(match, perceived, between) for start, match in negations.items()}


def _reaching(match: Match, perceived: dict[int, Match], between: dict[int, Match]) -> Match:
    end = match.end
    while end in between:
        end = between[end].end
    if match.name != "bare" or end not in perceived:
        return match
    return replace(match, term=replace(match.term, name="either"), end=perceived[end].end)
