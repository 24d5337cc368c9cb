"""The DICOM objects of a report, whatever way they go to an archive."""

from __future__ import annotations

from importlib.metadata import version

from core.identifiers import DocumentKind, document_series_uid, document_uid
from core.report import Language
from core.report_status import ReportStatus, standing
from dicom_node import report_sr
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor, Purpose
from worker.destinations.base import EarlierDocument, Issue, Item, Source


def items(issue: Issue) -> list[Item]:
    """Return a report's documents: an SR a language.

    English comes first, because the Arabic SR refers to the English one.
    """
    return [
        Item(
            kind=DocumentKind.SR,
            language=narrative.language,
            uid=document_uid(
                issue.study_uid, issue.report_version, DocumentKind.SR, narrative.language
            ),
        )
        for narrative in issue.report.narratives
    ]


def render(source: Source) -> bytes:
    """Return a document as a whole DICOM file."""
    return report_sr.build_sr(
        report=source.report, context=_context(source), language=_language(source)
    )


def verify(content: bytes, source: Source) -> None:
    """Read a document back and compare it with the report."""
    report_sr.verify_sr(
        content, report=source.report, context=_context(source), language=_language(source)
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
    )


def _predecessors(source: Source) -> list[Predecessor]:
    if (earlier := source.predecessor) is None:
        return []
    language = _language(source)
    document = DocumentReference(
        sop_instance_uid=earlier.uid,
        series_uid=document_series_uid(
            source.header.study_uid, earlier.report_version, source.kind, language
        ),
    )
    own = source.report.status_of(language) if language else source.report.status
    return [Predecessor(document=document, purpose=_purpose(earlier, own))]


def _purpose(earlier: EarlierDocument, own: ReportStatus) -> Purpose:
    """Say what became of an earlier document (PS3.16 CID 7009)."""
    if standing(own).is_final and not standing(earlier.status).is_final:
        return Purpose.PRELIMINARY
    return Purpose.ADDENDED if own is ReportStatus.ADDENDED else Purpose.REPLACED
