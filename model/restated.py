"""Where a text says otherwise of a finding what another one says of it, thing by thing.

Each text as a whole may name the same levels, lengths and sizes, and yet give them to other
findings, or to a finding of another place. Only what a sentence gives a finding within one clause
counts; what may belong to it ("another measures 4 mm") excuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from model.counterparts import lie_apart, lie_together
from model.gathered import gathered
from model.locations import is_size
from model.statements import Statement, Statements

# 12.4 mm in the findings may be 12 mm in the impression.
ROUNDING_MM = Decimal("0.5")
# More of one finding are of no report; the time grows with their square.
MOST_STATEMENTS = 200


@dataclass(frozen=True, kw_only=True)
class Restated:
    """A finding or a length that is given something else.

    Attributes:
        what: What differs, for the message: ``another size``.
        words: What it is given.
    """

    code: str
    thing: str
    what: str
    words: tuple[str, ...]


def distinct(text: Statements, finding: str) -> list[Statement]:
    """Return what is said of a finding, once each: a model in a loop says it ten thousand times."""
    said = {
        (s.is_affirmed, s.limits, s.sides, s.particulars): s
        for s in text.all
        if s.finding == finding
    }
    return list(said.values())[:MOST_STATEMENTS]


def restated(earlier: Statements, later: Statements) -> Iterator[Restated]:
    """Yield what the later text says otherwise of the same finding, or of the same length."""
    for finding in sorted(earlier.polarities.keys() & later.polarities.keys()):
        before, after = distinct(earlier, finding), distinct(later, finding)
        yield from _denied(before, after)
        yield from _at_other_levels(earlier, before, after)
        yield from _of_other_lengths(earlier, before, after)
        yield from _of_other_values(earlier, before, after)
    yield from _on_other_sides(earlier, later)


def differing_values(english: Statements, arabic: Statements) -> Iterator[Restated]:
    """Yield sizes and lengths that a finding has at one place in one language only.

    Either language may leave them out; each has to say another.
    """
    for finding in sorted(english.polarities.keys() & arabic.polarities.keys()):
        ours, theirs = distinct(english, finding), distinct(arabic, finding)
        codes = {found.code for found in _of_other_values(arabic, theirs, ours)}
        for found in _of_other_values(english, ours, theirs):
            if found.code in codes:
                yield found


def _denied(before: list[Statement], after: list[Statement]) -> Iterator[Restated]:
    """Yield what is denied of one place in one text and affirmed of it in the other."""
    for statement in _sure(after):
        fitting = [s for s in before if not lie_apart(s, statement)]
        same = [s for s in fitting if s.is_affirmed is statement.is_affirmed]
        opposite = [s for s in _sure(fitting) if lie_together(s, statement) and not s.is_qualified]
        if opposite and not same and not statement.is_qualified:
            what = "affirmed or negated otherwise"
            yield _said_of("NEGATION_MISMATCH", statement, what, [statement.text])


def _at_other_levels(
    earlier: Statements, before: list[Statement], after: list[Statement]
) -> Iterator[Restated]:
    """Yield levels that the finding has in the later text only, where one of its own is left out.

    A finding that is somewhere named without a level may lie at any.
    """
    affirmed = [s for s in before if s.is_affirmed]
    if not all(s.particulars.levels for s in affirmed):
        return
    known = {level for s in affirmed for level in s.particulars.levels}
    given = {level for s in after for level in s.particulars.levels if s.is_affirmed}
    loose = {
        str(level) for s in earlier.sentences if not s.statements for level in s.locations.levels
    }
    for statement in _sure(after):
        new = statement.particulars.levels - known - loose
        if statement.is_affirmed and new and known - given:
            yield _said_of("LEVEL_MISMATCH", statement, "at another level", new)


def _of_other_lengths(
    earlier: Statements, before: list[Statement], after: list[Statement]
) -> Iterator[Restated]:
    """Yield lengths of the later text only, where one that the finding had before is left out."""
    known = [length for s in before if s.is_affirmed for length in s.particulars.lengths]
    given = [length for s in after if s.is_affirmed for length in s.particulars.lengths]
    if not _lacking(known, given):
        return
    for statement in _sure(after):
        new = _lacking(statement.particulars.lengths, [*known, *_loose_lengths(earlier)])
        if statement.is_affirmed and new:
            yield _said_of("NUMBER_MISMATCH", statement, "of another length", map(_mm, new))


def _of_other_values(
    earlier: Statements, before: list[Statement], after: list[Statement]
) -> Iterator[Restated]:
    """Yield sizes and lengths that the same finding at the same place does not have before."""
    loose = _loose_lengths(earlier)
    for statement in _sure(after):
        if not statement.is_affirmed:
            continue
        fitting = [s for s in before if s.is_affirmed and not lie_apart(s, statement)]
        same = [s for s in _sure(fitting) if lie_together(s, statement)]
        sizes = _sizes(statement)
        if sizes and any(map(_sizes, same)) and not any(sizes & _sizes(s) for s in fitting):
            yield _said_of("SIZE_MISMATCH", statement, "of another size", sizes)
        lengths = statement.particulars.lengths
        known = [length for s in fitting for length in s.particulars.lengths]
        is_measured = any(s.particulars.lengths for s in same)
        if lengths and is_measured and len(_lacking(lengths, [*known, *loose])) == len(lengths):
            yield _said_of("NUMBER_MISMATCH", statement, "of another length", map(_mm, lengths))


def _on_other_sides(earlier: Statements, later: Statements) -> Iterator[Restated]:
    """Yield lengths that change sides: "right kidney 9 cm, left kidney 11 cm" and the reverse."""
    sides, others = _sides_of_lengths(earlier), _sides_of_lengths(later)
    for length in sorted(sides.keys() & others):
        if others[length] - sides[length] and sides[length] - others[length]:
            yield Restated(
                code="SIDE_MISMATCH", thing=length, what="on another side", words=(length,)
            )


def _sides_of_lengths(text: Statements) -> dict[str, set[str]]:
    """Return the sides of lengths, less those of lengths that a sentence without sides gives."""
    lengths = {str(q) for q in text.quantities if q.unit == "mm"}
    lengths -= {str(q) for s in text.sentences if not s.sides.named for q in s.quantities}
    relations = (relation for s in text.sentences for relation in s.relations.sides)
    return {thing: sides for thing, sides in gathered(relations).items() if thing in lengths}


def _sure(statements: Iterable[Statement]) -> list[Statement]:
    return [s for s in statements if s.particulars.is_sure]


def _sizes(statement: Statement) -> frozenset[str]:
    return frozenset(filter(is_size, statement.particulars.places))


def _loose_lengths(text: Statements) -> list[Decimal]:
    """Return the lengths of sentences that name no finding: "the largest measures 4 mm"."""
    rows = (s.quantities for s in text.sentences if not s.statements)
    return [q.value for row in rows for q in row if q.unit == "mm"]


def _lacking(ours: Iterable[Decimal], theirs: Iterable[Decimal]) -> list[Decimal]:
    """Return lengths that the others do not have, not even rounded."""
    others = list(theirs)
    return [value for value in ours if all(abs(value - other) > ROUNDING_MM for other in others)]


def _mm(value: Decimal) -> str:
    return f"{value.normalize():f} mm"


def _said_of(code: str, statement: Statement, what: str, words: Iterable[str]) -> Restated:
    return Restated(code=code, thing=statement.finding, what=what, words=tuple(sorted(words)))
