"""Messages that cannot be done: each gets its status, and the association goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness.films import film, new_uid
from harness.logs import captured_logs
from harness.raw_peer import (
    COMMAND,
    ECHO_CONTEXT,
    FILM_CONTEXT,
    FILM_STORAGE,
    IMPLICIT,
    LAST,
    RawPeer,
    echo_command,
    echo_message,
    encoded,
    pdu,
    pdv,
    split,
    store_command,
    store_message,
)
from harness.receiving import Receiving, receiving
from pydicom import uid
from pydicom.dataset import Dataset
from servers import wait_until

from core.blobs import InstanceFiles
from dicom_node.command_set import Field
from dicom_node.receive import Status

C_FIND, C_GET, C_MOVE, C_CANCEL, N_SET = 0x0020, 0x0010, 0x0021, 0x0FFF, 0x0120
UNRECOGNISED = 0x0211


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("messages")) as node:
        yield node


@pytest.fixture
def node(running: Receiving) -> Iterator[Receiving]:
    """A receiver that must be as it was after the test."""
    yield running
    running.assert_unharmed()


@pytest.fixture
def peer(node: Receiving) -> Iterator[RawPeer]:
    """A peer with an association, which must still be good after the test."""
    with node.peer() as connected:
        connected.associate()
        yield connected
        connected.send(echo_message(77))
        answer = connected.answer()
        assert answer.number(Field.RESPONDED_MESSAGE_ID) == 77
        assert answer.number(Field.STATUS, -1) == Status.SUCCESS
        connected.release()


def _store(peer: RawPeer, dataset: Dataset, **command: Any) -> int:
    instance = str(dataset.get("SOPInstanceUID", new_uid()))
    peer.send(store_message(instance, encoded(dataset), **command))
    return peer.status()


# What the command says and what the data set says

PATHS = {
    "a path upwards": "../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "dots": "..",
    "65 characters": "1." + "2" * 63,
    "nothing": "",
    "a NUL inside": "1.2\0.3",
    "a line end": "1.2\n3",
    "letters": "1.2.x",
    "another alphabet's digits": "1.2.\u0663",
    "an empty component": "1..2",
    "a star": "1.2.*",
}


@pytest.mark.parametrize("instance", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("place", ["command", "both"])
def test_a_sop_instance_uid_that_is_none_is_an_invalid_instance(
    node: Receiving, peer: RawPeer, instance: str, place: str
) -> None:
    dataset = film()
    if place == "both":
        del dataset.SOPInstanceUID
    data = encoded(dataset)
    if place == "both":
        value = instance.encode("ascii", "replace")
        value += b"\0" * (len(value) % 2)
        element = b"\x08\0\x18\0UI" + len(value).to_bytes(2, "little") + value
        # Behind the SOP Class UID, where it belongs.
        at = data.index(b"\x08\0\x16\0UI")
        at += 8 + int.from_bytes(data[at + 6 : at + 8], "little")
        data = data[:at] + element + data[at:]

    peer.send(store_message(instance, data))

    assert peer.status() == Status.INVALID_INSTANCE
    assert node.stored() == []


@pytest.mark.parametrize("instance", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_study_or_series_uid_that_is_none_cannot_be_understood(
    node: Receiving, peer: RawPeer, instance: str, name: str
) -> None:
    dataset = film()
    value = instance.encode("ascii", "replace").decode("ascii")
    dataset.add_new(name, "LT", value)
    data = encoded(dataset)
    tag = {"StudyInstanceUID": b"\x20\0\x0d\0", "SeriesInstanceUID": b"\x20\0\x0e\0"}[name]
    data = data.replace(tag + b"LT", tag + b"UI")

    peer.send(store_message(str(dataset.SOPInstanceUID), data))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_object_of_no_study_or_series_cannot_be_understood(
    node: Receiving, peer: RawPeer, name: str
) -> None:
    dataset = film()
    delattr(dataset, name)

    assert _store(peer, dataset) == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


def test_an_object_with_another_uid_than_its_command_is_refused(
    node: Receiving, peer: RawPeer
) -> None:
    peer.send(store_message(new_uid(), encoded(film())))

    assert peer.status() == Status.DATA_SET_MISMATCH
    assert node.stored() == []


def test_an_object_of_another_class_than_its_command_is_refused(
    node: Receiving, peer: RawPeer
) -> None:
    dataset = film(SOPClassUID=uid.CTImageStorage)

    assert _store(peer, dataset) == Status.DATA_SET_MISMATCH
    assert node.stored() == []


def test_a_command_of_another_class_than_its_context_is_refused(
    node: Receiving, peer: RawPeer
) -> None:
    dataset = film(SOPClassUID=uid.CTImageStorage)

    status = _store(peer, dataset, affected_sop_class_uid=str(uid.CTImageStorage))

    assert status == Status.SOP_CLASS_NOT_SUPPORTED
    assert node.stored() == []


def test_a_store_on_the_verification_context_is_refused(node: Receiving, peer: RawPeer) -> None:
    dataset = film()
    command = store_command(str(dataset.SOPInstanceUID))
    peer.send(
        pdu(pdv(ECHO_CONTEXT, command, COMMAND | LAST)),
        *(pdu(piece) for piece in split(ECHO_CONTEXT, encoded(dataset), 1000)),
    )

    assert peer.status() == Status.SOP_CLASS_NOT_SUPPORTED
    assert node.stored() == []


def test_a_data_set_of_no_bytes_cannot_be_understood(node: Receiving, peer: RawPeer) -> None:
    peer.send(store_message(new_uid(), b""))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


@pytest.mark.parametrize("at", [2, 8, 30, 100, 250])
def test_a_data_set_that_is_cut_in_its_head_cannot_be_understood(
    node: Receiving, peer: RawPeer, at: int
) -> None:
    dataset = film()
    data = encoded(dataset)
    assert data.index(b"\x20\0\x0e\0UI") > 250

    peer.send(store_message(str(dataset.SOPInstanceUID), data[:at]))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 1000,
        b"\xff" * 1000,
        b"not a data set at all, but a text of even length",
        b"\x08\0\x05\0CS\xff\xff" + b"x" * 100,
        b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff" * 400,
    ],
    ids=["zeros", "ones", "a text", "a lying length", "a sequence of sequences without end"],
)
def test_a_data_set_that_is_none_cannot_be_understood(
    node: Receiving, peer: RawPeer, data: bytes
) -> None:
    peer.send(store_message(new_uid(), data))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


def test_a_whole_file_instead_of_a_data_set_is_refused(node: Receiving, peer: RawPeer) -> None:
    # Some senders forget to leave out the file's header.
    dataset = film()
    data = b"\0" * 128 + b"DICM" + encoded(dataset)

    peer.send(store_message(str(dataset.SOPInstanceUID), data))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


def test_an_object_that_comes_in_another_syntax_than_agreed_is_refused(
    node: Receiving, peer: RawPeer
) -> None:
    peer.release()
    with node.peer() as other:
        other.associate(contexts=[(FILM_CONTEXT, FILM_STORAGE, [IMPLICIT])])
        assert _store(other, film()) == Status.CANNOT_UNDERSTAND
        other.release()
    assert node.stored() == []
    peer.__init__(node.port)  # type: ignore[misc]  # the fixture looks at an open one
    peer.associate()


def test_the_same_object_may_come_twice(node: Receiving, peer: RawPeer) -> None:
    dataset = film()

    assert _store(peer, dataset) == Status.SUCCESS
    assert _store(peer, dataset) == Status.SUCCESS

    assert node.stored() == [encoded(dataset)] * 2
    node.forget()


def test_a_refused_object_does_not_spoil_the_next(node: Receiving, peer: RawPeer) -> None:
    good, bad = film(), film()
    data = encoded(good)

    peer.send(
        store_message("../x", encoded(bad), 1),
        store_message(str(good.SOPInstanceUID), data, 2),
        store_message(str(bad.SOPInstanceUID), b"", 3),
        store_message(str(good.SOPInstanceUID), data, 4),
    )

    assert [peer.status() for _ in range(4)] == [
        Status.INVALID_INSTANCE,
        Status.SUCCESS,
        Status.CANNOT_UNDERSTAND,
        Status.SUCCESS,
    ]
    assert node.stored() == [data] * 2
    node.forget()


# Commands that are not ours to do


def test_a_store_without_a_data_set_cannot_be_understood(node: Receiving, peer: RawPeer) -> None:
    command = store_command(new_uid(), data_set_type=0x0101)

    peer.send(pdu(pdv(FILM_CONTEXT, command, COMMAND | LAST)))

    assert peer.status() == Status.CANNOT_UNDERSTAND
    assert node.stored() == []


@pytest.mark.parametrize("field", [C_FIND, C_GET, C_MOVE, N_SET, 0x0000, 0x7777])
@pytest.mark.parametrize("has_data", [True, False])
def test_an_operation_that_we_do_not_know_is_unrecognised(
    peer: RawPeer, field: int, has_data: bool
) -> None:
    command = echo_command(9, command_field=field, data_set_type=1 if has_data else 0x0101)
    peer.send(pdu(pdv(ECHO_CONTEXT, command, COMMAND | LAST)))
    if has_data:
        peer.send(pdu(pdv(ECHO_CONTEXT, b"\x08\0\x05\0CS\0\0", 0), pdv(ECHO_CONTEXT, b"", LAST)))

    answer = peer.answer()

    assert answer.number(Field.STATUS, -1) == UNRECOGNISED
    assert answer.number(Field.RESPONDED_MESSAGE_ID) == 9
    assert answer.number(Field.COMMAND_FIELD) == field | 0x8000


@pytest.mark.parametrize(
    "command",
    [
        echo_command(command_field=C_CANCEL),
        echo_command(command_field=0x8030),
        echo_command(command_field=0x8001, status=0),
        echo_command(command_field=0x8100, status=0, responded_message_id=1),
    ],
    ids=["a cancel", "an answer to an echo", "an answer to a store", "an answer to a report"],
)
def test_what_asks_for_no_answer_gets_none(peer: RawPeer, command: bytes) -> None:
    # The fixture's echo is answered next.
    peer.send(pdu(pdv(ECHO_CONTEXT, command, COMMAND | LAST)))


def test_an_answer_with_a_data_set_is_passed_over(peer: RawPeer) -> None:
    command = echo_command(command_field=0x8001, data_set_type=1)
    peer.send(pdu(pdv(ECHO_CONTEXT, command, COMMAND | LAST), pdv(ECHO_CONTEXT, b"ab", LAST)))


def test_a_message_without_a_number_is_answered_all_the_same(
    node: Receiving, peer: RawPeer
) -> None:
    dataset = film()
    assert _store(peer, dataset, message_id=None) == Status.SUCCESS
    node.forget()

    peer.send(pdu(pdv(ECHO_CONTEXT, echo_command(message_id=None), COMMAND | LAST)))
    assert peer.status() == Status.SUCCESS


def test_numbers_up_to_the_largest_are_repeated_in_answers(peer: RawPeer) -> None:
    for number in (0, 1, 0xFFFF, 1):
        peer.send(echo_message(number))
        assert peer.answer().number(Field.RESPONDED_MESSAGE_ID) == number


def test_elements_that_we_do_not_know_are_passed_over(peer: RawPeer) -> None:
    odd = b"\0\0\x31\x10" + (4).to_bytes(4, "little") + b"\1\0\0\0"

    peer.send(pdu(pdv(ECHO_CONTEXT, echo_command() + odd, COMMAND | LAST)))

    assert peer.status() == Status.SUCCESS


# Errors of ours


def test_an_error_of_ours_ends_one_association_and_no_other(
    node: Receiving, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(files: InstanceFiles, association: str) -> None:
        raise ZeroDivisionError(association, files)

    dataset = film()
    with captured_logs() as log, node.peer() as victim:
        victim.associate()
        with monkeypatch.context() as patch:
            patch.setattr(InstanceFiles, "incoming", fail)
            victim.send(store_message(str(dataset.SOPInstanceUID), encoded(dataset)))
            assert victim.receive() is None
        # The connection is closed first.
        wait_until(lambda: "association_crashed" in log.getvalue(), interval=0.005)

    assert _store(peer, dataset) == Status.SUCCESS
    assert node.stored() == [encoded(dataset)]
    node.forget()


def test_no_uid_that_is_none_stands_in_the_log(node: Receiving, peer: RawPeer) -> None:
    with captured_logs() as log:
        peer.send(store_message("CANARY^NAME", encoded(film())))
        assert peer.status() == Status.INVALID_INSTANCE

    assert "instance_refused" in log.getvalue()
    assert "CANARY" not in log.getvalue()
    assert node.stored() == []
