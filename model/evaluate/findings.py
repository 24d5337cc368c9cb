"""What a report says against what is true: findings, denials and sides, by our own lexicon.

This is a lexical score. It knows what `model/lexicon/terms.yaml` knows, and is not RadGraph or
CheXbert.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.report import Language
from model.sides import LEFT, RIGHT
from model.statements import read_statements


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The findings of a report.

    Attributes:
        affirmed: Findings that it says are there.
        denied: Findings that it says are not.
        sides: For a finding that is there, the sides it is given.
    """

    affirmed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    sides: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def restricted(self, kinds: frozenset[str]) -> Reading:
        """Return the same for some kinds of findings only."""
        return Reading(
            affirmed=self.affirmed & kinds,
            denied=self.denied & kinds,
            sides={name: sides for name, sides in self.sides.items() if name in kinds},
        )


NOTHING = Reading()


# Every score reads the same texts again, at some milliseconds each.
@functools.lru_cache(maxsize=1 << 14)
def read_report(text: str, language: Language) -> Reading:
    """Return what a report says; a finding that is affirmed anywhere is there."""
    said = read_statements(text, language)
    affirmed = frozenset(name for name, values in said.polarities.items() if True in values)
    return Reading(
        affirmed=affirmed,
        denied=frozenset(said.polarities) - affirmed,
        sides={
            name: frozenset(sides & {RIGHT, LEFT})
            for name, sides in said.sides.items()
            if name in affirmed
        },
    )


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Hits and misses of one report; summed over reports they give the scores."""

    found: int = 0
    invented: int = 0
    missed: int = 0
    same_polarity: int = 0
    spoken_of: int = 0
    right_sides: int = 0
    sided: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum."""
        return Counts(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in self.__dataclass_fields__
            }
        )

    @property
    def f1(self) -> float:
        """Micro F1 of findings; 1 where there are none and none is invented."""
        total = 2 * self.found + self.invented + self.missed
        return 2 * self.found / total if total else 1.0

    @property
    def precision(self) -> float:
        """Share of affirmed findings that are there."""
        return _share(self.found, self.found + self.invented)

    @property
    def recall(self) -> float:
        """Share of findings that are affirmed."""
        return _share(self.found, self.found + self.missed)

    @property
    def polarity(self) -> float:
        """Share of findings, spoken of in both, that both affirm or both deny."""
        return _share(self.same_polarity, self.spoken_of)

    @property
    def side(self) -> float:
        """Share of found findings with a side that are given just that side."""
        return _share(self.right_sides, self.sided)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def compare(truth: Reading, said: Reading, *, is_withheld: bool = False) -> Counts:
    """Return the counts of one report.

    Of a withheld one nothing is said, and each side that it should have named is wrong.
    """
    if is_withheld:
        said = NOTHING
    both = truth.affirmed & said.affirmed
    known, spoken = truth.affirmed | truth.denied, said.affirmed | said.denied
    sided = [name for name in (truth.affirmed if is_withheld else both) if truth.sides.get(name)]
    return Counts(
        found=len(both),
        invented=len(said.affirmed - truth.affirmed),
        missed=len(truth.affirmed - said.affirmed),
        same_polarity=sum(
            (name in truth.affirmed) is (name in said.affirmed) for name in known & spoken
        ),
        spoken_of=len(known & spoken),
        right_sides=sum(said.sides.get(name, frozenset()) == truth.sides[name] for name in sided),
        sided=len(sided),
    )


def by_finding(reports: Iterable[tuple[Reading, Reading, bool]]) -> dict[str, Counts]:
    """Return the counts of each finding over reports: truth, what is said, whether withheld."""
    totals: dict[str, Counts] = {}
    for truth, said, is_withheld in reports:
        for name in truth.affirmed | (frozenset() if is_withheld else said.affirmed):
            one = frozenset({name})
            counts = compare(truth.restricted(one), said.restricted(one), is_withheld=is_withheld)
            totals[name] = totals.get(name, Counts()) + counts
    return dict(sorted(totals.items()))


def agree(one: Reading, other: Reading) -> bool:
    """Tell whether two reports affirm the same findings on the same sides."""
    return one.affirmed == other.affirmed and all(
        one.sides.get(name, frozenset()) == other.sides.get(name, frozenset())
        for name in one.affirmed
    )
