"""Asking archives for proof of what they were sent: storage commitment, or a look at their lists.

Each archive is asked in a thread of its own, beside the sweep: one that is slow or silent delays
neither deliveries nor the other archives. What becomes of the answers stands in
`core.confirmation`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from core import confirmation
from core.database import reading, writing
from core.errands import Errands
from core.errors import PermanentError, TransientError
from core.log import log
from core.settings_destinations import PacsSettings
from dicom_node.commitment import CommitmentService
from dicom_node.commitment_dataset import CommitmentRequest
from dicom_node.commitment_request import reference_to, request_commitment
from worker import lookup
from worker.destinations import all_archives
from worker.destinations.pacs import peer_of
from worker.parts import Parts

# Archives that report on the same association do so at once; the others call our node.
_LISTEN_SECONDS = 5.0
# How long an attempt to ask may take before another process may try.
_LEASE = timedelta(minutes=10)
_SUCCESS = 0x0000
_errands = Errands()
_log = log(__name__)


def start_confirming(parts: Parts) -> int:
    """Ask every archive that is to confirm and has something to; return how many are being asked.

    Returns at once (see `finish_confirming`).
    """
    started = 0
    committing = {p.destination: p for p in parts.settings.pacs if p.confirm == "commitment"}
    for archive in all_archives(parts.settings):
        key = (str(parts.settings.data_dir), archive.name)
        if _errands.is_out(key):
            continue
        if archive.name in committing:
            with reading(parts.engine) as session:
                is_due = bool(confirmation.due(session, archive.name, at=parts.clock()))
            errand: Callable[[], object] = partial(ask, parts, committing[archive.name])
        else:
            is_due = lookup.is_due(parts, archive)
            errand = partial(lookup.look_up, parts, archive)
        if is_due:
            started += _errands.start(key, errand)
    return started


def finish_confirming(seconds: float | None = None) -> None:
    """Wait for what is being asked, for so many seconds each."""
    _errands.finish(seconds)


def ask(parts: Parts, pacs: PacsSettings, *, listen_seconds: float = _LISTEN_SECONDS) -> int:
    """Ask one archive for what is due; return how many requests it answered."""
    requests = _claim(parts, pacs)
    if not requests:
        return 0
    answered: list[str] = []

    def note_answer(request: CommitmentRequest, status: int) -> None:
        answered.append(request.transaction_uid)
        words = "" if status == _SUCCESS else f"the archive answered the request with {status:04X}"
        _asked(parts, request, words)

    service = CommitmentService(parts.engine, parts.settings, parts.clock)
    try:
        request_commitment(
            peer_of(parts.settings, pacs),
            requests,
            on_answer=note_answer,
            on_report=lambda event_type, data, syntax: service.on_event_report(
                calling_ae_title=pacs.ae_title,
                event_type=event_type,
                data=data,
                transfer_syntax_uid=syntax,
            ),
            is_settled=lambda: _is_settled(parts, requests),
            wait_seconds=listen_seconds,
        )
    except TransientError as error:
        _postpone(parts, [r for r in requests if r.transaction_uid not in answered], str(error))
    except PermanentError as error:
        for request in requests:
            if request.transaction_uid not in answered:
                _asked(parts, request, str(error))
    _log.info("commitment_asked", destination=pacs.destination, count=len(answered))
    return len(answered)


def _claim(parts: Parts, pacs: PacsSettings) -> list[CommitmentRequest]:
    """Put what is due under transactions, a request for the objects of each study."""
    requests = []
    with writing(parts.engine) as session:
        at = parts.clock()
        for rows in confirmation.due(session, pacs.destination, at=at):
            uid = confirmation.new_transaction_uid()
            claimed = confirmation.claim(session, rows, transaction_uid=uid, until=at + _LEASE)
            references = [
                reference
                for _, artifact in claimed
                if artifact.content and (reference := reference_to(artifact.content))
            ]
            if references:
                requests.append(
                    CommitmentRequest(transaction_uid=uid, references=tuple(references))
                )
    return requests


def _asked(parts: Parts, request: CommitmentRequest, refusal: str) -> None:
    with writing(parts.engine) as session:
        confirmation.asked(
            session,
            request.transaction_uid,
            at=parts.clock(),
            patience=timedelta(hours=parts.settings.delivery.confirm_hours),
            actor=parts.name,
            refusal=refusal,
        )


def _postpone(parts: Parts, requests: list[CommitmentRequest], reason: str) -> None:
    at = parts.clock()
    until = at + timedelta(seconds=parts.settings.delivery.retry_max_seconds)
    with writing(parts.engine) as session:
        for request in requests:
            confirmation.not_asked(
                session,
                request.transaction_uid,
                at=at,
                until=until,
                actor=parts.name,
                reason=reason,
            )


def _is_settled(parts: Parts, requests: list[CommitmentRequest]) -> bool:
    with reading(parts.engine) as session:
        return not any(confirmation.awaiting(session, r.transaction_uid) for r in requests)
