"""An information system that takes reports as ORU messages by MLLP."""

from __future__ import annotations

from collections.abc import Sequence

from core.identifiers import message_control_id
from core.settings import RisSettings, Settings
from core.tls_context import peer_tls
from hl7 import mllp, oru
from worker.destinations.base import Issue, Item, Source

_SENDING_APPLICATION = "TAQRIR"


class RisDestination:
    """`[[ris]]`."""

    recipient = None

    def __init__(self, settings: Settings, ris: RisSettings) -> None:
        self._ris = ris
        self._tls = peer_tls(ris.tls, settings.resolve, "ris.tls")
        self._timeout_seconds = settings.delivery.timeout_seconds
        self.name = ris.destination

    def items(self, issue: Issue) -> Sequence[Item]:
        """One message with all languages; its control id is of this destination alone."""
        uid = message_control_id(issue.study_uid, issue.report_version, self.name, "oru")
        return [Item(kind="oru", language="", uid=uid)]

    def render(self, source: Source) -> bytes:
        """Return the report as an ORU^R01."""
        return oru.build_oru(
            report=source.report,
            header=source.header,
            control_id=source.uid,
            created_at=source.created_at.astimezone(),
            sending_application=_SENDING_APPLICATION,
            sending_facility="",
            receiving_application=self._ris.receiving_application,
            receiving_facility=self._ris.receiving_facility,
            result_status=self._ris.draft_status,
        )

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a message with report and header."""
        oru.verify_oru(
            content, source.report, header=source.header, result_status=self._ris.draft_status
        )

    def send(self, content: bytes) -> str:
        """Send a message and wait for its acknowledgement."""
        mllp.send(
            self._ris.host,
            self._ris.port,
            content,
            timeout_seconds=self._timeout_seconds,
            ack_mode=self._ris.ack_mode,
            tls=self._tls,
        )
        return ""
