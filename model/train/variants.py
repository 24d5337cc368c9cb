"""More from few reports: the same again, right and left exchanged, sentences in another company.

Some hundred reports teach a manner quickly, and with it their accidents: that a pacemaker is on the
left, that after one sentence comes another. A text that is made from another text follows from that
alone, so a model that is shown variants of both has nothing but the text to go by. No word is
invented: sides are exchanged, sentences that belong together are moved together.

- A text made from a quoted one (a summary, a free translation): sides exchanged in both, of all
  findings or of some, and findings left out of both.
- A translation whose sentences pair up: each sentence and its counterpart may move, have their
  sides exchanged, or be exchanged for a pair of another report with the same sections.
- What is told from the pictures alone: they are shown mirrored, sides exchanged, and only the words
  that name a side are learnt. Nothing else is: no tower has met a heart on the right, and an
  adapter that learns from such films no longer sees that one is enlarged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.train.conversations import Conversation, Turn
from model.train.exchange import exchanged, exchanged_for, language_of, sided_findings
from model.train.leaving_out import affirmed_findings, left_out

_SENTENCE_END = re.compile(r"(?<=[.؟!?])\s+")
# Shares of sentences that are exchanged for others, that have their sides exchanged, of texts whose
# sentences are put in another order, and of those that lose one more finding.
_EXCHANGED_SHARE, _TURNED_SHARE, _MOVED_SHARE, _LEFT_OUT_SHARE = 0.35, 0.5, 0.5, 0.4

# For each variant so many are drawn: some come out twice.
_DRAWS = 2

# Sentences of one section: (source, translation) each; and a section's two headings with them.
_Pairs = list[tuple[str, str]]
_Section = tuple[tuple[str, str], _Pairs]


def variants_of(said: Sequence[Conversation], count: int, seed: int) -> list[Conversation]:
    """Return up to `count` variants of each exchange; the data is not in it.

    Args:
        said: The data.
        count: How many of each at most; some have fewer.
        seed: Settles what is drawn.
    """
    rng = np.random.default_rng(seed)
    aligned = {one.id: sections for one in said if (sections := _aligned(one))}
    pool: dict[int, _Pairs] = {}
    for sections in aligned.values():
        for place, (_, pairs) in enumerate(sections):
            pool.setdefault(place, []).extend(pairs)
    made: list[Conversation] = []
    for one in said:
        if len(one.turns) > 1:
            continue
        (asked,) = one.turns
        drawn = (
            _variant(asked, aligned.get(one.id), pool, rng, number)
            for number in range(_DRAWS * count)
        )
        new = list(dict.fromkeys(turn for turn in drawn if turn and turn != asked))[:count]
        is_mirrored = not _quoted(asked)
        made += [
            replace(one, id=f"{one.id}~{number}", turns=(turn,), is_mirrored=is_mirrored)
            for number, turn in enumerate(new)
        ]
    return made


def _variant(
    turn: Turn,
    sections: list[_Section] | None,
    pool: dict[int, _Pairs],
    rng: np.random.Generator,
    number: int,
) -> Turn | None:
    if sections:
        return _retold(turn, sections, pool, rng)
    if _quoted(turn):
        return _thinned(turn, rng) if number else _turned(turn)
    return _mirrored(turn)


def _quoted(turn: Turn) -> str:
    """Return the report that a question quotes: it stands behind the first blank line."""
    return turn.question.partition("\n\n")[2]


def _about(turn: Turn, source: str, answer: str) -> Turn:
    """Return the same exchange about another report."""
    head = turn.question.partition("\n\n")[0]
    return Turn(question=f"{head}\n\n{source}", answer=answer)


def _mirrored(turn: Turn) -> Turn | None:
    """Return what is to be said of the mirrored pictures."""
    question, answer = exchanged(turn.question), exchanged(turn.answer)
    if question is None or answer is None or answer == turn.answer:
        return None
    return Turn(question=question, answer=answer)


def _turned(turn: Turn) -> Turn | None:
    """Return an exchange about a text with all sides exchanged in both."""
    source, answer = exchanged(_quoted(turn)), exchanged(turn.answer)
    return None if source is None or answer is None else _about(turn, source, answer)


def _thinned(turn: Turn, rng: np.random.Generator) -> Turn:
    """Return an exchange about a text with findings left out, or on the other side, in both."""
    source, answer = _quoted(turn), turn.answer
    while len(named := affirmed_findings(answer)) > 1 and rng.random() < _LEFT_OUT_SHARE:
        finding = named[rng.integers(len(named))]
        shorter = left_out(source, finding), left_out(answer, finding)
        if shorter[0] is None or shorter[1] is None:
            break
        source, answer = shorter[0], shorter[1]
    sided = sided_findings(source)
    chosen = {name for name in sided if rng.random() < _TURNED_SHARE}
    if set(sided_findings(answer)) <= set(sided):
        turned = exchanged_for(source, chosen), exchanged_for(answer, chosen)
        if turned[0] is not None and turned[1] is not None:
            source, answer = turned[0], turned[1]
    return _about(turn, source, answer)


def _retold(
    turn: Turn, sections: list[_Section], pool: dict[int, _Pairs], rng: np.random.Generator
) -> Turn:
    """Return a translation with sentences in another company."""
    mixed = [
        (headings, _recombined(pairs, pool[place], rng))
        for place, (headings, pairs) in enumerate(sections)
    ]
    return _about(turn, _written(mixed, 0), _written(mixed, 1))


def _recombined(pairs: _Pairs, pool: _Pairs, rng: np.random.Generator) -> _Pairs:
    mixed = [
        pool[int(rng.integers(len(pool)))] if rng.random() < _EXCHANGED_SHARE else pair
        for pair in pairs
    ]
    mixed = [_turned_pair(pair) if rng.random() < _TURNED_SHARE else pair for pair in mixed]
    if rng.random() < _MOVED_SHARE:
        return [mixed[place] for place in rng.permutation(len(mixed))]
    return mixed


def _turned_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """Return a sentence and its translation with sides exchanged; as they are where unsure."""
    turned = exchanged(pair[0]), exchanged(pair[1])
    return pair if turned[0] is None or turned[1] is None else (turned[0], turned[1])


def _written(sections: list[_Section], which: int) -> str:
    return "\n\n".join(
        f"{headings[which]}\n{' '.join(pair[which] for pair in pairs)}"
        for headings, pairs in sections
    )


def _aligned(one: Conversation) -> list[_Section] | None:
    """Return a translation's sections with their sentences in pairs; None where they do not fit."""
    source, answer = _quoted(one.turns[0]), one.turns[0].answer
    if len(one.turns) > 1 or not source or language_of(source) is language_of(answer):
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
