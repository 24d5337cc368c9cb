r"""MLLP over TCP: a client that sends one message at a time and waits for its answer.

Delivered means one thing only: a positive answer (AA, or CA in enhanced mode) to this very message.
Everything else raises, and the caller keeps the message.

Source: HL7 v2 Minimal Lower Layer Protocol, release 1; HL7 v2.5.1 2.9 (acknowledgement).
"""

from __future__ import annotations

import atexit
import socket
import threading
import time
from typing import Literal

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnreadableMessageError,
)
from core.tls_context import PeerTls, requestor_context
from hl7.ack import Ack, AckCode
from hl7.connection import Connection
from hl7.er7 import parse
from hl7.frame import frame

__all__ = ["Ack", "AckCode", "AckMode", "close_connections", "probe", "send"]

# An answer is a few hundred bytes; a megabyte leaves room for one that repeats the message.
_MAX_ANSWER_BYTES = 1 << 20
AckMode = Literal["original", "enhanced"]
# Open connections of this process; a pool that forks opens them in its children.
_connections: dict[tuple[str, int, PeerTls | None], Connection] = {}
_guard = threading.Lock()


def send(
    host: str,
    port: int,
    message: bytes,
    *,
    timeout_seconds: float = 30.0,
    max_answer_bytes: int = _MAX_ANSWER_BYTES,
    ack_mode: AckMode = "original",
    tls: PeerTls | None = None,
) -> Ack:
    """Send a message and return the peer's positive answer to it.

    The connection stays open for the next message of this process, one at a time. To send the same
    bytes again is safe after every `TransientError`, since they carry the same MSH-10.

    Args:
        host: Name or address of the peer.
        port: Its TCP port.
        message: ER7, as `hl7.oru.build_oru` returns it.
        timeout_seconds: For all of it: connecting, sending, and the whole answer.
        max_answer_bytes: An answer longer than this is garbage.
        ack_mode: ``original``: yes is an application's (AA); ``enhanced``: that it has stored the
            message (CA). A yes of the other mode is one too; a later answer to an earlier message
            is passed over in enhanced mode.
        tls: How it is called over TLS.

    Raises:
        PeerUnreachableError: No connection, or it was closed or silent before a whole answer came.
            The peer may have stored the message all the same.
        TransientError: AE or CE (the peer could not take it now), or an answer to another message
            or to none: something is out of step, which a new connection may mend.
        PeerRefusedError: AR or CR.
        UnclearAnswerError: Garbage, that is bytes outside of a frame, a frame that holds no
            acknowledgement, or one that is too long: whoever listens there is no RIS, or one that
            may have stored the message.
        SettingsError: A file of `tls` cannot be used.
        UnreadableMessageError: `message` has no MSH-10.
        ValueError: `message` holds a frame byte.
    """
    control_id = parse(message).text("MSH", 10)
    if not control_id:
        raise UnreadableMessageError("The message has no MSH-10, so no answer could be matched.")
    framed = frame(message)
    connection = _connection_to(host, port, tls)
    deadline = time.monotonic() + timeout_seconds
    with connection.turn(deadline):
        ack = connection.exchange(
            framed, control_id, deadline, max_answer_bytes, is_patient=ack_mode == "enhanced"
        )
        return _judge(ack, control_id)


def probe(
    host: str, port: int, *, timeout_seconds: float = 5.0, tls: PeerTls | None = None
) -> None:
    """Connect to a peer, over TLS shake hands with it, and close again without sending anything.

    Raises:
        PeerUnreachableError: Nobody accepts the connection, or there is no TLS over it.
        SettingsError: A file of `tls` cannot be used.
    """
    try:
        connection = socket.create_connection((host, port), timeout=timeout_seconds)
    except OSError as error:
        raise PeerUnreachableError(f"{host}:{port} accepts no connection: {error}") from error
    with connection:
        if tls is None:
            return
        context = requestor_context(tls)
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except OSError as error:  # ssl.SSLError is one
            raise PeerUnreachableError(
                f"There is no TLS connection to {host}:{port}: {error}"
            ) from error


def _judge(ack: Ack, control_id: str) -> Ack:
    """Return a positive answer to this message; raise for every other."""
    # A peer that could not read the header refuses without naming the message.
    is_blind_refusal = ack.code in {AckCode.AR, AckCode.CR} and not ack.control_id
    if ack.control_id != control_id and not is_blind_refusal:
        raise TransientError(f"The peer answered another message than {control_id}.")
    match ack.code:
        case AckCode.AA | AckCode.CA:
            return ack
        case AckCode.AE | AckCode.CE:
            raise TransientError(f"The peer answered {ack.code} to message {control_id}.")
        case AckCode.AR | AckCode.CR:
            raise PeerRefusedError(
                f"The peer refused message {control_id} with {ack.code}: look at its log for the "
                "reason, then retry."
            )


def _connection_to(host: str, port: int, tls: PeerTls | None) -> Connection:
    with _guard:
        return _connections.setdefault((host, port, tls), Connection(host, port, tls))


def close_connections() -> None:
    """Close what is open between messages."""
    with _guard:
        for connection in _connections.values():
            connection.close()
        _connections.clear()


# What is still open when a process ends is closed in order, not by the collector.
atexit.register(close_connections)
