"""A report as DICOM Basic Text SR by TID 2000: one document a language, each a series of its own.

Everything that says how finished the report is (flags, mark, notices) comes from
`core.report.standing` and `core.report.notices`. The notices are the first section of the tree, so
that every viewer prints them before any text of the model; the mark also leads the Series
Description, which is what a list of series shows.

The same arguments give the same bytes. `build_sr` reads its own result back before it returns it.

Source: PS3.3 A.35.1, C.17; PS3.16 TID 2000.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from core.errors import TextIntegrityError
from core.identifiers import DEVICE_UID, MANUFACTURER, document_series_uid, document_uid
from core.report import (
    FrameReference,
    Language,
    Report,
    StudyHeader,
    notices,
    standing,
)
from dicom_node import pydicom_warnings
from dicom_node import sr_terms as terms
from dicom_node.header_text import dated, described, identified, named, timed
from dicom_node.sr_reading import check_text, read_back, to_lines, verify_sr
from dicom_node.sr_terms import Term

__all__ = ["DocumentReference", "build_sr", "read_back", "verify_sr"]

KIND = "sr"
# High, so that viewers list them behind the images; one a language, the same in every version.
_SERIES_NUMBERS = {Language.EN: 9901, Language.AR: 9902}
_SH_LENGTH, _LO_LENGTH = 16, 64
_MULTI_FRAME_CLASSES = frozenset(
    {
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.EnhancedMRImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
    }
)


@dataclass(frozen=True, kw_only=True)
class DocumentReference:
    """Another document of the same study."""

    sop_instance_uid: str
    series_uid: str
    sop_class_uid: str = uid.BasicTextSRStorage


def build_sr(
    *,
    report: Report,
    header: StudyHeader,
    language: Language,
    report_version: int,
    created_at: datetime,
    software_version: str,
    predecessor: DocumentReference | None = None,
) -> bytes:
    """Return a report in one language as a whole DICOM file.

    Args:
        report: What to write; it must have a narrative in the language.
        header: Patient and study as the images say them, so that viewers show one patient.
        language: Which narrative.
        report_version: Decides the UIDs, with study and language.
        created_at: Aware; its offset becomes Timezone Offset From UTC, which by the standard also
            holds for the study's date and time: hand over the site's local time.
        software_version: Of Taqrir.
        predecessor: The same language's document that this one replaces.

    Raises:
        KeyError: The report has no narrative in that language.
        ValueError: `created_at` has no offset.
        TextIntegrityError: A text cannot be written so that it reads back as it was.
    """
    if created_at.tzinfo is None:
        raise ValueError("created_at needs an offset")
    # Everything is checked before anything is written.
    for section in report.narrative(language).sections:
        check_text(section.text)
    dataset = Dataset()
    try:
        with pydicom_warnings("error"):
            _write_patient_and_study(dataset, header)
            _write_equipment(dataset, report, software_version)
            _write_document(
                dataset,
                report=report,
                study_uid=header.study_uid,
                language=language,
                report_version=report_version,
                created_at=created_at,
            )
            _write_references(
                dataset,
                report=report,
                header=header,
                language=language,
                report_version=report_version,
                predecessor=predecessor,
            )
            dataset.ContentSequence = [
                *_observation_context(report, language),
                *_sections(report, language),
            ]
            data = _to_file(dataset)
    except (Warning, UnicodeError):
        # Without the cause: its message quotes the value.
        raise TextIntegrityError("A text of the report cannot be written as DICOM.") from None
    verify_sr(data, report, language)
    return data


def _to_file(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    # Not pydicom's, which would change the bytes with every release of it.
    dataset.file_meta.ImplementationClassUID = uid.UID(DEVICE_UID)
    dataset.file_meta.ImplementationVersionName = MANUFACTURER.upper()
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _write_patient_and_study(dataset: Dataset, header: StudyHeader) -> None:
    # Only UTF-8 holds both languages; pydicom would write "????" in any other.
    dataset.SpecificCharacterSet = "ISO_IR 192"
    patient = header.patient
    dataset.PatientName = named(patient.name)
    dataset.PatientID = identified(patient.id, _LO_LENGTH)
    if issuer := identified(patient.issuer, _LO_LENGTH):
        dataset.IssuerOfPatientID = issuer
    dataset.PatientBirthDate = dated(patient.birth_date)
    dataset.PatientSex = patient.sex if patient.sex in {"M", "F", "O"} else ""
    dataset.StudyInstanceUID = header.study_uid
    dataset.StudyID = identified(header.study_id, _SH_LENGTH)
    dataset.StudyDate = dated(header.study_date)
    dataset.StudyTime = timed(header.study_time)
    dataset.ReferringPhysicianName = named(header.referring_physician)
    if description := described(header.description):
        dataset.StudyDescription = description
    _write_accession(dataset, header)


def _write_accession(dataset: Dataset, header: StudyHeader) -> None:
    dataset.AccessionNumber = identified(header.accession_number, _SH_LENGTH)
    if dataset.AccessionNumber and (issuer := described(header.accession_issuer)):
        authority = Dataset()
        authority.LocalNamespaceEntityID = issuer
        dataset.IssuerOfAccessionNumberSequence = [authority]


def _write_equipment(dataset: Dataset, report: Report, software_version: str) -> None:
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = described(report.model.name)
    dataset.DeviceUID = DEVICE_UID
    dataset.SoftwareVersions = [described(software_version), described(str(report.model))]


def _write_document(
    dataset: Dataset,
    *,
    report: Report,
    study_uid: str,
    language: Language,
    report_version: int,
    created_at: datetime,
) -> None:
    state = standing(report.status)
    dataset.SOPClassUID = uid.BasicTextSRStorage
    dataset.SOPInstanceUID = document_uid(study_uid, report_version, KIND, language)
    dataset.SeriesInstanceUID = document_series_uid(study_uid, report_version, KIND, language)
    dataset.Modality = "SR"
    dataset.SeriesNumber = _SERIES_NUMBERS[language]
    warning = " - NOT VERIFIED" if state.verification_flag == "UNVERIFIED" else ""
    dataset.SeriesDescription = f"{state.mark} {language.upper()}{warning}"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.InstanceNumber = report_version
    dataset.CompletionFlag = state.completion_flag
    # LO; the first sentence of the notice.
    dataset.CompletionFlagDescription = described(state.notices[Language.EN].split(". ")[0])
    dataset.VerificationFlag = state.verification_flag
    dataset.PreliminaryFlag = state.preliminary_flag
    dataset.TimezoneOffsetFromUTC = created_at.strftime("%z")[:5]
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{name}Date", created_at.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", created_at.strftime("%H%M%S"))
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ConceptNameCodeSequence = [terms.TITLE.item(language)]
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2000"
    dataset.ContentTemplateSequence = [template]


def _write_references(
    dataset: Dataset,
    *,
    report: Report,
    header: StudyHeader,
    language: Language,
    report_version: int,
    predecessor: DocumentReference | None,
) -> None:
    study = header.study_uid
    author = Dataset()
    author.ObserverType = "DEV"
    author.Manufacturer = MANUFACTURER
    author.ManufacturerModelName = described(report.model.name)
    author.DeviceUID = DEVICE_UID
    author.StationName = MANUFACTURER
    author.InstitutionName = ""
    author.InstitutionCodeSequence = []
    dataset.AuthorObserverSequence = [author]
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedRequestSequence = [_request(header)]
    if predecessor:
        item = _hierarchy(study, [predecessor])
        reference = item.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        reference.PurposeOfReferenceCodeSequence = [terms.REPLACED_REPORT.item()]
        dataset.PredecessorDocumentsSequence = [item]
    evidence = [
        DocumentReference(
            sop_instance_uid=f.sop_instance_uid,
            series_uid=f.series_uid,
            sop_class_uid=f.sop_class_uid,
        )
        for f in report.frames
    ]
    if language is not Language.EN and _has_english(report):
        source = DocumentReference(
            sop_instance_uid=document_uid(study, report_version, KIND, Language.EN),
            series_uid=document_series_uid(study, report_version, KIND, Language.EN),
        )
        item = _reference(source)
        item.PurposeOfReferenceCodeSequence = [terms.SOURCE_DOCUMENT.item()]
        dataset.ReferencedInstanceSequence = [item]
        # Listed as evidence too, since only there stands the series that it is to be found in.
        evidence.append(source)
    if evidence:
        dataset.CurrentRequestedProcedureEvidenceSequence = [_hierarchy(study, evidence)]
    dataset.CodingSchemeIdentificationSequence = [_our_scheme()]


def _has_english(report: Report) -> bool:
    return any(n.language is Language.EN for n in report.narratives)


def _our_scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = terms.OUR_SCHEME
    scheme.CodingSchemeName = "Taqrir codes"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    return scheme


def _request(header: StudyHeader) -> Dataset:
    item = Dataset()
    _write_accession(item, header)
    item.ReferencedStudySequence = []
    item.StudyInstanceUID = header.study_uid
    item.RequestedProcedureDescription = described(header.description)
    item.RequestedProcedureCodeSequence = []
    item.RequestedProcedureID = ""
    item.PlacerOrderNumberImagingServiceRequest = ""
    item.FillerOrderNumberImagingServiceRequest = ""
    return item


def _reference(document: DocumentReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = document.sop_class_uid
    item.ReferencedSOPInstanceUID = document.sop_instance_uid
    return item


def _hierarchy(study_uid: str, documents: Iterable[DocumentReference]) -> Dataset:
    """Return a study with its instances under their series, each once (PS3.3 C.17.2.1)."""
    series: dict[str, dict[str, Dataset]] = {}
    for document in documents:
        instances = series.setdefault(document.series_uid, {})
        instances.setdefault(document.sop_instance_uid, _reference(document))
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.ReferencedSeriesSequence = []
    for series_uid, instances in series.items():
        group = Dataset()
        group.SeriesInstanceUID = series_uid
        group.ReferencedSOPSequence = list(instances.values())
        item.ReferencedSeriesSequence.append(group)
    return item


def _content(relationship: str, value_type: str, name: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [name]
    return item


def _text(relationship: str, name: Dataset, text: str) -> Dataset:
    item = _content(relationship, "TEXT", name)
    item.TextValue = text
    return item


def _code(relationship: str, name: Term, value: Term) -> Dataset:
    item = _content(relationship, "CODE", name.item())
    item.ConceptCodeSequence = [value.item()]
    return item


def _observation_context(report: Report, language: Language) -> list[Dataset]:
    """Return language and observer; few items, since viewers print all before the first section."""
    device = _content("HAS OBS CONTEXT", "UIDREF", terms.DEVICE_UID_TERM.item())
    device.UID = DEVICE_UID
    context = "HAS OBS CONTEXT"
    return [
        _code("HAS CONCEPT MOD", terms.LANGUAGE, terms.LANGUAGES[language]),
        _code(context, terms.OBSERVER_TYPE, terms.DEVICE),
        device,
        _text(context, terms.DEVICE_NAME.item(), MANUFACTURER),
        _text(context, terms.ALGORITHM_NAME.item(), described(report.model.name) or "unknown"),
        _text(
            context, terms.ALGORITHM_VERSION.item(), described(report.model.revision) or "unknown"
        ),
    ]


def _section(heading: Term, language: Language, items: list[Dataset]) -> Dataset:
    section = _content("CONTAINS", "CONTAINER", heading.item(language))
    section.ContinuityOfContent = "SEPARATE"
    section.ContentSequence = items
    return section


def _sections(report: Report, language: Language) -> list[Dataset]:
    name = terms.NOTICE.item(language)
    lines = [_text("CONTAINS", name, to_lines(n, language)) for n in notices(report, language)]
    sections = [_section(terms.NOTICE, language, lines)]
    for section in report.narrative(language).sections:
        if not section.text.strip():
            continue
        heading, element = terms.SECTIONS[section.kind]
        text = _text("CONTAINS", element.item(language), to_lines(section.text, language))
        sections.append(_section(heading, language, [text]))
    if report.frames:
        images = [_image(frame, language) for frame in report.frames]
        sections.append(_section(terms.KEY_IMAGES, language, images))
    return sections


def _image(frame: FrameReference, language: Language) -> Dataset:
    item = _content("CONTAINS", "IMAGE", terms.SOURCE_IMAGE.item(language))
    reference = Dataset()
    reference.ReferencedSOPClassUID = frame.sop_class_uid
    reference.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number > 1 or frame.sop_class_uid in _MULTI_FRAME_CLASSES:
        reference.ReferencedFrameNumber = frame.frame_number
    item.ReferencedSOPSequence = [reference]
    return item
