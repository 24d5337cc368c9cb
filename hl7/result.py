"""What a message says, before it is one: a report, its study, its order, and the agreed layout."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import PermanentError
from core.orders import OrderReference
from core.report import (
    Language,
    Narrative,
    Report,
    ReportStatus,
    SectionKind,
    StudyHeader,
    notices,
    standing,
)
from hl7.ack import to_hl7_time
from hl7.layout import Layout

_UID = re.compile("[0-9.]{1,64}")
# MSH-10 in HL7 2.5.1; printable ASCII, so that every peer gives it back unchanged.
_CONTROL_ID = re.compile("[!-~]{1,20}")


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """From whom, to whom, and which message it is.

    Attributes:
        control_id: MSH-10, at most 20 printable ASCII characters, the same in every attempt.
        created_at: Aware; MSH-7, OBR-22 and OBX-14.
        processing_id: MSH-11, table 0103.

    Raises:
        ValueError: An unusable control id.
    """

    control_id: str
    created_at: datetime
    sending_application: str = "TAQRIR"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing_id: str = "P"

    def __post_init__(self) -> None:
        if not _CONTROL_ID.fullmatch(self.control_id):
            raise ValueError("a control id is 1 to 20 printable ASCII characters")

    @property
    def time(self) -> str:
        """The moment as HL7 writes it.

        Raises:
            ValueError: It is naive.
        """
        return to_hl7_time(self.created_at)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one message says.

    Attributes:
        language: The one language of this message; None where it holds all that are agreed.
        pdf: The report as a PDF file, where the site wants it.

    Raises:
        PermanentError: There is nothing in it that could be sent as it is.
    """

    report: Report
    header: StudyHeader = field(repr=False)
    layout: Layout = field(default_factory=Layout)
    order: OrderReference = field(default_factory=OrderReference)
    language: Language | None = None
    pdf: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _UID.fullmatch(self.header.study_uid):
            raise PermanentError("The study has no valid Study Instance UID to send a result for.")
        languages = [narrative.language for narrative in self.report.narratives]
        if len(set(languages)) != len(languages):
            raise PermanentError("The report must hold each of its languages once.")
        if not self.narratives:
            raise PermanentError(
                "The report has no text in a language that this destination takes: add the "
                "language to its settings, or dismiss the delivery."
            )
        for narrative in self.narratives:
            kinds = [kind for kind, _ in self.sections(narrative)]
            if not kinds or len(set(kinds)) != len(kinds):
                raise PermanentError(
                    f"The {narrative.language} narrative must hold each section once, and at "
                    "least one."
                )

    @property
    def narratives(self) -> tuple[Narrative, ...]:
        """The texts that this message holds.

        A message that is final as a whole leaves out languages that nobody signed.
        """
        if self.language is not None:
            return tuple(n for n in self.report.narratives if n.language is self.language)
        is_final = standing(self.report.status).is_final
        return tuple(
            n
            for n in self.report.narratives
            if n.language in self.layout.languages
            and not (is_final and self.report.status_of(n.language) is ReportStatus.DRAFT)
        )

    @property
    def status(self) -> ReportStatus:
        """How finished the message says that it is: never more than what it holds."""
        held = [self.report.status_of(narrative.language) for narrative in self.narratives]
        return self.report.status if self.report.status in held else held[0]

    def sections(self, narrative: Narrative) -> list[tuple[SectionKind, str]]:
        """Return what is written of a narrative: the sections that hold a letter."""
        written = ((s.kind, self.layout.written(s.text)) for s in narrative.sections)
        return [(kind, text) for kind, text in written if text.strip()]

    def addenda(self, language: Language) -> list[str]:
        """Return what was added in a language, oldest first; blanks keep an addendum's place."""
        return [self.layout.written(a.text_in(language)) for a in self.report.addenda]

    def notice(self, language: Language) -> str:
        """Return the sentences that stand above a language's texts, a line each."""
        return self.layout.written("\n".join(notices(self.report, language)))
