"""The node: who may associate, C-ECHO and C-STORE, the index and the completion loop beside them.

pynetdicom runs the associations here; `dicom_node.receive.store` is the seam behind which another
receive loop can stand.
"""

from __future__ import annotations

import socket
import threading
from io import BytesIO
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from core import store as studies
from core.blobs import InstanceFiles
from core.clock import Clock, utcnow
from core.database import writing
from core.log import log
from core.queue import Doorbell
from core.settings import Settings
from dicom_node.associations import Associations
from dicom_node.completion import complete_quiet
from dicom_node.contexts import supported_contexts
from dicom_node.index import Indexer
from dicom_node.receive import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    Reception,
    Status,
    StorePolicy,
    StoreRequest,
)

# Large enough that a sender which obeys it spends its time on data, not on PDU headers.
_MAXIMUM_PDU_BYTES = 131_072
_REJECTED_PERMANENT = 0x01
_SOURCE_SERVICE_USER = 0x01
_CALLING_AE_TITLE_NOT_RECOGNISED = 0x03
_TICK_SECONDS = 0.5
_MEGABYTE = 1 << 20
_log = log(__name__)


class Node:
    """Our DICOM application entity with its index and its completion rule."""

    def __init__(
        self, settings: Settings, engine: Engine, doorbell: Doorbell, *, clock: Clock = utcnow
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._doorbell = doorbell
        self._clock = clock
        self._files = InstanceFiles(settings.data_dir)
        self._policy = StorePolicy(
            minimum_free_bytes=settings.node.minimum_free_mb * _MEGABYTE,
            minimum_free_percent=settings.node.minimum_free_percent,
            is_synced=settings.node.durability == "fsync",
        )
        self._association_id = Associations(settings.data_dir).new_id()
        self._indexer = Indexer(engine, self._files)
        self._stopping = threading.Event()
        self._completion = threading.Thread(target=self._watch, name="completion", daemon=True)
        self._server: Any = None

    def start(self) -> None:
        """Index what an earlier run left behind, then listen.

        Raises:
            OSError: The port is taken.
        """
        self._files.prepare()
        self._indexer.start()
        try:
            self._server = self._listen()
        except OSError:
            self._indexer.stop()
            raise
        self._completion.start()
        _log.info(
            "node_listening",
            ae_title=self._settings.node.ae_title,
            address=self._settings.node.host,
            port=self._settings.node.port,
        )

    def _listen(self) -> Any:
        return self._application_entity().start_server(
            (self._settings.node.host, self._settings.node.port),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, _send_answers_at_once),
                (evt.EVT_REQUESTED, self._admit),
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_C_STORE, self._store),
            ],
        )

    def stop(self) -> None:
        """Take no more, finish what was taken, end."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
        self._completion.join()
        self._indexer.stop()

    def _application_entity(self) -> ApplicationEntity:
        entity = ApplicationEntity(ae_title=self._settings.node.ae_title)
        entity.supported_contexts = supported_contexts()
        entity.require_called_aet = True
        entity.maximum_associations = self._settings.node.max_associations
        entity.maximum_pdu_size = _MAXIMUM_PDU_BYTES
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        return entity

    def _admit(self, event: evt.Event) -> None:
        """Reject an association from nobody we know (PS3.8 9.3.4: calling AE not recognised)."""
        association = event.assoc
        calling = cast("A_ASSOCIATE", association.requestor.primitive).calling_ae_title.strip()
        address = association.requestor.address
        if self._may_store(calling, address) or self._is_pacs(calling):
            return
        _log.warning("association_rejected", ae_title=calling, address=address)
        self._note("association_rejected", ae_title=calling, address=address)
        association.acse.send_reject(
            _REJECTED_PERMANENT, _SOURCE_SERVICE_USER, _CALLING_AE_TITLE_NOT_RECOGNISED
        )
        # Waits until the answer is out: pynetdicom would close the connection over it.
        association.kill()

    def _note(self, event: str, **detail: str) -> None:
        try:
            with writing(self._engine) as session:
                studies.note(session, None, event, at=self._clock(), actor="node", **detail)
        except SQLAlchemyError:
            _log.exception("audit_not_written")

    def _may_store(self, calling: str, address: str) -> bool:
        sender = self._settings.sender(calling)
        return sender is not None and (not sender.host or _is_same_host(sender.host, address))

    def _is_pacs(self, calling: str) -> bool:
        return any(pacs.ae_title == calling for pacs in self._settings.pacs)

    def _echo(self, event: evt.Event) -> int:
        del event
        return Status.SUCCESS

    def _store(self, event: evt.Event) -> int:
        requestor = event.assoc.requestor
        calling = requestor.ae_title.strip()
        if not self._may_store(calling, requestor.address):
            return Status.NOT_AUTHORISED
        command = cast("C_STORE", event.request)
        request = StoreRequest(
            sop_class_uid=str(command.AffectedSOPClassUID),
            sop_instance_uid=str(command.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae_title=calling,
            called_ae_title=self._settings.node.ae_title,
        )
        reception = Reception(self._files, request, self._policy, self._association_id)
        reception.write([cast("BytesIO", command.DataSet).getbuffer()])
        return reception.finish()

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            try:
                complete_quiet(self._engine, self._doorbell, self._settings.completion, self._clock)
            except SQLAlchemyError:
                _log.exception("completion_postponed")


def _send_answers_at_once(event: evt.Event) -> None:
    """Switch Nagle's algorithm off: small answers would wait for the sender's delayed ACK."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _is_same_host(configured: str, address: str) -> bool:
    """Tell whether a peer's address is one of a configured host's."""
    try:
        known = {row[4][0] for row in socket.getaddrinfo(configured, None)}
    except OSError:
        return False
    return address.removeprefix("::ffff:") in known
