"""The distance between a draft and what was signed, against the textbook's way to count it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluate.edit_distance import count_edits, edit_distance

WORDS = st.lists(st.sampled_from("abcd"), max_size=12).map(tuple)


def by_the_book(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    if not first or not second:
        return len(first) + len(second)
    if first[-1] == second[-1]:
        return by_the_book(first[:-1], second[:-1])
    rows = [list(range(len(second) + 1))]
    for i, one in enumerate(first, start=1):
        rows.append([i])
        for j, other in enumerate(second, start=1):
            kept = rows[i - 1][j - 1] + (one != other)
            rows[i].append(min(kept, rows[i - 1][j] + 1, rows[i][j - 1] + 1))
    return rows[-1][-1]


@given(first=WORDS, second=WORDS)
def test_it_is_the_least_number_of_edits(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    assert count_edits(first, second) == by_the_book(first, second)


@pytest.mark.parametrize(
    ("draft", "final", "distance"),
    [
        ("", "", 0.0),
        ("", "No effusion.", 1.0),
        ("No effusion.", "", 1.0),
        ("No pleural effusion.", "no pleural, effusion", 0.0),
        ("No effusion.", "No pleural effusion.", 1 / 3),
        ("صدر طبيعي.", "صَدر غير طبيعي", 1 / 3),
    ],
)
def test_it_is_a_share_of_the_longer_text(draft: str, final: str, distance: float) -> None:
    assert edit_distance(draft, final) == pytest.approx(distance)
