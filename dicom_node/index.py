"""Files to rows: the inbox is emptied into the index, at once and again after a crash.

An inbox entry goes away only after its rows are committed, so every step may be repeated. Files are
read, synced and linked before the transaction begins, so that it is short: it keeps others from
writing.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from core import intake, store
from core.blobs import InstanceFiles, WaitingFile
from core.database import writing
from core.errors import UnreadableInstanceError
from core.intake import Admission, Outcome, ReceivedInstance
from core.log import log
from core.tables import Study
from dicom_node.dataset_head import Head
from dicom_node.header import InstanceHeader, to_plain
from dicom_node.inbox_object import InboxObject, head_of, read_object, sync_all

# One transaction for many objects: a commit costs more than a row. Not more, so that a study shows
# while the rest of a burst is still read.
_BATCH = 256
# Of a long queue so many files are known at a time: memory does not grow with what waits.
_LISTED = 16 * _BATCH
_POLL_SECONDS = 0.05
_GATHER_SECONDS = 0.2
_PAUSE_SECONDS = 1.0
# Another process may have added the same study; its rows are seen at the next attempt.
_ATTEMPTS = 3
# Whoever receives goes before: a sender waits for its answer, nobody waits for a row.
_NICENESS = 5
# The database or the disk is away: later will do.
_NOT_THE_FILES_FAULT = (OperationalError, InterfaceError, OSError)
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class _Rejected:
    """A file of which no row can be made."""

    file: WaitingFile
    reason: str
    head: Head


def admit_every_image(header: InstanceHeader, sender: str) -> Admission:
    """Admit an image, whatever it is and whoever sent it."""
    del header, sender
    return Admission()


def _tell_nobody(received: Sequence[ReceivedInstance]) -> None:
    del received


class Indexer:
    """Turns inbox files into rows, in a thread.

    The inbox is the queue: whoever receives only puts files there, from whatever process.
    """

    def __init__(
        self,
        engine: Engine,
        files: InstanceFiles,
        *,
        admit: Callable[[InstanceHeader, str], Admission] = admit_every_image,
        on_indexed: Callable[[Sequence[ReceivedInstance]], None] = _tell_nobody,
        character_sets: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            engine: The database.
            files: The data folder.
            admit: Says whether an image of a sender (its AE title) may start a draft.
            on_indexed: Is told, after the commit, which objects are newly in the index. What it
                raises is logged.
            character_sets: By a sender's AE title, what its text is in, whatever it says itself.
        """
        self._engine = engine
        self._files = files
        self._admit = admit
        self._on_indexed = on_indexed
        self._character_sets = character_sets or {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        """Index what an earlier run left, then what arrives."""
        self.catch_up()
        self._thread.start()

    def stop(self) -> None:
        """Finish what arrived and end."""
        self._stopping.set()
        self._thread.join()

    def catch_up(self) -> int:
        """Index every inbox file; return how many there were."""
        count = 0
        while waiting := self._files.waiting(_LISTED):
            for start in range(0, len(waiting), _BATCH):
                self._index(waiting[start : start + _BATCH])
            count += len(waiting)
            if len(waiting) < _LISTED:
                break
        return count

    def _run(self) -> None:
        # Linux counts niceness by thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            is_last = self._stopping.is_set()
            try:
                is_idle = not self.catch_up()
            except (SQLAlchemyError, OSError):
                # The files stay in the inbox; a later look finds them.
                _log.exception("index_postponed")
                is_idle = self._stopping.wait(_PAUSE_SECONDS)
            if is_last and is_idle:
                return
            # A few hundred objects cost the disk little more than one: it is the receivers' too.
            self._stopping.wait(_POLL_SECONDS if is_idle else _GATHER_SECONDS)

    def _index(self, batch: Sequence[WaitingFile], attempts: int = _ATTEMPTS) -> None:
        """Index some inbox files; one that cannot be indexed is set aside and holds up no other."""
        try:
            self._index_together(batch)
        except _NOT_THE_FILES_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  the border of one object
            if isinstance(error, IntegrityError) and attempts > 1:
                self._index(batch, attempts - 1)
            elif len(batch) > 1:
                middle = len(batch) // 2
                self._index(batch[:middle])
                self._index(batch[middle:])
            else:
                _log.error("instance_not_indexed", exc_info=error)
                self._write([], [_reject(batch[0], f"unexpected {type(error).__name__}")])

    def _index_together(self, batch: Sequence[WaitingFile]) -> None:
        rejected: list[_Rejected] = []
        found: list[InboxObject] = []
        for file in batch:
            with _border(file, rejected):
                found.append(read_object(file, self._character_sets))
        placed: list[tuple[WaitingFile, ReceivedInstance]] = []
        errors = sync_all([item.file.path for item in found])
        for item, error in zip(found, errors, strict=True):
            with _border(item.file, rejected):
                if error is not None:
                    raise error
                placed.append((item.file, self._place(item)))
        self._files.sync_places(received.path for _, received in placed)
        self._write(placed, rejected)

    def _place(self, found: InboxObject) -> ReceivedInstance:
        """Give a file its place among the studies; return what the index keeps of it."""
        header, file = found.header, found.file
        is_asked = header.is_image and not header.is_own
        return ReceivedInstance(
            study=header.study,
            series_uid=header.series_uid,
            series_description=header.series_description,
            sop_class_uid=header.sop_class_uid,
            sop_instance_uid=header.sop_instance_uid,
            digest=found.digest,
            path=self._link(file, header, found.digest),
            size_bytes=file.size_bytes,
            sender=found.sender,
            received_at=_moment(file.arrived_ns),
            is_image=header.is_image,
            is_own=header.is_own,
            header=to_plain(header),
            association=file.association,
            patient_name_bytes=bytes.fromhex(header.patient_name_bytes),
            text_problem=header.text_problem,
            admission=self._admit(header, found.sender) if is_asked else Admission(),
        )

    def _link(self, file: WaitingFile, header: InstanceHeader, digest: str) -> str:
        uids = (header.study_uid, header.series_uid, header.sop_instance_uid)
        return self._files.link(file.path, *uids, digest)

    def _write(
        self,
        placed: Sequence[tuple[WaitingFile, ReceivedInstance]],
        rejected: Sequence[_Rejected],
    ) -> None:
        """Write the rows of some files, then forget their inbox entries."""
        objects = [received for _, received in placed]
        with writing(self._engine) as session:
            outcomes = intake.record_all(session, objects)
            self._note_rejected(session, rejected)
            self._hold_places(placed)
        for file, _ in placed:
            self._files.forget(file.path)
        for item in rejected:
            self._set_aside(item)
        _log_outcomes(objects, outcomes)
        pairs = zip(objects, outcomes, strict=True)
        self._tell([received for received, outcome in pairs if outcome is not Outcome.DUPLICATE])

    def _hold_places(self, placed: Sequence[tuple[WaitingFile, ReceivedInstance]]) -> None:
        """Link again what went since it was linked: a purge removes a study's files under its lock.

        Here the studies are locked, so that nothing more goes.
        """
        gone = [p for p in placed if not self._files.resolve(p[1].path).exists()]
        for file, received in gone:
            study, series, sop = (
                received.study.study_uid,
                received.series_uid,
                received.sop_instance_uid,
            )
            self._files.link(file.path, study, series, sop, received.digest)
        self._files.sync_places(received.path for _, received in gone)

    def _note_rejected(self, session: Session, rejected: Sequence[_Rejected]) -> None:
        """Say in a study's timeline what came and could not be indexed; else in our own."""
        if not rejected:
            return
        uids = {item.head.study_uid for item in rejected}
        rows = session.execute(select(Study.study_uid, Study.id).where(Study.study_uid.in_(uids)))
        studies: dict[str, int] = {row[0]: row[1] for row in rows}
        for item in rejected:
            store.note(
                session,
                studies.get(item.head.study_uid),
                "instance_set_aside",
                at=_moment(item.file.arrived_ns),
                actor="node",
                file=item.file.path.name,
                uid=item.head.sop_instance_uid,
                reason=item.reason,
            )

    def _set_aside(self, item: _Rejected) -> None:
        try:
            kept = self._files.set_aside(item.file.path)
        except FileNotFoundError:
            return
        _log.error("instance_set_aside", file=kept.name, reason=item.reason)

    def _tell(self, received: Sequence[ReceivedInstance]) -> None:
        if not received:
            return
        try:
            self._on_indexed(received)
        except Exception:  # noqa: BLE001  whoever listens stops nothing
            _log.exception("listener_failed")


@contextmanager
def _border(file: WaitingFile, rejected: list[_Rejected]) -> Iterator[None]:
    """Keep what is wrong with one file to itself."""
    try:
        yield
    except FileNotFoundError:
        # Its receiver took it back before it answered, or it was indexed already.
        return
    except UnreadableInstanceError as error:
        rejected.append(_reject(file, str(error)))


def _reject(file: WaitingFile, reason: str) -> _Rejected:
    return _Rejected(file=file, reason=reason, head=head_of(file.path))


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC)


def _log_outcomes(objects: Sequence[ReceivedInstance], outcomes: Sequence[Outcome]) -> None:
    """Write one line for what became of a study's objects: a burst would be thousands of them."""
    counts = Counter(
        (received.study.study_uid, received.sender, outcome)
        for received, outcome in zip(objects, outcomes, strict=True)
    )
    for (uid, sender, outcome), count in counts.items():
        _log.info("instances_indexed", uid=uid, ae_title=sender, kind=outcome, count=count)
