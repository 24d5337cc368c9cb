"""A sender of our own, for what `storescu` cannot do: many associations held open together.

It speaks just enough DICOM: an association for one storage class, C-STORE, release. Instances are
small and made in memory.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Self

from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from bench.data import new_uid

SOP_CLASS = str(uid.ComputedRadiographyImageStorage)
_ASSOCIATE_AC, _DATA, _RELEASE_RQ = 0x02, 0x04, 0x05
_COMMAND, _LAST = 0x01, 0x02
_ANSWER_SECONDS = 120.0
# A PDU of 16,384 bytes is the least that receivers take by default.
_FRAGMENT_BYTES = 16_372


def associate_request(calling: str, called: str) -> bytes:
    """Return the bytes of an A-ASSOCIATE-RQ that proposes one storage class (PS3.8 9.3.2)."""
    length = MaximumLengthNotification()
    length.maximum_length_received = 131_072
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uid.UID("2.25.1")
    context = build_context(SOP_CLASS, uid.ExplicitVRLittleEndian)
    context.context_id = 1
    primitive = A_ASSOCIATE()
    primitive.application_context_name = uid.UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    primitive.presentation_context_definition_list = [context]
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    encoded: bytes = pdu.encode()
    return encoded


def _element(number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0x0000, number, len(value)) + value


def store_command(message: int, instance_uid: str) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    body = b"".join(
        (
            _element(0x0002, SOP_CLASS.encode()),
            _element(0x0100, struct.pack("<H", 0x0001)),
            _element(0x0110, struct.pack("<H", message)),
            _element(0x0700, struct.pack("<H", 0)),
            _element(0x0800, struct.pack("<H", 1)),
            _element(0x1000, instance_uid.encode()),
        )
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def data_pdu(fragment: bytes, flags: int) -> bytes:
    """Return a P-DATA-TF with one PDV (PS3.8 9.3.5)."""
    return (
        struct.pack(">BBIIBB", _DATA, 0, len(fragment) + 6, len(fragment) + 2, 1, flags) + fragment
    )


class SmallImages:
    """Small films of one study after the other, each under a UID of its own."""

    def __init__(self, per_study: int = 500, side: int = 16) -> None:
        self._per_study = per_study
        self._count = 0
        self._dataset = Dataset()
        self._dataset.SOPClassUID, self._dataset.Modality = SOP_CLASS, "CR"
        self._dataset.PatientID, self._dataset.PatientName = "BENCH1", "Bench^Synthetic"
        self._dataset.Rows = self._dataset.Columns = side
        self._dataset.SamplesPerPixel, self._dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        self._dataset.BitsAllocated = self._dataset.BitsStored = 8
        self._dataset.HighBit, self._dataset.PixelRepresentation = 7, 0
        self._dataset.PixelData = bytes(side * side)
        self._dataset["PixelData"].VR = "OW"

    def next(self) -> tuple[str, bytes]:
        """Return the next image's UID and data set, Explicit VR Little Endian."""
        if self._count % self._per_study == 0:
            self._dataset.StudyInstanceUID, self._dataset.SeriesInstanceUID = new_uid(), new_uid()
        self._count += 1
        self._dataset.SOPInstanceUID = new_uid()
        buffer = BytesIO()
        dcmwrite(buffer, self._dataset, implicit_vr=False, little_endian=True)
        return str(self._dataset.SOPInstanceUID), buffer.getvalue()


@dataclass
class Sender:
    """One association; a context manager that releases it.

    Raises:
        ConnectionError: The association was rejected, or the peer hung up.
    """

    port: int
    calling: str
    called: str = "TAQRIR"

    def __enter__(self) -> Self:
        self.connection = socket.create_connection(("127.0.0.1", self.port), _ANSWER_SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._message = 0
        try:
            self._associate()
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.connection.sendall(struct.pack(">BBII", _RELEASE_RQ, 0, 4, 0))
                self._receive()
        finally:
            self.connection.close()

    def _associate(self) -> None:
        self.connection.sendall(associate_request(self.calling, self.called))
        kind, _ = self._receive()
        if kind != _ASSOCIATE_AC:
            raise ConnectionRefusedError(f"the association was refused (PDU type {kind:02X})")

    def store(self, instance_uid: str, data: bytes) -> int:
        """Send one object; return the status that it was answered."""
        self._message = self._message % 0xFFFF + 1
        command = store_command(self._message, instance_uid)
        self.connection.sendall(data_pdu(command, _COMMAND | _LAST))
        for start in range(0, len(data), _FRAGMENT_BYTES):
            fragment = data[start : start + _FRAGMENT_BYTES]
            is_last = start + _FRAGMENT_BYTES >= len(data)
            self.connection.sendall(data_pdu(fragment, _LAST if is_last else 0))
        kind, answer = self._receive()
        if kind != _DATA:
            raise ConnectionError(f"no answer but a PDU of type {kind:02X}")
        return _status(answer[6:])

    def _receive(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise ConnectionResetError("the peer hung up")
            data += piece
        return data


def _status(command: bytes) -> int:
    """Return Status (0000,0900) of a command set (PS3.7 E.1)."""
    at = 0
    while at < len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        if number == 0x0900:
            return int.from_bytes(command[at + 8 : at + 10], "little")
        at += 8 + length
    raise ConnectionError("the answer has no status")
