r"""MLLP over TCP: a client that sends one message and waits for its answer, and an endpoint.

Delivered means one thing only: a positive answer (AA, or CA in enhanced mode) to this very message.
Everything else raises, and the caller keeps the message.

Source: HL7 v2 Minimal Lower Layer Protocol, release 1; HL7 v2.5.1 2.9 (acknowledgement).
"""

from __future__ import annotations

import socket
import time

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnreadableMessageError,
)
from core.log import log
from hl7.ack import Ack, AckCode, read_ack
from hl7.er7 import parse
from hl7.frame import FrameReader, FrameTooLargeError, frame

__all__ = ["Ack", "AckCode", "probe", "send"]

# An answer is a few hundred bytes; a megabyte leaves room for one that repeats the message.
_MAX_ANSWER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_TURNS_TO_ACCEPT = 5
_log = log(__name__)


def send(
    host: str,
    port: int,
    message: bytes,
    *,
    timeout_seconds: float = 30.0,
    max_answer_bytes: int = _MAX_ANSWER_BYTES,
) -> Ack:
    """Send a message on a connection of its own and return the peer's positive answer to it.

    The first frame that comes back decides. To send the same bytes again is safe after every
    `TransientError`, since they carry the same MSH-10.

    Args:
        host: Name or address of the peer.
        port: Its TCP port.
        message: ER7, as `hl7.oru.build_oru` returns it.
        timeout_seconds: For all of it: connecting, sending, and the whole answer.
        max_answer_bytes: An answer longer than this is garbage.

    Raises:
        PeerUnreachableError: No connection, or it was closed or silent before a whole answer came.
            The peer may have stored the message all the same.
        TransientError: AE or CE (the peer could not take it now), or an answer to another message
            or to none: something is out of step, which a new connection may mend.
        PeerRefusedError: AR or CR; or garbage, that is bytes outside of a frame, a frame that holds
            no acknowledgement, or one that is too long: whoever listens there is no RIS.
        UnreadableMessageError: `message` has no MSH-10.
        ValueError: `message` holds a frame byte.
    """
    control_id = parse(message).text("MSH", 10)
    if not control_id:
        raise UnreadableMessageError("The message has no MSH-10, so no answer could be matched.")
    answer = _exchange((host, port), frame(message), timeout_seconds, max_answer_bytes)
    try:
        ack = read_ack(answer)
    except UnreadableMessageError as error:
        raise _garbage((host, port)) from error
    return _judge(ack, control_id)


def probe(host: str, port: int, *, timeout_seconds: float = 5.0) -> None:
    """Connect to a peer and close again, without sending anything.

    Raises:
        PeerUnreachableError: Nobody accepts the connection.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_seconds).close()
    except OSError as error:
        raise PeerUnreachableError(f"{host}:{port} accepts no connection: {error}") from error


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


def _garbage(address: tuple[str, int]) -> PeerRefusedError:
    return PeerRefusedError(
        f"{address[0]}:{address[1]} answered with something that is no HL7 acknowledgement: check "
        "that the address is that of the RIS's MLLP listener."
    )


def _exchange(
    address: tuple[str, int], framed: bytes, timeout_seconds: float, max_answer_bytes: int
) -> bytes:
    """Send a frame and return the message of the first frame that comes back."""
    deadline = time.monotonic() + timeout_seconds
    where = f"{address[0]}:{address[1]}"
    reader = FrameReader(max_answer_bytes)
    try:
        with socket.create_connection(address, timeout=timeout_seconds) as connection:
            connection.settimeout(_remaining(deadline))
            connection.sendall(framed)
            while True:
                connection.settimeout(_remaining(deadline))
                chunk = connection.recv(_CHUNK_BYTES)
                if not chunk:
                    raise PeerUnreachableError(f"{where} closed the connection before it answered.")
                if answers := reader.feed(chunk):
                    return answers[0]
                if reader.stray_bytes:
                    raise _garbage(address)
    except FrameTooLargeError as error:
        raise _garbage(address) from error
    except TimeoutError as error:
        raise PeerUnreachableError(f"{where} gave no answer in {timeout_seconds:g} s.") from error
    except OSError as error:
        raise PeerUnreachableError(f"{where} cannot be reached: {error}") from error


def _remaining(deadline: float) -> float:
    """Return the seconds left."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
