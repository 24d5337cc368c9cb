"""Whether we can commit to what a sender names: it is indexed, its file is there and whole.

A request is evaluated once the index has caught up with everything that arrived before it: what
still waits in the inbox is neither there nor missing.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from core import commitments, store
from core.blobs import InstanceFiles
from core.clock import Clock
from core.database import reading, writing
from core.errors import UnreadableInstanceError
from core.log import log
from core.settings import Settings
from core.tables import Commitment, Instance, Study
from dicom_node.commitment_dataset import Reason, Reference
from dicom_node.incoming_studies import oldest_arrival
from dicom_node.receive import digest_of

# Databases take some thousand values in one statement.
_CHUNK = 500
# A request's digests are compared up to this many bytes: a second's work at most. Beyond it sizes
# are compared; every file was synced before its C-STORE was answered.
_DIGEST_BYTES = 256 << 20
# Moments in the database are microseconds, those of the inbox nanoseconds.
_ROUNDING = timedelta(milliseconds=1)
_T = TypeVar("_T", int, str)
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What stands in the index under a SOP Instance UID."""

    id: int
    study: int
    sop_class_uid: str
    path: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """An object that was named, what we have of it, and why we cannot commit to it, if so."""

    reference: Reference
    there: _Found | None
    reason: Reason | None


def evaluate_due(engine: Engine, settings: Settings, clock: Clock, files: InstanceFiles) -> int:
    """Evaluate every request that the index has caught up with; return how many."""
    with reading(engine) as session:
        waiting = commitments.evaluating(session)
    if not waiting:
        return 0
    oldest = oldest_arrival(files)
    ready = [
        commitment
        for commitment, requested_at in waiting
        if oldest is None or oldest > requested_at + _ROUNDING
    ]
    return sum(_evaluate(engine, settings, clock, files, commitment) for commitment in ready)


def _evaluate(
    engine: Engine, settings: Settings, clock: Clock, files: InstanceFiles, commitment: int
) -> bool:
    with reading(engine) as session:
        row = session.get_one(Commitment, commitment)
        references = [Reference(sop_class_uid=c, sop_instance_uid=i) for c, i in row.instances]
        found = _look_up(session, references, row.ae_title)
    # Files are read outside of the transaction: other writers would wait for them.
    verdicts = _compare(files, references, found)
    sender = settings.sender(row.ae_title)
    at = clock()
    # Without a promise (the setting was taken back since) there is nothing to commit to.
    until = at + timedelta(days=sender.commitment_days) if sender else at
    if until <= at:
        verdicts = [replace(v, reason=v.reason or Reason.PROCESSING_FAILURE) for v in verdicts]
    with writing(engine) as session:
        verdicts = _refuse_purged(session, verdicts)
        failed = [
            [v.reference.sop_class_uid, v.reference.sop_instance_uid, f"{v.reason:04X}"]
            for v in verdicts
            if v.reason is not None
        ]
        if commitments.evaluated(session, commitment, failed=failed, at=at) is None:
            return False
        committed = [v.there for v in verdicts if v.reason is None and v.there is not None]
        _commit_to(session, committed, until=until)
        _note(session, row, committed, at=at, until=until)
    _log.info(
        "commitment_evaluated",
        ae_title=row.ae_title,
        uid=row.transaction_uid,
        count=len(references),
        status=f"{len(failed)} failed",
    )
    return True


def _look_up(session: Session, references: Sequence[Reference], ae_title: str) -> dict[str, _Found]:
    """Return what the index has, by SOP Instance UID.

    The same UID may stand there with several contents: the sender means what it sent last itself,
    else what is current.
    """
    found: dict[str, _Found] = {}
    for chunk in _chunks(sorted({r.sop_instance_uid for r in references})):
        rows = session.execute(
            select(
                Instance.sop_instance_uid,
                Instance.id,
                Instance.study_id,
                Instance.sop_class_uid,
                Instance.path,
                Instance.size_bytes,
                Instance.digest,
            )
            .where(
                Instance.sop_instance_uid.in_(chunk),
                or_(Instance.is_current, Instance.sender == ae_title),
            )
            # The best one last, and so it stays. A resend makes an older content current again.
            .order_by(Instance.sender == ae_title, Instance.is_current, Instance.id)
        )
        for uid, instance, study, sop_class, path, size, digest in rows:
            found[uid] = _Found(
                id=instance,
                study=study,
                sop_class_uid=sop_class,
                path=path,
                size_bytes=size,
                digest=digest,
            )
    return found


def _compare(
    files: InstanceFiles, references: Sequence[Reference], found: dict[str, _Found]
) -> list[_Verdict]:
    verdicts = []
    budget = _DIGEST_BYTES
    for reference in references:
        there = found.get(reference.sop_instance_uid)
        reason: Reason | None
        if there is None:
            reason = Reason.NO_SUCH_INSTANCE
        elif there.sop_class_uid != reference.sop_class_uid:
            reason = Reason.CLASS_INSTANCE_CONFLICT
        else:
            budget -= there.size_bytes
            reason = _look_at_file(files, there, is_digested=budget >= 0)
        verdicts.append(_Verdict(reference=reference, there=there, reason=reason))
    return verdicts


def _look_at_file(files: InstanceFiles, there: _Found, *, is_digested: bool) -> Reason | None:
    path = files.resolve(there.path)
    try:
        entry = path.stat()
        if not there.path or not stat.S_ISREG(entry.st_mode):
            return Reason.NO_SUCH_INSTANCE
        if entry.st_size != there.size_bytes:
            return Reason.PROCESSING_FAILURE
        if is_digested and digest_of(path)[0] != there.digest:
            return Reason.PROCESSING_FAILURE
    except FileNotFoundError:
        return Reason.NO_SUCH_INSTANCE
    except (OSError, UnreadableInstanceError):
        return Reason.PROCESSING_FAILURE
    return None


def _refuse_purged(session: Session, verdicts: Sequence[_Verdict]) -> list[_Verdict]:
    """Keep studies from being purged until our rows are written; refuse what was purged before.

    Retention locks the study's row too, and removes the index entries with its lock held.
    """
    good = [v.there for v in verdicts if v.there is not None and v.reason is None]
    purged: set[int] = set()
    for chunk in _chunks(sorted({there.study for there in good})):
        rows = session.execute(
            select(Study.id, Study.purged_at)
            .where(Study.id.in_(chunk))
            .order_by(Study.id)
            .with_for_update()
        )
        purged |= {row[0] for row in rows if row[1] is not None}
    kept: set[int] = set()
    for chunk in _chunks([there.id for there in good if there.study not in purged]):
        kept |= set(session.scalars(select(Instance.id).where(Instance.id.in_(chunk))))
    return [
        replace(v, reason=Reason.NO_SUCH_INSTANCE)
        if v.reason is None and (v.there is None or v.there.id not in kept)
        else v
        for v in verdicts
    ]


def _commit_to(session: Session, committed: Sequence[_Found], *, until: datetime) -> None:
    """Promise to keep objects until then; an earlier, longer promise stands."""
    for chunk in _chunks([found.id for found in committed]):
        session.execute(
            update(Instance)
            .where(
                Instance.id.in_(chunk),
                or_(Instance.committed_until.is_(None), Instance.committed_until < until),
            )
            .values(committed_until=until)
            .execution_options(synchronize_session=False)
        )


def _note(
    session: Session,
    row: Commitment,
    committed: Sequence[_Found],
    *,
    at: datetime,
    until: datetime,
) -> None:
    studies = [found.study for found in committed]
    for study in sorted(set(studies)):
        store.note(
            session,
            study,
            "storage_committed",
            at=at,
            actor="node",
            ae_title=row.ae_title,
            uid=row.transaction_uid,
            instances=studies.count(study),
            until=until.isoformat(timespec="seconds"),
        )


def _chunks(items: Sequence[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
