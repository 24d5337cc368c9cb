"""The segments that our result messages have in common: who, which order, which texts.

Source: HL7 v2.5.1 2.15.9 (MSH), 3.4.2 (PID), 3.4.3 (PV1), 4.5.1 (ORC), 4.5.3 (OBR), 7.4.2 (OBX).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import date

from core.errors import PermanentError
from core.report import Narrative, ReportStatus, standing
from hl7.er7 import NULL, Er7Writer, Value
from hl7.escape import one_line
from hl7.person_name import to_xcn, to_xpn
from hl7.result import Envelope, Result
from hl7.result_profile import (
    ADDENDUM,
    FIRST_ADDENDUM,
    GROUPS,
    LANGUAGE,
    LINK,
    NOTICE,
    PDF,
    SECTIONS,
    STUDY,
)

# The longest that DICOM grants an identifier (LO). One that is longer is refused, never cut.
_LONGEST_IDENTIFIER = 64
# The longest that HL7 v2.5.1 grants the text of a coded element (CE.2).
_LONGEST_DESCRIPTION = 199
# HL7 2.3.1 ends OBX at its 17th field: there the notice alone names model and signer.
_OLD_VERSION = "2.3.1"


def add_header(writer: Er7Writer, result: Result, envelope: Envelope, kind: Value) -> None:
    """Add MSH.

    Fields 15 and 16 are empty in original mode, where the answer is AA, AE or AR; always a commit
    and no application acknowledgement in enhanced mode, where it is CA, CE or CR.
    """
    commit, application = ("AL", "NE") if result.layout.asks_for_commit else ("", "")
    writer.add(
        "MSH",
        {
            3: envelope.sending_application,
            4: envelope.sending_facility,
            5: envelope.receiving_application,
            6: envelope.receiving_facility,
            7: envelope.time,
            9: kind,
            10: envelope.control_id,
            11: envelope.processing_id,
            12: result.layout.version,
            15: commit,
            16: application,
            18: result.layout.character_set,
            19: result.narratives[0].language.value,
        },
    )


def add_patient(writer: Er7Writer, result: Result, *, is_visit_required: bool = False) -> None:
    """Add PID, and PV1 where something is known that stands there."""
    header, order = result.header, result.order
    patient = header.patient
    writer.add(
        "PID",
        {
            1: "1",
            # CX-5, the kind of number, stays empty: DICOM names the authority, not the kind.
            3: (
                identifier("Patient ID", patient.id),
                "",
                "",
                identifier("Issuer of Patient ID", patient.issuer),
            ),
            5: list(to_xpn(patient.name)),
            7: _date(patient.birth_date),
            8: patient.sex if patient.sex in {"M", "F", "O"} else "",
        },
    )
    visit: dict[int, Value] = {
        8: to_xcn(header.referring_physician),
        19: _numbered("visit number", order.visit_number, order.visit_issuer, place=3),
    }
    if is_visit_required or order.patient_class or any(visit.values()):
        # PV1-2 is required; U is "unknown" (table 0004).
        writer.add("PV1", {1: "1", 2: order.patient_class or "U"} | visit)


def add_order(writer: Er7Writer, result: Result, envelope: Envelope) -> None:
    """Add ORC and OBR."""
    header, order, status = result.header, result.order, result.status
    numbers = order_numbers(result)
    writer.add("ORC", {1: "RE", 5: standing(status).order_status} | numbers)
    writer.add(
        "OBR",
        {
            1: "1",
            **numbers,
            4: _procedure(result),
            7: study_time(result),
            16: _ordering_provider(result),
            18: identifier("Accession Number", header.accession_number),
            19: identifier("requested procedure id", order.requested_procedure_id),
            20: identifier("scheduled step id", order.scheduled_step_id),
            22: envelope.time,
            24: one_line(header.modality),
            25: result.layout.request_status(status),
            31: ("", one_line(order.reason)[:_LONGEST_DESCRIPTION]),
            # The interpreter is a person who has signed: a draft has none.
            32: (signer(result),) if standing(status).is_final else "",
        },
    )


def order_numbers(result: Result) -> dict[int, Value]:
    """Return fields 2 and 3 of ORC and OBR; without an order the accession number is the filler."""
    header, order = result.header, result.order
    filler = _numbered("filler order number", order.filler_number, order.filler_issuer)
    accession = _numbered("Accession Number", header.accession_number, header.accession_issuer)
    return {
        2: _numbered("placer order number", order.placer_number, order.placer_issuer),
        3: filler or accession,
    }


def study_time(result: Result) -> str:
    """Return when the study was made, as far as that is valid."""
    day = result.header.study_date
    return _date(day) + _time(day, result.header.study_time)


def signer(result: Result) -> tuple[str, ...]:
    """Return who signed, as the parts of a person's name with a number; empty for a draft."""
    signature = result.report.signature
    if signature is None:
        return ()
    number = identifier("reader's number", signature.reader_id)
    return (number, *to_xcn(signature.reader_name)[1:])


def add_observations(writer: Er7Writer, result: Result, envelope: Envelope) -> None:
    """Add the OBX segments: study, each language, PDF, link."""
    rows = [*_study(result), *_texts(result, envelope), *_attachments(result, envelope)]
    for count, fields in enumerate(rows, start=1):
        writer.add("OBX", {1: str(count)} | fields)


def _study(result: Result) -> Iterator[dict[int, Value]]:
    if result.layout.has_study_uid:
        # ST, not HD: HD makes dcm4chee take the message for another profile. O: order detail.
        yield {2: "ST", 3: STUDY, 5: result.header.study_uid, 11: "O"}


def _texts(result: Result, envelope: Envelope) -> Iterator[dict[int, Value]]:
    """Yield the fields of each language: its mark, the notice, the sections, the addenda."""
    for narrative in result.narratives:
        status = result.report.status_of(narrative.language)
        every = _every(result, envelope, status)
        for row in _group(result, narrative, is_withdrawn=status is ReportStatus.WITHDRAWN):
            yield row | every


def _group(
    result: Result, narrative: Narrative, *, is_withdrawn: bool
) -> Iterator[dict[int, Value]]:
    layout, language = result.layout, narrative.language
    number, name = str(GROUPS[language].number), GROUPS[language].name
    if layout.has_language_marks:
        yield {2: "CE", 3: LANGUAGE, 4: number, 5: (language.value, name, "RFC5646")}
    yield {2: layout.text_type, 3: NOTICE, 4: f"{number}.0", 5: result.notice(language)}
    for kind, text in result.sections(narrative):
        place = f"{number}.{SECTIONS[kind][1]}"
        # HL7's null: the receiver is to delete what it has there.
        value = NULL if is_withdrawn else text
        yield {2: layout.text_type, 3: layout.code_of(kind), 4: place, 5: value}
    for count, text in enumerate(result.addenda(language), start=FIRST_ADDENDUM):
        if text.strip():
            yield {2: layout.text_type, 3: ADDENDUM, 4: f"{number}.{count}", 5: text}


def _attachments(result: Result, envelope: Envelope) -> Iterator[dict[int, Value]]:
    every = _every(result, envelope, result.status)
    rows: list[dict[int, Value]] = []
    if result.pdf is not None:
        data = base64.b64encode(result.pdf).decode("ascii")
        rows.append({2: "ED", 3: PDF, 5: ("", "Application", "PDF", "Base64", data)})
    if link := result.layout.link_to(result.header.study_uid):
        rows.append({2: "RP", 3: LINK, 5: (link, "TAQRIR", "TEXT", "HTML")})
    yield from (row | every for row in rows)


def _every(result: Result, envelope: Envelope, status: ReportStatus) -> dict[int, Value]:
    """Return the fields that are the same in all observations of a status."""
    fields: dict[int, Value] = {11: result.layout.text_status(status), 14: envelope.time}
    if standing(status).is_final:
        fields[16] = signer(result)
    if result.layout.version != _OLD_VERSION:
        fields[18] = (str(result.report.model), "TAQRIR")
    return fields


def _procedure(result: Result) -> Value:
    """Return OBR-4: what was ordered, else what the images say, else that it is imaging."""
    ordered = result.order.procedure
    if ordered.code or ordered.meaning:
        meaning = one_line(ordered.meaning)[:_LONGEST_DESCRIPTION]
        return identifier("procedure code", ordered.code), meaning, one_line(ordered.scheme)
    header = result.header
    description = one_line(header.description or f"{header.modality} {header.body_part}")
    return ("", description[:_LONGEST_DESCRIPTION]) if description else NOTICE


def _ordering_provider(result: Result) -> Value:
    number = identifier("ordering provider's number", result.order.ordering_provider_id)
    name = to_xcn(result.order.ordering_provider)
    return (number, *name[1:]) if number or name else ""


def _numbered(name: str, number: str, issuer: str, *, place: int = 1) -> Value:
    """Return an identifier with its issuer, which stands `place` components behind it."""
    number = identifier(name, number)
    return (
        (number, *[""] * (place - 1), identifier(f"issuer of the {name}", issuer)) if number else ""
    )


def identifier(name: str, value: str) -> str:
    """Return an identifier without the blanks that DICOM pads with.

    Raises:
        PermanentError: It holds a control character or is too long: changed, it would be another.
    """
    value = value.strip()
    if len(value) > _LONGEST_IDENTIFIER or any(ord(c) < ord(" ") for c in value):
        raise PermanentError(
            f"The {name} is longer than {_LONGEST_IDENTIFIER} characters or holds a control "
            "character; correct it in the PACS and retry."
        )
    return value


def _date(value: str) -> str:
    """Return a DICOM date where it is one, else nothing."""
    digits = value.strip()
    if not re.fullmatch("[0-9]{8}", digits):
        return ""
    try:
        return date.fromisoformat(digits).strftime("%Y%m%d")
    except ValueError:
        return ""


def _time(day: str, value: str) -> str:
    """Return the hours, minutes and seconds of a DICOM time; nothing without a date before it."""
    digits = value.strip().partition(".")[0]
    if not _date(day) or not re.fullmatch("([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9])?", digits):
        return ""
    return digits
