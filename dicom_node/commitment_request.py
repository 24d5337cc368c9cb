"""Asking an archive for storage commitment, and listening for its report on the same association.

Source: PS3.4 J.3.2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import cast

from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from core.errors import PeerUnreachableError, UnreadableInstanceError
from dicom_node.commitment_dataset import (
    REQUEST_STORAGE_COMMITMENT,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    TRANSFER_SYNTAXES,
    CommitmentRequest,
    Reference,
)
from dicom_node.connecting import Peer, associate
from dicom_node.header import read_header

_LOOK_SECONDS = 0.1
_PROCESSING_FAILURE = 0x0110


def reference_to(content: bytes) -> Reference | None:
    """Return how an object, given as a whole DICOM file, is named; None where it is none."""
    try:
        header = read_header(BytesIO(content))
    except UnreadableInstanceError:
        return None
    return Reference(sop_class_uid=header.sop_class_uid, sop_instance_uid=header.sop_instance_uid)


def request_commitment(
    peer: Peer,
    requests: Sequence[CommitmentRequest],
    *,
    on_answer: Callable[[CommitmentRequest, int], None],
    on_report: Callable[[int, bytes, str], int],
    is_settled: Callable[[], bool],
    wait_seconds: float,
) -> None:
    """Send requests on one association, then listen there for a while.

    Args:
        peer: The archive.
        requests: What it is to commit to.
        on_answer: Called with each request and the status of its answer.
        on_report: Called from another thread with Event Type ID, Event Information and its transfer
            syntax of each report that comes on this association; returns the status to answer.
        is_settled: Whether nothing is waited for any more; a report may come another way too.
        wait_seconds: How long is listened after the last answer.

    Raises:
        PeerUnreachableError: No connection, or it broke, or no answer came.
        PeerRefusedError: The archive does not offer storage commitment, or not to us.
        TransientError: The answer was "not now".
    """

    def take(event: evt.Event) -> tuple[int, None]:
        # pynetdicom serves it at once, in a thread: it may be faster than the request's answer.
        request = cast("N_EVENT_REPORT", event.request)
        data = request.EventInformation.getvalue() if request.EventInformation else b""
        event_type = request.EventTypeID or 0
        return on_report(event_type, data, str(event.context.transfer_syntax)), None

    with associate(
        peer,
        [build_context(SOP_CLASS_UID, list(TRANSFER_SYNTAXES))],
        handlers=[(evt.EVT_N_EVENT_REPORT, take)],
    ) as association:
        for number, request in enumerate(requests, start=1):
            on_answer(request, _ask(association, peer, request, number))
        until = time.monotonic() + wait_seconds
        while association.is_established and time.monotonic() < until and not is_settled():
            time.sleep(_LOOK_SECONDS)


def _ask(association: Association, peer: Peer, request: CommitmentRequest, number: int) -> int:
    try:
        answer, _ = association.send_n_action(
            request.to_dataset(),
            REQUEST_STORAGE_COMMITMENT,
            SOP_CLASS_UID,
            SOP_INSTANCE_UID,
            msg_id=number,
        )
    except (AttributeError, RuntimeError, OSError):
        raise PeerUnreachableError(f"The connection to {peer} broke.") from None
    status = answer.get("Status")
    if status is None:
        raise PeerUnreachableError(f"{peer} gave no answer to the request.")
    return int(status)
