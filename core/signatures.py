"""Who answers for a text: signatures, addenda, and how a person's name is spoken."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from core.report_status import Language


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who answers for a text, and for which languages of it.

    Attributes:
        reader_name: A person's name, in DICOM form (``Darwish^Mona=درويش^منى``) or as it is spoken.
        reader_id: How the site knows the reader.
        organisation: Whom the reader signs for; empty where the site does not say.
        signed_at: With an offset from UTC, which documents repeat.
        languages: The languages that the reader has read and signed.

    Raises:
        ValueError: No name, no language or one twice, or a time without an offset.
    """

    reader_name: str = field(repr=False)
    reader_id: str = field(repr=False)
    signed_at: datetime
    languages: tuple[Language, ...]
    organisation: str = ""

    def __post_init__(self) -> None:
        if not self.reader_name.strip("^= "):
            raise ValueError("a signature needs the reader's name")
        if not self.languages or len(set(self.languages)) != len(self.languages):
            raise ValueError("a signature names each language that it is for once, at least one")
        if self.signed_at.utcoffset() is None:
            raise ValueError("the time of a signature needs an offset")


@dataclass(frozen=True, kw_only=True)
class Addendum:
    """What was added to a signed report, in the languages that the signature names.

    Raises:
        ValueError: Texts and signature name different languages.
    """

    texts: tuple[tuple[Language, str], ...]
    signature: Signature

    def __post_init__(self) -> None:
        if tuple(language for language, _ in self.texts) != self.signature.languages:
            raise ValueError("an addendum is signed in the languages of its texts")

    def text_in(self, language: Language) -> str:
        """Return the text in a language, empty where there is none."""
        return dict(self.texts).get(language, "")


def spoken_name(name: str, language: Language) -> str:
    """Return a person's name as one says it: prefix, given, middle, family, suffix.

    Of the component groups of a DICOM name the one is taken that is written in the letters of the
    language, else the first that is not empty. Control characters are left out.

    Source: PS3.5 6.2.1.
    """
    name = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cs"})
    groups = [group for group in name.split("=") if group.strip("^ ")]
    arabic = [group for group in groups if any("\u0600" <= letter <= "\u06ff" for letter in group)]
    others = [group for group in groups if group not in arabic]
    ordered = arabic + others if language is Language.AR else others + arabic
    if not ordered:
        return ""
    family, given, middle, prefix, suffix = [*ordered[0].split("^"), "", "", "", ""][:5]
    return " ".join(f"{prefix} {given} {middle} {family} {suffix}".split())
