"""How much of a draft was rewritten: Levenshtein distance over words, normalised."""

from __future__ import annotations

import numpy as np

from model.evaluate.text_scores import Words, split_words


def edit_distance(draft: str, final: str) -> float:
    """Return the share of words that were put in, taken out or replaced: 0 the same, 1 all.

    The number of edits over the words of the longer text. Words are folded as for the other scores:
    capitals, punctuation and Arabic vowel marks make no difference.

    Source: Levenshtein 1966.
    """
    ours, theirs = split_words(draft), split_words(final)
    longer = max(len(ours), len(theirs))
    return count_edits(ours, theirs) / longer if longer else 0.0


def count_edits(first: Words, second: Words) -> int:
    """Return the least number of words put in, taken out or replaced between two texts."""
    numbers: dict[str, int] = {}
    rows, columns = (
        np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64)
        for words in (first, second)
    )
    places = np.arange(len(columns) + 1)
    costs = places
    for index, word in enumerate(rows, start=1):
        # Replaced or kept, taken out; then put in, which only ever adds from left to right.
        best = np.minimum(costs[:-1] + (columns != word), costs[1:] + 1)
        costs = np.minimum.accumulate(np.concatenate(([index], best)) - places) + places
    return int(costs[-1])
