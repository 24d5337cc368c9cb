"""Removing studies whose days are over: `[retention] days`.

What may go says `core.retention`, how files go `core.removal`. One study after another, each in a
short transaction of its own, with a pause behind it: whoever indexes, drafts or delivers comes
between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from core import retention
from core.audit import AuditTrail
from core.audit_events import StudyInstances
from core.database import reading, writing
from core.log import log
from core.removal import StudyRemoval
from core.retention import PurgedStudy, RetentionPolicy
from core.tables import Study
from worker.parts import Parts

_BATCH = 100
_PAUSE_SECONDS = 0.02
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class PurgeResult:
    """What one purge did.

    Attributes:
        is_other_running: Somebody else purges; nothing was done.
        unfinished: Studies whose files could not be deleted; the next purge tries again.
    """

    studies: int = 0
    instances: int = 0
    size_bytes: int = 0
    unfinished: int = 0
    is_other_running: bool = False


class Purge:
    """One pass over everything that is due, in one process at a time.

    Args:
        actor: Who, in timelines and audit.
        on_purged: Is told of every study before its rows are gone for good, so that nothing goes
            untold; by default the audit trail.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        actor: str = "retention",
        on_purged: Callable[[PurgedStudy], None] | None = None,
    ) -> None:
        self._parts = parts
        self._actor = actor
        self._policy = RetentionPolicy.of(parts.settings)
        self._removal = StudyRemoval(parts.files)
        self._on_purged = on_purged or self._audit
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the study at hand."""
        self._stopping.set()

    def run(self) -> PurgeResult:
        """Finish what a crash left, then remove all that is due.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database is away; the next purge goes on.
        """
        with self._removal.only_one() as is_ours:
            if not is_ours:
                return PurgeResult(is_other_running=True)
            unfinished = sum(not self._remove_files(uid) for uid in self._removal.marks())
            studies = instances = size_bytes = 0
            for study in self._next_studies():
                if (purged := self._purge(study)) is None:
                    continue
                studies += 1
                instances += purged.instances
                size_bytes += purged.size_bytes
                unfinished += not self._remove_files(purged.study_uid)
        return PurgeResult(
            studies=studies, instances=instances, size_bytes=size_bytes, unfinished=unfinished
        )

    def _next_studies(self) -> Iterator[int]:
        """Yield what is due, each study once, until nothing is or somebody stops us."""
        tried: set[int] = set()
        while batch := [study for study in self._due() if study not in tried]:
            for study in batch:
                if self._stopping.wait(_PAUSE_SECONDS):
                    return
                tried.add(study)
                yield study

    def _due(self) -> list[int]:
        with reading(self._parts.engine) as session:
            return list(retention.due(session, self._policy, at=self._parts.clock(), limit=_BATCH))

    def _purge(self, study: int) -> PurgedStudy | None:
        """Remove a study's rows; None where something came that holds it."""
        with reading(self._parts.engine) as session:
            row = session.get(Study, study)
        if row is None:
            return None
        self._removal.mark(row.study_uid)
        with writing(self._parts.engine) as session:
            purged = retention.purge_rows(
                session, study, self._policy, at=self._parts.clock(), actor=self._actor
            )
            if purged is not None:
                self._on_purged(purged)
        if purged is None:
            self._removal.finish(row.study_uid)
            return None
        _log.info("study_purged", study=study, count=purged.instances, bytes=purged.size_bytes)
        return purged

    def _remove_files(self, study_uid: str) -> bool:
        """Remove the files of a study that no row points to; False where that failed."""
        try:
            with writing(self._parts.engine) as session:
                kept = retention.paths_under_lock(session, study_uid)
                self._removal.move_aside(study_uid, kept)
            self._removal.finish(study_uid)
        except OSError as error:
            _log.error("files_not_removed", uid=study_uid, reason=error.strerror)
            return False
        return True

    def _audit(self, purged: PurgedStudy) -> None:
        accession = (purged.accession_number,) if purged.accession_number else ()
        AuditTrail(self._parts.settings, self._parts.clock).study_deleted(
            StudyInstances(
                study_uid=purged.study_uid,
                patient_id=purged.patient_id,
                patient_issuer=purged.patient_issuer,
                accession_numbers=accession,
                sop_classes=purged.sop_classes,
            ),
            actor=self._actor,
        )


class PurgeLoop:
    """Purges about once a minute, in a thread beside the sweep: deleting may take its time."""

    def __init__(self, parts: Parts, every_seconds: float = 60.0) -> None:
        self._parts = parts
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._purge: Purge | None = None
        self._thread = threading.Thread(target=self._run, name="purge", daemon=True)

    def start(self) -> None:
        """Begin; nothing where nothing is ever removed."""
        if self._parts.settings.retention.days:
            self._thread.start()

    def stop(self) -> None:
        """End after the study at hand."""
        self._stopping.set()
        if self._purge is not None:
            self._purge.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._purge = Purge(self._parts)
            if self._stopping.is_set():
                return
            try:
                self._purge.run()
            except (SQLAlchemyError, OSError):
                _log.exception("purge_postponed")
            except Exception as error:  # noqa: BLE001  the sweep beside it goes on
                _log.error("purge_failed", exc_info=error)
            self._stopping.wait(self._every_seconds)
