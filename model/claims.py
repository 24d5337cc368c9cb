"""What no draft may say, whatever the pictures show: refusals, signatures, a patient's data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.report import Finding, Language
from core.spellings import name_in
from model.faults import NAMES, fault
from model.terms import Kind, lexicon
from model.words import Word, fold, plain, sentences, words

_MESSAGES = {
    "REFUSAL": "The model speaks of itself in the {name} text.",
    "CLAIMS_SIGNED": "The {name} text says that somebody has read or signed it.",
    "PROMPT_ECHO": "The {name} text repeats what the model was asked.",
    "PATIENT_DATA": "The {name} text has a label of patient data.",
}
# Signs of the conversation around a text, which a tokenizer writes and no radiologist.
_TEMPLATE = re.compile(
    r"<\|\w{1,40}\|>|<image>|</?s>|\[/?INST\]|^(?:USER|ASSISTANT) ?:", re.MULTILINE
)
# What stands for a word that was taken out of a training text, or was left for a person to fill in.
_PLACEHOLDER = re.compile(
    r"_{2,}|\[[^\[\]\n]{0,20}\b(?:name|date|insert|your|redacted|hospital|number|age)\b"
    r"[^\[\]\n]{0,20}\]|\bX{3,}\b|\[\*\*|\[(?:الاسم|اسم المريض|التاريخ|العمر)\]",
    re.IGNORECASE,
)
_SHORTEST_NAME, _SHORTEST_NUMBER = 3, 5
# So many words of a text, or parts of a name, may be one in the other.
_MOST_JOINED = 3
_PARTING = "[\\s.'`´ʼʻʿʾ‘’′\u2010\u2011\u2013-]+"
_DATE_DIGITS = 8


def claims(text: str, language: Language, identifiers: tuple[str, ...]) -> Iterator[Finding]:
    """Yield each kind of claim once, with the words that make it.

    Args:
        text: One answer of the model.
        language: Of the text.
        identifiers: Names (carets or spaces between their parts), numbers, dates ``YYYYMMDD``.
    """
    name = NAMES[language]
    found = lexicon(language).matches(words(text, language), frozenset({Kind.CLAIM}))
    for code, message in _MESSAGES.items():
        texts = [match.text for match in found if match.name == code]
        if code == "PROMPT_ECHO":
            texts += [match[0] for match in _TEMPLATE.finditer(text)]
        if texts:
            yield fault(code, message.format(name=name), language, tuple(dict.fromkeys(texts))[:5])
    blank = _PLACEHOLDER.search(text)
    if blank:
        message = f"The {name} text has a blank that stands for something else."
        yield fault("PLACEHOLDER", message, language, (blank[0],))
    if _repeats(text, language, identifiers):
        # The words are not quoted: they are what must not go any further.
        yield fault("PATIENT_DATA", f"The {name} text repeats data of the patient.", language)
    if _has_no_end(text, language):
        words_ = tuple(text.split()[-3:])
        yield fault("UNFINISHED", f"The {name} text stops within a sentence.", language, words_)


def _repeats(text: str, language: Language, identifiers: tuple[str, ...]) -> bool:
    """Tell whether a text has a name, a number or a date of the patient."""
    row = words(text, language)
    folded = fold(text)
    for identifier in identifiers:
        digits = "".join(c for c in plain(identifier) if c.isdigit())
        if digits and _has_number(folded, fold(identifier).strip(), digits):
            return True
        name = name_in(identifier)
        if name and any(_names(sentence, name, language) for sentence in sentences(row)):
            return True
    return False


def _has_number(folded: str, identifier: str, digits: str) -> bool:
    """Tell whether a number or a date stands in a text, in one of the forms that dates have."""
    forms = {identifier} if len(digits) >= _SHORTEST_NUMBER else set()
    if len(digits) == _DATE_DIGITS and digits == identifier:
        year, month, day = digits[:4], digits[4:6], digits[6:]
        for mark in "-/.":
            forms |= {
                mark.join(parts)
                for parts in ((year, month, day), (day, month, year), (month, day, year))
            }
    return any(re.search(rf"(?<![\w]){re.escape(form)}(?![\w])", folded) for form in forms)


def _names(sentence: tuple[Word, ...], identifier: str, language: Language) -> bool:
    """Tell whether a sentence has two parts of a name side by side, or one behind a title.

    One alone is no proof: "Young", "Long" and "Small" are names too. Parts may be joined in the
    text and parted in the name, or the other way round: عبدالله, عبد الله.
    """
    names, pairs = _parts(identifier)
    titles = {m.end for m in lexicon(language).matches(sentence, frozenset({Kind.TITLE}))}
    before: dict[int, set[str]] = {}  # What ends where a word begins.
    for start in range(len(sentence)):
        for end, forms in _joined(sentence, start):
            hits = names & forms
            if pairs & forms or (hits and start in titles):
                return True
            if any(earlier != hit for earlier in before.get(start, ()) for hit in hits):
                return True
            before.setdefault(end, set()).update(hits)
    return False


def _parts(identifier: str) -> tuple[set[str], set[str]]:
    """Return a name's parts, joined ones too, and which of them are two parts that stand alone."""
    names, pairs = set(), set()
    for component in re.split(r"[\^=,]+", identifier):
        parts = [part for part in map(fold, re.split(_PARTING, component)) if part]
        for count in range(1, _MOST_JOINED + 1):
            for run in zip(*(parts[start:] for start in range(count)), strict=False):
                long = sum(len(part) >= _SHORTEST_NAME for part in run)
                names |= {"".join(run)} if long else set()
                pairs |= {"".join(run)} if long > 1 else set()
    return names, pairs


def _joined(sentence: tuple[Word, ...], start: int) -> Iterator[tuple[int, frozenset[str]]]:
    """Give where a word, and it with those behind it, ends, and by what it may be looked up."""
    forms = sentence[start].forms | {fold(sentence[start].text)}
    yield start + 1, forms
    for end in range(start + 2, min(start + _MOST_JOINED, len(sentence)) + 1):
        forms = frozenset(form + fold(sentence[end - 1].text) for form in forms)
        yield end, forms


def _has_no_end(text: str, language: Language) -> bool:
    """Tell whether a text's last word calls for another one."""
    row = words(text.rstrip(), language)
    if not row or not row[-1].text[-1].isalpha():
        return False
    if not text.rstrip()[-1].isalpha():
        return False
    found = lexicon(language).matches(row[-2:], frozenset({Kind.UNFINISHED}))
    last = len(row[-2:])
    # An Arabic word is never taken apart for this: "بالأم" is no "ب".
    return any(
        match.end == last and fold(match.text) in (fold(row[-1].text), _pair(row))
        for match in found
    )


def _pair(row: tuple[Word, ...]) -> str:
    return fold(" ".join(word.text for word in row[-2:]))
