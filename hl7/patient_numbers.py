"""Patients of a message: their numbers, and those that become one.

Source: HL7 v2.5.1 3.4.2 (PID), 3.4.9 (MRG), table 0203 (identifier types).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.errors import UnreadableMessageError
from core.instructions import MergePatients
from core.report import Patient
from hl7.er7 import Er7Message, Er7Segment
from hl7.escape import one_line
from hl7.person_name import from_xpn

# What a field says that is to be empty; one that is only left out says nothing.
NULL = '""'
# Longer than DICOM (64) or HL7 allow anybody to be.
LONGEST_IDENTIFIER = 64
LONGEST_TEXT = 4000
# Types of identifier that number a patient, and not a person's papers (table 0203).
_PATIENT_NUMBERS = frozenset({"", "MR", "PI", "PT", "MRN"})
_MOST_PATIENTS = 50
_MOST_SEGMENTS = 200


def merges(message: Er7Message) -> Iterator[MergePatients]:
    """Yield what each MRG of a message retires, with what its PID says survives.

    Raises:
        UnreadableMessageError: The message cannot be understood.
    """
    patient: Er7Segment | None = None
    is_found = False
    for number, segment in enumerate(message.segments):
        if segment.name == "PID":
            patient = segment
        elif segment.name == "MRG":
            if patient is None:
                raise UnreadableMessageError("An MRG segment comes before any PID.")
            if number > _MOST_SEGMENTS:
                raise UnreadableMessageError(f"It holds more than {_MOST_SEGMENTS} segments.")
            is_found = True
            yield from _merge(_numbers(segment, 1), patients_of(patient))
    if not is_found:
        raise UnreadableMessageError("It holds no MRG segment.")


def _merge(
    retired: Sequence[tuple[str, str]], surviving: Sequence[Patient]
) -> Iterator[MergePatients]:
    """Pair what is retired with what survives, under the same authority where there is one.

    A number that both sides name stays as it is, and nothing becomes it where others survive.
    """
    if not retired:
        raise UnreadableMessageError("MRG-1 names no patient.")
    going = [one for one in retired if not any(_is_one(one, p) for p in surviving)]
    coming = [p for p in surviving if not any(_is_one(one, p) for one in retired)]
    if not (going and coming):
        going, coming = list(retired), list(surviving)
    pairs: list[MergePatients] = []
    for number, issuer in going:
        same = [p for p in coming if p.issuer == issuer]
        pairs.append(
            MergePatients(retired=Patient(id=number, issuer=issuer), surviving=(same or coming)[0])
        )
    changes = [p for p in pairs if not _is_one((p.retired.id, p.retired.issuer), p.surviving)]
    yield from changes or pairs


def _is_one(number: tuple[str, str], patient: Patient) -> bool:
    return number[0] == patient.id and len({number[1], patient.issuer} - {""}) <= 1


def patients_of(segment: Er7Segment | None) -> tuple[Patient, ...]:
    """Return a patient under each of the numbers of PID-3, else of PID-2.

    Raises:
        UnreadableMessageError: There is none.
    """
    if segment is None:
        raise UnreadableMessageError("It holds no PID segment.")
    numbers = _numbers(segment, 3) or _numbers(segment, 2)
    if not numbers:
        raise UnreadableMessageError("PID-3 names no patient.")
    birth_date = clean(segment.text(7))[:8]
    sex = clean(segment.text(8)).upper()
    patient = Patient(
        name=from_xpn(segment, 5),
        birth_date=birth_date if re.fullmatch("[0-9]{8}", birth_date) else "",
        sex={"A": "O"}.get(sex, sex) if sex in {"M", "F", "O", "A"} else "",
    )
    return tuple(replace(patient, id=number, issuer=issuer) for number, issuer in numbers)


def _numbers(segment: Er7Segment, field_number: int) -> list[tuple[str, str]]:
    """Return a patient's numbers (CX), each with its authority; papers and accounts left out."""
    found: list[tuple[str, str]] = []
    count = len(segment.repetitions(field_number))
    if count > _MOST_PATIENTS:
        raise UnreadableMessageError(f"A patient has more than {_MOST_PATIENTS} numbers.")
    others: list[tuple[str, str]] = []
    for rep in range(1, count + 1):
        number = short(clean(segment.text(field_number, rep=rep)), "patient id")
        authority = clean(segment.text(field_number, 4, rep=rep)) or clean(
            segment.text(field_number, 4, subcomponent=2, rep=rep)
        )
        kind = clean(segment.text(field_number, 5, rep=rep)).upper()
        if number:
            pair = (number, short(authority, "patient id"))
            (found if kind in _PATIENT_NUMBERS else others).append(pair)
    return list(dict.fromkeys(found or others))


def clean(text: str) -> str:
    """Return a text on one line; HL7's null says that there is none."""
    # What nobody keeps is not even looked through: a field may hold megabytes.
    return "" if text.strip() == NULL else one_line(text[: 2 * LONGEST_TEXT])


def short(text: str, name: str) -> str:
    """Return an identifier.

    Raises:
        UnreadableMessageError: It is too long to be one.
    """
    if len(text) > LONGEST_IDENTIFIER:
        raise UnreadableMessageError(
            f"Its {name} is longer than {LONGEST_IDENTIFIER} characters: that is no identifier."
        )
    return text
