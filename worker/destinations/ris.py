"""An information system that takes reports as ORU messages by MLLP."""

from __future__ import annotations

from collections.abc import Sequence

from core.identifiers import message_control_id
from core.report import ReportStatus
from core.settings import RisSettings, Settings
from core.tls_context import peer_tls
from hl7 import mllp, oru
from worker.destinations.base import Issue, Item, Receipt, Source

_SENDING_APPLICATION = "TAQRIR"


class RisDestination:
    """`[[ris]]`."""

    recipient = None

    def __init__(self, settings: Settings, ris: RisSettings) -> None:
        self._ris = ris
        self._tls = peer_tls(ris.tls, settings.resolve, "ris.tls")
        self._timeout_seconds = settings.delivery.timeout_seconds
        self._is_told_of_withdrawals = settings.withdrawal.ris
        self.name = ris.destination
        self.per_minute = ris.per_minute

    def items(self, issue: Issue) -> Sequence[Item]:
        """One message with all languages; its control id is of this destination alone."""
        if issue.report.status is ReportStatus.WITHDRAWN and not self._is_told_of_withdrawals:
            return []
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
            result_status=self._status(source),
        )

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a message with report and header."""
        oru.verify_oru(
            content, source.report, header=source.header, result_status=self._status(source)
        )

    def _status(self, source: Source) -> str | None:
        """Return the site's own word for a draft; a signed report has the same everywhere."""
        is_draft = source.report.status is ReportStatus.DRAFT
        return self._ris.draft_status if is_draft else None

    def send(self, content: bytes) -> Receipt:
        """Send a message and wait for its acknowledgement."""
        mllp.send(
            self._ris.host,
            self._ris.port,
            content,
            timeout_seconds=self._timeout_seconds,
            ack_mode=self._ris.ack_mode,
            tls=self._tls,
        )
        return Receipt()
