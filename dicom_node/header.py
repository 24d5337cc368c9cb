"""What is kept of an instance besides its file: plain text and numbers, read without the pixels.

How text, codes and numbers are taken out of what real archives hold says `dicom_node.attributes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.errors import UnreadableInstanceError
from core.identifiers import DEVICE_UID
from core.report import Patient, StudyHeader
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.attributes import Attributes
from dicom_node.character_sets import ASCII, overriding
from dicom_node.contexts import is_image
from dicom_node.inflation import inflate
from dicom_node.raw_elements import read_plain

# Nothing that we read is longer; longer elements stay in the file.
_DEFER_BYTES = 16 << 20
_UID_LENGTH = 64
# Three component groups of 64 letters need a fifth of it (PS3.5 6.2); more is no name.
_NAME_BYTES = 4096
# Requests that one object is the answer to.
_MOST_REQUESTS = 16
_ORIENTATION_VALUES, _POSITION_VALUES = 6, 3
# PS3.16 CID 4014, by SNOMED's codes of today and of before.
_BREAST_VIEWS = {"399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO"}
# Direction cosines of one stack differ in the last printed digits only.
_SAME_DIRECTION = 1e-4


@dataclass(frozen=True, kw_only=True)
class InstanceHeader:
    """Everything that the index and the selection know of an instance.

    Attributes:
        patient_age: Age String such as ``063Y``; empty where absent.
        acquired_at: Acquisition, content or study date and time, joined; sorts as text.
        presentation_intent: ``FOR PRESENTATION``, ``FOR PROCESSING`` or empty.
        patient_orientation: (0020,0020), e.g. ``("L", "F")``.
        image_orientation: Six direction cosines; empty where absent or not the same in all frames.
        image_position: Three coordinates in mm of the first frame; empty where absent.
        scheduled_step_ids: Scheduled procedure steps that it was made for, (0040,0275).
        quality_control_image: ``YES`` for a phantom's image; empty where absent.
        quality_control_subject: ``YES`` where the patient is a phantom; empty where absent.
        is_own: We made it: it carries our device UID, whatever the database remembers.
        patient_name_bytes: Patient's Name as it came, in hexadecimal digits: the name itself says
            what the character set made of it.
        text_problem: What is wrong with the text's character set, a sentence without patient data.
    """

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    patient: Patient = field(repr=False)
    patient_age: str = field(default="", repr=False)
    study_id: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    scheduled_step_ids: tuple[str, ...] = ()
    study_date: str = ""
    study_time: str = ""
    study_description: str = field(default="", repr=False)
    referring_physician: str = field(default="", repr=False)
    modality: str = ""
    series_number: int | None = None
    series_description: str = field(default="", repr=False)
    body_part: str = ""
    laterality: str = ""
    instance_number: int | None = None
    acquired_at: str = ""
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    image_type: tuple[str, ...] = ()
    presentation_intent: str = ""
    patient_orientation: tuple[str, ...] = ()
    image_orientation: tuple[float, ...] = ()
    image_position: tuple[float, ...] = ()
    patient_position: str = ""
    view_position: str = ""
    photometric_interpretation: str = ""
    manufacturer: str = ""
    quality_control_image: str = ""
    quality_control_subject: str = ""
    is_own: bool = False
    patient_name_bytes: str = field(default="", repr=False)
    text_problem: str = ""

    @property
    def is_image(self) -> bool:
        """Whether a person could look at it."""
        return is_image(self.sop_class_uid)

    @property
    def study(self) -> StudyHeader:
        """Patient and study attributes as this instance says them."""
        return StudyHeader(
            study_uid=self.study_uid,
            patient=self.patient,
            study_id=self.study_id,
            accession_number=self.accession_number,
            accession_issuer=self.accession_issuer,
            study_date=self.study_date,
            study_time=self.study_time,
            description=self.study_description,
            referring_physician=self.referring_physician,
            modality=self.modality,
            body_part=self.body_part,
        )


def to_plain(header: InstanceHeader) -> dict[str, Any]:
    """Return a header as what JSON can hold."""
    # `asdict` copies deeply, which takes ten times as long; nothing in here can change.
    return {**vars(header), "patient": dict(vars(header.patient))}


def from_plain(data: dict[str, Any]) -> InstanceHeader:
    """Return the header that `to_plain` wrote, also after a passage through JSON.

    Raises:
        KeyError, TypeError: The data is no such header.
    """
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    values["patient"] = Patient(**data["patient"])
    return InstanceHeader(**values)


def is_valid_uid(text: str) -> bool:
    """Say whether a text may be used as a UID, and so as part of a path.

    Strict in what could lead a path astray: ASCII digits and single dots between them, at most 64
    characters. Lenient in leading zeros of a component, which PS3.5 9.1 forbids and archives hold.
    """
    is_digits_and_dots = text.isascii() and text.replace(".", "0").isdigit()
    return len(text) <= _UID_LENGTH and is_digits_and_dots and all(text.split("."))


def read_header(source: Path | BinaryIO, character_set: str = "") -> InstanceHeader:
    """Read an instance's header; the pixels stay where they are.

    Args:
        source: The file.
        character_set: What its text is in, whatever it says itself: a setting that was checked
            (`core.character_sets.check_character_set`). Empty: what the object says.

    Raises:
        UnreadableInstanceError: Not a DICOM file, cut off, or without usable UIDs.
        OSError: The file itself cannot be read.
    """
    with pydicom_warnings("ignore"):
        attributes = Attributes(_read(source), overriding(character_set))
        if attributes.is_cut_off():
            raise UnreadableInstanceError("The DICOM file is cut off; send it again.")
        return _header(attributes)


def _read(source: Path | BinaryIO) -> Dataset:
    if isinstance(source, BytesIO) and (plain := read_plain(source.getvalue())) is not None:
        return plain
    inflated = inflate(source)
    file = source if inflated is None else inflated.file
    try:
        dataset = dcmread(file, stop_before_pixels=True, defer_size=_DEFER_BYTES)
    except (*PYDICOM_ERRORS, OSError) as error:
        # Of a sequence that ends too early pydicom says so by an OSError of its own.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableInstanceError(
            "This is not a DICOM file, or it is damaged at its start."
        ) from None
    if inflated is not None:
        if not inflated.is_whole and inflated.is_read_through:
            raise UnreadableInstanceError("The deflated data set is too large before its pixels.")
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def _header(attributes: Attributes) -> InstanceHeader:
    uids: dict[str, Any] = {
        "study_uid": attributes.code("StudyInstanceUID"),
        "series_uid": attributes.code("SeriesInstanceUID"),
        "sop_instance_uid": attributes.code("SOPInstanceUID"),
        "sop_class_uid": attributes.code("SOPClassUID"),
        "transfer_syntax_uid": _transfer_syntax(attributes.dataset),
    }
    for name, uid in uids.items():
        if not is_valid_uid(uid):
            what = name.removesuffix("_uid").replace("_", " ")
            raise UnreadableInstanceError(f"The object has no valid {what} UID.")
    orientation, position = _geometry(attributes)
    values = _study_values(attributes) | _series_values(attributes)
    return InstanceHeader(
        **uids,
        **values,
        image_orientation=orientation,
        image_position=position,
        is_own=_is_own(attributes),
        patient_name_bytes=attributes.raw("PatientName")[:_NAME_BYTES].hex(),
        # Known only once all text has been read.
        text_problem=attributes.text_problem,
    )


def _transfer_syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return "" if meta is None else Attributes(meta, ASCII).code("TransferSyntaxUID")


def _study_values(attributes: Attributes) -> dict[str, Any]:
    sex = attributes.code("PatientSex").upper()
    issuer = attributes.item("IssuerOfAccessionNumberSequence")
    return {
        "patient": Patient(
            id=attributes.text("PatientID"),
            issuer=attributes.text("IssuerOfPatientID"),
            name=attributes.text("PatientName"),
            birth_date=attributes.date("PatientBirthDate"),
            sex=sex if sex in {"M", "F", "O"} else "",
        ),
        "patient_age": attributes.code("PatientAge"),
        "study_id": attributes.text("StudyID"),
        "accession_number": attributes.text("AccessionNumber"),
        "accession_issuer": issuer.text("LocalNamespaceEntityID")
        or issuer.text("UniversalEntityID"),
        "scheduled_step_ids": tuple(
            step
            for item in attributes.items("RequestAttributesSequence")[:_MOST_REQUESTS]
            if (step := item.text("ScheduledProcedureStepID"))
        ),
        "study_date": attributes.date("StudyDate"),
        "study_time": attributes.time("StudyTime"),
        "study_description": attributes.text("StudyDescription"),
        "referring_physician": attributes.text("ReferringPhysicianName"),
    }


def _series_values(attributes: Attributes) -> dict[str, Any]:
    region = attributes.item("AnatomicRegionSequence")
    return {
        "modality": attributes.code("Modality").upper(),
        "series_number": attributes.integer("SeriesNumber"),
        "series_description": attributes.text("SeriesDescription"),
        "body_part": (attributes.code("BodyPartExamined") or region.text("CodeMeaning")).upper(),
        "laterality": attributes.code("ImageLaterality") or attributes.code("Laterality"),
        "instance_number": attributes.integer("InstanceNumber"),
        "acquired_at": _acquired_at(attributes),
        "rows": attributes.unsigned("Rows"),
        "columns": attributes.unsigned("Columns"),
        "number_of_frames": max(attributes.integer("NumberOfFrames") or 1, 1),
        "image_type": tuple(value.upper() for value in attributes.codes("ImageType")),
        "presentation_intent": attributes.code("PresentationIntentType").upper(),
        "patient_orientation": tuple(v.upper() for v in attributes.codes("PatientOrientation")),
        "patient_position": attributes.code("PatientPosition").upper(),
        "view_position": _view_position(attributes),
        "photometric_interpretation": attributes.code("PhotometricInterpretation").upper(),
        "manufacturer": attributes.text("Manufacturer"),
        "quality_control_image": attributes.code("QualityControlImage").upper(),
        "quality_control_subject": attributes.code("QualityControlSubject").upper(),
    }


def _view_position(attributes: Attributes) -> str:
    """Return View Position; of a mammogram by View Code Sequence where it is absent."""
    code = attributes.item("ViewCodeSequence").code("CodeValue")
    return attributes.code("ViewPosition").upper() or _BREAST_VIEWS.get(code, "")


def _acquired_at(attributes: Attributes) -> str:
    if moment := re.match(r"[0-9]{8,14}(\.[0-9]{1,6})?", attributes.code("AcquisitionDateTime")):
        return moment.group()
    for name in ("Acquisition", "Content", "Series", "Study"):
        if date := attributes.date(f"{name}Date"):
            return date + attributes.time(f"{name}Time")
    return ""


def _geometry(attributes: Attributes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return orientation and position, from the functional groups of an enhanced object too.

    Frames that lie in different directions (a rotating series in one object) have no orientation
    in common, so none is given: a wrong side would be worse.

    Source: PS3.3 C.7.6.2, C.7.6.16.2.3, C.7.6.16.2.4.
    """
    shared = attributes.item("SharedFunctionalGroupsSequence")
    frames = attributes.items("PerFrameFunctionalGroupsSequence")
    groups = [attributes, shared.item("PlaneOrientationSequence")]
    groups += [frame.item("PlaneOrientationSequence") for frame in frames]
    found = [g.numbers("ImageOrientationPatient", _ORIENTATION_VALUES) for g in groups]
    orientations = [o for o in found if o]
    places = [attributes, *(group.item("PlanePositionSequence") for group in (*frames[:1], shared))]
    positions = (p.numbers("ImagePositionPatient", _POSITION_VALUES) for p in places)
    position = next((p for p in positions if p), ())
    if not orientations or not all(_is_same(o, orientations[0]) for o in orientations):
        return (), position
    return orientations[0], position


def _is_same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(abs(x - y) < _SAME_DIRECTION for x, y in zip(a, b, strict=True))


def _is_own(attributes: Attributes) -> bool:
    """Say whether we made the object: our device UID as equipment, author or observer."""
    if attributes.code("DeviceUID") == DEVICE_UID:
        return True
    authors = attributes.items("AuthorObserverSequence")
    content = attributes.items("ContentSequence")
    return any(author.code("DeviceUID") == DEVICE_UID for author in authors) or any(
        item.code("UID") == DEVICE_UID for item in content
    )
