"""Peers that ask for storage commitment, and archives that are asked for it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from sqlalchemy import select

from core import confirmation, outbox
from core.commitments import count_commitments
from core.database import reading
from core.lifecycle import CommitmentState, DeliveryState
from core.settings_tls import SenderTlsSettings
from core.tables import Commitment, Instance
from dicom_node.commitment import CommitmentService
from dicom_node.commitment_dataset import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    CommitmentReport,
    CommitmentRequest,
    Reference,
    encode_dataset,
    read_report,
    read_request,
)
from dicom_node.commitment_report import finish_reports, report_due
from dicom_node.connecting import Peer, associate
from harness.films import new_uid
from harness.listening import ListeningEntity
from harness.site import MODALITY, Site

ARCHIVE = "ARCHIVE"


def reference(dataset: Dataset, sop_class: str | None = None) -> Reference:
    return Reference(
        sop_class_uid=sop_class or str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )


def request_for(*references: Reference, transaction_uid: str | None = None) -> CommitmentRequest:
    return CommitmentRequest(transaction_uid=transaction_uid or new_uid(), references=references)


def commit(
    site: Site,
    *,
    days: int = 7,
    host: str = "",
    port: int | None = None,
    tls: SenderTlsSettings | None = None,
) -> None:
    """Switch storage commitment on for the site's sender, at an address where it listens."""
    site.parts.files.prepare()
    changes = {"commitment_days": days, "host": host, "port": port, "tls": tls}
    sender = site.settings.senders[0].model_copy(update=changes)
    _change(site, senders=(sender,))


def confirm(site: Site, **more: object) -> None:
    """Have every archive of the site confirm what it was sent."""
    changes = {"confirm": "commitment", **more}
    _change(site, pacs=tuple(p.model_copy(update=changes) for p in site.settings.pacs))


def _change(site: Site, **changes: object) -> None:
    site.settings = site.settings.model_copy(update=changes)
    site.parts.settings = site.settings


def service(site: Site) -> CommitmentService:
    return CommitmentService(site.engine, site.settings, site.clock)


def act(
    site: Site,
    request: CommitmentRequest | Dataset | bytes,
    *,
    calling: str = MODALITY,
    instance: str = SOP_INSTANCE_UID,
    action_type: int = 1,
    association: str = "00aa",
    syntax: str = ExplicitVRLittleEndian,
) -> int:
    """Hand an N-ACTION to the node, behind the network."""
    if isinstance(request, CommitmentRequest):
        request = request.to_dataset()
    data = encode_dataset(request, syntax) if isinstance(request, Dataset) else request
    return service(site).on_action(
        calling_ae_title=calling,
        sop_instance_uid=instance,
        action_type=action_type,
        data=data,
        transfer_syntax_uid=syntax,
        association=association,
    )


def tell(
    site: Site,
    report: CommitmentReport | Dataset | bytes,
    *,
    calling: str = ARCHIVE,
    event_type: int | None = None,
    syntax: str = ExplicitVRLittleEndian,
) -> int:
    """Hand an N-EVENT-REPORT to the node, behind the network."""
    if isinstance(report, CommitmentReport):
        event_type = event_type or report.event_type
        report = report.to_dataset()
    data = encode_dataset(report, syntax) if isinstance(report, Dataset) else report
    return service(site).on_event_report(
        calling_ae_title=calling,
        event_type=event_type or 1,
        data=data,
        transfer_syntax_uid=syntax,
    )


def report_all(site: Site) -> int:
    """Do what the index process does every second, until the reports are out."""
    count = report_due(site.engine, site.settings, site.clock, site.parts.files)
    finish_reports(20)
    return count


def report_on(site: Site, association: str = "00aa") -> CommitmentReport | None:
    """Take the report that is due on an association, and answer it Success."""
    ours = service(site)
    report = ours.report_for(association, MODALITY)
    if report is None:
        return None
    ours.reported(report, 0x0000)
    return read_report(report.encode(ExplicitVRLittleEndian), ExplicitVRLittleEndian)


def report_to(site: Site) -> CommitmentReport:
    """Evaluate what was asked, and take the report that is then due."""
    report_all(site)
    report = report_on(site)
    assert report is not None
    return report


def reasons_of(report: CommitmentReport) -> list[int]:
    return [reason for _, reason in report.failed]


def commitment_states(site: Site) -> dict[CommitmentState, int]:
    with reading(site.engine) as session:
        return {s: n for s, n in count_commitments(session).items() if n}


def the_commitment(site: Site) -> Commitment:
    with reading(site.engine) as session:
        return session.scalars(select(Commitment)).one()


def instance_of(site: Site, dataset: Dataset) -> Instance:
    with reading(site.engine) as session:
        query = select(Instance).where(Instance.sop_instance_uid == str(dataset.SOPInstanceUID))
        return session.scalars(query.order_by(Instance.id.desc())).first()  # type: ignore[return-value]


class ListeningSender(ListeningEntity):
    """A modality that takes reports on associations of ours.

    `roles` are the ones that it grants us, SCU and SCP; None: it passes over what we propose. With
    `tls` its port speaks nothing else.
    """

    def __init__(
        self,
        answers: Sequence[int] = (),
        *,
        roles: tuple[bool, bool] | None = (True, True),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(MODALITY, tls)
        granted = {"scu_role": roles[0], "scp_role": roles[1]} if roles else {}
        self.entity.add_supported_context(SOP_CLASS_UID, ExplicitVRLittleEndian, **granted)
        self._answers = list(answers)
        self.hold: threading.Event | None = None
        self.events: list[int] = []
        self.reports: list[CommitmentReport] = []

    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self._take)]

    def _take(self, event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        if self.hold is not None:
            self.hold.wait(20)
        self.events.append(request.EventTypeID)
        data = request.EventInformation.getvalue()
        self.reports.append(read_report(data, str(event.context.transfer_syntax)))
        return (self._answers.pop(0) if self._answers else 0x0000), None


Act = Callable[["ScriptedArchive", Association, CommitmentRequest], None]


class ScriptedArchive(ListeningEntity):
    """An archive that stores, is asked for commitment, and then does as a test says.

    Args:
        statuses: Answers to N-ACTION, in turn; then Success.
        acting: Called in the handler, before the answer goes out.
    """

    def __init__(
        self,
        statuses: Sequence[int] = (),
        *,
        acting: Act | None = None,
        offers_commitment: bool = True,
    ) -> None:
        super().__init__(ARCHIVE)
        self.entity.add_supported_context(BasicTextSRStorage, ExplicitVRLittleEndian)
        if offers_commitment:
            self.entity.add_supported_context(SOP_CLASS_UID, ExplicitVRLittleEndian)
        self._statuses = list(statuses)
        self._acting = acting
        self.stored: list[str] = []
        self.requests: list[CommitmentRequest] = []
        self.threads: list[threading.Thread] = []
        self.answers: list[int] = []

    def handlers(self) -> list[Any]:
        return [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._act)]

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        self.stored.append(str(request.AffectedSOPInstanceUID))
        return 0x0000

    def _act(self, event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        data = request.ActionInformation.getvalue()
        asked = read_request(data, str(event.context.transfer_syntax))
        self.requests.append(asked)
        if self._acting is not None:
            self._acting(self, event.assoc, asked)
        return (self._statuses.pop(0) if self._statuses else 0x0000), None

    def report_here(self, association: Association, report: CommitmentReport) -> None:
        """Report on an association that asked, once its answer is out."""

        def send() -> None:
            status, _ = association.send_n_event_report(
                report.to_dataset(), report.event_type, SOP_CLASS_UID, SOP_INSTANCE_UID
            )
            self.answers.append(int(status.get("Status", -1)))

        thread = threading.Thread(target=send)
        self.threads.append(thread)
        thread.start()


def all_of(request: CommitmentRequest) -> CommitmentReport:
    """Return a report that commits to all that was asked for."""
    return CommitmentReport(transaction_uid=request.transaction_uid, committed=request.references)


def none_of(request: CommitmentRequest, reason: int = 0x0112) -> CommitmentReport:
    """Return a report that commits to nothing that was asked for."""
    failed = tuple((reference, reason) for reference in request.references)
    return CommitmentReport(transaction_uid=request.transaction_uid, failed=failed)


def send_report(site: Site, report: CommitmentReport, *, calling: str = ARCHIVE) -> int:
    """Call our node as an archive and report."""
    node = site.settings.node
    peer = Peer(ae_title=node.ae_title, host=node.host, port=node.port, calling_ae_title=calling)
    with associate(
        peer,
        [build_context(SOP_CLASS_UID, ExplicitVRLittleEndian)],
        negotiation=[build_role(SOP_CLASS_UID, scp_role=True)],
    ) as association:
        status, _ = association.send_n_event_report(
            report.to_dataset(), report.event_type, SOP_CLASS_UID, SOP_INSTANCE_UID
        )
        return int(status.Status)


def deny_what_was_sent(site: Site, study: int = 1) -> None:
    """Let the archive deny its commitment to all that it was sent of a study."""
    uid, until = confirmation.new_transaction_uid(), site.clock() + timedelta(hours=1)
    with site.writing() as session:
        rows = outbox.deliveries_of(session, study)
        sent = [row for row in rows if row[0].state == DeliveryState.SENT]
        confirmation.claim(session, sent, transaction_uid=uid, until=until)
    with site.writing() as session:
        denied = {artifact.uid: "0112 no such object instance" for _, artifact in sent}
        confirmation.settle(session, uid, committed=(), denied=denied, at=site.clock(), actor="x")
