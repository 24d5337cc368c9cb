"""Where one language contradicts itself: impression against findings, summary against report."""

from __future__ import annotations

from collections.abc import Iterator

from core.report import Finding, Language
from model.agreement import human, said
from model.faults import NAMES, fault
from model.sides import LEFT, RIGHT
from model.statements import Statement, Statements


def contradictions(
    earlier: Statements, later: Statements, language: Language, *, part: str, base: str
) -> Iterator[Finding]:
    """Yield what a later part states otherwise than the part that it rests upon.

    Args:
        earlier: What the base says.
        later: What the part says.
        language: Of both.
        part: The later part, for the message: ``summary``.
        base: The earlier part: ``report``.
    """
    name = NAMES[language]
    for finding in sorted(earlier.polarities.keys() & later.polarities.keys()):
        before = [s for s in earlier.all if s.finding == finding]
        after = [s for s in later.all if s.finding == finding]
        against = [s for s in after if _is_contradicted(s, before)]
        if against:
            message = (
                f"{human(finding)} is {said({s.is_affirmed for s in against})} in the {name} "
                f"{part} and {said({s.is_affirmed for s in before})} in the {base}."
            )
            words = tuple(sorted({s.text for s in against}))
            yield fault("NEGATION_MISMATCH", message, language, words)
    for finding in sorted(earlier.polarities.keys() & later.sides.keys()):
        if later.sides[finding] - _possible_sides(finding, earlier):
            message = f"The {name} {part} puts {human(finding).lower()} on another side."
            yield fault("SIDE_MISMATCH", message, language, later.side_words)


def _possible_sides(finding: str, text: Statements) -> set[str]:
    """Return the sides of a finding; where it is given none, all sides that the text names."""
    if finding in text.sides:
        return text.sides[finding]
    return {RIGHT, LEFT} if text.spare_pairs else set(text.side_counts)


def _is_contradicted(later: Statement, earlier: list[Statement]) -> bool:
    """Tell whether the base says the opposite of a statement and nowhere the same.

    "No other nodule" and "no left effusion" deny neither a nodule nor a right effusion.
    """
    about_same = [s for s in earlier if _overlap(s, later)]
    opposite = [s for s in about_same if s.is_affirmed is not later.is_affirmed]
    same = [s for s in about_same if s.is_affirmed is later.is_affirmed]
    is_qualified = later.is_qualified or all(s.is_qualified for s in opposite)
    return bool(opposite) and not same and not is_qualified


def _overlap(one: Statement, other: Statement) -> bool:
    return not one.sides or not other.sides or bool(one.sides & other.sides)
