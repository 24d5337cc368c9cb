"""Reporting storage commitment on associations of our own: to senders that listen themselves.

The index process calls `report_due` every second. Each sender has a thread of its own while there
is something to tell it, so that a silent one holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from pynetdicom import build_context, build_role
from pynetdicom.association import Association
from sqlalchemy import Engine

from core import commitments
from core.blobs import InstanceFiles
from core.clock import Clock
from core.database import reading, writing
from core.errands import Errands
from core.errors import PeerRefusedError, PeerUnreachableError, PermanentError, TransientError
from core.log import log
from core.settings import Settings
from core.settings_node import SenderSettings
from core.tls_context import peer_tls
from dicom_node.commitment import EventReport, report_of, write_answer
from dicom_node.commitment_dataset import SOP_CLASS_UID, TRANSFER_SYNTAXES
from dicom_node.commitment_evaluation import evaluate_due
from dicom_node.connecting import Peer, associate

_CONNECT_SECONDS = 10.0
# On one association; the rest comes with the next, well before the claims are over.
_MOST_REPORTS = 20
_errands = Errands()
_log = log(__name__)


def report_due(engine: Engine, settings: Settings, clock: Clock, files: InstanceFiles) -> int:
    """Evaluate what the index has caught up with, report what is due on new associations.

    Returns at once: the reports go in threads (see `finish_reports`).

    Returns:
        How many requests were evaluated, and how many senders are now being told.
    """
    with reading(engine) as session:
        if not commitments.has_open(session):
            return 0
        is_overdue = commitments.overdue(session, at=clock())
    evaluated = evaluate_due(engine, settings, clock, files)
    if is_overdue:
        with writing(engine) as session:
            commitments.give_up(session, at=clock(), actor="node")
    told = 0
    for sender in settings.senders:
        if sender.host and sender.port:
            told += _start(engine, settings, clock, sender)
    return evaluated + told


def finish_reports(seconds: float | None = None) -> None:
    """Wait for the reports that are under way, for so many seconds each."""
    _errands.finish(seconds)


def _start(engine: Engine, settings: Settings, clock: Clock, sender: SenderSettings) -> bool:
    key = (str(settings.data_dir), sender.ae_title)
    if _errands.is_out(key):
        return False
    with reading(engine) as session:
        due = commitments.reporting(session, ae_title=sender.ae_title, at=clock())
    if not due:
        return False
    ids = [commitment for commitment, _ in due[:_MOST_REPORTS]]
    return _errands.start(key, partial(_report_all, engine, settings, clock, sender, ids))


def _report_all(
    engine: Engine,
    settings: Settings,
    clock: Clock,
    sender: SenderSettings,
    ids: Sequence[int],
) -> None:
    """Tell one sender everything that is due for it, on one association."""
    peer = Peer(
        ae_title=sender.ae_title,
        host=sender.host,
        port=sender.port or 0,
        calling_ae_title=settings.node.ae_title,
        connect_seconds=_CONNECT_SECONDS,
        answer_seconds=settings.delivery.timeout_seconds,
        tls=peer_tls(sender.tls, settings.resolve, "senders.tls"),
    )
    reports = list(_claim(engine, clock, ids))
    # The roles are the other way round: who opens this association is SCP (PS3.4 J.3.3.2).
    role = build_role(SOP_CLASS_UID, scp_role=True)
    try:
        try:
            _tell(engine, clock, peer, reports, [role])
        except PeerRefusedError:
            # Some refuse the role, and take a report under the default ones all the same.
            _tell(engine, clock, peer, reports, [])
    except (TransientError, PermanentError) as error:
        with writing(engine) as session:
            for report in reports:
                commitments.postpone(session, report.commitment, at=clock(), reason=str(error))
        _log.warning("commitment_not_reported", ae_title=sender.ae_title, count=len(reports))


def _tell(
    engine: Engine, clock: Clock, peer: Peer, reports: list[EventReport], roles: list[Any]
) -> None:
    """Send reports on one association; those that were answered are taken off the list.

    Raises:
        PeerUnreachableError, PeerRefusedError, TransientError: The rest was not sent.
    """
    contexts = [build_context(SOP_CLASS_UID, list(TRANSFER_SYNTAXES))]
    with associate(peer, contexts, negotiation=roles) as association:
        while reports:
            write_answer(engine, clock, reports[0], _send(association, peer, reports[0]))
            reports.pop(0)


def _claim(engine: Engine, clock: Clock, ids: Sequence[int]) -> Iterator[EventReport]:
    for commitment in ids:
        with writing(engine) as session:
            row = commitments.claim(session, commitment, at=clock())
            if row is not None:
                yield report_of(row)


def _send(association: Association, peer: Peer, report: EventReport) -> int:
    """Send an N-EVENT-REPORT; return the status of its answer.

    Raises:
        PeerUnreachableError: The connection broke, or no answer came.
    """
    try:
        answer, _ = association.send_n_event_report(
            report.content.to_dataset(),
            report.event_type,
            report.sop_class_uid,
            report.sop_instance_uid,
        )
    except (AttributeError, RuntimeError, OSError):
        raise PeerUnreachableError(f"The connection to {peer} broke.") from None
    status = answer.get("Status")
    if status is None:
        raise PeerUnreachableError(f"{peer} gave no answer to the report.")
    return int(status)
