"""The objects that the conformance statement is read off: of a study that says all, or nothing.

What stands in both is always there, what only the second has is there where its source has it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from core.drafting import ModelImage
from core.report import (
    Addendum,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    PriorStudy,
    Report,
    ReportStatus,
    RequestReference,
    Section,
    SectionKind,
    Signature,
    StudyHeader,
)
from dicom_node.document_writing import frames_as_references
from dicom_node.documents import DocumentContext, DocumentReference, KeyObjectTitle, Predecessor
from dicom_node.key_image import build_key_image
from dicom_node.key_objects import build_key_objects
from dicom_node.report_pdf import build_pdf_object
from dicom_node.report_sr import build_sr

_UID = "1.2.3"
_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_FRAME = FrameReference(series_uid=_UID, sop_class_uid=uid.CTImageStorage, sop_instance_uid=_UID)
_DOCUMENT = DocumentReference(sop_instance_uid=_UID, series_uid=_UID)
_TEXTS = tuple((language, "Text") for language in Language)
_SIGNATURE = Signature(
    reader_name="E^F", reader_id="1", signed_at=_AT, languages=tuple(Language), organisation="Site"
)


def structured_report(language: Language, *, is_full: bool) -> Dataset:
    """Return a structured report: full means signed and with an addendum, bare means a draft."""
    data = build_sr(report=_report(is_full), context=_context(is_full), language=language)
    return _read(data)


def pdf_object(*, is_full: bool) -> Dataset:
    """Return an Encapsulated PDF."""
    return _read(build_pdf_object(report=_report(is_full), context=_context(is_full)))


def key_image(*, is_full: bool) -> Dataset:
    """Return a Secondary Capture."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    image = ModelImage(pixels=pixels, frame=_FRAME, is_orientation_known=True)
    context, report = _context(is_full), _report(is_full)
    return _read(build_key_image(report=report, context=context, image=image, number=1))


def key_objects(*, is_full: bool) -> Dataset:
    """Return a Key Object Selection; the full one is a rejection with a reason."""
    selected = [_DOCUMENT, *frames_as_references([_FRAME])] if is_full else [_DOCUMENT]
    title = KeyObjectTitle.REJECTED_FOR_QUALITY if is_full else KeyObjectTitle.OF_INTEREST
    return _read(
        build_key_objects(
            title=title,
            references=selected,
            model=_report(is_full).model,
            context=_context(is_full),
            text="Text" if is_full else "",
        )
    )


def _read(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


def _report(is_full: bool) -> Report:  # noqa: FBT001  used here alone
    sections = tuple(Section(kind=kind, text="Text") for kind in SectionKind)
    return Report(
        narratives=tuple(Narrative(language=one, sections=sections) for one in Language),
        model=ModelVersion(name="Model", revision="1", is_demonstration=is_full),
        frames=(_FRAME,) if is_full else (),
        status=ReportStatus.ADDENDED if is_full else ReportStatus.DRAFT,
        signature=_SIGNATURE if is_full else None,
        addenda=(Addendum(texts=_TEXTS, signature=_SIGNATURE),) if is_full else (),
    )


def _context(is_full: bool) -> DocumentContext:  # noqa: FBT001  used here alone
    full = StudyHeader(
        study_uid=_UID,
        patient=Patient(id="1", issuer="Site", name="A^B", birth_date="20000101", sex="O"),
        study_id="1",
        accession_number="1",
        accession_issuer="Site",
        study_date="20260101",
        study_time="010101",
        description="Study",
        referring_physician="C^D",
    )
    return DocumentContext(
        header=full if is_full else StudyHeader(study_uid=_UID, patient=Patient()),
        report_version=2,
        created_at=_AT,
        software_version="1",
        predecessors=(Predecessor(document=_DOCUMENT),) if is_full else (),
        requests=(RequestReference(accession_number="1"),) if is_full else (),
        prior_studies=(PriorStudy(study_uid=_UID, description="Study"),) if is_full else (),
    )
