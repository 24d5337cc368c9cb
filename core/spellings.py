"""How a name that is known may be written by somebody else: patterns that find it so.

A header has ``أحمد``, ``عبد الله`` and ``O'BRIEN``; whoever types an indication writes ``احمد``,
``عبدالله`` and ``O’Brien``. A pattern takes for each letter all that are written in its place,
vowel marks and tatweel behind it or not, and lets a name of two words stand joined or parted. Latin
letters have one form, large and small; another transliteration is another name.

Nothing in a pattern can match one letter in two ways without end: its time grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Marks above and below Arabic letters belong to their word.
MARKS = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
# Neither letter nor digit on either side.
BEFORE, AFTER = rf"(?<![\w{MARKS}])", rf"(?![\w{MARKS}])"
# Letters that Arabic puts before a word without a space: "and", "so", "by", "for", "like".
_ATTACHED = "[وفبلك]?"
# Marks, tatweel, and joiners and marks of direction, which nobody sees.
_UNWRITTEN = f"[\u0640\u200c-\u200f{MARKS}]"
_ALIKE = (
    "اأإآٱ", "يىیئ", "ةه", "وؤ", "كک",
    *(f"{digit:d}{chr(0x660 + digit)}{chr(0x6F0 + digit)}" for digit in range(10)),
)  # fmt: skip
_PLAIN = {letter: letters[0] for letters in _ALIKE for letter in letters}
_CLASSES = {letter: f"[{letters}]" for letters in _ALIKE for letter in letters}
_ARABIC = re.compile("[\u0621-\u064a\u0671-\u06d3]")
_APOSTROPHES = "'`´ʼʻʿʾ‘’′"
_HYPHENS = "-\u2010\u2011\u2013"
# What may stand between two words that make one name.
_SEAM = rf"[\s{_APOSTROPHES}{re.escape(_HYPHENS)}]{{0,3}}"
_IS_SEAM = re.compile(rf"[\s{_APOSTROPHES}{re.escape(_HYPHENS)}]")
# Words that open a name of two, in plain letters. After one, and before the article or "Allah"
# within an Arabic name, a name that is written joined may be parted.
_OPENINGS = (
    "عبد", "ابو", "ابي", "ابا", "ابن", "بن", "بو", "ام", "ال", "abd", "abdel", "abdul", "abdal",
    "abu", "al", "el", "bin", "ibn",
)  # fmt: skip
_ARTICLE = re.compile("(?<=..)ال(?=..)")
_SHORTEST_REST, _SHORTEST_NAME, _MOST_JOINED = 3, 3, 3
# Common words that a name is not taken for, although its letters have the same classes: Ali and
# "on", Aya and "any", Yusri and "left". They count as the name where the header writes it so.
_WORDS = ("على", "عليه", "منه", "أية", "أمام", "حتى", "يسرى", "يمنى")


def literal(text: str) -> str:
    """Return what finds a text as it stands, its digits Arabic, Persian or ASCII."""
    attached = _ATTACHED if _ARABIC.search(text) else ""
    return f"{BEFORE}{attached}{''.join(map(_letter, text))}{AFTER}"


def name_forms(name: str) -> tuple[str, ...]:
    """Return a name's groups (``=`` between them) as they are and, where they differ, less digits.

    The digit of ``SMITH BABY 1`` tells twins apart; without a caret it looks like a number's.
    """
    return tuple(form for group in name.split("=") for form in (group, _without_digits(group)))


def name_in(identifier: str) -> str:
    """Return the name that an identifier is, less its digits; empty where it is a number or date.

    A number has digits and no caret: ``MRN 12345``.
    """
    name = _without_digits(identifier)
    return name if name == identifier or "^" in identifier else ""


def _without_digits(text: str) -> str:
    return "".join(" " if letter.isdigit() else letter for letter in text)


def names(text: str) -> Iterator[str]:
    """Give what finds each part of a name, and parts side by side, joined or not; longest first.

    A part has three letters or more; of parts side by side one does.

    Args:
        text: Carets, spaces, full stops or commas between its parts; in DICOM's form hyphens, too.
    """
    parting = rf"[\s.{re.escape(_HYPHENS)}]+" if "^" in text else r"[\s.]+"
    components = (list(filter(None, re.split(parting, c))) for c in re.split(r"[\^=,]+", text))
    runs = {
        tuple(words[start : start + count])
        for words in components
        for count in range(1, _MOST_JOINED + 1)
        for start in range(len(words) - count + 1)
    }
    for run in sorted(runs, key=lambda run: (-len("".join(run)), run)):
        spelled = [_spelled(word) for word in run]
        if all(spelled) and max(map(len, run)) >= _SHORTEST_NAME:
            attached = f"\u0640*{_ATTACHED}" if _ARABIC.search(run[0]) else ""
            yield f"{BEFORE}{attached}{_SEAM.join(spelled)}{AFTER}"


def _letter(letter: str) -> str:
    """Return what finds a letter in all its forms."""
    found = _CLASSES.get(letter) or re.escape(letter)
    return f"{found}{_UNWRITTEN}*" if _ARABIC.match(letter) else found


def _spelled(word: str) -> str:
    """Return what finds a word of a name in all its spellings; empty where it has no letters."""
    letters, seams = "", set()
    for letter in re.sub(_UNWRITTEN, "", word):
        if _IS_SEAM.match(letter):
            seams.add(len(letters))
        else:
            letters += letter
    if not any(letter.isalnum() for letter in letters):
        return ""
    plain = _plain(letters)
    seams |= set(_seams(plain))
    found = _guard(letters, plain)
    for index, letter in enumerate(letters):
        if index and index in seams:
            found += _SEAM
        elif index and letter.isascii():
            found += f"[{_APOSTROPHES}]?"
        found += _letter(letter)
    return found


def _plain(letters: str) -> str:
    return "".join(_PLAIN.get(letter, letter) for letter in letters)


def _seams(plain: str) -> Iterator[int]:
    """Give the places where a name that is written joined may be parted."""
    for opening in _OPENINGS:
        at = len(opening)
        if plain[:at].lower() == opening and len(plain) - at >= _SHORTEST_REST:
            yield at
    yield from (match.start() for match in _ARTICLE.finditer(plain))


def _guard(letters: str, plain: str) -> str:
    """Return what keeps a name from common words that differ from it only within a class."""
    words = (word for word in _WORDS if _plain(word) == plain and word != letters)
    written = ("".join(f"{letter}{_UNWRITTEN}*" for letter in word) for word in words)
    return "".join(f"(?!{word}{AFTER})" for word in written)
