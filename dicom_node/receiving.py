"""What a receiving process is made of.

It holds no more than it needs (no database, no model of any object), so that it stays small: there
is one a core.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from core.associations import Associations
from core.audit import AuditTrail
from core.blobs import InstanceFiles
from core.settings import Settings
from dicom_node.negotiation import supported
from dicom_node.receive import StorePolicy
from dicom_node.receiver import Listener, Receiver
from dicom_node.services import NodeParts
from dicom_node.tls import TlsAcceptor

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dicom_node.commitment import CommitmentService

_MEGABYTE = 1 << 20


def store_policy(settings: Settings) -> StorePolicy:
    """Return what Success promises at this site."""
    node = settings.node
    return StorePolicy(
        minimum_free_bytes=node.minimum_free_mb * _MEGABYTE,
        minimum_free_percent=node.minimum_free_percent,
        is_synced=node.durability == "fsync",
    )


def make_receiver(
    settings: Settings,
    database: Callable[[], Engine],
    listeners: Sequence[Listener],
    *,
    slot: int = 0,
) -> Receiver:
    """Return a receiving process's receiver; what its predecessor left is cleared away.

    Args:
        settings: The site's.
        database: Opens the database, for the day storage commitment is asked for.
        listeners: Listening sockets.
        slot: Which of the receiving processes this is.
    """

    @cache
    def commitment() -> CommitmentService:
        # With it come the database's libraries, which most senders never make us need.
        from dicom_node.commitment import CommitmentService

        return CommitmentService(database(), settings)

    files = InstanceFiles(settings.data_dir)
    associations = Associations(settings.data_dir, slot)
    files.prepare(leftovers_of=associations.prefix)
    associations.prepare()
    # Made once, and not while the first sender waits.
    supported()
    parts = NodeParts(
        settings=settings,
        files=files,
        associations=associations,
        policy=store_policy(settings),
        commitment=commitment,
        trail=AuditTrail(settings),
    )
    return Receiver(parts, listeners)


def serve_on(settings: Settings, sockets: dict[str, socket.socket]) -> list[Listener]:
    """Return listeners on sockets that `open_listeners` made, here or in another process."""
    listeners = [Listener(socket=sockets["plain"])] if "plain" in sockets else []
    if "tls" in sockets and settings.node.tls is not None:
        tls = TlsAcceptor(settings.node.tls, settings.resolve)
        listeners.append(Listener(socket=sockets["tls"], tls=tls))
    return listeners
