"""More from few reports: the same again, right and left exchanged, sentences in another company.

Some hundred reports teach a manner quickly, and with it their accidents: that a pacemaker is on the
left, that after one sentence comes another. A text that is made from another text follows from that
alone, so a model that is shown variants of both has nothing but the text to go by. No word is
invented: sides are exchanged, sentences that belong together are moved together.

- A text made from a quoted one (a summary, a translation): sides exchanged in both.
- A translation besides: each sentence and its counterpart may move, or be exchanged for a pair of
  another report, where both texts have the same sections and as many sentences in each.

What is told from the picture alone has no variants: a mirrored film shows a heart where no tower
has met one, and an adapter that learns from such films no longer sees that it is enlarged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.report import Language
from model.sides import LEFT, RIGHT, read_sides
from model.train.conversations import Conversation, Turn
from model.words import sentences, words

_ENGLISH = ("right", "left"), ("rightward", "leftward"), ("rightwards", "leftwards")
_ARABIC = (
    *(("أيمن", "أيسر"), ("ايمن", "ايسر"), ("يمنى", "يسرى"), ("يمين", "يسار"), ("يميني", "يساري")),
    *(("يمينية", "يسارية"), ("أيمنين", "أيسرين"), ("أيمنان", "أيسران"), ("يمنيين", "يسريين")),
    ("يمنيان", "يسريان"),
)
_OTHER = {
    one: other
    for pair in (*_ENGLISH, *(tuple(w.title() for w in p) for p in _ENGLISH), *_ARABIC)
    for one, other in (pair, pair[::-1])
} | {"RIGHT": "LEFT", "LEFT": "RIGHT"}
_SIDE = re.compile(rf"(?<!\w)((?:[وف]?[بلك]?(?:ال|لل)?)?)({'|'.join(_OTHER)})(?!\w)")
# "The drain was left in place": no side.
_VERB = re.compile(r"\b(?:is|are|was|were|be|been|being|has|have|had) left\b(?!-)", re.IGNORECASE)
_EXCHANGED = {RIGHT: LEFT, LEFT: RIGHT}
_SENTENCE_END = re.compile(r"(?<=[.؟!?])\s+")
_ARABIC_LETTER = re.compile(r"[\u0621-\u064a]")
# Shares of sentences that are exchanged, and of texts whose sentences are put in another order.
_EXCHANGED_SHARE, _MOVED_SHARE = 0.35, 0.5

# Sentences of one section: (source, translation) each; and a section's two headings with them.
_Pairs = list[tuple[str, str]]
_Section = tuple[tuple[str, str], _Pairs]


def variants_of(said: Sequence[Conversation], count: int, seed: int) -> list[Conversation]:
    """Return up to `count` variants of each exchange about a quoted report; the data is not in it.

    Args:
        said: The data.
        count: Every second variant has its sides exchanged, the first one among them.
        seed: Settles what is drawn.
    """
    rng = np.random.default_rng(seed)
    aligned = {one.id: sections for one in said if (sections := _aligned(one))}
    pool: dict[int, _Pairs] = {}
    for sections in aligned.values():
        for place, (_, pairs) in enumerate(sections):
            pool.setdefault(place, []).extend(pairs)
    made: dict[tuple[str, Turn], Conversation] = {}
    for one in said:
        if len(one.turns) > 1 or not _quoted(one):
            continue
        for number in range(count):
            turn = _variant(one, aligned.get(one.id), pool, rng, is_turned=number % 2 == 0)
            if turn is not None and turn != one.turns[0]:
                variant = replace(one, id=f"{one.id}~{number}", turns=(turn,))
                made.setdefault((one.id, turn), variant)
    return list(made.values())


def exchanged(text: str) -> str | None:
    """Return a text with right and left exchanged; None where that is unsure.

    A side may stand there in other words ("RUL"), and "left" may be a verb.
    """
    if _VERB.search(text):
        return None
    turned = _SIDE.sub(lambda found: found[1] + _OTHER[found[2]], text)
    for language in Language:
        wanted = [_EXCHANGED.get(side, side) for side in _named(text, language)]
        if _named(turned, language) != wanted:
            return None
    return turned


def _named(text: str, language: Language) -> list[str]:
    rows = sentences(words(text, language))
    return [match.name for row in rows for match in read_sides(row, language).named]


def _quoted(one: Conversation) -> str:
    """Return the report that a question quotes: it stands behind the first blank line."""
    return one.turns[0].question.partition("\n\n")[2]


def _variant(
    one: Conversation,
    sections: list[_Section] | None,
    pool: dict[int, _Pairs],
    rng: np.random.Generator,
    *,
    is_turned: bool,
) -> Turn | None:
    """Return a variant of an exchange about a quoted text; the picture stays what it was."""
    head = one.turns[0].question.partition("\n\n")[0]
    source: str | None = _quoted(one)
    answer: str | None = one.turns[0].answer
    if sections:
        mixed = [
            (headings, _recombined(pairs, pool[place], rng))
            for place, (headings, pairs) in enumerate(sections)
        ]
        source, answer = _written(mixed, 0), _written(mixed, 1)
    if is_turned:
        source, answer = exchanged(source or ""), exchanged(answer or "")
    if not source or not answer:
        return None
    return Turn(question=f"{head}\n\n{source}", answer=answer)


def _recombined(pairs: _Pairs, pool: _Pairs, rng: np.random.Generator) -> _Pairs:
    mixed = [
        pool[int(rng.integers(len(pool)))] if rng.random() < _EXCHANGED_SHARE else pair
        for pair in pairs
    ]
    if rng.random() < _MOVED_SHARE:
        return [mixed[place] for place in rng.permutation(len(mixed))]
    return mixed


def _written(sections: list[_Section], which: int) -> str:
    return "\n\n".join(
        f"{headings[which]}\n{' '.join(pair[which] for pair in pairs)}"
        for headings, pairs in sections
    )


def _aligned(one: Conversation) -> list[_Section] | None:
    """Return a translation's sections with their sentences in pairs; None where they do not fit."""
    source, answer = _quoted(one), one.turns[0].answer
    if len(one.turns) > 1 or not source or _is_arabic(source) == _is_arabic(answer):
        return None
    both = [[part.partition("\n") for part in text.split("\n\n")] for text in (source, answer)]
    if len(both[0]) != len(both[1]):
        return None
    sections: list[_Section] = []
    for (heading, _, text), (other_heading, _, other_text) in zip(*both, strict=True):
        ours, theirs = _SENTENCE_END.split(text.strip()), _SENTENCE_END.split(other_text.strip())
        if len(ours) != len(theirs) or not all((*ours, *theirs)):
            return None
        sections.append(((heading, other_heading), list(zip(ours, theirs, strict=True))))
    return sections


def _is_arabic(text: str) -> bool:
    return bool(_ARABIC_LETTER.search(text))
