"""Where the foreign languages meet: a draft as SR for a PACS, as ORU for a RIS.

Three verbs for either: render, verify, send.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from core.identifiers import document_series_uid
from core.report import Language, Report, StudyHeader
from core.settings import PacsSettings, RisSettings, Settings
from dicom_node import client, report_sr
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor
from dicom_node.tls_context import peer_tls
from hl7 import mllp, oru

_SENDING_APPLICATION = "TAQRIR"


@dataclass(frozen=True, kw_only=True)
class EarlierDocument:
    """An earlier document that this one follows."""

    uid: str
    report_version: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that an object is made of; the same source gives the same bytes."""

    report: Report
    header: StudyHeader
    kind: str
    language: str
    uid: str
    report_version: int
    created_at: datetime
    predecessor: EarlierDocument | None


def render(destination: PacsSettings | RisSettings, source: Source) -> bytes:
    """Return an object as it goes to a kind of destination."""
    match destination:
        case PacsSettings():
            return _render_sr(source)
        case RisSettings():
            return _render_oru(destination, source)


def verify(destination: PacsSettings | RisSettings, content: bytes, source: Source) -> None:
    """Read back what is about to go and compare it with the report.

    Raises:
        TextIntegrityError: A letter, a flag or an identity differs.
    """
    match destination:
        case PacsSettings():
            report_sr.verify_sr(
                content,
                report=source.report,
                context=_context(source),
                language=Language(source.language),
            )
        case RisSettings():
            oru.verify_oru(
                content,
                source.report,
                header=source.header,
                result_status=destination.draft_status,
            )


def send(settings: Settings, destination: PacsSettings | RisSettings, content: bytes) -> str:
    """Hand an object over; return a note where the peer's yes was a qualified one.

    Raises:
        TransientError: Nobody knows whether it arrived, or the peer said: later.
        PermanentError: The peer said no.
    """
    timeout = settings.delivery.timeout_seconds
    match destination:
        case PacsSettings():
            return client.store(peer_of(settings, destination), content).meaning
        case RisSettings():
            mllp.send(destination.host, destination.port, content, timeout_seconds=timeout)
            return ""


def peer_of(settings: Settings, pacs: PacsSettings) -> client.Peer:
    """Return how a PACS is called."""
    return client.Peer(
        ae_title=pacs.ae_title,
        host=pacs.host,
        port=pacs.port,
        calling_ae_title=settings.node.ae_title,
        answer_seconds=settings.delivery.timeout_seconds,
        tls=peer_tls(pacs.tls, settings.resolve),
    )


def _render_sr(source: Source) -> bytes:
    return report_sr.build_sr(
        report=source.report, context=_context(source), language=Language(source.language)
    )


def _context(source: Source) -> DocumentContext:
    study = source.header.study_uid
    predecessors: tuple[Predecessor, ...] = ()
    if (earlier := source.predecessor) is not None:
        series = document_series_uid(
            study, earlier.report_version, source.kind, Language(source.language)
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


def _render_oru(ris: RisSettings, source: Source) -> bytes:
    return oru.build_oru(
        report=source.report,
        header=source.header,
        control_id=source.uid,
        created_at=source.created_at.astimezone(),
        sending_application=_SENDING_APPLICATION,
        sending_facility="",
        receiving_application=ris.receiving_application,
        receiving_facility=ris.receiving_facility,
        result_status=ris.draft_status,
    )
