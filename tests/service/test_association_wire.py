"""Bytes that are no DICOM, or DICOM at the wrong moment: an abort, and nobody else is harmed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.films import film
from harness.raw_peer import (
    ABORT,
    ABORTED,
    COMMAND,
    ECHO_CONTEXT,
    FILM_CONTEXT,
    LAST,
    RELEASE,
    RELEASED,
    RawPeer,
    Received,
    echo_command,
    echo_message,
    encoded,
    pdu,
    pdv,
    request,
    split,
    store_command,
    store_message,
)
from harness.receiving import Receiving, receiving
from servers import wait_until

from dicom_node.receive import Status
from dicom_node.upper_layer import MAXIMUM_PDU_BYTES

# PS3.8 table 9-26: who aborts, and why.
BY_USER = (0, 0)
UNRECOGNISED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID = (2, 1), (2, 2), (2, 5), (2, 6)
FILM = film()
UID, DATA_SET = str(FILM.SOPInstanceUID), encoded(FILM)
COMMAND_SET = store_command(UID)
WHOLE_COMMAND = pdu(pdv(FILM_CONTEXT, COMMAND_SET, COMMAND | LAST))
SOME_DATA = pdu(pdv(FILM_CONTEXT, DATA_SET[:200], 0))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("wire")) as node:
        yield node


@pytest.fixture
def node(running: Receiving) -> Iterator[Receiving]:
    """A receiver that must be as it was after the test."""
    yield running
    running.assert_unharmed()


@pytest.fixture
def peer(node: Receiving) -> Iterator[RawPeer]:
    with node.peer() as connected:
        yield connected


def last_word(peer: RawPeer) -> Received:
    """Return the last PDU before the node closes its side, which it does once we close ours."""
    received = peer.receive()
    assert received is not None
    peer.close_half()
    assert peer.receive() is None
    return received


# Within an association

BROKEN = {
    "a PDU of length 0": (struct.pack(">BxL", 4, 0), INVALID),
    "a PDU of 4 GiB": (struct.pack(">BxL", 4, 0xFFFFFFFF), INVALID),
    "a PDU above our maximum": (struct.pack(">BxL", 4, MAXIMUM_PDU_BYTES + 1), INVALID),
    "a PDU too short for a PDV": (struct.pack(">BxL", 4, 5) + bytes(5), INVALID),
    "an unknown PDU type": (struct.pack(">BxL", 8, 4) + bytes(4), UNRECOGNISED),
    "PDU type 0": (bytes(10), UNRECOGNISED),
    "another protocol": (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", UNRECOGNISED),
    "an association request of 4 GiB": (struct.pack(">BxL", 1, 0xFFFFFFFF), INVALID),
    "a release of 5 bytes": (struct.pack(">BxL", 5, 5) + bytes(5), INVALID),
    "an abort of 4 GiB": (struct.pack(">BxL", 7, 0xFFFFFFFF), INVALID),
    "a PDV of odd length": (pdu(pdv(FILM_CONTEXT, COMMAND_SET + b"\0", COMMAND | LAST)), INVALID),
    "a PDV of length 0": (pdu(struct.pack(">L", 0) + bytes(2)), INVALID),
    "a PDV of length 1": (pdu(struct.pack(">LB", 1, FILM_CONTEXT) + bytes(1)), INVALID),
    "a PDV of 4 GiB": (pdu(struct.pack(">LBB", 0xFFFFFFFE, FILM_CONTEXT, 3), bytes(20)), INVALID),
    "a PDV longer than its PDU": (
        pdu(struct.pack(">LBB", 200, FILM_CONTEXT, 3), bytes(100)),
        INVALID,
    ),
    "a PDU that ends in half a PDV": (
        pdu(pdv(FILM_CONTEXT, COMMAND_SET, COMMAND | LAST), bytes(3)),
        INVALID,
    ),
    "an unknown control header": (pdu(pdv(FILM_CONTEXT, COMMAND_SET, 0x83)), INVALID),
    "a command that is no command": (pdu(pdv(FILM_CONTEXT, b"garbage.", COMMAND | LAST)), INVALID),
    "an empty command": (pdu(pdv(FILM_CONTEXT, b"", COMMAND | LAST)), INVALID),
    "a command that is cut off": (
        pdu(pdv(FILM_CONTEXT, COMMAND_SET[:-4], COMMAND | LAST)),
        INVALID,
    ),
    "a command without an end": (
        b"".join(pdu(pdv(FILM_CONTEXT, bytes(32_000), COMMAND)) for _ in range(3)),
        INVALID,
    ),
    "a context that was not accepted": (
        pdu(pdv(99, COMMAND_SET, COMMAND | LAST)),
        INVALID,
    ),
    "data on a context that was not accepted": (WHOLE_COMMAND + pdu(pdv(99, b"00", 0)), (2, 5)),
    "data without a command": (SOME_DATA, UNEXPECTED_PARAMETER),
    "data in the middle of a command": (
        pdu(pdv(FILM_CONTEXT, COMMAND_SET[:20], COMMAND)) + SOME_DATA,
        UNEXPECTED_PARAMETER,
    ),
    "data on another context than its command": (
        WHOLE_COMMAND + pdu(pdv(ECHO_CONTEXT, DATA_SET[:200], 0)),
        UNEXPECTED_PARAMETER,
    ),
    "two commands at once": (
        pdu(pdv(FILM_CONTEXT, COMMAND_SET[:20], COMMAND))
        + pdu(pdv(ECHO_CONTEXT, echo_command(), COMMAND | LAST)),
        UNEXPECTED_PARAMETER,
    ),
    "a command before the data of the last one": (
        WHOLE_COMMAND + SOME_DATA + WHOLE_COMMAND,
        UNEXPECTED_PARAMETER,
    ),
    "an association request": (request(), UNEXPECTED),
    "an association request in the middle of an object": (
        WHOLE_COMMAND + SOME_DATA + request(),
        UNEXPECTED,
    ),
    "an acceptance": (pdu(bytes(70), kind=2), UNEXPECTED),
    "a rejection": (pdu(bytes(4), kind=3), UNEXPECTED),
    "an answer to a release": (RELEASED, UNEXPECTED),
}


@pytest.mark.parametrize(("data", "why"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_protocol_is_answered_by_an_abort(
    node: Receiving, peer: RawPeer, data: bytes, why: tuple[int, int]
) -> None:
    peer.associate()

    peer.send(data)

    assert last_word(peer).abort == why
    assert node.stored() == []


@pytest.mark.parametrize(("data", "why"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_protocol_is_answered_by_an_abort_however_it_is_cut(
    node: Receiving, peer: RawPeer, data: bytes, why: tuple[int, int]
) -> None:
    peer.associate()

    peer.send_as_much_as_it_takes(data[:1])
    for at in range(1, min(len(data), 900)):
        peer.send_as_much_as_it_takes(data[at : at + 1])
    peer.send_as_much_as_it_takes(data[900:])

    assert last_word(peer).abort == why
    assert node.stored() == []


def test_data_after_the_last_piece_end_the_association_and_keep_the_object(
    node: Receiving, peer: RawPeer
) -> None:
    peer.associate()

    peer.send(store_message(UID, DATA_SET), pdu(pdv(FILM_CONTEXT, b"more", LAST)))

    assert peer.status() == Status.SUCCESS
    assert last_word(peer).abort == UNEXPECTED_PARAMETER
    assert node.stored() == [DATA_SET]
    node.forget()


# Before an association

TOO_EARLY = {
    "data": (WHOLE_COMMAND, BY_USER),
    "a release": (RELEASE, BY_USER),
    "an answer to a release": (RELEASED, BY_USER),
    "an acceptance": (pdu(bytes(70), kind=2), BY_USER),
    "a rejection": (pdu(bytes(4), kind=3), BY_USER),
    "another protocol": (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", BY_USER),
    "a TLS handshake": (bytes.fromhex("1603010200010001fc0303") + bytes(500), BY_USER),
    "zeros": (bytes(100), BY_USER),
    "a request of 4 GiB": (struct.pack(">BxL", 1, 0xFFFFFFFF), BY_USER),
    "a request of 4 bytes": (pdu(bytes(4), kind=1), INVALID),
    "a request of zeros": (pdu(bytes(68), kind=1), (2, 6)),
    "a request of garbage": (pdu(b"\x7f" * 300, kind=1), (2, 6)),
}


@pytest.mark.parametrize(("data", "why"), TOO_EARLY.values(), ids=TOO_EARLY)
@pytest.mark.usefixtures("node")
def test_who_does_not_begin_with_a_request_is_aborted(
    peer: RawPeer, data: bytes, why: tuple[int, int]
) -> None:
    peer.send(data)

    assert last_word(peer).abort == why


@pytest.mark.usefixtures("node")
def test_an_abort_instead_of_a_request_closes_the_connection(peer: RawPeer) -> None:
    peer.send(ABORT)

    assert peer.receive() is None


def test_garbage_after_an_abort_of_ours_is_not_answered(node: Receiving, peer: RawPeer) -> None:
    peer.associate()
    peer.send(bytes(10))
    answer = peer.receive()
    assert answer is not None
    assert answer.abort == UNRECOGNISED

    peer.send(bytes(10), b"GET / HTTP/1.1", store_message(UID, DATA_SET))
    peer.send(ABORT)
    peer.close_half()

    assert peer.receive() is None
    assert node.stored() == []


def test_data_and_requests_behind_a_release_are_ignored(node: Receiving, peer: RawPeer) -> None:
    peer.associate()

    peer.send(RELEASE, store_message(UID, DATA_SET))
    answer = peer.receive()

    assert answer is not None
    assert (answer.kind, answer.body) == (6, bytes(4))
    peer.close_half()
    assert peer.receive() is None
    assert node.stored() == []


def test_a_request_behind_a_release_is_aborted(node: Receiving, peer: RawPeer) -> None:
    peer.associate()

    peer.send(RELEASE, request())
    answer = peer.receive()

    assert answer is not None
    assert answer.kind == 6
    assert last_word(peer).abort == UNEXPECTED
    assert node.stored() == []


# The end in the middle


def _abort(peer: RawPeer) -> None:
    peer.send(ABORT)


ENDS: dict[str, Callable[[RawPeer], Any]] = {
    "released": lambda peer: peer.send(RELEASE),
    "aborted": _abort,
    "closed": RawPeer.close,
    "half closed": RawPeer.close_half,
    "reset": RawPeer.reset,
}
BEGINNINGS = {
    "half a PDU header": WHOLE_COMMAND[:3],
    "half a PDV header": WHOLE_COMMAND[:9],
    "half a command": WHOLE_COMMAND[:30],
    "part of a command": pdu(pdv(FILM_CONTEXT, COMMAND_SET[:20], COMMAND)),
    "a command": WHOLE_COMMAND,
    "some data": WHOLE_COMMAND + SOME_DATA,
    "half a PDU of data": WHOLE_COMMAND + SOME_DATA[:100],
    "all data but the last piece": WHOLE_COMMAND + pdu(pdv(FILM_CONTEXT, DATA_SET, 0)),
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_association_that_ends_in_the_middle_of_a_message_leaves_nothing(
    node: Receiving, peer: RawPeer, beginning: bytes, end: Callable[[RawPeer], Any]
) -> None:
    peer.associate()
    peer.send(beginning)

    end(peer)
    peer.close()

    wait_until(node.is_empty_handed, interval=0.005)
    assert node.stored() == []


def test_a_release_in_the_middle_of_an_object_is_answered_and_leaves_nothing_at_once(
    node: Receiving, peer: RawPeer
) -> None:
    peer.associate()
    peer.send(WHOLE_COMMAND, SOME_DATA)
    wait_until(lambda: any(node.files.partial.iterdir()), interval=0.005)

    peer.send(RELEASE)
    answer = peer.receive()

    assert answer is not None
    assert answer.kind == 6
    # Though the peer keeps its connection.
    assert node.is_empty_handed()


def test_an_aborted_association_is_out_of_the_register_though_its_peer_stays(
    node: Receiving, peer: RawPeer
) -> None:
    peer.associate()
    assert len(list(node.associations.all())) == 1

    peer.send(bytes(10))
    answer = peer.receive()

    assert answer is not None
    assert answer.kind == ABORTED
    assert node.is_empty_handed()


# Right, but cut in unusual ways


@pytest.mark.parametrize("size", [2, 4, 6, 10, 50, 16_378])
def test_a_command_may_come_in_pdvs_of_any_even_length(
    node: Receiving, peer: RawPeer, size: int
) -> None:
    peer.associate()

    for piece in split(FILM_CONTEXT, COMMAND_SET, size, is_command=True):
        peer.send(pdu(piece))
    peer.send(*(pdu(piece) for piece in split(FILM_CONTEXT, DATA_SET, max(size, 10))))

    assert peer.status() == Status.SUCCESS
    assert node.stored() == [DATA_SET]
    node.forget()


@pytest.mark.parametrize("size", [2, 30, 16_000])
def test_a_command_and_its_data_may_share_a_pdu(node: Receiving, peer: RawPeer, size: int) -> None:
    peer.associate()

    pieces = split(FILM_CONTEXT, COMMAND_SET, size, is_command=True)
    pieces += split(FILM_CONTEXT, DATA_SET, size)
    peer.send(pdu(*pieces))

    assert peer.status() == Status.SUCCESS
    assert node.stored() == [DATA_SET]
    node.forget()


def test_an_empty_last_piece_ends_a_message(node: Receiving, peer: RawPeer) -> None:
    peer.associate()

    peer.send(
        pdu(pdv(FILM_CONTEXT, COMMAND_SET, COMMAND), pdv(FILM_CONTEXT, b"", COMMAND | LAST)),
        pdu(pdv(FILM_CONTEXT, b"", 0)),
        pdu(pdv(FILM_CONTEXT, DATA_SET, 0)),
        pdu(pdv(FILM_CONTEXT, b"", LAST)),
        echo_message(),
    )

    assert peer.status() == Status.SUCCESS
    assert peer.status() == Status.SUCCESS
    assert node.stored() == [DATA_SET]
    node.forget()


def test_an_object_of_very_many_tiny_pieces_is_stored(node: Receiving, peer: RawPeer) -> None:
    dataset = film(PixelData=bytes(200_000))
    data = encoded(dataset)
    peer.associate()

    # More pieces in one read than a system call takes (IOV_MAX).
    pieces = [pdu(piece) for piece in split(FILM_CONTEXT, data, 2)]
    command = store_command(str(dataset.SOPInstanceUID))
    peer.send(pdu(pdv(FILM_CONTEXT, command, COMMAND | LAST)), *pieces)

    assert peer.status() == Status.SUCCESS
    assert node.stored() == [data]
    node.forget()


def test_a_sender_may_send_byte_by_byte(node: Receiving, peer: RawPeer) -> None:
    peer.send_byte_by_byte(request())
    answer = peer.receive()
    assert answer is not None
    assert answer.acceptance.result == 0

    peer.send_byte_by_byte(store_message(UID, DATA_SET) + echo_message(2))

    assert peer.status() == Status.SUCCESS
    assert peer.status() == Status.SUCCESS
    assert node.stored() == [DATA_SET]
    node.forget()
    peer.send_byte_by_byte(RELEASE)
    assert last_word(peer).kind == 6


def test_everything_may_come_in_one_breath(node: Receiving, peer: RawPeer) -> None:
    peer.send(request(), store_message(UID, DATA_SET), echo_message(2), RELEASE)

    answer = peer.receive()
    assert answer is not None
    assert answer.acceptance.result == 0
    assert peer.status() == Status.SUCCESS
    assert peer.status() == Status.SUCCESS
    assert last_word(peer).kind == 6
    assert node.stored() == [DATA_SET]
    node.forget()


@pytest.mark.parametrize("maximum", [1, 8, 16, 17, 32, 4096])
def test_answers_fit_the_peers_largest_pdu(node: Receiving, peer: RawPeer, maximum: int) -> None:
    peer.associate(maximum=maximum)

    peer.send(store_message(UID, DATA_SET))
    answer, sizes = peer.answer_and_pieces()

    assert answer.number(0x0900, -1) == Status.SUCCESS
    # Less than two bytes of a message cannot be sent.
    assert max(sizes) <= max(maximum, 8)
    assert len(sizes) > 1 or maximum > 100
    node.forget()


def test_requests_under_way_at_once_are_answered_in_their_order(
    node: Receiving, peer: RawPeer
) -> None:
    films = [film() for _ in range(30)]
    data = [encoded(dataset) for dataset in films]
    peer.associate()

    for number, dataset in enumerate(films):
        peer.send(store_message(str(dataset.SOPInstanceUID), data[number], number + 1))

    for number, dataset in enumerate(films):
        answer = peer.answer()
        assert answer.number(0x0120) == number + 1
        assert answer.text(0x1000) == dataset.SOPInstanceUID
        assert answer.number(0x0900, -1) == Status.SUCCESS
    assert node.stored() == data
    node.forget()
