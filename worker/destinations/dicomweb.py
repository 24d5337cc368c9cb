"""An archive that takes documents by STOW-RS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.audit_messages import QueryObject
from core.settings import Settings
from core.settings_delivery import DicomwebSettings
from core.tls_context import peer_tls
from dicom_node.header import read_header
from worker.destinations import documents
from worker.destinations.base import Issue, Item, Proof, Receipt, Recipient, Source

if TYPE_CHECKING:
    from dicom_node.dicomweb import WebPeer

_SETTING = "dicomweb.tls"


class DicomwebDestination:
    """`[[dicomweb]]`."""

    def __init__(self, settings: Settings, service: DicomwebSettings) -> None:
        self._settings = settings
        self._service = service
        self.name = service.destination
        self.per_minute = service.per_minute

    @property
    def recipient(self) -> Recipient:
        """The service; it has no AE title, so its name in the settings stands for one."""
        host = urlsplit(self._service.url).hostname or ""
        return Recipient(ae_title=self._service.name, address=host)

    def items(self, issue: Issue) -> Sequence[Item]:
        """Every document, the same bytes as by C-STORE."""
        return documents.items(self._settings, issue)

    def render(self, source: Source) -> bytes:
        """Return a document as a DICOM file."""
        return documents.render(self._settings, source)

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a document with the report."""
        documents.verify(content, source)

    def send(self, content: bytes) -> Receipt:
        """Store a document; the note is what the service's warning means."""
        # Only here: a site without such a service needs no HTTP library in its workers.
        from dicom_node import dicomweb

        answer = dicomweb.store(web_peer_of(self._settings, self._service), content)
        return Receipt(note=answer.meaning, is_doubtful=answer.is_doubtful)

    @property
    def proof(self) -> Proof:
        """`confirm`."""
        return Proof(self._service.confirm)

    def holds(self, content: bytes, on_query: Callable[[QueryObject], None]) -> bool:
        """Ask by QIDO-RS at instance level."""
        from dicom_node import dicomweb

        del on_query
        header = read_header(BytesIO(content))
        peer = web_peer_of(self._settings, self._service)
        return dicomweb.holds(peer, header.study_uid, header.sop_instance_uid)


def web_peer_of(settings: Settings, service: DicomwebSettings) -> WebPeer:
    """Return how a service is called."""
    from dicom_node.dicomweb import WebPeer

    return WebPeer(
        url=service.url,
        answer_seconds=settings.delivery.timeout_seconds,
        tls=peer_tls(service.tls, settings.resolve, _SETTING),
        token=service.token.get_secret_value(),
        username=service.username,
        password=service.password.get_secret_value(),
    )
