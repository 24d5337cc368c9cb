"""How sure a model was of each sentence that it wrote, from the probabilities of its tokens.

It is a measure of words: a model may be sure of what is wrong. It tells a reader where the model
itself wavered, and nothing more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from core.report import Language, Section, SentenceConfidence
from model.generation import Completion

# A point ends a sentence only before a space: 3.5 cm is one number.
_SENTENCE = re.compile(r"\S(?:[^\n]*?(?=[.!?؟](?:\s|$)|\n|$))[.!?؟]*")
_DIGITS = 4


def confidences(
    completion: Completion, language: Language, sections: Sequence[Section]
) -> tuple[SentenceConfidence, ...]:
    """Return the confidence of each sentence of an answer's sections, in reading order.

    A sentence that does not stand in the answer as it was written (signs that nobody sees were
    taken out of it) has none; without probabilities no sentence has.

    Args:
        completion: The answer.
        language: Of the answer.
        sections: What parsing made of it.
    """
    if not completion.log_probabilities:
        return ()
    found: list[SentenceConfidence] = []
    taken: set[int] = set()
    for section in sections:
        for match in _SENTENCE.finditer(section.text):
            at = _place(completion.text, match[0], taken)
            tokens = list(_tokens(completion, at, at + len(match[0]))) if at >= 0 else []
            if not tokens:
                continue
            taken.add(at)
            found.append(
                SentenceConfidence(
                    language=language,
                    section=section.kind,
                    start=match.start(),
                    end=match.end(),
                    mean=round(math.exp(sum(tokens) / len(tokens)), _DIGITS),
                    lowest=round(math.exp(min(tokens)), _DIGITS),
                )
            )
    return tuple(found)


def _place(text: str, sentence: str, taken: set[int]) -> int:
    """Return where a sentence stands in an answer, each of several equal ones once."""
    at = text.find(sentence)
    while at in taken:
        at = text.find(sentence, at + 1)
    return at


def _tokens(completion: Completion, start: int, end: int) -> Iterator[float]:
    """Give the log probabilities of the tokens that wrote a piece of the text.

    A token that wrote no letter of its own is part of the letter that follows.
    """
    begin = 0
    for until, value in zip(completion.text_ends, completion.log_probabilities, strict=True):
        is_part = start <= begin < end if begin == until else begin < end and until > start
        if is_part:
            yield value
        begin = until
