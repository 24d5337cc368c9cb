"""Text as words for matching: the forms that an Arabic or English word may be looked up by.

Only ever for matching. What is sent keeps every letter and mark of the model's text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.report import Language

# Words (a decimal number is one), percent signs, the dash of a range (also of vertebrae: "L3-L5"),
# the stroke between two vertebrae ("L4/5"), and the marks that part sentences and clauses.
# An Arabic letter before a Latin one is a word of its own: وL5.
_TOKENS = re.compile(
    r"\d+(?:[.,٫٬]\d+)*"
    r"|[\u0620-\u064a]+(?=[A-Za-z])|[A-Za-z]+(?=[\u0620-\u064a])|[^\W\d_]+"
    r"|[%٪×°]|[-–—](?=\s?(?:(?:[CDLSTcdlstقظ]|Th)?\d))"
    r"|(?:(?<=[CDLSTcdlstق]\d)|(?<=[DTdtظ]1[0-2]))/(?=(?:[CDLSTcdlstقظ]|Th)?\d)"
    r"|[.;؛،,:!?؟\n()]"
)
# The letter of "L1" is a vertebra's, that of "R/O" an abbreviation's: neither names a side.
_NO_SIDE = re.compile(r"[LlRr](?=\s?\d|/)|(?<=/)[LlRr]\b")
_TATWEEL = "\u0640"
# Forms of lone vowel marks decompose into a space and the mark, which would part a word.
_LONE_MARKS = re.compile("[\ufc5e-\ufc63\ufe70-\ufe7f]")
_DIGITS = {ord(c): str(i % 10) for i, c in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_FOLDED = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ک": "ك"}
    | {"ة": "ه", "ؤ": "و", "ئ": "ي"}
)
# "isn't" and "cannot" are two words: a denial is looked up by its "not".
_SHORT_NOT = re.compile(r"n['’ʼ]t\b", re.IGNORECASE)
_CANNOT = re.compile(r"\bcan?\s?not\b", re.IGNORECASE)
# A list's own numbering at the start of a line says nothing about the patient.
_LIST_MARK = re.compile(r"^[^\S\n]*\d{1,2}[.)\-](?=\s)", re.MULTILINE)
# Attached in this order: and/so, then by/to/like, then the article; "لل" is "ل" and the article.
_PREFIXES = re.compile(r"^([وف]?)(لل|[بلك]?ال|[بلك]?)(.+)$")
# What is left of a word is a word only from these lengths on: "ولا" is "and no", but "كلا" (both)
# is not "like no".
_MIN_STEM = 2
_MIN_STEM_UNDER_LETTER = 3

SENTENCE_ENDS = frozenset(".;؛!?؟\n")
CLAUSE_ENDS = frozenset("،,:()")
# A full stop after one of these ends no sentence.
_ABBREVIATIONS = frozenset({"rt", "lt", "approx", "vs"})
# A model in a loop may write without ever ending a sentence. The time to read a sentence grows with
# the square of its length, so a longer one is read in pieces.
_LONGEST_SENTENCE_WORDS = 150


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word or mark.

    Attributes:
        text: As it stands in the text, in plain letters and digits.
        forms: What it may be looked up by.
        joins: It begins with the letter of an attached "and" (و).
        is_glued: No space parts it from the letter or digit before it: the 4 of "L4", the A of
            "4A".
    """

    text: str
    forms: frozenset[str]
    joins: bool = False
    is_glued: bool = False


def plain(text: str) -> str:
    """Return text without what nobody reads: vowel marks, tatweel, joiners, forms of letters.

    Presentation forms become letters, digits of Arabic and Persian those of ASCII.
    """
    composed = unicodedata.normalize("NFKC", _LONE_MARKS.sub("", text))
    kept = (c for c in composed if unicodedata.category(c) not in ("Mn", "Cf") and c != _TATWEEL)
    return "".join(kept).translate(_DIGITS)


def fold(text: str) -> str:
    """Return plain text with the variants of an Arabic letter made one; lower case."""
    return plain(text).translate(_FOLDED).casefold()


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
    """Return the words and marks of a text, in order, less the numbers of a list's items."""
    bare = _LIST_MARK.sub("", plain(text))
    if language is Language.EN:
        bare = _CANNOT.sub("can not", _SHORT_NOT.sub(" not", bare))
    return tuple(_word(found, language) for found in _TOKENS.finditer(bare))


def _word(found: re.Match[str], language: Language) -> Word:
    token, start = found[0], found.start()
    if len(token) == 1 and _NO_SIDE.match(found.string, start):
        return Word(text=token, forms=frozenset())
    folded = fold(token)
    is_glued = start > 0 and found.string[start - 1].isalnum()
    if language is Language.EN or not token[0].isalpha():
        return Word(text=token, forms=frozenset({folded}), is_glued=is_glued)
    return Word(
        text=token,
        forms=arabic_forms(folded),
        joins=folded.startswith("و") and len(folded) > _MIN_STEM,
        is_glued=is_glued,
    )


def sentences(row: tuple[Word, ...]) -> tuple[tuple[Word, ...], ...]:
    """Return the words sentence by sentence, the closing marks left out."""
    parts: list[list[Word]] = [[]]
    for word in row:
        if len(parts[-1]) == _LONGEST_SENTENCE_WORDS:
            parts.append([])
        if word.text not in SENTENCE_ENDS:
            parts[-1].append(word)
        elif word.text != "." or not parts[-1] or not parts[-1][-1].forms & _ABBREVIATIONS:
            parts.append([])
    return tuple(tuple(part) for part in parts if part)
