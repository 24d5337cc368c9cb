"""How sure a score is: bootstrap intervals, and whether one run is better than another.

Sources: Efron and Tibshirani 1993 (percentile bootstrap); Koehn 2004 (bootstrap of corpus scores);
Noreen 1989 (approximate randomisation, paired).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Each report is a row of numbers; a score is made of the sums of the rows' columns.
Rows = NDArray[np.float64]  # (N, C)
Score = Callable[[NDArray[np.float64]], float]

ROUNDS = 1000
_LEVEL = 0.95
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much a second run is better than a first.

    Attributes:
        p: Share of random swaps of the two runs, report by report, that differ by as much.
    """

    value: float
    low: float
    high: float
    p: float


def interval(rows: Rows, score: Score, *, rounds: int = ROUNDS, seed: int = 0) -> Interval:
    """Return a score over rows, with the interval of drawing as many rows again.

    Raises:
        ValueError: There are no rows.
    """
    if not len(rows):
        raise ValueError("there is nothing to score")
    rng = np.random.default_rng(seed)
    drawn = [
        score(rows[rng.integers(len(rows), size=len(rows))].sum(axis=0)) for _ in range(rounds)
    ]
    low, high = _bounds(drawn)
    return Interval(value=score(rows.sum(axis=0)), low=low, high=high)


def compare_runs(
    first: Rows, second: Rows, score: Score, *, rounds: int = ROUNDS, seed: int = 0
) -> Difference:
    """Return how much a second run's score exceeds the first's, over the same reports in one order.

    Raises:
        ValueError: The runs are not of the same length, or empty.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError("two runs are compared over the same reports")
    rng = np.random.default_rng(seed)
    value = score(second.sum(axis=0)) - score(first.sum(axis=0))
    drawn, as_far = [], 0
    for _ in range(rounds):
        chosen = rng.integers(len(first), size=len(first))
        drawn.append(score(second[chosen].sum(axis=0)) - score(first[chosen].sum(axis=0)))
        is_swapped = (rng.random(len(first)) < 0.5)[:, None]  # noqa: PLR2004 - as likely as not
        ours = np.where(is_swapped, second, first).sum(axis=0)
        theirs = np.where(is_swapped, first, second).sum(axis=0)
        as_far += abs(score(theirs) - score(ours)) >= abs(value) - _ROUNDING
    low, high = _bounds(drawn)
    return Difference(value=value, low=low, high=high, p=(as_far + 1) / (rounds + 1))


def _bounds(drawn: list[float]) -> tuple[float, float]:
    tail = (1 - _LEVEL) / 2 * 100
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
