"""An information system that takes reports as HL7 messages by MLLP: ORU, or MDM if it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from core.identifiers import message_control_id
from core.report import Language, ReportStatus
from core.settings import Settings
from core.settings_destinations import RisSettings
from core.tls_context import peer_tls
from hl7 import mllp
from hl7.layout import Layout
from hl7.mdm import build_mdm
from hl7.oru import build_oru
from hl7.result import Envelope, Result
from hl7.result_profile import Code
from hl7.result_reading import read_result, verify_result
from worker.destinations import documents
from worker.destinations.base import Issue, Item, Receipt, Source


class RisDestination:
    """`[[ris]]`."""

    recipient = None

    def __init__(self, settings: Settings, ris: RisSettings) -> None:
        self._settings = settings
        self._ris = ris
        self._tls = peer_tls(ris.tls, settings.resolve, "ris.tls")
        self._timeout_seconds = settings.delivery.timeout_seconds
        self._is_told_of_withdrawals = settings.withdrawal.ris
        self.name = ris.destination
        self.per_minute = ris.per_minute

    def items(self, issue: Issue) -> Sequence[Item]:
        """One message with all languages, or one a language; the ids are this destination's."""
        if issue.report.status is ReportStatus.WITHDRAWN and not self._is_told_of_withdrawals:
            return []
        if self._ris.one_message:
            return [self._item(issue, "")]
        languages = [narrative.language for narrative in issue.report.narratives]
        return [self._item(issue, one) for one in languages if one in self._ris.languages]

    def render(self, source: Source) -> bytes:
        """Return the report as a message."""
        result, envelope = self._result(source), self._envelope(source)
        # The pages are the whole report's: a language that is less finished goes without.
        if self._ris.pdf and result.status is source.report.status:
            result = replace(result, pdf=documents.pdf_of(self._settings, source))
        if source.kind == "mdm":
            [earlier, *_] = source.predecessors or (None,)
            return build_mdm(result, envelope, earlier.content if earlier else None)
        return build_oru(result, envelope)

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a message with report, study and, before it is fixed, order."""
        # The pages were proved when they were made, and stay as they are.
        pdf = read_result(content).pdf if self._ris.pdf else None
        result = replace(self._result(source), pdf=pdf)
        verify_result(content, result, is_resent=source.is_fixed)

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

    def _item(self, issue: Issue, language: str) -> Item:
        kind = self._ris.message.lower()
        # A message with all languages keeps the id that it had before there were others.
        name = f"{kind}:{language}" if language else kind
        uid = message_control_id(issue.study_uid, issue.report_version, self.name, name)
        return Item(kind=kind, language=language, uid=uid)

    def _result(self, source: Source) -> Result:
        return Result(
            report=source.report,
            header=source.header,
            layout=self._layout(),
            order=source.order,
            language=Language(source.language) if source.language else None,
        )

    def _layout(self) -> Layout:
        ris = self._ris
        return Layout(
            version=ris.version,
            character_set=ris.character_set,
            languages=ris.languages,
            text_type=ris.text_type,
            section_codes={
                kind: cast("Code", tuple(text.split("^")))
                for kind, text in ris.section_codes.items()
            },
            draft_status=ris.draft_status,
            withdrawn_status=ris.withdrawn_status,
            has_study_uid=ris.study_uid,
            has_language_marks=ris.language_marks,
            keeps_bidi_marks=ris.bidi_marks,
            asks_for_commit=ris.ack_mode == "enhanced",
            link=ris.link,
        )

    def _envelope(self, source: Source) -> Envelope:
        ris = self._ris
        return Envelope(
            control_id=source.uid,
            created_at=source.created_at.astimezone(),
            sending_application=ris.sending_application,
            sending_facility=ris.sending_facility,
            receiving_application=ris.receiving_application,
            receiving_facility=ris.receiving_facility,
        )
