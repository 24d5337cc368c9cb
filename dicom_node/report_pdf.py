"""A report as Encapsulated PDF: one page design for both languages, which every viewer can show.

Only languages that are as finished as the report says it is stand in it. `verify_pdf` reads the
letters back out of the finished pages.

Source: PS3.3 A.45.1 (Encapsulated PDF IOD), C.24.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from core.drafting import ModelImage
from core.errors import TextIntegrityError
from core.identifiers import DocumentKind
from core.report import Language, Report, ReportStatus, spoken_name, standing
from dicom_node import document_writing as writing
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext
from dicom_node.header_text import dated, described
from dicom_node.passages import NOTICES, Passage, passages
from dicom_node.sr_reading import check_text
from dicom_node.typesetting import (
    code,
    letters_of,
    outlined,
    paragraphs,
    read_letters,
    shown,
    typeset,
)

_SERIES_NUMBER = 9904
_COLOURS = {
    ReportStatus.DRAFT: "#9a3412",
    ReportStatus.WITHDRAWN: "#991b1b",
    ReportStatus.SIGNED: "#1e4d6b",
    ReportStatus.CORRECTED: "#1e4d6b",
    ReportStatus.ADDENDED: "#1e4d6b",
}
_LONGEST_SIDE = 640


def build_pdf_object(
    *,
    report: Report,
    context: DocumentContext,
    key_images: Sequence[ModelImage] = (),
    review_url: str = "",
) -> bytes:
    """Return a report as a whole DICOM file that holds a PDF.

    Args:
        report: What to write; languages that are less finished than the report are left out.
        context: Patient, study, order, predecessors.
        key_images: Pictures that the model saw, shown small.
        review_url: The page on which the report is read and signed; empty where there is none.

    Raises:
        TextIntegrityError: A text cannot be written so that it reads back as it was.
    """
    dataset = Dataset()
    with writing.refusing_loss():
        writing.write_beginning(
            dataset,
            context,
            report.model,
            sop_class_uid=uid.EncapsulatedPDFStorage,
            kind=DocumentKind.PDF,
            language=None,
        )
        _write_document(dataset, report, context)
        pdf = _pages(report, context, key_images, review_url)
        dataset.EncapsulatedDocumentLength = len(pdf)
        dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        data = writing.to_file(dataset)
    verify_pdf(data, report=report, context=context)
    return data


def verify_pdf(data: bytes, *, report: Report, context: DocumentContext) -> None:
    """Prove that a PDF object holds every letter and digit of the report, of the right patient.

    Their order is not compared: pages hold them in the order in which they are seen.

    Raises:
        TextIntegrityError: Letters are missing, or state, patient or study are others.
    """
    dataset = writing.from_file(data)
    writing.verify_patient_and_study(dataset, context.header)
    state = standing(report.status)
    is_ours = dataset.get("DocumentTitle") == _title(report)
    if not is_ours or dataset.get("VerificationFlag") != state.verification_flag:
        raise TextIntegrityError("The PDF does not say the report's state.")
    try:
        pdf = bytes(dataset.EncapsulatedDocument)
        found = Counter(read_letters(pdf[: dataset.EncapsulatedDocumentLength]))
    except (RuntimeError, ValueError, AttributeError, TypeError):
        raise TextIntegrityError("The PDF cannot be read back.") from None
    wanted = Counter(letters_of("".join(_lines(report, context))))
    if wanted - found:
        raise TextIntegrityError("The PDF does not hold every letter of the report.")


def read_pdf(data: bytes) -> bytes:
    """Return the PDF in one of our objects."""
    dataset = writing.from_file(data)
    return bytes(dataset.EncapsulatedDocument)[: dataset.EncapsulatedDocumentLength]


def _title(report: Report) -> str:
    languages = "+".join(one.upper() for one in report.languages_in_status)
    return f"{standing(report.status).mark} {languages}"


def _write_document(dataset: Dataset, report: Report, context: DocumentContext) -> None:
    state = standing(report.status)
    dataset.Modality = "DOC"
    dataset.SeriesNumber = _SERIES_NUMBER
    warning = "" if state.is_final else " - NOT VERIFIED"
    dataset.SeriesDescription = f"{_title(report)} PDF{warning}"
    dataset.ConversionType = "SYN"
    dataset.InstanceNumber = context.report_version
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = _title(report)
    dataset.ConceptNameCodeSequence = [terms.TITLE.item()]
    dataset.VerificationFlag = state.verification_flag
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    sources = writing.frames_as_references(report.frames)
    if sources:
        unique = {one.sop_instance_uid: one for one in sources}
        dataset.SourceInstanceSequence = [writing.reference_item(one) for one in unique.values()]
    writing.write_predecessors(dataset, context.header.study_uid, context.predecessors)


def _pages(
    report: Report, context: DocumentContext, key_images: Sequence[ModelImage], review_url: str
) -> bytes:
    state = standing(report.status)
    pictures = [(image, _thumbnail(image.pixels)) for image in key_images]
    files = {f"{n}.rgb": pixels.tobytes() for n, (_, pixels) in enumerate(pictures)}
    if not state.is_final:
        files["watermark.svg"] = outlined(state.mark)
    if review_url:
        files["code.svg"] = code(review_url)
    languages = report.languages_in_status
    # English pages, where there are any: what is said of a picture is in English.
    illustrated = Language.EN if Language.EN in languages else languages[0]
    data: dict[str, Any] = {
        "title": _title(report),
        "colour": _COLOURS[report.status],
        "watermark": not state.is_final,
        "parts": [
            {
                "language": language.value,
                "mark": state.notices[language].split(". ")[0].rstrip("."),
                "header": _header(context, language),
                "footer": _footer(report, context, language),
                "passages": _passages(report, context, language),
                "has_pictures": language is illustrated,
            }
            for language in languages
        ],
        "pictures_heading": terms.KEY_IMAGES.meaning(illustrated),
        "pictures": [
            {
                "file": f"{number}.rgb",
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "caption": shown(f"{number + 1}. {image.frame.reason}", illustrated),
            }
            for number, (image, pixels) in enumerate(pictures)
        ],
        "url": review_url,
    }
    return typeset(data, files, context.created_at)


def _passages(report: Report, context: DocumentContext, language: Language) -> list[dict[str, Any]]:
    """Return what one language says, as the page takes it."""
    return [_passage(one, language) for one in passages(report, context, language)]


def _lines(report: Report, context: DocumentContext) -> Iterator[str]:
    """Yield every line that must stand on the pages."""
    for language in report.languages_in_status:
        for passage in _passages(report, context, language):
            yield from passage["lines"]


def _passage(passage: Passage, language: Language) -> dict[str, Any]:
    for text in passage.texts:
        check_text(text)
    lines = [line for text in passage.texts for line in text.split("\n") if line.strip()]
    return {
        "is_notice": passage.name == NOTICES,
        "heading": passage.heading.meaning(language),
        "lines": [shown(part, language) for line in lines for part in paragraphs(line)],
    }


_LABELS = {
    Language.EN: ("Patient", "Patient ID", "Born", "Accession", "Study", "Study date"),
    Language.AR: ("المريض", "رقم المريض", "الميلاد", "رقم الطلب", "الدراسة", "تاريخ الدراسة"),
}


def _header(context: DocumentContext, language: Language) -> list[tuple[str, str]]:
    """Return labels and values of the page's header; three a row."""
    header, patient = context.header, context.header.patient
    # The name as this language writes it first.
    order = sorted(Language, key=lambda one: one is not language)
    names = dict.fromkeys(filter(None, (spoken_name(patient.name, one) for one in order)))
    values = (
        " / ".join(names),
        patient.id,
        _day(patient.birth_date) + (f" ({patient.sex})" if patient.sex else ""),
        header.accession_number,
        header.description,
        _day(header.study_date),
    )
    labelled = zip(_LABELS[language], values, strict=True)
    return [(label, shown(described(value) or "–", language)) for label, value in labelled]


def _footer(report: Report, context: DocumentContext, language: Language) -> str:
    version = {Language.EN: "version", Language.AR: "نسخة"}[language]
    parts = (
        str(report.model),
        f"Taqrir {context.software_version}",
        f"{version} {context.report_version}",
        f"{context.created_at:%Y-%m-%d %H:%M %z}",
    )
    return " · ".join(shown(part, language) for part in parts)


def _day(text: str) -> str:
    day = dated(text)
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else ""


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) made smaller by a whole number, each pixel the mean of a block."""
    step = -(-max(pixels.shape[:2]) // _LONGEST_SIDE)
    rows, columns = (max(side // step, 1) for side in pixels.shape[:2])
    cut = pixels[: rows * step, : columns * step]
    blocks = cut.reshape(rows, -1, columns, cut.shape[1] // columns, 3)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3))).astype(np.uint8)
