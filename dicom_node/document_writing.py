"""What every DICOM object of ours holds, whatever it is: patient, study, device, references, file.

Source: PS3.3 C.7.1.1, C.7.2.1, C.7.5.1, C.17.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO

from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from core.errors import TextIntegrityError
from core.identifiers import DEVICE_UID, MANUFACTURER, document_series_uid, document_uid
from core.report import (
    FrameReference,
    Language,
    ModelVersion,
    RequestReference,
    StudyHeader,
)
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor
from dicom_node.header_text import dated, described, identified, named, timed

SH_LENGTH, LO_LENGTH = 16, 64
_MULTI_FRAME_CLASSES = frozenset(
    {
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.EnhancedMRImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
    }
)


@contextmanager
def refusing_loss() -> Iterator[None]:
    """Turn every way in which pydicom loses a letter into an error.

    Raises:
        TextIntegrityError: Something cannot be written as it is.
    """
    try:
        with pydicom_warnings("error"):
            yield
    except (Warning, UnicodeError):
        # Without the cause: its message quotes the value.
        raise TextIntegrityError("A text of the report cannot be written as DICOM.") from None


def to_file(dataset: Dataset) -> bytes:
    """Return a data set as a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    # Not pydicom's, which would change the bytes with every release of it.
    dataset.file_meta.ImplementationClassUID = uid.UID(DEVICE_UID)
    dataset.file_meta.ImplementationVersionName = MANUFACTURER.upper()
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def from_file(data: bytes) -> Dataset:
    """Return the data set of a file of ours, with every element decoded.

    Raises:
        TextIntegrityError: It cannot be read, or letters would be lost.
    """
    with pydicom_warnings("error"):
        try:
            dataset = dcmread(BytesIO(data))
            # Conversion happens on access; here every element is touched under our rule.
            dataset.walk(lambda _dataset, _element: None)
        except (*PYDICOM_ERRORS, Warning):
            raise TextIntegrityError("The object cannot be read back.") from None
    return dataset


def write_patient_and_study(dataset: Dataset, header: StudyHeader) -> None:
    """Write patient and study as the images say them."""
    # Only UTF-8 holds both languages; pydicom would write "????" in any other.
    dataset.SpecificCharacterSet = "ISO_IR 192"
    patient = header.patient
    dataset.PatientName = named(patient.name)
    dataset.PatientID = identified(patient.id, LO_LENGTH)
    if issuer := identified(patient.issuer, LO_LENGTH):
        dataset.IssuerOfPatientID = issuer
    dataset.PatientBirthDate = dated(patient.birth_date)
    dataset.PatientSex = patient.sex if patient.sex in {"M", "F", "O"} else ""
    dataset.StudyInstanceUID = header.study_uid
    dataset.StudyID = identified(header.study_id, SH_LENGTH)
    dataset.StudyDate = dated(header.study_date)
    dataset.StudyTime = timed(header.study_time)
    dataset.ReferringPhysicianName = named(header.referring_physician)
    if description := described(header.description):
        dataset.StudyDescription = description
    write_accession(dataset, header.accession_number, header.accession_issuer)


def verify_patient_and_study(dataset: Dataset, header: StudyHeader) -> None:
    """Prove that an object is of the patient and study that it is meant for.

    Raises:
        TextIntegrityError: An identifier or the name is another.
    """
    wanted = Dataset()
    write_patient_and_study(wanted, header)
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientName", "StudyInstanceUID"):
        if str(dataset.get(keyword, "")) != str(wanted.get(keyword, "")):
            raise TextIntegrityError("The object does not name the study's own patient.")
    if dataset.get("AccessionNumber", "") != wanted.AccessionNumber:
        raise TextIntegrityError("The object does not name the study's own accession number.")


def write_accession(dataset: Dataset, number: str, issuer: str) -> None:
    """Write an accession number, and who gave it."""
    dataset.AccessionNumber = identified(number, SH_LENGTH)
    if dataset.AccessionNumber and (name := described(issuer)):
        authority = Dataset()
        authority.LocalNamespaceEntityID = name
        dataset.IssuerOfAccessionNumberSequence = [authority]


def write_beginning(
    dataset: Dataset,
    context: DocumentContext,
    model: ModelVersion,
    *,
    sop_class_uid: str,
    kind: str,
    language: Language | None,
    number: int = 0,
) -> None:
    """Write what every object of ours begins with: patient, study, equipment, its own identifiers.

    Args:
        dataset: What is written to.
        context: Patient, study and version.
        model: Which model wrote.
        sop_class_uid: Of the object.
        kind: Decides the UID, as do `language` and `number`.
        language: None for an object of all languages.
        number: Tells apart objects of one kind and language.
    """
    write_patient_and_study(dataset, context.header)
    _write_equipment(dataset, model, context.software_version)
    study, version = context.header.study_uid, context.report_version
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = document_uid(study, version, kind, language, number=number)
    dataset.SeriesInstanceUID = document_series_uid(study, version, kind, language)
    dataset.TimezoneOffsetFromUTC = context.created_at.strftime("%z")[:5]
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{name}Date", context.created_at.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", context.created_at.strftime("%H%M%S"))


def _write_equipment(dataset: Dataset, model: ModelVersion, software_version: str) -> None:
    """Write Taqrir as the device, with the model and both versions."""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = described(model.name)
    dataset.DeviceUID = DEVICE_UID
    versions = (described(software_version), described(str(model)))
    dataset.SoftwareVersions = [version for version in versions if version]


def request_items(context: DocumentContext) -> list[Dataset]:
    """Return the orders, as items of Referenced Request Sequence (PS3.3 C.17.2)."""
    header = context.header
    requests = context.requests or (
        RequestReference(
            accession_number=header.accession_number, accession_issuer=header.accession_issuer
        ),
    )
    return [_request(request, header) for request in requests]


def _request(request: RequestReference, header: StudyHeader) -> Dataset:
    item = Dataset()
    write_accession(item, request.accession_number, request.accession_issuer)
    item.ReferencedStudySequence = []
    item.StudyInstanceUID = header.study_uid
    description = request.procedure_description or header.description
    item.RequestedProcedureDescription = described(description)
    item.RequestedProcedureCodeSequence = []
    if request.procedure_code and all(request.procedure_code):
        value, scheme, meaning = request.procedure_code
        code = Dataset()
        code.CodeValue = identified(value, SH_LENGTH)
        code.CodingSchemeDesignator = identified(scheme, SH_LENGTH)
        code.CodeMeaning = described(meaning)
        if code.CodeValue and code.CodingSchemeDesignator and code.CodeMeaning:
            item.RequestedProcedureCodeSequence.append(code)
    item.RequestedProcedureID = identified(request.procedure_id, SH_LENGTH)
    item.PlacerOrderNumberImagingServiceRequest = identified(request.placer_order_number, LO_LENGTH)
    item.FillerOrderNumberImagingServiceRequest = identified(request.filler_order_number, LO_LENGTH)
    return item


def reference_item(document: DocumentReference) -> Dataset:
    """Return a reference to an object."""
    item = Dataset()
    item.ReferencedSOPClassUID = document.sop_class_uid
    item.ReferencedSOPInstanceUID = document.sop_instance_uid
    return item


def frame_item(document: DocumentReference) -> Dataset:
    """Return a reference to an image, or to one frame of it."""
    item = reference_item(document)
    if document.frame_number:
        item.ReferencedFrameNumber = document.frame_number
    return item


def hierarchy_item(study_uid: str, documents: Iterable[DocumentReference]) -> Dataset:
    """Return a study with its instances under their series, each once (PS3.3 C.17.2.1)."""
    series: dict[str, dict[str, Dataset]] = {}
    for document in documents:
        instances = series.setdefault(document.series_uid, {})
        instances.setdefault(document.sop_instance_uid, reference_item(document))
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.ReferencedSeriesSequence = []
    for series_uid, instances in series.items():
        group = Dataset()
        group.SeriesInstanceUID = series_uid
        group.ReferencedSOPSequence = list(instances.values())
        item.ReferencedSeriesSequence.append(group)
    return item


def write_predecessors(
    dataset: Dataset, study_uid: str, predecessors: Iterable[Predecessor]
) -> None:
    """Write Predecessor Documents Sequence, with what became of each (PS3.16 CID 7009)."""
    purposes = {one.document.sop_instance_uid: one.purpose for one in predecessors}
    if not purposes:
        return
    item = hierarchy_item(study_uid, [one.document for one in predecessors])
    for group in item.ReferencedSeriesSequence:
        for reference in group.ReferencedSOPSequence:
            term = terms.PURPOSES[purposes[reference.ReferencedSOPInstanceUID]]
            reference.PurposeOfReferenceCodeSequence = [term.item()]
    dataset.PredecessorDocumentsSequence = [item]


def frames_as_references(frames: Iterable[FrameReference]) -> list[DocumentReference]:
    """Return the images that frames are of."""
    return [
        DocumentReference(
            sop_instance_uid=frame.sop_instance_uid,
            series_uid=frame.series_uid,
            sop_class_uid=frame.sop_class_uid,
            frame_number=frame.frame_number if _has_frames(frame) else 0,
        )
        for frame in frames
    ]


def _has_frames(frame: FrameReference) -> bool:
    return frame.frame_number > 1 or frame.sop_class_uid in _MULTI_FRAME_CLASSES


def author_item(model: ModelVersion) -> Dataset:
    """Return Taqrir as the author of a text (PS3.3 C.17.2.2, Author Observer Sequence)."""
    author = Dataset()
    author.ObserverType = "DEV"
    author.Manufacturer = MANUFACTURER
    author.ManufacturerModelName = described(model.name)
    author.DeviceUID = DEVICE_UID
    author.StationName = MANUFACTURER
    author.InstitutionName = ""
    author.InstitutionCodeSequence = []
    return author


def our_scheme() -> Dataset:
    """Return our own coding scheme, as Coding Scheme Identification Sequence names it."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = terms.OUR_SCHEME
    scheme.CodingSchemeName = "Taqrir codes"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    return scheme
