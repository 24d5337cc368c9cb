"""Text as words for matching: the forms that an Arabic or English word may be looked up by.

Only ever for matching. What is sent keeps every letter and mark of the model's text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.report import Language

# Words (a decimal number is one), percent signs, and the marks that part sentences and clauses.
_TOKENS = re.compile(r"\d+(?:[.,٫٬]\d+)*|[^\W\d_]+|[%٪×]|[.;؛،,:!?؟\n()]")
_VERTEBRA = re.compile(r"[A-Za-z](?=\d)")
_TATWEEL = "\u0640"
_FOLDED = str.maketrans("أإآٱىیةؤئک", "ااااييهويك")
# Attached in this order: and/so, then by/to/like, then the article; "لل" is "ل" and the article.
_PREFIXES = re.compile(r"^([وف]?)(لل|[بلك]?ال|[بلك]?)(.+)$")
# What is left of a word is a word only from these lengths on: "ولا" is "and no", but "كلا" (both)
# is not "like no".
_MIN_STEM = 2
_MIN_STEM_UNDER_LETTER = 3

SENTENCE_ENDS = frozenset(".;؛!?؟\n")
CLAUSE_ENDS = frozenset("،,:()")


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word or mark.

    Attributes:
        text: As it stands in the text.
        forms: What it may be looked up by.
        joins: It carries an attached "and" (و), which parts it from the word before.
    """

    text: str
    forms: frozenset[str]
    joins: bool = False


def fold(text: str) -> str:
    """Return Arabic without vowel marks and tatweel, its letter variants made one; lower case."""
    return bare(text).translate(_FOLDED).casefold()


def bare(text: str) -> str:
    """Return text in its plain letters: no presentation forms, vowel marks, joiners or tatweel."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(
        c for c in plain if unicodedata.category(c) not in ("Mn", "Cf") and c != _TATWEEL
    )


def arabic_forms(word: str) -> frozenset[str]:
    """Return the forms of a folded Arabic word: with and without attached letters and endings."""
    forms = {word}
    whole = _PREFIXES.match(word)
    if whole:
        conjunction, attached, stem = whole.groups()
        rest = word.removeprefix(conjunction)
        if len(rest) >= _MIN_STEM:
            forms.add(rest)
        shortest = _MIN_STEM if len(attached) > 1 else _MIN_STEM_UNDER_LETTER
        if len(stem) >= shortest:
            forms.add(stem)
    # The accusative's alef: انصبابا is looked up as انصباب.
    forms |= {form[:-1] for form in forms if form.endswith("ا") and len(form) > _MIN_STEM + 1}
    return frozenset(forms)


def words(text: str, language: Language) -> tuple[Word, ...]:
    """Return the words and marks of a text, in order."""
    plain = bare(text)
    return tuple(
        # The letter of "L1" is a vertebra's, not the abbreviation of a side.
        Word(text=match[0], forms=frozenset())
        if _VERTEBRA.match(plain, match.start())
        else _word(match[0], language)
        for match in _TOKENS.finditer(plain)
    )


def _word(token: str, language: Language) -> Word:
    folded = fold(token)
    if language is Language.EN or not token[0].isalpha():
        return Word(text=token, forms=frozenset({folded}))
    return Word(
        text=token,
        forms=arabic_forms(folded),
        joins=folded.startswith("و") and len(folded) > _MIN_STEM,
    )


def sentences(row: tuple[Word, ...]) -> tuple[tuple[Word, ...], ...]:
    """Return the words sentence by sentence, the closing marks left out."""
    parts: list[list[Word]] = [[]]
    for word in row:
        if word.text in SENTENCE_ENDS:
            parts.append([])
        else:
            parts[-1].append(word)
    return tuple(tuple(part) for part in parts if part)
