"""A FHIR server that takes reports as DiagnosticReport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.identifiers import message_control_id, report_uid
from core.settings import Settings
from core.settings_delivery import FhirSettings
from core.tls_context import peer_tls
from hl7.fhir import FhirLayout, build_report, read_report, verify_report
from hl7.layout import Layout
from hl7.result import Result
from worker.destinations import documents
from worker.destinations.base import Issue, Item, Receipt, Source

if TYPE_CHECKING:
    from hl7.fhir_client import FhirPeer


class FhirDestination:
    """`[[fhir]]`."""

    recipient = None

    def __init__(self, settings: Settings, server: FhirSettings) -> None:
        self._settings = settings
        self._server = server
        self.name = server.destination
        self.per_minute = server.per_minute

    def items(self, issue: Issue) -> Sequence[Item]:
        """One resource with all languages."""
        uid = message_control_id(issue.study_uid, issue.report_version, self.name, "fhir")
        return [Item(kind="fhir", language="", uid=uid)]

    def render(self, source: Source) -> bytes:
        """Return the report as a DiagnosticReport."""
        result = self._result(source)
        if self._server.pdf:
            result = replace(result, pdf=documents.pdf_of(self._settings, source))
        return build_report(result, self._layout(source), created_at=source.created_at)

    def verify(self, content: bytes, source: Source) -> None:
        """Compare a resource with report and study."""
        # The pages were proved when they were made, and stay as they are.
        pdf = read_report(content).pdf if self._server.pdf else None
        verify_report(content, replace(self._result(source), pdf=pdf), self._layout(source))

    def send(self, content: bytes) -> Receipt:
        """Put the resource where the study's report is, or make it."""
        # Only here: a site without such a server needs no HTTP library in its workers.
        from hl7 import fhir_client

        fhir_client.put(fhir_peer_of(self._settings, self._server), content)
        return Receipt()

    def _result(self, source: Source) -> Result:
        return Result(
            report=source.report,
            header=source.header,
            layout=Layout(languages=self._server.languages),
            order=source.order,
        )

    def _layout(self, source: Source) -> FhirLayout:
        return FhirLayout(
            report_uid=report_uid(source.header.study_uid),
            patient_system=self._server.patient_system,
            order_system=self._server.order_system,
        )


def fhir_peer_of(settings: Settings, server: FhirSettings) -> FhirPeer:
    """Return how a server is called."""
    from hl7.fhir_client import FhirPeer

    return FhirPeer(
        url=server.url,
        answer_seconds=settings.delivery.timeout_seconds,
        tls=peer_tls(server.tls, settings.resolve, "fhir.tls"),
        token=server.token.get_secret_value(),
        is_conditional=server.conditional,
    )
