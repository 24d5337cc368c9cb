"""A report as ORU^R01, and back to prove that it says the same.

English and Arabic travel in one message, each a group of OBX segments. Each group begins with the
notice that the text is a draft, so that no view of a RIS shows the text without it.

Source: HL7 v2.5.1 chapter 7.3.1 (ORU), 7.4 (OBR, OBX); docs/hl7.md has every field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime

from core.errors import PermanentError
from core.report import Report, StudyHeader, notices, standing
from hl7.ack import to_hl7_time
from hl7.er7 import Er7Writer, Value
from hl7.escape import one_line
from hl7.oru_profile import (
    GROUPS,
    LANGUAGE,
    NOTICE,
    SECTIONS,
    STUDY,
    allowed_status,
    written_sections,
)
from hl7.oru_reading import OruContent, read_oru, verify_oru
from hl7.person_name import to_xcn, to_xpn

__all__ = ["OruContent", "build_oru", "read_oru", "verify_oru"]

_UID = re.compile("[0-9.]{1,64}")
# MSH-10 in HL7 2.5.1; printable ASCII, so that every peer gives it back unchanged.
_CONTROL_ID = re.compile("[!-~]{1,20}")
# The longest that DICOM grants an identifier (LO). One that is longer is refused, never cut.
_LONGEST_IDENTIFIER = 64
# The longest that HL7 v2.5.1 grants the text of a coded element (CE.2).
_LONGEST_DESCRIPTION = 199


def build_oru(
    *,
    report: Report,
    header: StudyHeader,
    control_id: str,
    created_at: datetime,
    sending_application: str,
    sending_facility: str,
    receiving_application: str,
    receiving_facility: str,
    version: str = "2.5.1",
    result_status: str | None = None,
    placer_order_number: str = "",
    filler_order_number: str = "",
    processing_id: str = "P",
) -> bytes:
    r"""Return a report as an ORU^R01 message: UTF-8, segments ended by ``\r``.

    The same arguments give the same bytes. Before sending, `verify_oru` proves them.

    Args:
        report: Written out in the order of its narratives; MSH-19 is the first one's language.
        header: Patient and study. Dates that are none are left out.
        control_id: MSH-10, at most 20 printable ASCII characters, the same in every attempt.
        created_at: Aware; MSH-7, OBR-22 and OBX-14.
        sending_application: MSH-3.
        sending_facility: MSH-4.
        receiving_application: MSH-5.
        receiving_facility: MSH-6.
        version: MSH-12, ``2.3.1`` to ``2.6``.
        result_status: OBR-25 and OBX-11 where a site wants another than the report's standing.
        placer_order_number: ORC-2 and OBR-2, from an order.
        filler_order_number: ORC-3 and OBR-3, from an order; else the accession number.
        processing_id: MSH-11, table 0103.

    Raises:
        ValueError: A naive time, an unusable control id, an unknown version.
        PermanentError: The report or the header cannot be sent as it is.
        TextIntegrityError: A text cannot be written in UTF-8.
    """
    if not _CONTROL_ID.fullmatch(control_id):
        raise ValueError("a control id is 1 to 20 printable ASCII characters")
    _refuse_unsendable(report, header)
    status = allowed_status(report, result_status)
    time = to_hl7_time(created_at)
    language = report.narratives[0].language
    writer = Er7Writer("ORU_R01", version=version)
    writer.add(
        "MSH",
        {
            3: sending_application,
            4: sending_facility,
            5: receiving_application,
            6: receiving_facility,
            7: time,
            9: ("ORU", "R01", "ORU_R01"),
            10: control_id,
            11: processing_id,
            12: version,
            # 15 and 16 stay empty: original mode, where the answer is AA, AE or AR.
            18: "UNICODE UTF-8",
            19: language.value,
        },
    )
    _add_patient(writer, header)
    order: dict[int, Value] = _order_numbers(header, placer_order_number, filler_order_number)
    writer.add("ORC", {1: "RE", 5: standing(report.status).order_status} | order)
    procedure = one_line(header.description or f"{header.modality} {header.body_part}")
    writer.add(
        "OBR",
        {
            1: "1",
            **order,
            4: ("", procedure[:_LONGEST_DESCRIPTION]) if procedure else NOTICE,
            7: _date(header.study_date) + _time(header.study_date, header.study_time),
            18: _identifier("Accession Number", header.accession_number),
            22: time,
            24: one_line(header.modality),
            25: status,
            # 32, the interpreter, is a person who has signed: a draft has none.
        },
    )
    # HL7 2.3.1 knows no OBX-18: there the notice alone names the model.
    made: dict[int, Value] = {14: time}
    if version != "2.3.1":
        made[18] = (str(report.model), "TAQRIR")
    # ST, not HD: HD makes dcm4chee take the message for another profile. O: detail of the order.
    study: dict[int, Value] = {2: "ST", 3: STUDY, 5: header.study_uid, 11: "O"}
    for count, fields in enumerate([study, *_texts(report, made | {11: status})], start=1):
        writer.add("OBX", {1: str(count)} | fields)
    return writer.encode()


def _refuse_unsendable(report: Report, header: StudyHeader) -> None:
    if not _UID.fullmatch(header.study_uid):
        raise PermanentError("The study has no valid Study Instance UID to send a result for.")
    languages = [narrative.language for narrative in report.narratives]
    if not languages or len(set(languages)) != len(languages):
        raise PermanentError("The report must hold each of its languages once, and at least one.")
    for narrative in report.narratives:
        kinds = [kind for kind, _ in written_sections(narrative)]
        if not kinds or len(set(kinds)) != len(kinds):
            raise PermanentError(
                f"The {narrative.language} narrative must hold each section once, and at least one."
            )


def _add_patient(writer: Er7Writer, header: StudyHeader) -> None:
    patient = header.patient
    identifier = _identifier("Patient ID", patient.id)
    issuer = _identifier("Issuer of Patient ID", patient.issuer)
    writer.add(
        "PID",
        {
            1: "1",
            # CX-5, the kind of number, stays empty: DICOM names the authority, not the kind.
            3: (identifier, "", "", issuer),
            5: list(to_xpn(patient.name)),
            7: _date(patient.birth_date),
            8: patient.sex if patient.sex in {"M", "F", "O"} else "",
        },
    )
    if referrer := to_xcn(header.referring_physician):
        # PV1-2 is required; U is "unknown" (table 0004) until an order says the class.
        writer.add("PV1", {1: "1", 2: "U", 8: referrer})


def _order_numbers(header: StudyHeader, placer: str, filler: str) -> dict[int, Value]:
    """Return fields 2 and 3, the same in ORC and OBR."""
    accession = _identifier("Accession Number", header.accession_number)
    issuer = _identifier("Issuer of Accession Number", header.accession_issuer)
    return {
        2: _identifier("placer order number", placer),
        3: _identifier("filler order number", filler) or ((accession, issuer) if accession else ""),
    }


def _texts(report: Report, every: dict[int, Value]) -> Iterator[dict[int, Value]]:
    """Yield the fields of the OBX segments of each language: language, notice, sections.

    Args:
        report: What to write.
        every: Fields that are the same in all of them.
    """
    for narrative in report.narratives:
        language = narrative.language
        number, name = str(GROUPS[language].number), GROUPS[language].name
        notice = "\n".join(notices(report, language))
        rows: list[dict[int, Value]] = [
            {2: "CE", 3: LANGUAGE, 4: number, 5: (language.value, name, "RFC5646")},
            {2: "TX", 3: NOTICE, 4: f"{number}.0", 5: notice},
        ]
        for kind, text in written_sections(narrative):
            code, place = SECTIONS[kind]
            rows.append({2: "TX", 3: code, 4: f"{number}.{place}", 5: text})
        yield from (row | every for row in rows)


def _identifier(name: str, value: str) -> str:
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
