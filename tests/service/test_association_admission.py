"""Who may associate, and how often at once: every refusal by its result, source and reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness.films import film
from harness.raw_peer import (
    ABORT,
    RELEASE,
    RawPeer,
    echo_message,
    encoded,
    request,
    store_message,
)
from harness.receiving import Receiving, receiving
from pydantic import SecretStr
from pydicom.uid import UID
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    UserIdentityNegotiation,
)
from servers import wait_until

from dicom_node.receive import Status

Start = Callable[..., Receiving]
NO_ROOM, DISK_FULL, NOT_IDENTIFIED = (2, 3, 2), (2, 3, 1), (1, 1, 1)
UNKNOWN_CALLING, UNKNOWN_CALLED = (1, 1, 3), (1, 1, 7)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a receiver with settings as told; it must be unharmed at the end."""
    with ExitStack() as stack:

        def begin(**options: Any) -> Receiving:
            return stack.enter_context(receiving(tmp_path / "site", **options))

        yield begin


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("admission")) as node:
        yield node


@pytest.fixture
def node(running: Receiving) -> Iterator[Receiving]:
    yield running
    running.assert_unharmed()


def rejection(node: Receiving, data: bytes) -> tuple[int, int, int]:
    """Return how a request is refused: and that its connection is closed, once we close ours."""
    with node.peer() as peer:
        peer.send(data)
        answer = peer.receive()
        assert answer is not None
        peer.close_half()
        assert peer.receive() is None
        return answer.rejection


REFUSED = {
    "an unknown calling AE title": (request(calling="NOBODY"), UNKNOWN_CALLING),
    "an unknown called AE title": (request(called="ANOTHER"), UNKNOWN_CALLED),
    "both": (request(calling="NOBODY", called="ANOTHER"), UNKNOWN_CALLED),
    "a title in small letters": (request(calling="modality"), UNKNOWN_CALLING),
    "protocol version 2": (request()[:6] + b"\0\2" + request()[8:], (1, 2, 2)),
    "another application context": (
        request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"),
        (1, 1, 2),
    ),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_who_may_not_associate_is_told_why(
    node: Receiving, data: bytes, why: tuple[int, int, int]
) -> None:
    assert rejection(node, data) == why


def test_after_a_rejection_nothing_is_served(node: Receiving) -> None:
    dataset = film()
    with node.peer() as peer:
        peer.send(
            request(calling="NOBODY"),
            echo_message(),
            store_message(str(dataset.SOPInstanceUID), encoded(dataset)),
            RELEASE,
        )
        answer = peer.receive()
        assert answer is not None
        assert answer.rejection == UNKNOWN_CALLING
        peer.send(ABORT)
        assert peer.receive() is None
    assert node.stored() == []


def test_an_archive_of_ours_may_verify_and_may_not_store(node: Receiving) -> None:
    dataset = film()
    with node.peer() as peer:
        peer.associate(calling="ARCHIVE")
        peer.send(echo_message())
        assert peer.status() == Status.SUCCESS
        peer.send(store_message(str(dataset.SOPInstanceUID), encoded(dataset)))
        assert peer.status() == Status.NOT_AUTHORISED
        peer.release()
    assert node.stored() == []


def test_a_title_padded_with_zeros_is_known(node: Receiving) -> None:
    data = request().replace(b"MODALITY        ", b"MODALITY" + bytes(8))
    with node.peer() as peer:
        peer.send(data)
        answer = peer.receive()
        assert answer is not None
        assert answer.acceptance.result == 0
        peer.release()


# User identity


def _user(name: bytes, passcode: bytes | None, *, answer: bool = False) -> Any:
    item = UserIdentityNegotiation()
    item.user_identity_type = 1 if passcode is None else 2
    item.positive_response_requested = answer
    item.primary_field = name
    if passcode is not None:
        item.secondary_field = passcode
    return item


def test_a_sender_with_a_user_must_give_it(start: Start) -> None:
    node = start(sender={"username": "user", "passcode": SecretStr("code")})

    for items in (
        [],
        [_user(b"user", None)],
        [_user(b"user", b"wrong")],
        [_user(b"user", b"code2")],
        [_user(b"another", b"code")],
        [_user("\u0645".encode(), b"\xff\xfe")],
    ):
        assert rejection(node, request(items=items)) == NOT_IDENTIFIED
    with node.peer() as peer:
        answer = peer.associate(items=[_user(b"user", b"code", answer=True)])
        responses = [i for i in answer.user_information if isinstance(i, UserIdentityNegotiation)]
        assert [r.server_response for r in responses] == [b""]
        peer.send(echo_message())
        assert peer.status() == Status.SUCCESS
        peer.release()
    wait_until(node.is_empty_handed, interval=0.005)


def test_a_sender_without_a_user_may_give_one(node: Receiving) -> None:
    with node.peer() as peer:
        peer.associate(items=[_user(b"user", b"code")])
        peer.release()


# Limits


def test_associations_beyond_the_limit_are_refused_until_one_ends(start: Start) -> None:
    node = start(max_associations=3)

    with ExitStack() as stack:
        open_ones = [stack.enter_context(node.peer()) for _ in range(3)]
        for number, peer in enumerate(open_ones):
            peer.associate(calling="ARCHIVE" if number else "MODALITY")
        assert rejection(node, request()) == NO_ROOM
        for peer in open_ones:
            peer.send(echo_message())
            assert peer.status() == Status.SUCCESS
        open_ones[0].release()
        # At once: the place is free when the release is answered.
        with node.peer() as next_one:
            next_one.associate()
            assert rejection(node, request()) == NO_ROOM
            next_one.send(ABORT)
    node.assert_unharmed()


def test_associations_of_one_sender_beyond_its_limit_are_refused(start: Start) -> None:
    node = start(max_associations_per_sender=2)

    with node.peer() as first, node.peer() as second, node.peer() as archive:
        first.associate()
        second.associate()
        assert rejection(node, request()) == NO_ROOM
        archive.associate(calling="ARCHIVE")
        second.close()
        wait_until(lambda: len(list(node.associations.all())) == 2, interval=0.005)
        with node.peer() as third:
            third.associate()
    node.assert_unharmed()


def test_who_is_refused_takes_nobodys_place(start: Start) -> None:
    node = start(max_associations=1)

    for _ in range(5):
        assert rejection(node, request(calling="NOBODY")) == UNKNOWN_CALLING
    with node.peer() as silent, node.peer() as peer:
        assert silent
        peer.associate()
    node.assert_unharmed()


# Several operations at once


def test_as_many_requests_may_be_under_way_as_was_agreed(node: Receiving) -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    films = [film() for _ in range(5)]
    messages = [
        store_message(str(f.SOPInstanceUID), encoded(f), number)
        for number, f in enumerate(films, start=1)
    ]

    with node.peer() as peer:
        answer = peer.associate(items=[window])
        (agreed,) = [
            item
            for item in answer.user_information
            if isinstance(item, AsynchronousOperationsWindowNegotiation)
        ]
        assert agreed.maximum_number_operations_invoked == 5
        peer.send(*messages)
        answers = [peer.answer() for _ in films]
        peer.release()

    assert [a.number(0x0120) for a in answers] == [1, 2, 3, 4, 5]
    assert {a.number(0x0900, -1) for a in answers} == {Status.SUCCESS}
    assert node.stored() == [encoded(f) for f in films]
    node.forget()


def test_128_contexts_serve_each_its_own_class(node: Receiving) -> None:
    from dicom_node.contexts import STORAGE_SOP_CLASSES

    classes = [str(sop) for sop in STORAGE_SOP_CLASSES[:128]]
    contexts = [(2 * n + 1, sop, ("1.2.840.10008.1.2.1",)) for n, sop in enumerate(classes)]
    with node.peer() as peer:
        answer = peer.associate(contexts=contexts)
        assert len(answer.presentation_context_definition_results_list) == 128
        for number, sop in ((1, classes[0]), (255, classes[127])):
            dataset = film(SOPClassUID=UID(sop))
            _send_on(peer, number, sop, dataset)
            assert peer.status() == Status.SUCCESS
            _send_on(peer, 256 - number, sop, dataset)
            assert peer.status() == Status.SOP_CLASS_NOT_SUPPORTED
        peer.release()
    node.forget()


def _send_on(peer: RawPeer, number: int, sop_class: str, dataset: Any) -> None:
    from harness.raw_peer import COMMAND, LAST, pdu, pdv, store_command

    command = store_command(str(dataset.SOPInstanceUID), affected_sop_class_uid=sop_class)
    peer.send(pdu(pdv(number, command, COMMAND | LAST)), pdu(pdv(number, encoded(dataset), LAST)))


# The disk


def test_no_association_is_taken_where_the_disk_is_nearly_full(start: Start) -> None:
    node = start(minimum_free_percent=90.0, minimum_free_mb=1 << 40)

    assert rejection(node, request()) == DISK_FULL
    assert node.is_empty_handed()
