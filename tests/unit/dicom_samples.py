"""Small DICOM objects made in code, and real ones of pydicom's collections."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from core.report import (
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    Section,
    SectionKind,
    StudyHeader,
)
from dicom_node.documents import DocumentContext

STUDY_UID = "1.2.826.0.1.3680043.10.1.1"
CHEST_CT_ROWS, CHEST_CT_COLUMNS, CHEST_CT_SLICES = 24, 32, 12


def real(name: str) -> Path:
    """Return a file of pydicom's test collections, without looking it up on a network."""
    for package, folder in (("data_store", "data"), ("pydicom", "data/test_files")):
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        path = Path(spec.submodule_search_locations[0]) / folder / name
        if path.exists():
            return path
    raise FileNotFoundError(name)


def instance(sop_class: str, number: int = 1, **attributes: Any) -> Dataset:
    """Return a data set with the identifiers that every object has."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = f"{STUDY_UID}.1.{number}"
    dataset.StudyInstanceUID = STUDY_UID
    dataset.SeriesInstanceUID = f"{STUDY_UID}.1"
    dataset.InstanceNumber = number
    dataset.PatientID = "P1"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def add_pixels(dataset: Dataset, pixels: NDArray[Any], **attributes: Any) -> Dataset:
    """Add an uncompressed picture: (H, W), (H, W, 3), or (N, H, W) with NumberOfFrames set."""
    is_colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    dataset.Rows, dataset.Columns = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if is_colour else 1
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in attributes.items():
        setattr(dataset, name, value)
    data = np.ascontiguousarray(pixels).tobytes()
    dataset.add_new("PixelData", "OW", data + b"\0" * (len(data) % 2))
    return dataset


def to_bytes(dataset: Dataset, syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """Return a data set as a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write(dataset: Dataset, path: Path, syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    """Write a data set as a DICOM file."""
    path.write_bytes(to_bytes(dataset, syntax))
    return path


def radiograph(pixels: NDArray[Any] | None = None, **attributes: Any) -> Dataset:
    """Return a chest film, display orientation unless told otherwise."""
    if pixels is None:
        pixels = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 80
    defaults = {
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "StudyDate": "20240203",
    }
    dataset = instance(uid.ComputedRadiographyImageStorage, **{**defaults, **attributes})
    add_pixels(dataset, pixels)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def ct_volume() -> NDArray[np.int16]:
    """Return a volume without symmetry, indexed head to feet, front to back, right to left."""
    shape = (CHEST_CT_SLICES, CHEST_CT_ROWS, CHEST_CT_COLUMNS)
    generator = np.random.default_rng(7)
    return generator.integers(-900, 900, shape).astype(np.int16)


def ct_slices(
    *,
    right: str = "L",
    down: str = "P",
    with_orientation: bool = True,
    **attributes: Any,
) -> list[Dataset]:
    """Return the volume as axial slices whose rows run towards `right` and columns `down`."""
    directions = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0)}
    slices = []
    for index, plane in enumerate(ct_volume()):
        pixels = plane if right in "LR" else plane.T
        # Now rows run along right's axis, towards L or P.
        pixels = pixels[:, ::-1] if right in "RA" else pixels
        pixels = pixels[::-1] if down in "RA" else pixels
        dataset = instance(
            uid.CTImageStorage,
            index + 1,
            Modality="CT",
            BodyPartExamined="CHEST",
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            RescaleSlope=1,
            RescaleIntercept=0,
            **attributes,
        )
        add_pixels(dataset, pixels)
        if with_orientation:
            dataset.ImageOrientationPatient = [*directions[right], *directions[down]]
            dataset.ImagePositionPatient = [0, 0, -5.0 * index]
        slices.append(dataset)
    return slices


def a_report(
    english: str = "The lungs are clear.\nNo pneumothorax.",
    arabic: str = "الرئتان صافيتان.\nلا يوجد استرواح صدري.",
    *,
    frames: tuple[FrameReference, ...] = (),
    is_demonstration: bool = True,
) -> Report:
    """Return a draft in both languages."""

    def narrative(language: Language, findings: str, rest: str) -> Narrative:
        kinds = (SectionKind.FINDINGS, SectionKind.IMPRESSION, SectionKind.SUMMARY)
        texts = (findings, rest, rest)
        pairs = zip(kinds, texts, strict=True)
        return Narrative(
            language=language, sections=tuple(Section(kind=k, text=t) for k, t in pairs)
        )

    return Report(
        narratives=(
            narrative(Language.EN, english, "Normal chest."),
            narrative(Language.AR, arabic, "صدر طبيعي."),
        ),
        model=ModelVersion(
            name="BiMediX2-8B-Bi", revision="0123456789ab", is_demonstration=is_demonstration
        ),
        frames=frames,
    )


def a_study_header(**attributes: Any) -> StudyHeader:
    """Return patient and study as an ordinary image says them."""
    values: dict[str, Any] = {
        "study_uid": STUDY_UID,
        "patient": Patient(
            id="MRN1", issuer="HOSP", name="Test^Patient=نزار^أحمد", birth_date="19700101", sex="M"
        ),
        "study_id": "1",
        "accession_number": "ACC1",
        "accession_issuer": "RIS",
        "study_date": "20240203",
        "study_time": "101500",
        "description": "CHEST PA",
        "referring_physician": "Doctor^A",
    }
    return StudyHeader(**{**values, **attributes})


def a_context(**attributes: Any) -> DocumentContext:
    """Return what stands around an ordinary report."""
    values: dict[str, Any] = {
        "header": a_study_header(),
        "report_version": 1,
        "created_at": datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=3))),
        "software_version": "0.1.0",
    }
    return DocumentContext(**{**values, **attributes})


def frames_of(*series: str) -> tuple[FrameReference, ...]:
    """Return one frame reference a series named."""
    return tuple(
        FrameReference(
            series_uid=name,
            sop_class_uid=uid.ComputedRadiographyImageStorage,
            sop_instance_uid=f"{STUDY_UID}.9.{number}",
            reason="the only image of view PA",
        )
        for number, name in enumerate(series, start=1)
    )
