"""The DICOM objects of a report, whatever way they go: which ones, how made, how proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from core.drafting import ModelImage
from core.errors import PermanentError
from core.identifiers import DocumentKind, document_series_uid, document_uid
from core.orders import OrderReference
from core.report import Language, ReportStatus, RequestReference, standing
from core.settings import Settings
from dicom_node import key_image, key_objects, report_sr
from dicom_node.documents import (
    DocumentContext,
    DocumentReference,
    KeyObjectTitle,
    Predecessor,
    Purpose,
)
from worker.destinations.base import EarlierDocument, Issue, Item, Source

# What a Key Object Selection that rejects documents is called in our rows.
REJECT = "reject"
_REJECTED_AS = KeyObjectTitle.REJECTED_FOR_QUALITY
_WHY = "AI drafts that were withdrawn, rejected or replaced: do not use."
_SOP_CLASSES = {
    DocumentKind.SR: "1.2.840.10008.5.1.4.1.1.88.11",
    DocumentKind.PDF: "1.2.840.10008.5.1.4.1.1.104.1",
    DocumentKind.KEY_IMAGE: "1.2.840.10008.5.1.4.1.1.7",
    DocumentKind.KEY_OBJECTS: "1.2.840.10008.5.1.4.1.1.88.59",
}


def sop_class_of(kind: str) -> str:
    """Return the SOP class of a kind of object in our rows."""
    return _SOP_CLASSES[DocumentKind.KEY_OBJECTS if kind == REJECT else DocumentKind(kind)]


def items(settings: Settings, issue: Issue) -> list[Item]:
    """Return a report's objects in the order in which they go.

    English comes first, because the Arabic SR refers to the English one.
    """
    if issue.report.status is ReportStatus.WITHDRAWN:
        return _withdrawal(settings, issue)
    found = _texts(settings, issue)
    frames = range(1, len(issue.report.frames) + 1)
    if settings.key_images.secondary_capture:
        found += [_item(issue, DocumentKind.KEY_IMAGE, number=number) for number in frames]
    if settings.key_images.key_objects and frames:
        found.append(_item(issue, DocumentKind.KEY_OBJECTS))
    if settings.withdrawal.archives == "key_objects" and issue.has_drafts_out:
        found.append(_rejection(issue))
    return found


def _texts(settings: Settings, issue: Issue) -> list[Item]:
    languages = [narrative.language for narrative in issue.report.narratives]
    if settings.sr.language_layout == "bilingual":
        found = [_item(issue, DocumentKind.SR)]
    else:
        found = [_item(issue, DocumentKind.SR, language) for language in languages]
    return found + ([_item(issue, DocumentKind.PDF)] if settings.pdf.enabled else [])


def _withdrawal(settings: Settings, issue: Issue) -> list[Item]:
    match settings.withdrawal.archives:
        case "version":
            return _texts(settings, issue)
        case "key_objects":
            return [_rejection(issue)]
        case "none":
            return []


def _item(
    issue: Issue, kind: DocumentKind, language: Language | None = None, *, number: int = 0
) -> Item:
    uid = document_uid(issue.study_uid, issue.report_version, kind, language, number=number)
    return Item(kind=kind, language=language or "", uid=uid)


def _rejection(issue: Issue) -> Item:
    uid = document_uid(
        issue.study_uid,
        issue.report_version,
        DocumentKind.REJECTION,
        None,
        number=int(_REJECTED_AS),
    )
    return Item(kind=REJECT, language="", uid=uid)


def render(settings: Settings, source: Source) -> bytes:
    """Return an object as a whole DICOM file.

    Raises:
        PermanentError: It cannot be made.
    """
    context = _context(source)
    if source.kind == REJECT:
        return key_objects.build_key_objects(
            title=_REJECTED_AS,
            references=_rejected(source),
            model=source.report.model,
            context=context,
            text=_WHY,
        )
    match DocumentKind(source.kind):
        case DocumentKind.PDF:
            # Only here: a site without pages needs no typesetter in its workers.
            from dicom_node import report_pdf

            return report_pdf.build_pdf_object(
                report=source.report,
                context=context,
                key_images=source.load_images(),
                review_url=settings.review.url,
            )
        case DocumentKind.KEY_IMAGE:
            number, image = _picture(source)
            return key_image.build_key_image(
                report=source.report, context=context, image=image, number=number
            )
        case DocumentKind.KEY_OBJECTS:
            return key_objects.build_key_objects(
                title=KeyObjectTitle.OF_INTEREST,
                references=_shown(source),
                model=source.report.model,
                context=context,
            )
        case _:
            return report_sr.build_sr(
                report=source.report, context=context, language=_language(source)
            )


def pdf_of(settings: Settings, source: Source) -> bytes | None:
    """Return the pages alone, for whoever takes a PDF and no DICOM; none of a withdrawn report.

    They are proved as they are made.

    Raises:
        TextIntegrityError: A text cannot be written so that it reads back as it was.
    """
    if source.report.status is ReportStatus.WITHDRAWN:
        return None
    from dicom_node import report_pdf

    pages = replace(source, kind=DocumentKind.PDF, language="", predecessors=())
    return report_pdf.read_pdf(render(settings, pages))


def verify(content: bytes, source: Source) -> None:
    """Read an object back and compare it with the report.

    Raises:
        TextIntegrityError: A letter, a flag, a pixel or an identity differs.
    """
    context = _context(source)
    if source.kind == REJECT:
        key_objects.verify_key_objects(
            content, title=_REJECTED_AS, references=_rejected(source), context=context, text=_WHY
        )
        return
    match DocumentKind(source.kind):
        case DocumentKind.PDF:
            from dicom_node import report_pdf

            report_pdf.verify_pdf(content, report=source.report, context=context)
        case DocumentKind.KEY_IMAGE:
            _, image = _picture(source)
            key_image.verify_key_image(content, report=source.report, context=context, image=image)
        case DocumentKind.KEY_OBJECTS:
            key_objects.verify_key_objects(
                content,
                title=KeyObjectTitle.OF_INTEREST,
                references=_shown(source),
                context=context,
            )
        case _:
            report_sr.verify_sr(
                content, report=source.report, context=context, language=_language(source)
            )


def _language(source: Source) -> Language | None:
    return Language(source.language) if source.language else None


def _context(source: Source) -> DocumentContext:
    return DocumentContext(
        header=source.header,
        report_version=source.report_version,
        created_at=source.created_at.astimezone(),
        software_version=version("taqrir"),
        predecessors=tuple(_predecessors(source)),
        requests=_requests(source),
        evidence=source.evidence,
    )


def _requests(source: Source) -> tuple[RequestReference, ...]:
    """Return the order that the study was made for; none where none is known."""
    order, header = source.order, source.header
    if order == OrderReference():
        return ()
    procedure = order.procedure
    return (
        RequestReference(
            accession_number=header.accession_number,
            accession_issuer=header.accession_issuer,
            placer_order_number=order.placer_number,
            filler_order_number=order.filler_number,
            procedure_id=order.requested_procedure_id,
            procedure_description=procedure.meaning,
            procedure_code=(procedure.code, procedure.scheme, procedure.meaning),
        ),
    )


def _predecessors(source: Source) -> list[Predecessor]:
    if source.kind not in {DocumentKind.SR, DocumentKind.PDF}:
        return []
    language = _language(source)
    own = source.report.status_of(language) if language else source.report.status
    return [
        Predecessor(document=_reference(source, earlier), purpose=_purpose(earlier, own))
        for earlier in source.predecessors
    ]


def _purpose(earlier: EarlierDocument, own: ReportStatus) -> Purpose:
    """Say what became of an earlier document (PS3.16 CID 7009)."""
    if standing(own).is_final and not standing(earlier.status).is_final:
        return Purpose.PRELIMINARY
    return Purpose.ADDENDED if own is ReportStatus.ADDENDED else Purpose.REPLACED


def _reference(source: Source, earlier: EarlierDocument) -> DocumentReference:
    language = Language(earlier.language) if earlier.language else None
    series = document_series_uid(
        source.header.study_uid, earlier.report_version, earlier.kind, language
    )
    return DocumentReference(
        sop_instance_uid=earlier.uid,
        series_uid=series,
        sop_class_uid=sop_class_of(earlier.kind),
    )


def _rejected(source: Source) -> list[DocumentReference]:
    """Return the drafts that a rejection names.

    Raises:
        PermanentError: None of them is out any more.
    """
    if not source.drafts_out:
        raise PermanentError("There is no draft in the archive that could be rejected.")
    return [_reference(source, earlier) for earlier in source.drafts_out]


def _shown(source: Source) -> list[DocumentReference]:
    return [
        DocumentReference(
            sop_instance_uid=frame.sop_instance_uid,
            series_uid=frame.series_uid,
            sop_class_uid=frame.sop_class_uid,
            frame_number=frame.frame_number if frame.frame_number > 1 else 0,
        )
        for frame in source.report.frames
    ]


def _picture(source: Source) -> tuple[int, ModelImage]:
    """Return the number and the pixels of the frame that a key image shows.

    Raises:
        PermanentError: The image was removed, or can no longer be read.
    """
    study, report_version = source.header.study_uid, source.report_version
    for number, frame in enumerate(source.report.frames, start=1):
        uid = document_uid(study, report_version, DocumentKind.KEY_IMAGE, None, number=number)
        if uid == source.uid:
            images: Sequence[ModelImage] = source.load_images()
            for image in images:
                if image.frame == frame:
                    return number, image
    raise PermanentError("The picture that the model saw can no longer be read.")
