"""Where a text calls all normal although the one that it rests upon finds something grave."""

from __future__ import annotations

from model.locations import is_size
from model.statements import Sentence, Statement, Statements
from model.terms import grave_findings


def dismissed(earlier: Statements, later: Statements) -> tuple[Statement, ...]:
    """Return what the base finds and no normal study has, where the later text finds nothing.

    What is old or only possible may be left out, and so may a cyst or worn joints: "normal chest"
    is then said of the rest.
    """
    if not _calls_all_normal(later):
        return ()
    return tuple(
        statement
        for sentence in earlier.sentences
        if not sentence.is_hedged
        for statement in sentence.statements
        if statement.is_affirmed
        and statement.finding in grave_findings()
        and "chronic" not in sentence.locations.places
    )


def _calls_all_normal(text: Statements) -> bool:
    is_called = any(s.tone.plainly_normal for s in text.sentences)
    return is_called and not any(_may_find_something(s) for s in text.sentences)


def _may_find_something(sentence: Sentence) -> bool:
    """Tell whether a sentence says more than that something is normal, known to us or not."""
    is_found = sentence.tone.abnormal or any(s.is_affirmed for s in sentence.statements)
    is_placed = sentence.sides.named or any(map(is_size, sentence.locations.places))
    return bool(is_found or is_placed or sentence.quantities or sentence.is_hedged)
