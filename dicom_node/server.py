"""The node's two halves, and both in one process.

Receiving processes take objects in; one `Index` process makes rows of them, decides which study
is complete and reports on storage commitment. They share the data folder and the database, and
nothing else: either may die and come back while the other goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from core.associations import Associations
from core.audit import AuditTrail
from core.audit_messages import QueryObject
from core.audit_syslog import AuditShipper
from core.blobs import InstanceFiles
from core.clock import Clock, utcnow
from core.listening import open_listeners
from core.log import log
from core.queue import Doorbell
from core.settings import Settings
from core.settings_destinations import PacsSettings
from dicom_node.commitment_report import finish_reports, report_due
from dicom_node.completion import Completion
from dicom_node.index import Indexer
from dicom_node.receiver import Receiver
from dicom_node.receiving import make_receiver, serve_on
from dicom_node.rules import decide

_TICK_SECONDS = 0.5
# A commitment report under way is waited for when the node stops; another run sends it otherwise.
_REPORT_SECONDS = 5.0
_log = log(__name__)


class Index:
    """Everything that follows reception: rows, completion, commitment reports, the audit trail."""

    def __init__(
        self, settings: Settings, engine: Engine, doorbell: Doorbell, *, clock: Clock = utcnow
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._files = InstanceFiles(settings.data_dir)
        self._associations = Associations(settings.data_dir)
        self._trail = AuditTrail(settings, clock, open_associations=self._open_associations)
        self._shipper = AuditShipper(settings)
        self._indexer = Indexer(
            engine,
            self._files,
            admit=lambda header, sender: decide(header, sender, settings.rules),
            on_indexed=self._trail.instances_received,
            character_sets={s.ae_title: s.character_set for s in settings.senders},
        )
        self._completion = Completion(engine, doorbell, settings, clock, on_query=self._tell_query)
        self._stopping = threading.Event()
        # Each in a thread of its own: a slow one holds up no other.
        self._threads = [
            threading.Thread(target=self._every, args=[name, step], name=name, daemon=True)
            for name, step in (
                ("completion", self._completion.look),
                ("commitment", self._report_commitments),
                ("audit", self._trail.flush),
            )
        ]

    def start(self) -> None:
        """Index what an earlier run left behind, then what comes.

        Raises:
            SettingsError: A file of `[audit.syslog]` cannot be used.
        """
        self._files.prepare(leftovers_of=None)
        self._shipper.start()
        self._trail.application_started("index")
        self._indexer.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what arrived, and end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._completion.close()
        self._indexer.stop()
        finish_reports(_REPORT_SECONDS)
        self._trail.application_stopped("index")
        self._shipper.stop()

    def _open_associations(self) -> dict[str, str]:
        return {entry.id: entry.address for entry in self._associations.all()}

    def _tell_query(self, query: QueryObject, pacs: PacsSettings) -> None:
        self._trail.query(query, ae_title=pacs.ae_title, address=pacs.host)

    def _report_commitments(self) -> None:
        report_due(self._engine, self._settings, self._clock, self._files)

    def _every(self, name: str, step: Callable[[], object]) -> None:
        """Take a step again and again; a database or a disk that is away postpones it."""
        while not self._stopping.wait(_TICK_SECONDS):
            try:
                step()
            except (SQLAlchemyError, OSError):
                _log.exception("step_postponed", step=name)


class Node:
    """Our DICOM application entity in one process: a receiver and the index beside it."""

    def __init__(
        self, settings: Settings, engine: Engine, doorbell: Doorbell, *, clock: Clock = utcnow
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._index = Index(settings, engine, doorbell, clock=clock)
        self._receiver: Receiver | None = None

    def start(self) -> None:
        """Index what an earlier run left behind, then listen.

        Raises:
            OSError: A port is taken.
        """
        sockets = open_listeners(self._settings.node)
        InstanceFiles(self._settings.data_dir).prepare()
        self._index.start()
        listeners = serve_on(self._settings, sockets)
        self._receiver = make_receiver(self._settings, lambda: self._engine, listeners)
        self._receiver.start()

    def stop(self) -> None:
        """Take no more, finish what was taken, end."""
        if self._receiver is not None:
            self._receiver.stop()
        self._index.stop()
