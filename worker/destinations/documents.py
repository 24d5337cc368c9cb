"""The DICOM objects of a report, whatever way they go to an archive."""

from __future__ import annotations

from importlib.metadata import version

from core.identifiers import document_series_uid, document_uid
from core.report import Language
from dicom_node import report_sr
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor
from worker.destinations.base import Issue, Item, Source


def items(issue: Issue) -> list[Item]:
    """Return a report's documents: an SR a language.

    English comes first, because the Arabic SR refers to the English one.
    """
    return [
        Item(
            kind="sr",
            language=narrative.language,
            uid=document_uid(issue.study_uid, issue.report_version, "sr", narrative.language),
        )
        for narrative in issue.report.narratives
    ]


def render(source: Source) -> bytes:
    """Return a document as a whole DICOM file."""
    return report_sr.build_sr(
        report=source.report, context=_context(source), language=Language(source.language)
    )


def verify(content: bytes, source: Source) -> None:
    """Read a document back and compare it with the report."""
    report_sr.verify_sr(
        content,
        report=source.report,
        context=_context(source),
        language=Language(source.language),
    )


def _context(source: Source) -> DocumentContext:
    predecessors: tuple[Predecessor, ...] = ()
    if (earlier := source.predecessor) is not None:
        series = document_series_uid(
            source.header.study_uid,
            earlier.report_version,
            source.kind,
            Language(source.language),
        )
        document = DocumentReference(sop_instance_uid=earlier.uid, series_uid=series)
        predecessors = (Predecessor(document=document),)
    return DocumentContext(
        header=source.header,
        report_version=source.report_version,
        created_at=source.created_at.astimezone(),
        software_version=version("taqrir"),
        predecessors=predecessors,
    )
