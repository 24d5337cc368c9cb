"""Where two sections say otherwise of a thing, whatever their sentences.

A translation may join or part sentences, so that no sentence has its counterpart. What all of them
say of each thing is gathered: on which side it lies, at which levels, how long it is, and at which
places it is affirmed. Each language may leave something out; each may not say another thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

from core.report import Finding
from model.faults import fault
from model.relations import Relation
from model.statements import Statements

# What relations tell, with the code of the fault where it differs.
_CODES = {
    "sides": "SIDE_MISMATCH",
    "polarities": "NEGATION_MISMATCH",
    "levels": "LEVEL_MISMATCH",
    "lengths": "NUMBER_MISMATCH",
}


def differing_as_gathered(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield things of which either language says what the other does not."""
    for name, code in _CODES.items():
        relations = attrgetter(name)
        ours, theirs = (
            gathered(relation for s in text.sentences for relation in relations(s.relations))
            for text in (english, arabic)
        )
        differing = [
            f"{thing} {_listed(ours[thing])} and {_listed(theirs[thing])}"
            for thing in sorted(ours.keys() & theirs)
            if ours[thing] - theirs[thing] and theirs[thing] - ours[thing]
        ]
        if differing:
            message = f"The {name} differ in English and in Arabic: {'; '.join(differing)}."
            yield fault(code, message, words=tuple(differing))


def gathered(relations: Iterable[Relation]) -> dict[str, set[str]]:
    """Return the values of each thing, where it has all of them for sure."""
    sure: dict[str, set[str]] = {}
    unsure: dict[str, set[str]] = {}
    for relation in relations:
        values = sure if relation.is_sure else unsure
        values.setdefault(relation.thing, set()).add(relation.value)
    return {thing: values for thing, values in sure.items() if unsure.get(thing, values) <= values}


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))
