"""A finding left out of a text, with every sentence or item of a list that names it."""

from __future__ import annotations

import re

from core.report import Language
from model.train.exchange import items_of, language_of, read, sentences_of

# What ends an item of a list; the full stop ends the list.
_ENDS = ".;؛,،"
_AFTER_BREAK = re.compile(r"(?<=\n) +")


def affirmed_findings(text: str) -> list[str]:
    """Return the findings that a text affirms, in order of their names."""
    return sorted(read(text, language_of(text)).affirmed)


def left_out(text: str, finding: str) -> str | None:
    """Return a text without a finding; None where it cannot be taken out alone.

    What is left must say of every other finding what it said before, and no heading may lose all
    that stood under it.
    """
    language = language_of(text)
    kept: list[str] = []
    for sentence in sentences_of(text):
        is_list = len(_names(sentence, language)) > 1
        for part in items_of(sentence) if is_list else [sentence]:
            named = _names(part, language)
            if finding not in named:
                kept.append(part)
            elif len(named) > 1:
                return None
            elif is_list and kept and not _goes_on(part):
                kept[-1] = _with_end_of(kept[-1], part)
    shorter = _AFTER_BREAK.sub("", "".join(kept)).strip()
    before = read(text, language).polarities
    wanted = {name: values for name, values in before.items() if name != finding}
    is_whole = read(shorter, language).polarities == wanted
    return shorter if shorter and is_whole and not _has_bare_heading(shorter) else None


def _names(text: str, language: Language) -> set[str]:
    return set(read(text, language).polarities)


def _goes_on(part: str) -> bool:
    return part.rstrip()[-1:] in _ENDS[1:]


def _with_end_of(text: str, gone: str) -> str:
    """Return what now stands last, with the mark that ended what is gone."""
    return text.rstrip(_ENDS + " ") + gone[len(gone.rstrip(_ENDS + " ")) :]


def _has_bare_heading(text: str) -> bool:
    return any(not part.partition("\n")[2].strip() for part in text.split("\n\n")) and "\n" in text
