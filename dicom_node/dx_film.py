"""A chest film as a Digital X-Ray Image (for presentation), made of an array.

For phantoms: nothing in it is of a person, and its UIDs follow from a name, so that the same
phantom is the same object again.

Source: PS3.3 A.26 (DX IOD), C.8.11.1 to C.8.11.5, C.11.2, C.11.8; PS3.16 CID 4009, 4010.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from core.identifiers import DEVICE_UID, MANUFACTURER
from dicom_node import pydicom_warnings

_EIGHT = 8
# CID 4009 DX Anatomy Imaged, CID 4010 DX View.
_CHEST = ("816094009", "SCT", "Chest")
_VIEWS = {
    "PA": ("272479007", "SCT", "postero-anterior"),
    "AP": ("399348003", "SCT", "antero-posterior"),
}
_WIDTH_MM = 350.0


@dataclass(frozen=True, kw_only=True)
class DxFilm:
    """What a film's object holds.

    Attributes:
        values: Array (H, W), uint8 where `bits` is 8, else uint16.
        photometric: ``MONOCHROME1`` or ``MONOCHROME2``.
        window: Centre and width that show the whole film.
        view: ``PA`` or ``AP``.
        name: What the UIDs are made of: the same name, the same UIDs.
    """

    values: NDArray[Any] = field(repr=False)
    bits: int
    photometric: str
    window: tuple[float, float]
    view: str
    name: str
    patient_id: str
    patient_name: str
    sex: str
    accession_number: str
    study_date: str
    study_time: str


def build_dx(film: DxFilm) -> bytes:
    """Return the whole DICOM file; the same film gives the same bytes."""
    dataset = Dataset()
    with pydicom_warnings("error"):
        _write_patient_and_study(dataset, film)
        _write_series(dataset, film)
        _write_anatomy(dataset, film)
        _write_image(dataset, film)
        _write_pixels(dataset, film)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        dataset.file_meta.ImplementationClassUID = uid.UID(DEVICE_UID)
        dataset.file_meta.ImplementationVersionName = MANUFACTURER.upper()
        buffer = BytesIO()
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _uid(film: DxFilm, kind: str) -> str:
    return uid.generate_uid(prefix="2.25.", entropy_srcs=[film.name, kind])


def _write_patient_and_study(dataset: Dataset, film: DxFilm) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = film.patient_name
    dataset.PatientID = film.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = film.sex
    dataset.StudyInstanceUID = _uid(film, "study")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = film.study_date
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = film.study_time
    dataset.ContentDate, dataset.ContentTime = film.study_date, film.study_time
    dataset.StudyID = "1"
    dataset.AccessionNumber = film.accession_number
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic phantom: chest"


def _write_series(dataset: Dataset, film: DxFilm) -> None:
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = _uid(film, "image")
    dataset.SeriesInstanceUID = _uid(film, "series")
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BodyPartExamined = "CHEST"
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = "Phantom"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"


def _write_anatomy(dataset: Dataset, film: DxFilm) -> None:
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = [_code(*_CHEST)]
    dataset.ViewPosition = film.view
    dataset.ViewCodeSequence = [_code(*_VIEWS[film.view])]
    dataset.PatientOrientation = ["L", "F"]
    dataset.AcquisitionContextSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _write_image(dataset: Dataset, film: DxFilm) -> None:
    is_inverse = film.photometric == "MONOCHROME1"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.DerivationDescription = "Drawn from numbers; no person was examined"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if is_inverse else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "INVERSE" if is_inverse else "IDENTITY"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.WindowCenter, dataset.WindowWidth = film.window
    dataset.DetectorType = "DIRECT"
    dataset.PositionerType = ""
    spacing = round(_WIDTH_MM / film.values.shape[1], 4)
    dataset.ImagerPixelSpacing = [spacing, spacing]


def _write_pixels(dataset: Dataset, film: DxFilm) -> None:
    rows, columns = film.values.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = film.photometric
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = 8 if film.bits == _EIGHT else 16
    dataset.BitsStored, dataset.HighBit = film.bits, film.bits - 1
    dataset.PixelRepresentation = 0
    data = np.ascontiguousarray(film.values).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if film.bits == _EIGHT else "OW"
