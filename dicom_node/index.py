"""Files to rows: the inbox is emptied into the index, at once and again after a crash.

An inbox entry goes away only after its rows are committed, so every step may be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from core import intake
from core.blobs import InstanceFiles, WaitingFile
from core.database import writing
from core.errors import UnreadableInstanceError
from core.intake import Outcome, ReceivedInstance
from core.log import log
from dicom_node.header import InstanceHeader, read_header, to_plain
from dicom_node.receive import digest_of, source_ae_title

# One transaction for many objects: a commit costs more than a row.
_BATCH = 64
_POLL_SECONDS = 0.05
_PAUSE_SECONDS = 1.0
# The database or the disk is away, or another node was faster: later will do.
_NOT_THE_FILES_FAULT = (OperationalError, InterfaceError, IntegrityError, OSError)
_log = log(__name__)


class Indexer:
    """Turns inbox files into rows, in a thread of the node.

    The inbox is the queue: whoever receives only puts files there, from whatever process.
    """

    def __init__(self, engine: Engine, files: InstanceFiles) -> None:
        self._engine = engine
        self._files = files
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
        waiting = self._files.waiting()
        for start in range(0, len(waiting), _BATCH):
            self._index(waiting[start : start + _BATCH])
        return len(waiting)

    def _run(self) -> None:
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
            if is_idle:
                self._stopping.wait(_POLL_SECONDS)

    def _index(self, batch: Sequence[WaitingFile]) -> None:
        """Index some inbox files; one that cannot be indexed is set aside and holds up no other."""
        try:
            self._write_rows(batch)
        except _NOT_THE_FILES_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  the border of one object
            if len(batch) > 1:
                for file in batch:
                    self._index([file])
                return
            _log.error("instance_not_indexed", exc_info=error)
            self._set_aside(batch[0].path, f"unexpected {type(error).__name__}")

    def _write_rows(self, batch: Sequence[WaitingFile]) -> None:
        """Write the rows of some inbox files, then forget the entries."""
        done: list[Path] = []
        with writing(self._engine) as session:
            for file in batch:
                if header := self._read(file):
                    received = self._place(session, file, header)
                    _log_outcome(received, intake.record(session, received))
                    done.append(file.path)
        for path in done:
            self._files.forget(path)

    def _read(self, file: WaitingFile) -> InstanceHeader | None:
        """Return a file's header; None where it was indexed already or cannot be understood."""
        try:
            return read_header(file.path)
        except FileNotFoundError:
            return None
        except UnreadableInstanceError as error:
            self._set_aside(file.path, str(error))
            return None

    def _set_aside(self, path: Path, reason: str) -> None:
        kept = self._files.set_aside(path)
        _log.error("instance_set_aside", file=kept.name, reason=reason)

    def _place(
        self, session: Session, file: WaitingFile, header: InstanceHeader
    ) -> ReceivedInstance:
        """Give a new file its place among the studies; return what the index keeps of it."""
        uids = (header.study_uid, header.series_uid, header.sop_instance_uid)
        digest, size = digest_of(file.path)
        is_known = intake.is_known(session, header.sop_instance_uid, digest)
        return ReceivedInstance(
            study=header.study,
            series_uid=header.series_uid,
            series_description=header.series_description,
            sop_class_uid=header.sop_class_uid,
            sop_instance_uid=header.sop_instance_uid,
            digest=digest,
            path="" if is_known else self._files.link(file.path, *uids, digest),
            size_bytes=size,
            sender=source_ae_title(file.path),
            received_at=datetime.fromtimestamp(file.arrived_ns / 1e9, tz=UTC),
            is_image=header.is_image,
            is_own=header.is_own,
            header=to_plain(header),
            association=file.association,
        )


def _log_outcome(received: ReceivedInstance, outcome: Outcome) -> None:
    _log.info(
        "instance_indexed",
        uid=received.sop_instance_uid,
        sop_class=received.sop_class_uid,
        ae_title=received.sender,
        kind=outcome,
    )
