"""Our results read back, to prove before sending that they say what the report says.

What reads here is hl7apy, behind the guards of `hl7.er7`; what wrote was not.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from core.errors import TextIntegrityError
from core.report import Language, Narrative, ReportStatus, Section, SectionKind
from hl7.er7 import Er7Message, Er7Segment, parse
from hl7.layout import Layout
from hl7.mdm import Event, availability_of, completion_of
from hl7.result import Result
from hl7.result_profile import ADDENDUM, GROUPS, LINK, NOTICE, PDF, STUDY

# What a failed conversion of Arabic leaves behind.
_DAMAGE = ("\N{REPLACEMENT CHARACTER}".encode(), b"????")
_DELETED = '""'


@dataclass(frozen=True, kw_only=True)
class ResultContent:
    """What a message of ours says.

    Attributes:
        event: MSH-9.2.
        placer_numbers: Of the order, in each segment that has a place for it; so are the filler's.
        result_status: OBR-25, empty where there is no OBR.
        document_status: TXA-17 and TXA-19.
        text_statuses: OBX-11 of every text and language mark, by language.
        notices: Lines of the notice by language.
        narratives: Sections by language, in the order of the message.
        addenda: What was added, by language.
        pdf: The file that travels along.
        link: Address of the reading page.
    """

    event: str
    control_id: str
    study_uid: str
    patient_id: str = field(repr=False)
    patient_issuer: str
    accession_number: str
    placer_numbers: frozenset[str]
    filler_numbers: frozenset[str]
    result_status: str
    document_status: tuple[str, str]
    text_statuses: dict[Language, frozenset[str]]
    notices: dict[Language, tuple[str, ...]]
    narratives: tuple[Narrative, ...] = field(repr=False)
    addenda: dict[Language, tuple[str, ...]] = field(repr=False)
    pdf: bytes | None = field(repr=False)
    link: str


def read_result(data: bytes, layout: Layout | None = None) -> ResultContent:
    """Return what a message of ours says.

    Args:
        data: The message.
        layout: As it was built with; a site's own codes stand in it.

    Raises:
        UnreadableMessageError: The bytes are no such message.
    """
    message = parse(data)
    texts = _Texts(message, layout or Layout())
    return ResultContent(
        event=message.text("MSH", 9, 2),
        control_id=message.text("MSH", 10),
        study_uid=texts.value_of(STUDY[0]),
        patient_id=message.text("PID", 3),
        patient_issuer=message.text("PID", 3, 4),
        accession_number=message.text("OBR", 18),
        placer_numbers=_everywhere(message, {"ORC": 2, "OBR": 2, "TXA": 14}),
        filler_numbers=_everywhere(message, {"ORC": 3, "OBR": 3, "TXA": 15}),
        result_status=message.text("OBR", 25),
        document_status=(message.text("TXA", 17), message.text("TXA", 19)),
        text_statuses={language: frozenset(row) for language, row in texts.statuses.items()},
        notices=texts.notices,
        narratives=tuple(
            Narrative(language=language, sections=tuple(row))
            for language, row in texts.sections.items()
        ),
        addenda={language: tuple(row) for language, row in texts.addenda.items()},
        pdf=texts.pdf,
        link=texts.value_of(LINK[0]),
    )


def _everywhere(message: Er7Message, places: dict[str, int]) -> frozenset[str]:
    """Return what the segments of some names hold in a field."""
    return frozenset(s.text(places[s.name]) for s in message.segments if s.name in places)


class _Texts:
    """The OBX segments of a message, sorted by what they hold."""

    def __init__(self, message: Er7Message, layout: Layout) -> None:
        self.statuses: dict[Language, set[str]] = {}
        self.notices: dict[Language, tuple[str, ...]] = {}
        self.sections: dict[Language, list[Section]] = {}
        self.addenda: dict[Language, list[str]] = {}
        self.pdf: bytes | None = None
        self._values: dict[str, str] = {}
        self._kinds = {layout.code_of(kind)[0]: kind for kind in SectionKind}
        for segment in message.named("OBX"):
            language = _language(segment)
            if language is None:
                self._take_other(segment)
            else:
                self._take_text(segment, language)

    def value_of(self, code: str) -> str:
        """Return OBX-5 of what belongs to no language, empty where it is not there."""
        return self._values.get(code, "")

    def _take_other(self, segment: Er7Segment) -> None:
        code = segment.text(3)
        if code == PDF[0]:
            try:
                self.pdf = base64.b64decode(segment.text(5, 5), validate=True)
            except binascii.Error:
                self.pdf = b""
        else:
            self._values[code] = segment.text(5)

    def _take_text(self, segment: Er7Segment, language: Language) -> None:
        code, text = segment.text(3), segment.text(5)
        self.statuses.setdefault(language, set()).add(segment.text(11))
        rows = self.sections.setdefault(language, [])
        if code == NOTICE[0]:
            self.notices[language] = tuple(text.split("\n"))
        elif code in self._kinds:
            rows.append(Section(kind=self._kinds[code], text=text))
        elif code == ADDENDUM[0]:
            self.addenda.setdefault(language, []).append(text)


def verify_result(data: bytes, result: Result, *, is_resent: bool = False) -> None:
    """Prove that a message says what it must, before it is sent.

    Args:
        data: What `build_oru` or `build_mdm` returned, or what was stored of it.
        result: What it must say.
        is_resent: An earlier attempt made it, and the order may have come, changed or gone since:
            its numbers must be those of one order, whichever.

    Raises:
        UnreadableMessageError: The bytes are no such message.
        TextIntegrityError: A text, a notice, a status or an identifier differs, or a character was
            lost on the way.
    """
    content = read_result(data, result.layout)
    if any(damage in data for damage in _DAMAGE):
        raise TextIntegrityError("The message holds a replacement character or '????'.")
    _compare_identity(content, result)
    _compare_order(content, result, is_resent=is_resent)
    _compare_status(content, result)
    if content.event == Event.CANCEL:
        return
    _compare_texts(content, result)
    link = result.layout.link_to(result.header.study_uid)
    if content.pdf != result.pdf or content.link != link:
        raise TextIntegrityError("The message's PDF or link is not that of the report.")


def _compare_identity(content: ResultContent, result: Result) -> None:
    header = result.header
    pairs = [
        ("Patient ID", content.patient_id, header.patient.id),
        ("Issuer of Patient ID", content.patient_issuer, header.patient.issuer),
    ]
    if content.result_status:
        pairs.append(("Accession Number", content.accession_number, header.accession_number))
    if result.layout.has_study_uid and content.event != Event.CANCEL:
        pairs.append(("Study Instance UID", content.study_uid, header.study_uid))
    for name, got, wanted in pairs:
        if got != wanted.strip():
            raise TextIntegrityError(f"The message's {name} is not that of the study.")


def _compare_order(content: ResultContent, result: Result, *, is_resent: bool) -> None:
    order, accession = result.order, result.header.accession_number.strip()
    numbers = (
        ("placer", content.placer_numbers, order.placer_number.strip()),
        ("filler", content.filler_numbers, order.filler_number.strip() or accession),
    )
    for name, found, known in numbers:
        is_good = len(found) == 1 if is_resent else found == {known}
        if not is_good:
            raise TextIntegrityError(f"The message's {name} order number is not the order's.")


def _compare_status(content: ResultContent, result: Result) -> None:
    """Compare what is said of the report as a whole, and of each of its languages."""
    status, layout = result.status, result.layout
    is_document = content.event != "R01"
    wanted = layout.request_status(status)
    if (content.result_status or not is_document) and content.result_status != wanted:
        raise TextIntegrityError(f"The message's OBR-25 is not {wanted}.")
    if is_document and content.document_status != (
        completion_of(status),
        availability_of(status).value,
    ):
        raise TextIntegrityError("The message's TXA-17 or TXA-19 is not that of the report.")
    for language, statuses in content.text_statuses.items():
        told = layout.text_status(result.report.status_of(language))
        if statuses != {told}:
            raise TextIntegrityError(f"An OBX-11 of the {language} texts is not {told}.")


def _compare_texts(content: ResultContent, result: Result) -> None:
    got = [(n.language, [(s.kind, s.text) for s in n.sections]) for n in content.narratives]
    wanted = [(n.language, _wanted_sections(result, n)) for n in result.narratives]
    if got != wanted:
        raise TextIntegrityError("The message's texts are not those of the report.")
    for language, _ in wanted:
        if "\n".join(content.notices.get(language, ())) != result.notice(language):
            raise TextIntegrityError(f"The message's notice ({language}) is not as it must be.")
        added = tuple(text for text in result.addenda(language) if text.strip())
        if content.addenda.get(language, ()) != added:
            raise TextIntegrityError(f"The message's addenda ({language}) are not the report's.")


def _wanted_sections(result: Result, narrative: Narrative) -> list[tuple[SectionKind, str]]:
    sections = result.sections(narrative)
    if result.report.status_of(narrative.language) is ReportStatus.WITHDRAWN:
        return [(kind, _DELETED) for kind, _ in sections]
    return sections


def _language(segment: Er7Segment) -> Language | None:
    """Return the language whose group a segment belongs to, by OBX-4."""
    number = segment.text(4).partition(".")[0]
    return next((lang for lang, group in GROUPS.items() if str(group.number) == number), None)
