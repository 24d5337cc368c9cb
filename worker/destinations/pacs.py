"""An archive that takes documents by C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

from core.audit_messages import QueryObject
from core.settings import Settings
from core.settings_destinations import PacsSettings
from core.tls_context import peer_tls
from dicom_node import client
from dicom_node.header import read_header
from dicom_node.query import lists_instance
from worker.destinations import documents
from worker.destinations.base import Issue, Item, Proof, Receipt, Recipient, Source


class PacsDestination:
    """`[[pacs]]`."""

    def __init__(self, settings: Settings, pacs: PacsSettings) -> None:
        self._settings = settings
        self._pacs = pacs
        self.name = pacs.destination
        self.per_minute = pacs.per_minute

    @property
    def recipient(self) -> Recipient:
        """The archive."""
        return Recipient(ae_title=self._pacs.ae_title, address=self._pacs.host)

    def items(self, issue: Issue) -> Sequence[Item]:
        """Every document."""
        return documents.items(self._settings, issue)

    def render(self, source: Source) -> bytes:
        """Return a document as a DICOM file."""
        return documents.render(self._settings, source)

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a document with the report."""
        documents.verify(content, source)

    def send(self, content: bytes) -> Receipt:
        """Store a document; the note is what the archive's warning means."""
        answer = client.store(peer_of(self._settings, self._pacs), content)
        return Receipt(note=answer.meaning, is_doubtful=answer.is_doubtful)

    @property
    def proof(self) -> Proof:
        """`confirm`."""
        return Proof(self._pacs.confirm)

    def holds(self, content: bytes, on_query: Callable[[QueryObject], None]) -> bool:
        """Ask by C-FIND at instance level."""
        peer = peer_of(self._settings, self._pacs)
        return lists_instance(peer, read_header(BytesIO(content)), on_query=on_query)


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
