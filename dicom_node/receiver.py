"""One receiving process: it accepts connections and gives each association a thread.

Several such processes may accept on the same listening sockets; the kernel wakes one of them for
each connection. What they share stands on disk (`core.associations`, the inbox).
"""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

from core.audit_events import Alert
from core.log import log
from dicom_node.association import Association, Patience
from dicom_node.services import NodeParts, Services
from dicom_node.tls import TlsAcceptor, TlsHandshakeError
from dicom_node.upper_layer import UpperLayer

# How often a thread that waits for connections looks whether it should end.
_ACCEPT_SECONDS = 1
# Connections of one process that have not asked for anything yet. Beyond that the oldest goes: a
# sender that means it asks within milliseconds, a flood stays silent.
_MOST_SILENT = 256
_STOP_SECONDS = 5.0
_AUDIT_SECONDS = 5.0
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A listening socket."""

    socket: socket.socket
    tls: TlsAcceptor | None = None


class _Peer:
    """One connection and what has become of it.

    Raises:
        OSError: There are too many open files.
    """

    def __init__(self, connection: socket.socket, *, is_tls: bool) -> None:
        self.connection = connection
        # A handshake takes the connection's descriptor away: by this one it can be ended meanwhile.
        self._handle = connection.dup() if is_tls else connection
        self._is_disconnected = False
        self.association: Association | None = None

    @property
    def is_silent(self) -> bool:
        if self._is_disconnected:
            return False
        return self.association is None or self.association.is_silent

    def disconnect(self) -> None:
        """End the connection; its thread hears of it."""
        self._is_disconnected = True
        with contextlib.suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.connection.close()
        self._handle.close()


class Receiver:
    """Accepts connections on some listeners until it is stopped."""

    def __init__(self, parts: NodeParts, listeners: Sequence[Listener]) -> None:
        self._parts = parts
        self._listeners = listeners
        node = parts.settings.node
        self._patience = Patience(
            artim=node.artim_seconds, stall=node.stall_seconds, idle=node.idle_seconds
        )
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        # Oldest first: a dict remembers.
        self._peers: dict[int, _Peer] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to accept."""
        node = self._parts.settings.node
        _log.info("node_listening", ae_title=node.ae_title, address=node.host, port=node.port)
        _allow_many_files()
        for listener in self._listeners:
            # The kernel's own timer: it is the same for every process that shares the socket.
            listener.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, pack("ll", _ACCEPT_SECONDS, 0)
            )
            thread = threading.Thread(
                target=self._accept, args=[listener], name="accept", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        self._parts.trail.application_started("receiver")
        threading.Thread(target=self._keep_trail, name="audit", daemon=True).start()
        self._parts.associations.serve()

    def _keep_trail(self) -> None:
        """Tell the audit trail's repeats in time, also when nothing more happens."""
        while not self._stopping.wait(_AUDIT_SECONDS):
            self._parts.trail.flush()

    def stop(self) -> None:
        """Accept no more; end every association. What was not answered is not kept."""
        self._stopping.set()
        with self._lock:
            peers = list(self._peers.values())
        for peer in peers:
            peer.disconnect()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        for listener in self._listeners:
            listener.socket.close()
        self._parts.trail.application_stopped("receiver")

    def _accept(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listener.socket.accept()
            except (BlockingIOError, TimeoutError, InterruptedError):
                continue
            except OSError:
                # Out of files, say: others end, then there is room again.
                if not self._stopping.wait(_ACCEPT_SECONDS / 10):
                    _log.exception("connection_not_accepted")
                continue
            self._begin(connection, str(address[0]), listener.tls)

    def _begin(self, connection: socket.socket, address: str, tls: TlsAcceptor | None) -> None:
        try:
            peer = _Peer(connection, is_tls=tls is not None)
        except OSError:
            _log.exception("connection_not_served")
            connection.close()
            return
        with self._lock:
            self._peers[id(peer)] = peer
            silent = [other for other in self._peers.values() if other.is_silent]
            for other in silent[:-_MOST_SILENT]:
                other.disconnect()
        if len(silent) > _MOST_SILENT:
            _log.warning("silent_connection_closed", count=len(silent))
        thread = threading.Thread(
            target=self._serve, args=[peer, address, tls], name="association", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # No more threads are to be had: this one connection is refused.
            _log.exception("connection_not_served")
            self._end(peer)

    def _serve(self, peer: _Peer, address: str, tls: TlsAcceptor | None) -> None:
        """Serve one association: the border at which its errors end."""
        try:
            if tls is not None:
                peer.connection = tls.wrap(peer.connection)
            upper_layer = UpperLayer(peer.connection)
            services = Services(self._parts, address, is_tls=tls is not None)
            peer.association = Association(upper_layer, services, self._patience)
            peer.association.run()
        except TlsHandshakeError as error:
            _log.warning("handshake_failed", address=address, reason=str(error))
            self._parts.trail.security_alert(Alert.TLS_FAILED, error.fault, address=address)
        except OSError:
            _log.info("connection_lost", address=address)
        except Exception:  # noqa: BLE001  a bug in one association stops no other
            _log.exception("association_crashed", address=address)
        finally:
            self._end(peer)

    def _end(self, peer: _Peer) -> None:
        with self._lock:
            self._peers.pop(id(peer), None)
        peer.close()


def _allow_many_files() -> None:
    """Lift the number of open files to what the system allows: each association has a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
