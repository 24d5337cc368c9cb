"""Command sets: what a foreign library writes is read, what we write a foreign library reads."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode as foreign_decode
from pynetdicom.dsutils import encode as foreign_encode

from core.errors import UnreadableInstanceError
from dicom_node.command_set import Command, Field, decode, encode, response

CT = "1.2.840.10008.5.1.4.1.1.2"


def _store_request() -> bytes:
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = CT
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 2
    primitive.DataSet = BytesIO(b"\0\0")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    return bytes(foreign_encode(message.command_set, True, True) or b"")


def test_a_foreign_request_is_read() -> None:
    command = decode(_store_request())

    assert command.number(Field.COMMAND_FIELD) == Command.C_STORE_RQ
    assert command.number(Field.MESSAGE_ID) == 7
    assert command.text(Field.AFFECTED_SOP_CLASS_UID) == CT
    assert command.text(Field.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert command.has_data_set


def test_a_foreign_library_reads_our_answer() -> None:
    answer = response(decode(_store_request()), 0xA700, "the disk is nearly full")

    data = foreign_decode(BytesIO(answer), True, True)
    assert data.CommandGroupLength == len(answer) - 12
    assert data.CommandField == 0x8001
    assert data.MessageIDBeingRespondedTo == 7
    assert data.Status == 0xA700
    assert data.AffectedSOPInstanceUID == "1.2.3"
    assert data.ErrorComment == "the disk is nearly full"
    message = C_STORE_RSP()
    message.command_set = data
    assert message.message_to_primitive().Status == 0xA700


def test_an_answer_to_an_n_service_names_what_was_requested_as_affected() -> None:
    request = decode(
        encode(
            {
                Field.COMMAND_FIELD: Command.N_ACTION_RQ,
                Field.MESSAGE_ID: 1,
                Field.DATA_SET_TYPE: 1,
                Field.REQUESTED_SOP_CLASS_UID: "1.2.840.10008.1.20.1",
                Field.REQUESTED_SOP_INSTANCE_UID: "1.2.840.10008.1.20.1.1",
                Field.ACTION_TYPE_ID: 1,
            }
        )
    )

    answer = decode(response(request, 0))
    assert answer.number(Field.COMMAND_FIELD) == 0x8130
    assert answer.text(Field.AFFECTED_SOP_INSTANCE_UID) == "1.2.840.10008.1.20.1.1"
    assert answer.number(Field.ACTION_TYPE_ID) == 1
    assert not answer.has_data_set


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\x08\0\x16\0\x02\0\0\0\0\0",
        b"\0\0\0\x01\x04\0\0\0\x01\0\0\0",
        b"\0\0\x02\0\xff\xff\xff\xff",
        b"\0\0\x10\x01\x02\0\0\0\x01\0",
    ],
    ids=["nothing", "a byte", "another group", "a wide number", "a lying length", "no command"],
)
def test_what_is_no_command_set_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableInstanceError):
        decode(data)


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_decoder_down(data: bytes) -> None:
    try:
        command = decode(data)
    except UnreadableInstanceError:
        return
    decode(response(command, 0xC000, "x" * 100))


def test_a_long_comment_is_cut_to_what_its_element_holds() -> None:
    answer = decode(response(decode(_store_request()), 0xC000, "x" * 100))
    assert answer.text(Field.ERROR_COMMENT) == "x" * 64
