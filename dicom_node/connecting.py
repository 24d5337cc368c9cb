"""Associations that we ask for: with or without TLS, closed for certain, and why there is none.

Everything that calls a peer goes through `associate`.

TCP_NODELAY is set on each connection: without it every request waits some 45 ms for the peer's
delayed acknowledgement.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from core.errors import NoConnectionError, PeerRefusedError, SettingsError, TransientError
from core.tls_context import PeerTls, load_peer_tls
from dicom_node.reactor import steady
from dicom_node.receive import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

# What a peer may send us in one PDU; answers are short, so the size hardly matters here.
_MAX_PDU = 131_072

# How long a connection's thread may take to notice that it is over.
_THREAD_SECONDS = 5.0

# OpenSSL's names of reasons.
_REASONS = {
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS on this port",
    "UNSUPPORTED_PROTOCOL": "the peer offers no TLS version that is still allowed (1.2 or newer)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer takes neither TLS 1.2 nor 1.3",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the peer refused the handshake: no common cipher suite, or it asks for our certificate"
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer asks for our certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "for the peer our certificate has expired",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the peer refuses our certificate for this use",
}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Whom to call, as whom, and how long to wait.

    Attributes:
        connect_seconds: For the TCP connection, and for the TLS handshake.
        answer_seconds: For each answer: to the association request and to each message.
        tls: How it is called over TLS; None: without.
    """

    ae_title: str
    host: str
    port: int
    calling_ae_title: str = "TAQRIR"
    connect_seconds: float = 10.0
    answer_seconds: float = 30.0
    tls: PeerTls | None = None

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


class _TlsConnection(ssl.SSLSocket):
    """A connection that remembers why it failed: pynetdicom keeps that to its log.

    With TLS 1.3 a peer may refuse our certificate after the handshake, in answer to our first
    bytes, so reading is watched, too.
    """

    failure: OSError | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  the base's own
        try:
            super().do_handshake(block)
        except OSError as error:
            self.failure = error
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        try:
            return super().read(len, buffer)
        except ssl.SSLError as error:
            self.failure = error
            raise


class _TlsContext(ssl.SSLContext):
    """A context for one connection, which it keeps."""

    sslsocket_class = _TlsConnection
    connection: _TlsConnection | None = None

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        self.connection = super().wrap_socket(*arguments, **options)  # type: ignore[assignment]
        return self.connection  # type: ignore[return-value]


class _Entity(AE):
    """An application entity whose connections are closed for certain.

    pynetdicom forgets to close a socket whose shutdown fails, which is every one that the peer
    never accepted or has closed already. It also leaves Nagle's algorithm on.
    """

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.calling_ae_title)
        # Whoever calls and whoever answers is the same software (PS3.7 D.3.3.2).
        self.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self.connection_timeout = peer.connect_seconds
        self.acse_timeout = self.dimse_timeout = self.network_timeout = peer.answer_seconds
        self._connections: list[socket.socket] = []
        self._tls_context = None if peer.tls is None else _tls_context(peer.tls)

    def _create_socket(self, *arguments: Any) -> AssociationSocket:
        transport = super()._create_socket(*arguments)
        if transport.socket is not None:
            transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(transport.socket)
        return transport

    def tls_arguments(self, host: str) -> tuple[ssl.SSLContext, str] | None:
        """Return what pynetdicom makes a TLS connection of."""
        return None if self._tls_context is None else (self._tls_context, host)

    @property
    def tls_failure(self) -> OSError | None:
        """What went wrong with TLS."""
        connection = None if self._tls_context is None else self._tls_context.connection
        return None if connection is None else connection.failure

    def close(self) -> None:
        """Close what was opened."""
        if self._tls_context is not None and self._tls_context.connection is not None:
            self._connections.append(self._tls_context.connection)
        for connection in self._connections:
            connection.close()


def _tls_context(tls: PeerTls) -> _TlsContext:
    """Return a context with the files as they are now.

    Raises:
        NoConnectionError: A file cannot be used; that can be mended, and the peer called again.
    """
    context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        load_peer_tls(context, tls)
    except SettingsError as error:
        raise NoConnectionError(str(error)) from None
    return context


def _limit_reads(event: evt.Event) -> None:
    """Limit each wait for bytes: a peer that falls silent within a PDU must not hold the thread."""
    association = event.assoc
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.settimeout(association.network_timeout)


@contextmanager
def associate(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    negotiation: Sequence[Any] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
) -> Iterator[Association]:
    """Give an established association; released at the end, aborted on an error.

    Args:
        peer: Whom to call.
        contexts: What is proposed.
        negotiation: Items of extended negotiation, such as pynetdicom's role selection.
        handlers: pynetdicom's event handlers, such as for an N-EVENT-REPORT.

    Raises:
        NoConnectionError: No connection, or no answer in time.
        PeerRefusedError: The answer was no.
        TransientError: The answer was "not now".
    """
    rejections: list[A_ASSOCIATE] = []

    def look_for_rejection(event: evt.Event) -> None:
        # pynetdicom itself forgets one that comes before it has looked whether it is connected.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu.to_primitive())

    with closing(_Entity(peer)) as entity:
        try:
            association = entity.associate(
                peer.host,
                peer.port,
                list(contexts),
                ae_title=peer.ae_title,
                max_pdu=_MAX_PDU,
                ext_neg=list(negotiation),
                tls_args=entity.tls_arguments(peer.host),
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, _limit_reads),
                    (evt.EVT_PDU_RECV, look_for_rejection),
                    *handlers,
                ],
            )
        except OSError:
            raise NoConnectionError(f"The host name of {peer} cannot be resolved.") from None
        try:
            _require_established(association, peer, entity.tls_failure, rejections)
            steady(association)
            yield association
        except BaseException:
            association.abort()
            raise
        else:
            association.release()
        finally:
            # The thread that reads from the socket ends before the socket does.
            association.dul.join(_THREAD_SECONDS)


def _require_established(
    association: Association,
    peer: Peer,
    tls_failure: OSError | None,
    rejections: Sequence[A_ASSOCIATE],
) -> None:
    """Say why there is no association, if there is none.

    Raises:
        NoConnectionError, PeerRefusedError, TransientError: As `associate` says.
    """
    if association.is_established:
        return
    for answer in rejections:
        sentence = f"{peer} rejected the association: {answer.reason_str}."
        is_permanent = answer.result == 0x01  # PS3.8 9.3.4
        raise PeerRefusedError(sentence) if is_permanent else TransientError(sentence)
    if association.rejected_contexts:
        raise PeerRefusedError(f"{peer} takes none of the objects: {_contexts(association)}.")
    if tls_failure is not None:
        words = _tls_words(tls_failure)
        raise NoConnectionError(f"There is no TLS connection to {peer}: {words}.")
    raise NoConnectionError(f"There is no connection to {peer}.")


def _tls_words(error: OSError) -> str:
    """Say why a TLS connection failed; a certificate may be renewed, so none of it is for ever."""
    if isinstance(error, TimeoutError):
        return "the handshake took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL's own fixed words, at most with the host that we call.
        return f"its certificate is refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return "the peer broke the handshake off"
    reason = error.reason or "unknown reason"
    return _REASONS.get(reason, reason.replace("_", " ").lower())


def _contexts(association: Association) -> str:
    names = {
        f"{c.abstract_syntax.name if c.abstract_syntax else ''} ({c.status.lower()})"
        for c in association.rejected_contexts
    }
    return ", ".join(sorted(names))
