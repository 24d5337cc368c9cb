"""Looking up at an archive what it was sent: `confirm = "find"`, and answers that left doubt.

An archive may list an object some time after it took it, so that it is looked up three times before
it counts as forgotten; then the delivery goes the way that a denied storage commitment goes: sent
once more, the second time PARKED (`core.confirmation`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from core import confirmation
from core.audit_messages import QueryObject
from core.confirmation import Row
from core.database import reading, writing
from core.errors import PermanentError, TransientError
from core.log import log
from worker.destinations import Archive
from worker.destinations.base import Proof
from worker.parts import Parts

_LOOKS = 3
_PATIENCE = timedelta(minutes=1)
# How long one look may take before another process may try.
_LEASE = timedelta(minutes=5)
_log = log(__name__)


def is_due(parts: Parts, archive: Archive) -> bool:
    """Tell whether something of an archive is to be looked up now."""
    with reading(parts.engine) as session:
        return bool(_due(parts, archive, session=session))


def look_up(parts: Parts, archive: Archive) -> int:
    """Look up at one archive what is due; return how many objects it said something of."""
    with writing(parts.engine) as session:
        at = parts.clock()
        claimed: list[tuple[str, Row]] = []
        for rows in _due(parts, archive, session=session):
            for row in rows:
                uid = confirmation.new_transaction_uid()
                if confirmation.claim(session, [row], transaction_uid=uid, until=at + _LEASE):
                    claimed.append((uid, row))
    said = 0
    for transaction_uid, (_, artifact) in claimed:
        try:
            is_there = archive.holds(artifact.content or b"", _listener(parts, archive))
        except TransientError as error:
            # It will not answer for the others either.
            _postpone(parts, [uid for uid, _ in claimed[said:]], str(error))
            break
        except PermanentError as error:
            _asked(parts, transaction_uid, refusal=str(error))
        else:
            _settle(parts, transaction_uid, artifact.uid, is_there=is_there)
        said += 1
    _log.info("objects_looked_up", destination=archive.name, count=said)
    return said


def _due(parts: Parts, archive: Archive, *, session: Session) -> list[list[Row]]:
    return confirmation.due(
        session,
        archive.name,
        at=parts.clock(),
        only_doubtful=archive.proof is Proof.NONE,
    )


def _listener(parts: Parts, archive: Archive) -> Callable[[QueryObject], None]:
    recipient = archive.recipient

    def tell(query: QueryObject) -> None:
        if recipient is not None:
            parts.audit.query(query, ae_title=recipient.ae_title, address=recipient.address)

    return tell


def _settle(parts: Parts, transaction_uid: str, uid: str, *, is_there: bool) -> None:
    with writing(parts.engine) as session:
        rows = confirmation.awaiting(session, transaction_uid)
        is_last = any(delivery.commitment_asks + 1 >= _LOOKS for delivery, _ in rows)
        if not is_there and not is_last:
            confirmation.asked(
                session,
                transaction_uid,
                at=parts.clock(),
                patience=_PATIENCE,
                actor=parts.name,
            )
            return
        confirmation.settle(
            session,
            transaction_uid,
            committed=[uid] if is_there else [],
            denied={} if is_there else {uid: f"it was looked up {_LOOKS} times"},
            at=parts.clock(),
            actor=parts.name,
            denial="does not list it",
        )


def _asked(parts: Parts, transaction_uid: str, *, refusal: str) -> None:
    with writing(parts.engine) as session:
        confirmation.asked(
            session,
            transaction_uid,
            at=parts.clock(),
            patience=_PATIENCE,
            actor=parts.name,
            refusal=refusal,
        )


def _postpone(parts: Parts, transaction_uids: list[str], reason: str) -> None:
    at = parts.clock()
    until = at + timedelta(seconds=parts.settings.delivery.retry_max_seconds)
    with writing(parts.engine) as session:
        for uid in transaction_uids:
            confirmation.not_asked(
                session, uid, at=at, until=until, actor=parts.name, reason=reason
            )
