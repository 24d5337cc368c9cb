"""A DICOM peer that sends the bytes it is told to, right or wrong, and reads what comes back.

Requests are encoded by pynetdicom, PDUs and PDVs by hand: a library that keeps the standard could
not break it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self

from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from dicom_node import command_set
from dicom_node.command_set import Command, CommandSet, Field

VERIFICATION = "1.2.840.10008.1.1"
FILM_STORAGE = str(uid.ComputedRadiographyImageStorage)
EXPLICIT, IMPLICIT = str(uid.ExplicitVRLittleEndian), str(uid.ImplicitVRLittleEndian)
ECHO_CONTEXT, FILM_CONTEXT = 1, 3
# What a peer asks for where a test does not say otherwise.
CONTEXTS = ((ECHO_CONTEXT, VERIFICATION, (IMPLICIT,)), (FILM_CONTEXT, FILM_STORAGE, (EXPLICIT,)))
RELEASE = bytes.fromhex("0500 0000 0004 00000000")
RELEASED = bytes.fromhex("0600 0000 0004 00000000")
ABORT = bytes.fromhex("0700 0000 0004 00000000")
COMMAND, LAST = 1, 2
DATA, ABORTED, REJECTED, ACCEPTED = 4, 7, 3, 2
_SECONDS = 10


def request(
    *,
    calling: str = "MODALITY",
    called: str = "TAQRIR",
    contexts: Iterable[tuple[int, str, Sequence[str]]] = CONTEXTS,
    items: Sequence[Any] = (),
    maximum: int = 0,
) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = uid.UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = []
    for number, abstract, syntaxes in contexts:
        context = build_context(abstract, list(syntaxes))
        context.context_id = number
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uid.UID("1.2.3.4")
    primitive.user_information = [length, implementation, *items]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def pdv(context: int, data: bytes, control: int) -> bytes:
    """Return a PDV."""
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def pdu(*pdvs: bytes, kind: int = DATA) -> bytes:
    """Return a PDU of some PDVs, or of anything."""
    body = b"".join(pdvs)
    return struct.pack(">BxL", kind, len(body)) + body


def split(context: int, data: bytes, size: int, *, is_command: bool = False) -> list[bytes]:
    """Return a message's PDVs, each with `size` bytes of it."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    controls = [int(is_command)] * len(pieces)
    controls[-1] |= LAST
    return [pdv(context, piece, c) for piece, c in zip(pieces, controls, strict=True)]


def echo_command(message: int = 1, **fields: int | str | None) -> bytes:
    """Return the command set of a C-ECHO; fields by their names in `Field`."""
    return _command(
        {
            Field.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            Field.COMMAND_FIELD: Command.C_ECHO_RQ,
            Field.MESSAGE_ID: message,
            Field.DATA_SET_TYPE: 0x0101,
        },
        fields,
    )


def store_command(instance: str, message: int = 1, **fields: int | str | None) -> bytes:
    """Return the command set of a C-STORE; fields by their names in `Field`."""
    return _command(
        {
            Field.AFFECTED_SOP_CLASS_UID: FILM_STORAGE,
            Field.COMMAND_FIELD: Command.C_STORE_RQ,
            Field.MESSAGE_ID: message,
            Field.DATA_SET_TYPE: 1,
            Field.AFFECTED_SOP_INSTANCE_UID: instance,
        },
        fields,
    )


def _command(usual: dict[Field, int | str | None], other: dict[str, int | str | None]) -> bytes:
    fields = {**usual, **{Field[name.upper()]: value for name, value in other.items()}}
    # What is asked to be None is left out.
    return command_set.encode({f: value for f, value in fields.items() if value is not None})


def echo_message(message: int = 1) -> bytes:
    """Return a C-ECHO in one PDU."""
    return pdu(pdv(ECHO_CONTEXT, echo_command(message), COMMAND | LAST))


def store_message(
    instance: str, data: bytes, message: int = 1, **fields: int | str | None
) -> bytes:
    """Return a C-STORE: its command in one PDU, its data set in others."""
    command = pdu(pdv(FILM_CONTEXT, store_command(instance, message, **fields), COMMAND | LAST))
    return command + b"".join(pdu(piece) for piece in split(FILM_CONTEXT, data, 16_000))


def encoded(dataset: Dataset) -> bytes:
    """Return a data set's bytes in Explicit VR Little Endian."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


@dataclass(frozen=True)
class Received:
    """A PDU that came back."""

    kind: int
    body: bytes

    @property
    def abort(self) -> tuple[int, int]:
        """Who aborted, and why (PS3.8 9.3.8)."""
        assert self.kind == ABORTED
        return self.body[2], self.body[3]

    @property
    def rejection(self) -> tuple[int, int, int]:
        """Result, source and reason (PS3.8 9.3.4)."""
        assert self.kind == REJECTED
        return self.body[1], self.body[2], self.body[3]

    @property
    def acceptance(self) -> A_ASSOCIATE:
        """What was agreed upon."""
        assert self.kind == ACCEPTED
        answer = A_ASSOCIATE_AC()
        answer.decode(struct.pack(">BxL", self.kind, len(self.body)) + self.body)
        return answer.to_primitive()


class RawPeer:
    """One connection to a node."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close the connection as a machine that crashed: by a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close_half(self) -> None:
        """Send no more, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, *data: bytes) -> None:
        self._socket.sendall(b"".join(data))

    def send_byte_by_byte(self, data: bytes) -> None:
        for byte in data:
            self._socket.sendall(bytes((byte,)))

    def send_as_much_as_it_takes(self, data: bytes) -> None:
        """Send until the node reads no more."""
        with suppress(OSError):
            self._socket.sendall(data)

    def receive(self) -> Received | None:
        """Return the next PDU; None where the node has closed the connection."""
        header = self._exactly(6)
        if header is None:
            return None
        kind, length = struct.unpack(">BxL", header)
        body = self._exactly(length)
        assert body is not None, "the connection ended in the middle of a PDU"
        return Received(kind, body)

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                piece = self._socket.recv(size - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                assert not data, "the connection ended in the middle of a PDU"
                return None
            data += piece
        return data

    def associate(self, **options: Any) -> A_ASSOCIATE:
        """Ask for an association, which must be accepted."""
        self.send(request(**options))
        answer = self.receive()
        assert answer is not None
        return answer.acceptance

    def answer(self) -> CommandSet:
        """Return the next answer to a message, put together from however many PDVs."""
        return self.answer_and_pieces()[0]

    def answer_and_pieces(self) -> tuple[CommandSet, list[int]]:
        """Return the next answer, and the lengths of the PDUs that it came in."""
        data, sizes, is_last = b"", [], False
        while not is_last:
            received = self.receive()
            assert received is not None
            assert received.kind == DATA, received
            sizes.append(len(received.body))
            length, _, control = struct.unpack_from(">LBB", received.body)
            assert length + 4 == len(received.body), "one PDV in a PDU"
            assert control & COMMAND
            data += received.body[6:]
            is_last = bool(control & LAST)
        return command_set.decode(data), sizes

    def status(self) -> int:
        """Return the next answer's status."""
        return self.answer().number(Field.STATUS, -1)

    def release(self) -> None:
        """Release the association, which must be answered."""
        self.send(RELEASE)
        answer = self.receive()
        assert answer is not None
        assert (answer.kind, answer.body) == (6, b"\0\0\0\0")
        self.close()
