"""The DICOM objects of a report, whatever way they go to an archive."""

from __future__ import annotations

from importlib.metadata import version

from core.identifiers import document_series_uid, document_uid
from core.report import Language
from dicom_node import report_sr
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
    language = Language(source.language)
    predecessor = None
    if source.predecessor is not None:
        predecessor = report_sr.DocumentReference(
            sop_instance_uid=source.predecessor.uid,
            series_uid=document_series_uid(
                source.header.study_uid, source.predecessor.report_version, "sr", language
            ),
        )
    return report_sr.build_sr(
        report=source.report,
        header=source.header,
        language=language,
        report_version=source.report_version,
        created_at=source.created_at.astimezone(),
        predecessor=predecessor,
        software_version=version("taqrir"),
    )


def verify(content: bytes, source: Source) -> None:
    """Read a document back and compare it with the report."""
    report_sr.verify_sr(content, source.report, Language(source.language))
