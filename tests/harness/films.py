"""Small films and other objects, each study and object with a UID of its own."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

_ROWS, _COLUMNS = 24, 32


def new_uid() -> str:
    """Return a UID that nobody had before."""
    return f"2.25.{uuid.uuid4().int}"


def add_patient(dataset: Dataset, *, patient_id: str = "P1", name: str = "Test^Patient") -> Dataset:
    """Make an object one of a patient."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = patient_id
    dataset.PatientName = name
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "M"
    return dataset


def _object(sop_class: str, study_uid: str, **attributes: Any) -> Dataset:
    dataset = add_patient(Dataset())
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = new_uid()
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = new_uid()
    dataset.StudyDate, dataset.StudyTime = "20240203", "101500"
    dataset.AccessionNumber = "ACC1"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def film(study_uid: str = "", *, value: int = 100, **attributes: Any) -> Dataset:
    """Return a chest film; `value` tells its pixels from those of another."""
    dataset = _object(uid.ComputedRadiographyImageStorage, study_uid or new_uid())
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.PatientOrientation = ["L", "F"]
    dataset.Rows, dataset.Columns = _ROWS, _COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    dataset.PixelData = np.full((_ROWS, _COLUMNS), value, np.uint8).tobytes()
    dataset["PixelData"].VR = "OW"
    for name, attribute in attributes.items():
        setattr(dataset, name, attribute)
    return dataset


def film_of_another_patient(study_uid: str, **attributes: Any) -> Dataset:
    """Return a film that bears the same Study Instance UID and somebody else's Patient ID."""
    return film(study_uid, PatientID="P2", PatientName="Other^Patient", **attributes)


def report_object(study_uid: str = "", **attributes: Any) -> Dataset:
    """Return a structured report of somebody else: no image."""
    dataset = _object(uid.BasicTextSRStorage, study_uid or new_uid(), Modality="SR")
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"
    dataset.ValueType = "CONTAINER"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def save(dataset: Dataset, folder: Path, syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    """Write an object as a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    path = folder / f"{uuid.uuid4().hex}.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path
