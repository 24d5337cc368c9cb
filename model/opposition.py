"""Where a sentence calls normal what its counterpart in the other language gives a finding."""

from __future__ import annotations

from collections.abc import Iterator

from core.report import Finding
from model.faults import fault
from model.locations import says_where
from model.statements import Sentence, Statements


def opposed(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield sentences of which one finds nothing where the other finds something.

    A translation may turn two sentences around, so a finding counts only where the other language
    names it nowhere, or where both sentences speak of one place.

    Args:
        english: A section whose sentences are as many as those of the other.
        arabic: The other.
    """
    for one, other in zip(english.sentences, arabic.sentences, strict=True):
        for calm, telling, base in ((one, other, english), (other, one, arabic)):
            if _finds_nothing(calm) and _finds_something(telling, base, calm):
                words = (*calm.tone.plainly_normal, *(s.text for s in telling.statements))
                message = "What is normal in one language has a finding in the other."
                yield fault("NEGATION_MISMATCH", message, words=words)


def _finds_nothing(sentence: Sentence) -> bool:
    tone = sentence.tone
    return bool(tone.plainly_normal) and not (
        sentence.statements or tone.abnormal or tone.has_denial or sentence.is_hedged
    )


def _finds_something(sentence: Sentence, base: Statements, counterpart: Sentence) -> bool:
    """Tell whether a sentence has but findings, and speaks of what its counterpart speaks of."""
    tone = sentence.tone
    if tone.normal or tone.has_denial:
        return False
    affirmed = {s.finding for s in sentence.statements if s.is_affirmed}
    is_new = bool(affirmed - base.polarities.keys())
    return is_new or (bool(affirmed) and bool(_places(sentence) & _places(counterpart)))


def _places(sentence: Sentence) -> set[str]:
    return {place for place in sentence.locations.places if says_where(place)}
