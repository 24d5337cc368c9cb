"""DIMSE command sets, decoded and encoded: a few small elements, always Implicit VR Little Endian.

A data set library would take longer for them than a disk for the object that they announce.

Source: PS3.7 6.3, 9.3, 10.3 and annex E.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from core.errors import UnreadableInstanceError

NO_DATA_SET = 0x0101
_HEADER = Struct("<HHL")
_SHORT = Struct("<H")
_UID_LENGTH = 64


class Field(IntEnum):
    """Elements of group 0000 that we read or write."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    RESPONDED_MESSAGE_ID = 0x0120
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008


class Command(IntEnum):
    """Command Field (0000,0100)."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130
    C_CANCEL_RQ = 0x0FFF
    RESPONSE = 0x8000
    N_EVENT_REPORT_RSP = 0x8100


_NUMBERS = frozenset(
    (
        Field.COMMAND_FIELD,
        Field.MESSAGE_ID,
        Field.RESPONDED_MESSAGE_ID,
        Field.DATA_SET_TYPE,
        Field.STATUS,
        Field.EVENT_TYPE_ID,
        Field.ACTION_TYPE_ID,
    )
)


class CommandSet(dict[int, int | str]):
    """A command's elements: numbers as int, UIDs and text as str."""

    def number(self, field: Field, default: int = 0) -> int:
        """Return a number, or the default where it is absent."""
        value = self.get(field, default)
        return value if isinstance(value, int) else default

    def text(self, field: Field) -> str:
        """Return a text, empty where it is absent."""
        value = self.get(field, "")
        return value if isinstance(value, str) else ""

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.number(Field.DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET


def decode(data: bytes) -> CommandSet:
    """Return the elements of a command set; those that we do not know are passed over.

    Raises:
        UnreadableInstanceError: These are no elements of group 0000.
    """
    fields, at, end = CommandSet(), 0, len(data)
    while at < end:
        if at + _HEADER.size > end:
            raise UnreadableInstanceError("the command set is cut off")
        group, element, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if group or at + length > end:
            raise UnreadableInstanceError("the command set is damaged")
        if element in _NUMBERS:
            if length != _SHORT.size:
                raise UnreadableInstanceError("the command set holds a number of another size")
            fields[element] = _SHORT.unpack_from(data, at)[0]
        else:
            fields[element] = data[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    if Field.COMMAND_FIELD not in fields:
        raise UnreadableInstanceError("the command set says no command")
    return fields


def encode(fields: dict[Field, int | str]) -> bytes:
    """Return a command set's bytes, its group length in front."""
    elements = b"".join(_element(field, fields[field]) for field in sorted(fields))
    length = _HEADER.pack(0, Field.GROUP_LENGTH, 4) + len(elements).to_bytes(4, "little")
    return length + elements


def _element(field: Field, value: int | str) -> bytes:
    if isinstance(value, int):
        return _HEADER.pack(0, field, _SHORT.size) + _SHORT.pack(value)
    text = value.encode("ascii", "replace")
    if len(text) % 2:
        text += b" " if field is Field.ERROR_COMMENT else b"\0"
    return _HEADER.pack(0, field, len(text)) + text


def response(request: CommandSet, status: int, comment: str = "") -> bytes:
    """Return the answer to a request, without a data set.

    Args:
        request: What is answered: its UIDs are repeated, as PS3.7 9.3 and 10.3 ask.
        status: What to answer.
        comment: Error Comment (0000,0902), shortened to what LO may hold; no patient data.
    """
    fields: dict[Field, int | str] = {
        Field.COMMAND_FIELD: request.number(Field.COMMAND_FIELD) | Command.RESPONSE,
        Field.RESPONDED_MESSAGE_ID: request.number(Field.MESSAGE_ID),
        Field.DATA_SET_TYPE: NO_DATA_SET,
        Field.STATUS: status,
    }
    for asked, affected in (
        (Field.REQUESTED_SOP_CLASS_UID, Field.AFFECTED_SOP_CLASS_UID),
        (Field.REQUESTED_SOP_INSTANCE_UID, Field.AFFECTED_SOP_INSTANCE_UID),
    ):
        if uid := request.text(affected) or request.text(asked):
            fields[affected] = uid[:_UID_LENGTH]
    for field in (Field.EVENT_TYPE_ID, Field.ACTION_TYPE_ID):
        if field in request:
            fields[field] = request.number(field)
    if comment:
        fields[Field.ERROR_COMMENT] = comment[:_UID_LENGTH]
    return encode(fields)
