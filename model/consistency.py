"""Where one language contradicts itself: impression against findings, summary against report."""

from __future__ import annotations

from collections.abc import Iterator

from core.report import Finding, Language
from model.agreement import human, said
from model.counterparts import lie_apart
from model.dismissal import dismissed
from model.faults import NAMES, fault
from model.locations import by_code, contrary
from model.restated import ROUNDING_MM, distinct, restated
from model.sides import LEFT, RIGHT
from model.statements import Statement, Statements

# What a part does to a finding. "No acute fracture" denies no old one, so ages and the like are not
# among them.
_SAID_ELSEWHERE = {
    "SIZE_MISMATCH": "gives {} another size",
    "PLACE_MISMATCH": "puts {} elsewhere",
}


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
        before, after = distinct(earlier, finding), distinct(later, finding)
        is_named = any(s.is_affirmed for s in after)
        against = [s for s in after if _is_contradicted(s, before, is_named=is_named)]
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
    yield from _elsewhere(earlier, later, language, part=part)
    yield from _of_another_size(earlier, later, language, part=part)
    grave = dismissed(earlier, later)
    if grave:
        message = f"The {name} {part} calls all normal, and the {base} has something."
        yield fault("NEGATION_MISMATCH", message, language, tuple(sorted({s.text for s in grave})))
    for found in dict.fromkeys(restated(earlier, later)):
        message = f"{human(found.thing)} is {found.what} in the {name} {part} than in the {base}."
        yield fault(found.code, message, language, found.words)


def _elsewhere(
    earlier: Statements, later: Statements, language: Language, *, part: str
) -> Iterator[Finding]:
    """Yield a level or a part of the body that the base gave to the finding otherwise."""
    name = NAMES[language]
    for finding in sorted(earlier.levels_of.keys() & later.levels_of.keys()):
        new = later.levels_of[finding] - earlier.levels_of[finding] - earlier.levels
        if new:
            message = f"The {name} {part} puts {human(finding).lower()} at another level."
            yield fault("LEVEL_MISMATCH", message, language, tuple(sorted(new)))
    for finding in sorted(earlier.places_of.keys() & later.places_of.keys()):
        differing = by_code(
            contrary(
                frozenset(later.places_of[finding]) - earlier.places,
                frozenset(earlier.places_of[finding]),
            )
        )
        for code, words in differing.items():
            if code in _SAID_ELSEWHERE:
                what = _SAID_ELSEWHERE[code].format(human(finding).lower())
                message = f"The {name} {part} {what}."
                yield fault(code, message, language, words)


def _of_another_size(
    earlier: Statements, later: Statements, language: Language, *, part: str
) -> Iterator[Finding]:
    """Yield a length that the base gave to a finding otherwise; it may have been rounded."""
    for finding in sorted(earlier.lengths_of.keys() & later.lengths_of.keys()):
        known = [q.value for q in earlier.quantities if q.unit == "mm"]
        new = {
            str(q)
            for q in later.lengths_of[finding]
            if all(abs(q.value - value) > ROUNDING_MM for value in known)
        }
        if new:
            message = f"The {NAMES[language]} {part} gives {human(finding).lower()} another size."
            yield fault("NUMBER_MISMATCH", message, language, tuple(sorted(new)))


def _possible_sides(finding: str, text: Statements) -> set[str]:
    """Return the sides of a finding; where it is given none, all sides that the text names."""
    if finding in text.sides:
        return text.sides[finding]
    return {RIGHT, LEFT} if text.spare_pairs else set(text.side_counts)


def _is_contradicted(later: Statement, earlier: list[Statement], *, is_named: bool) -> bool:
    """Tell whether the base says the opposite of a statement and nowhere the same.

    "No other nodule" and "no left effusion" deny neither a nodule nor a right effusion. "No acute
    fracture" denies an acute one only, and none of those that its own part names.
    """
    about_same = [s for s in earlier if _overlap(s, later)]
    opposite = [s for s in about_same if s.is_affirmed is not later.is_affirmed]
    if not opposite or any(s.is_affirmed is later.is_affirmed for s in about_same):
        return False
    if not later.is_qualified and not all(s.is_qualified for s in opposite):
        return True
    if is_named and not later.is_affirmed:
        return False
    return any(_is_of_denied_kind(*sorted((s, later), key=_is_affirmed)) for s in opposite)


def _is_of_denied_kind(denied: Statement, affirmed: Statement) -> bool:
    """Tell whether what is affirmed is all that a denial is limited to, and lies nowhere else."""
    return denied.limits <= affirmed.particulars.qualities and not lie_apart(denied, affirmed)


def _is_affirmed(statement: Statement) -> bool:
    return statement.is_affirmed


def _overlap(one: Statement, other: Statement) -> bool:
    return not one.sides or not other.sides or bool(one.sides & other.sides)
