"""What a message of an information system asks for, in plain words: no HL7, no rows.

`hl7.orders` reads messages into these; `worker.orders` follows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.orders import OrderReference
from core.report import Patient

STAT, ROUTINE = "stat", "routine"


@dataclass(frozen=True, kw_only=True)
class StudyKey:
    """By what a message names a study; the first that is filled counts, if a study bears it.

    Attributes:
        study_uid: Study Instance UID.
        accession_number: Accession number; its issuer agrees with any where one side leaves it out.
        scheduled_step_id: Scheduled procedure step.
    """

    study_uid: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    scheduled_step_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    """An order, new or changed.

    Attributes:
        patients: The patient under each of its numbers, the leading one first.
        priority: Lane, `STAT` or `ROUTINE`; `priority_code` is the order's own word.
        modality: DICOM modality, e.g. ``CR``.
        removed: What it says is there no more, by the names of these fields and of those of key and
            reference. What is only left out stays as it was.
    """

    patients: tuple[Patient, ...]
    key: StudyKey
    reference: OrderReference
    priority: str = ROUTINE
    priority_code: str = ""
    modality: str = ""
    removed: frozenset[str] = frozenset()
    is_cancelled: bool = False


@dataclass(frozen=True, kw_only=True)
class NoteReport:
    """A report that somebody signed elsewhere.

    Attributes:
        status: Result status, ``F`` or ``C``.
        observed_at: Digits of date and time; empty where unknown.
        impression: Its impression, where it marks one.
    """

    patients: tuple[Patient, ...]
    key: StudyKey
    status: str
    modality: str = ""
    observed_at: str = ""
    impression: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class UpdatePatient:
    """A patient's words as they are now, under each of the numbers."""

    patients: tuple[Patient, ...]


@dataclass(frozen=True, kw_only=True)
class MergePatients:
    """One number stands for another from now on."""

    retired: Patient
    surviving: Patient


Instruction = PlaceOrder | NoteReport | UpdatePatient | MergePatients
