"""How near a text is to its reference, word by word: BLEU, ROUGE-L, METEOR; English and Arabic.

Words are runs of letters and digits, folded (`model.words.fold`): small letters, no vowel marks,
one form of each Arabic letter. The package rouge-score is of no use here: its word pattern knows
Latin letters only and drops every Arabic word.

METEOR is the variant without stems and synonyms: exact words only, with the parameters of Denkowski
and Lavie's first version (alpha 0.9, beta 3, gamma 0.5). It reads lower than the full one.

Sources: Papineni et al. 2002 (BLEU); Lin 2004 (ROUGE-L, F1); Banerjee and Lavie 2005, Lavie and
Agarwal 2007 (METEOR).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from model.words import fold

_WORD = re.compile(r"[^\W_]+")
_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5

Words = tuple[str, ...]
BLEU_ORDER = 4


def split_words(text: str) -> Words:
    """Return a text's words as they are compared."""
    return tuple(_WORD.findall(fold(text)))


def bleu_counts(candidate: Words, reference: Words) -> tuple[list[int], list[int]]:
    """Return for each order of n-grams how many of a text's are in the reference, and how many."""
    hits, totals = [], []
    for size in range(1, BLEU_ORDER + 1):
        ours, theirs = _grams(candidate, size), _grams(reference, size)
        hits.append(sum(min(count, theirs[gram]) for gram, count in ours.items()))
        totals.append(sum(ours.values()))
    return hits, totals


def bleu(hits: Sequence[float], totals: Sequence[float], length: float, wanted: float) -> float:
    """Return the BLEU of a set of texts (one reference each, no smoothing), 0 to 1.

    Args:
        hits: For each order, summed over the texts.
        totals: Likewise.
        length: Words of all texts.
        wanted: Words of all references.
    """
    if not length or not all(hits):
        return 0.0
    mean = sum(math.log(h / t) for h, t in zip(hits, totals, strict=True)) / len(hits)
    return math.exp(min(0.0, 1 - wanted / length) + mean)


def _grams(words: Words, size: int) -> Counter[Words]:
    return Counter(words[i : i + size] for i in range(len(words) - size + 1))


def rouge_l(candidate: Words, reference: Words) -> float:
    """Return ROUGE-L's F1: by the longest row of words that both have in one order."""
    if not candidate or not reference:
        return 0.0
    row = [0] * (len(reference) + 1)
    for word in candidate:
        before = 0
        for index, other in enumerate(reference, start=1):
            here = row[index]
            row[index] = before + 1 if word == other else max(here, row[index - 1])
            before = here
    common = row[-1]
    return 2 * common / (len(candidate) + len(reference))


def meteor(candidate: Words, reference: Words) -> float:
    """Return METEOR by exact words."""
    pairs = _aligned(candidate, reference)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(candidate), len(pairs) / len(reference)
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    chunks = 1 + sum(
        later != (earlier[0] + 1, earlier[1] + 1) for earlier, later in pairwise(pairs)
    )
    return mean * (1 - _GAMMA * (chunks / len(pairs)) ** _BETA)


def _aligned(candidate: Words, reference: Words) -> list[tuple[int, int]]:
    """Return matching places: each word with a free one of the reference that goes on the last.

    The best alignment has the fewest chunks; taken in reading order, the place behind the last
    match comes first, then the earliest free one.
    """
    free: dict[str, list[int]] = {}
    for index, word in enumerate(reference):
        free.setdefault(word, []).append(index)
    pairs: list[tuple[int, int]] = []
    for index, word in enumerate(candidate):
        places = free.get(word)
        if not places:
            continue
        following = pairs[-1][1] + 1 if pairs else 0
        place = following if following in places else places[0]
        places.remove(place)
        pairs.append((index, place))
    return pairs
