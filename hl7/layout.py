"""How a destination wants its results: version, character set, languages, codes, statuses.

What a site may choose stands here once; `core.settings.RisSettings` has the words for it. Nothing
here can make a draft look like more than it is.

Source: HL7 v2.5.1 tables 0085, 0123, 0211.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.errors import PermanentError
from core.report import Language, ReportStatus, SectionKind, standing
from hl7.charset import codec_of
from hl7.escape import normalise_lines
from hl7.result_profile import SECTIONS, Code

# What OBR-25 and OBX-11 may say of a draft. P means "verified", yet sites ask for it; nothing that
# reads as final is among them.
_DRAFT_STATUSES = ("R", "P")
# OBX-11 of a text that is taken back: X "cannot be obtained", W "was wrong", D "delete it".
_WITHDRAWN_STATUSES = ("X", "W", "D")
# Isolates, embeddings, overrides and marks (Unicode UAX 9): they order letters and are none.
_BIDI_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one destination is sent.

    Attributes:
        version: MSH-12, one of `hl7.er7.WRITTEN_VERSIONS`.
        character_set: MSH-18, and what the bytes are.
        languages: Narratives that it takes, where the report has them.
        text_type: OBX-2 of texts.
        section_codes: OBX-3 by section, where it is not our own.
        draft_status: OBR-25 and OBX-11 of a draft.
        withdrawn_status: OBX-11 of a text that is withdrawn (OBR-25 is X then).
        has_study_uid: An OBX names the study.
        has_language_marks: An OBX before each group names its language.
        keeps_bidi_marks: Characters that only order letters are sent; else they are left out.
        asks_for_commit: The answer is to be a commit acknowledgement (enhanced mode, 2.9.3).
        link: Address of the reading page, with ``{study_uid}`` for the study; empty for no link.

    Raises:
        ValueError: A word that the standard does not have here, or that would overstate a draft.
        PermanentError: Two sections with the same code could not be told apart.
    """

    version: str = "2.5.1"
    character_set: str = "UNICODE UTF-8"
    languages: tuple[Language, ...] = tuple(Language)
    text_type: Literal["TX", "FT"] = "TX"
    section_codes: Mapping[SectionKind, Code] = field(default_factory=dict)
    draft_status: str = "R"
    withdrawn_status: str = "X"
    has_study_uid: bool = True
    has_language_marks: bool = True
    keeps_bidi_marks: bool = True
    asks_for_commit: bool = False
    link: str = ""

    def __post_init__(self) -> None:
        if self.draft_status not in _DRAFT_STATUSES:
            raise ValueError(f"a draft's status is one of {_DRAFT_STATUSES}")
        if self.withdrawn_status not in _WITHDRAWN_STATUSES:
            raise ValueError(f"a withdrawn text's status is one of {_WITHDRAWN_STATUSES}")
        codes = [self.code_of(kind)[0] for kind in SectionKind]
        if len(set(codes)) != len(codes):
            raise PermanentError(
                "Two sections of a report would have the same code: see section_codes."
            )

    @property
    def codec(self) -> str:
        """The Python codec of the bytes; what is declared as ASCII is written as no more."""
        return "ascii" if self.character_set == "ASCII" else codec_of(self.character_set)

    def code_of(self, kind: SectionKind) -> Code:
        """Return OBX-3 of a section."""
        return self.section_codes.get(kind, SECTIONS[kind][0])

    def request_status(self, status: ReportStatus) -> str:
        """Return OBR-25 of a report."""
        return self.draft_status if status is ReportStatus.DRAFT else standing(status).result_status

    def text_status(self, status: ReportStatus) -> str:
        """Return OBX-11 of a text."""
        is_withdrawn = status is ReportStatus.WITHDRAWN
        return self.withdrawn_status if is_withdrawn else self.request_status(status)

    def written(self, text: str) -> str:
        """Return a text as it is sent: line ends as line feeds, marks of direction as agreed."""
        text = normalise_lines(text)
        return text if self.keeps_bidi_marks else _BIDI_MARKS.sub("", text)

    def link_to(self, study_uid: str) -> str:
        """Return the address of a study's reading page, empty where there is none."""
        return self.link.replace("{study_uid}", study_uid)
