"""Whose study it is, and which: what images and orders say of it, and every document repeats."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who the study is of, as the images say it.

    Attributes:
        id: Patient ID (0010,0020).
        issuer: Issuer of Patient ID (0010,0021); empty where absent.
        name: Person Name in DICOM form, component groups and carets included.
        birth_date: ``YYYYMMDD`` or empty.
        sex: ``M``, ``F``, ``O`` or empty.
    """

    id: str = ""
    issuer: str = ""
    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """Patient and study attributes that SR and ORU repeat, as text (dates ``YYYYMMDD``)."""

    study_uid: str
    patient: Patient = field(repr=False)
    study_id: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    referring_physician: str = field(default="", repr=False)
    modality: str = ""
    body_part: str = ""


@dataclass(frozen=True, kw_only=True)
class RequestReference:
    """The order that a study was made for, as an order message says it.

    Attributes:
        procedure_code: Value, coding scheme and meaning of the requested procedure.
    """

    accession_number: str = ""
    accession_issuer: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    procedure_id: str = ""
    procedure_description: str = ""
    procedure_code: tuple[str, str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class PriorStudy:
    """An earlier study of the patient that an archive listed; the model has not seen it.

    Attributes:
        date: ``YYYYMMDD`` or empty.
    """

    study_uid: str
    date: str = ""
    modality: str = ""
    description: str = ""
