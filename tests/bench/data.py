"""What is sent: synthetic images with the headers of their modality, made on the spot."""

from __future__ import annotations

import shutil
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

# Two cores and the senders' page cache live in the same memory: half of what is free stays free.
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
_SERIES_LENGTH = 500
_NOISE_SEED = 3
_BIG_FRAME_BYTES = 512 * 512 * 2


@dataclass(frozen=True, kw_only=True)
class Load:
    """Files that one round sends.

    Attributes:
        size_bytes: Of all files together.
    """

    name: str
    files: list[Path]
    size_bytes: int

    def split(self, associations: int) -> list[list[Path]]:
        """Deal the files out to associations; none is sent twice."""
        return [self.files[number::associations] for number in range(associations)]

    def __str__(self) -> str:
        each = self.size_bytes / len(self.files)
        return (
            f"{len(self.files)} {self.name} of {each / 1e3:,.0f} kB "
            f"({self.size_bytes / 1e9:.2f} GB)"
        )


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A modality's images: how many are sent, and how large."""

    sop_class: str
    modality: str
    rows: int
    columns: int
    count: int
    quick_count: int
    is_one_study: bool = True
    manufacturer: str = "SYNTHETIC"


KINDS = {
    "ct": Kind(
        sop_class=uid.CTImageStorage,
        modality="CT",
        rows=512,
        columns=512,
        count=500,
        quick_count=40,
    ),
    "cr": Kind(
        sop_class=uid.ComputedRadiographyImageStorage,
        modality="CR",
        rows=3000,
        columns=3000,
        count=40,
        quick_count=4,
        is_one_study=False,
    ),
    "mr": Kind(
        sop_class=uid.MRImageStorage,
        modality="MR",
        rows=256,
        columns=256,
        count=5000,
        quick_count=200,
    ),
}


def source_folder(needed_bytes: int, work: Path) -> Path:
    """Return where files are made: in memory where that holds them, to read them for nothing."""
    if _MEMORY_DISK.is_dir() and shutil.disk_usage(_MEMORY_DISK).free > 4 * needed_bytes:
        return _MEMORY_DISK
    return work


def make_load(name: str, folder: Path, *, is_quick: bool) -> Load:
    """Write a modality's images; they differ from each other in UIDs and in pixels."""
    kind = KINDS[name]
    folder.mkdir(parents=True)
    count = kind.quick_count if is_quick else kind.count
    noise = np.random.default_rng(_NOISE_SEED).integers(
        0, 4096, (kind.rows, kind.columns), dtype=np.uint16
    )
    dataset = _image(kind)
    files = []
    for number in range(count):
        _place(dataset, kind, number)
        dataset.PixelData = np.roll(noise, number, axis=0).tobytes()
        path = folder / f"{number:06d}.dcm"
        dcmwrite(path, dataset, enforce_file_format=True)
        files.append(path)
    return Load(name=kind.modality, files=files, size_bytes=_size(files))


def make_big(folder: Path, size_bytes: int) -> Load:
    """Write one multi-frame object whose pixels are a hole in the file: all zeros, on no disk."""
    folder.mkdir(parents=True)
    dataset = _dataset(uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "OT", 512, 512)
    frames = size_bytes // _BIG_FRAME_BYTES
    dataset.ConversionType = "WSD"
    dataset.NumberOfFrames = frames
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.FrameTime = "40"
    path = folder / "big.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    with path.open("ab") as file:
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, frames * _BIG_FRAME_BYTES))
        file.truncate(file.tell() + frames * _BIG_FRAME_BYTES)
    return Load(name="multi-frame", files=[path], size_bytes=_size([path]))


def new_uid() -> str:
    """Return a UID that nobody had before."""
    return f"2.25.{uuid.uuid4().int}"


def _size(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _place(dataset: Dataset, kind: Kind, number: int) -> None:
    """Make the data set the next image of its series."""
    dataset.SOPInstanceUID = new_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if not kind.is_one_study:
        dataset.StudyInstanceUID = new_uid()
        dataset.AccessionNumber = f"BENCH{number}"
    if number % _SERIES_LENGTH == 0 or not kind.is_one_study:
        dataset.SeriesInstanceUID = new_uid()
        dataset.SeriesNumber = number // _SERIES_LENGTH + 1
    dataset.InstanceNumber = number + 1
    if "SliceLocation" in dataset:
        dataset.SliceLocation = f"{number:.1f}"
        dataset.ImagePositionPatient = ["-250", "-250", f"{number:.1f}"]


def _image(kind: Kind) -> Dataset:
    dataset = _dataset(kind.sop_class, kind.modality, kind.rows, kind.columns)
    dataset.Manufacturer = kind.manufacturer
    if kind.modality == "CR":
        dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
        dataset.PatientOrientation = ["L", "F"]
        dataset.PixelSpacing = dataset.ImagerPixelSpacing = ["0.143", "0.143"]
        return dataset
    _set_plane(dataset)
    if kind.modality == "CT":
        dataset.KVP, dataset.ConvolutionKernel, dataset.GantryDetectorTilt = "120", "B30f", "0"
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    else:
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
        dataset.MRAcquisitionType, dataset.RepetitionTime, dataset.EchoTime = "2D", "500", "15"
        dataset.MagneticFieldStrength = "1.5"
    return dataset


def _set_plane(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = new_uid(), ""
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient = ["-250", "-250", "0"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.977", "0.977"], "1"
    dataset.SliceLocation, dataset.PatientPosition = "0", "HFS"
    dataset.BodyPartExamined = "CHEST"


def _dataset(sop_class: str, modality: str, rows: int, columns: int) -> Dataset:
    dataset = Dataset()
    attributes: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SOPClassUID": sop_class,
        "SOPInstanceUID": new_uid(),
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "StudyDate": "20240203",
        "StudyTime": "101500",
        "AccessionNumber": "BENCH",
        "Modality": modality,
        "StudyDescription": "SYNTHETIC",
        "SeriesDescription": "SYNTHETIC",
        "PatientName": "Bench^Synthetic",
        "PatientID": "BENCH1",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": "1064",
        "WindowWidth": "400",
    }
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return dataset
