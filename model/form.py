"""What is wrong with the form of a text: its script, its repetitions; whatever it says."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from core.report import Language
from model.words import fold

# A model in a loop repeats a phrase at once, or a whole sentence again and again.
_MAX_SAME_SENTENCE = 2
_MAX_IN_A_ROW = 2
_LONGEST_LOOP_WORDS = 12
_MIN_SENTENCE_WORDS = 3
_MAX_SAME_LETTER = 8
_LONGEST_QUOTE = 200
# Arabic reports keep Latin abbreviations (CT, PA, T12), English ones no Arabic at all.
_MIN_ARABIC_SHARE = 0.6
_MIN_LATIN_SHARE = 0.8
# English that goes on inside an Arabic sentence; a term in brackets is no fault.
_LATIN_PHRASE = re.compile(r"(?:\b[A-Za-z][a-z]+\b[ \n]*){3}")
_BRACKETS = re.compile(r"\([^()]*\)")
# Words that hardly a sentence of these languages goes without, and English does: French, German,
# Spanish, Italian, Portuguese, Turkish, Indonesian.
_OTHER_LATIN = re.compile(
    "les?|des|du|est|et|une|dans|avec|sont|aux|pas|der|das|und|ist|nicht|keine?|mit|eine|auf|von|"
    "bei|el|los|las|del|con|sin|una|por|para|hay|il|della|di|nel|sono|bir|ile|ve|yok|dan|yang|"
    "tidak|pada|dengan|não|são|sem|uma?"
)
_LEAST_OTHERS, _LEAST_KINDS, _LEAST_SHARE = 4, 3, 0.15
# Letters of Persian, Urdu and Kurdish that Arabic does not have.
_OTHER_ARABIC = re.compile("[پچژگٹڈےہںھڕێۆ]")
_MOST_OTHER_WORDS = 2
_ARABIC_BLOCKS = (("\u0600", "\u06ff"), ("\u0750", "\u077f"), ("\u08a0", "\u08ff"))
_GREEK_BLOCK = ("\u0370", "\u03ff")
_LAST_LATIN = "\u024f"


def repetition(text: str) -> str:
    """Return what a text repeats as only a model in a loop does; empty where nothing."""
    letters = re.search(rf"([^\W\d_])\1{{{_MAX_SAME_LETTER},}}", text)
    if letters:
        return letters[0][:20]
    sentences = [" ".join(fold(s).split()) for s in re.split(r"[.!?؟\n]+", text)]
    counts = Counter(s for s in sentences if len(s.split()) >= _MIN_SENTENCE_WORDS)
    often = [sentence for sentence, count in counts.items() if count > _MAX_SAME_SENTENCE]
    return (often[0] if often else _loop(fold(text).split()))[:_LONGEST_QUOTE]


def _loop(row: list[str]) -> str:
    """Return a phrase that follows upon itself more than twice."""
    for size in range(1, _LONGEST_LOOP_WORDS + 1):
        run = 0
        for index in range(size, len(row)):
            run = run + 1 if row[index] == row[index - size] else 0
            if run >= size * _MAX_IN_A_ROW and any(c.isalpha() for c in row[index]):
                return " ".join(row[index - size + 1 : index + 1])
    return ""


def foreign_words(text: str, language: Language) -> tuple[str, ...]:
    """Return words of another script or language where there are too many of them.

    Of a third script one letter is too many: a Latin word with one Cyrillic letter looks right and
    matches nothing. Other languages of the same script are known by their commonest words, or by
    letters of their own.
    """
    composed = unicodedata.normalize("NFKC", text)
    if language is Language.AR:
        composed = _BRACKETS.sub("", composed)
        phrase = _LATIN_PHRASE.search(composed)
        if phrase:
            return tuple(phrase[0].split())
    letters = [c for c in composed if c.isalpha()]
    if not letters:
        return ()
    own = _is_arabic if language is Language.AR else _is_latin
    share = sum(map(own, letters)) / len(letters)
    least = _MIN_ARABIC_SHARE if language is Language.AR else _MIN_LATIN_SHARE
    has_arabic = language is Language.EN and any(map(_is_arabic, letters))
    has_third = any(not (_is_arabic(c) or _is_latin(c) or _is_greek(c)) for c in letters)
    if share >= least and not has_arabic and not has_third:
        return _of_another_language(composed, language)
    foreign = [w for w in composed.split() if any(c.isalpha() and not own(c) for c in w)]
    return tuple(foreign[:5])


def _of_another_language(text: str, language: Language) -> tuple[str, ...]:
    words = re.findall(r"[^\W\d_]+", text.lower())
    if language is Language.AR:
        other = [word for word in words if _OTHER_ARABIC.search(word)]
        return tuple(other[:5]) if len(other) > _MOST_OTHER_WORDS else ()
    other = [word for word in words if _OTHER_LATIN.fullmatch(word)]
    kinds = dict.fromkeys(other)
    is_other = len(other) >= _LEAST_OTHERS and len(kinds) >= _LEAST_KINDS
    return tuple(kinds)[:5] if is_other and len(other) >= _LEAST_SHARE * len(words) else ()


def _is_arabic(letter: str) -> bool:
    return any(start <= letter <= end for start, end in _ARABIC_BLOCKS)


def _is_latin(letter: str) -> bool:
    return letter <= _LAST_LATIN


def _is_greek(letter: str) -> bool:
    return _GREEK_BLOCK[0] <= letter <= _GREEK_BLOCK[1]
