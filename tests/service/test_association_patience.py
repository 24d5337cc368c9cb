"""Silence, slowness and crowds: nobody keeps a place for ever, and nobody waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.films import film
from harness.handshakes import tls_settings
from harness.logs import captured_logs
from harness.raw_peer import (
    ABORT,
    ABORTED,
    COMMAND,
    FILM_CONTEXT,
    RELEASE,
    RawPeer,
    echo_message,
    encoded,
    pdu,
    pdv,
    request,
    store_command,
    store_message,
)
from harness.receiving import Receiving, receiving
from servers import free_port, wait_until
from servers.certificates import Authority

from dicom_node import receiver
from dicom_node.receive import Status

DATASET = film()
MESSAGE = store_message(str(DATASET.SOPInstanceUID), encoded(DATASET))
# Where a sender may stop in the middle of something.
STOPS = {
    "in a PDU's header": MESSAGE[:4],
    "in a PDV's header": MESSAGE[:9],
    "in a command": MESSAGE[:40],
    "between two parts of a command": pdu(pdv(FILM_CONTEXT, store_command("1.2.3")[:20], COMMAND)),
    "behind a command": MESSAGE[: MESSAGE.index(b"\4\0\0\0", 10)],
    "in the data": MESSAGE[:-100],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(
        tmp_path_factory.mktemp("patience"),
        artim_seconds=1.0,
        stall_seconds=1.0,
        idle_seconds=4.0,
        max_associations=300,
        max_associations_per_sender=300,
    ) as node:
        yield node


@pytest.fixture
def node(running: Receiving) -> Iterator[Receiving]:
    yield running
    running.assert_unharmed()


def test_who_stops_in_the_middle_of_a_message_is_aborted_and_who_is_idle_is_not(
    node: Receiving,
) -> None:
    with ExitStack() as stack:
        idle = stack.enter_context(node.peer())
        idle.associate()
        stopped = []
        for beginning in STOPS.values():
            peer = stack.enter_context(node.peer())
            peer.associate()
            peer.send(beginning)
            stopped.append(peer)
        with captured_logs() as log:
            answers = [peer.receive() for peer in stopped]
        assert [a.abort for a in answers if a] == [(0, 0)] * len(STOPS)
        assert log.getvalue().count("association_stalled") == len(STOPS)

        # Nothing of theirs is kept, though all their connections are still open.
        assert not any(node.files.partial.iterdir())
        assert [a.ae_title for a in node.associations.all()] == ["MODALITY"]
        idle.send(echo_message())
        assert idle.status() == Status.SUCCESS
        # In the end, who is idle for long is aborted too.
        answer = idle.receive()
        assert answer is not None
        assert answer.abort == (0, 0)
    assert node.stored() == []


def test_who_never_asks_for_an_association_is_disconnected(node: Receiving) -> None:
    with node.peer() as silent, node.peer() as half, node.peer() as aborted:
        half.send(request()[:50])
        aborted.send(b"garbage!")
        answer = aborted.receive()
        assert answer is not None
        assert answer.kind == ABORTED

        assert silent.receive() is None
        assert half.receive() is None
        # It was to close its connection, and did not.
        assert aborted.receive() is None


def test_who_asks_byte_by_byte_is_disconnected_all_the_same(node: Receiving) -> None:
    started = time.monotonic()
    with node.peer() as slow:
        for byte in request():
            slow.send_as_much_as_it_takes(bytes((byte,)))
            if time.monotonic() - started > 1.5:
                break
            time.sleep(0.1)
        assert slow.receive() is None


def test_who_goes_on_asking_after_an_abort_is_disconnected_all_the_same(node: Receiving) -> None:
    with node.peer() as peer:
        peer.send(RELEASE)
        answers = [peer.receive()]
        started = time.monotonic()
        # Each request is answered by another abort (PS3.8 AA-7).
        while answers[-1] is not None and time.monotonic() - started < 5:
            time.sleep(0.1)
            peer.send_as_much_as_it_takes(request())
            answers.append(peer.receive())
        assert answers[-1] is None
        assert len(answers) > 3
        assert all(answer.kind == ABORTED for answer in answers if answer)


def test_a_slow_sender_is_not_a_silent_one(node: Receiving) -> None:
    with node.peer() as peer:
        peer.associate()
        half = len(MESSAGE) // 2
        peer.send(MESSAGE[:half])
        # More than twice as long as a silent one may be.
        for at in range(half, half + 8):
            time.sleep(0.3)
            peer.send(MESSAGE[at : at + 1])
        peer.send(MESSAGE[half + 8 :])
        assert peer.status() == Status.SUCCESS
        peer.release()
    node.forget()


def test_a_sender_that_does_not_read_our_answers_harms_nobody(node: Receiving) -> None:
    echoes = b"".join(echo_message(number) for number in range(1000)) * 60

    with node.peer() as deaf:
        deaf.associate()
        sending = threading.Thread(target=deaf.send_as_much_as_it_takes, args=[echoes])
        sending.start()
        # It is full at both ends: its thread in the node waits to be read.
        time.sleep(1)
        with node.peer() as peer:
            peer.associate()
            peer.send(MESSAGE)
            assert peer.status() == Status.SUCCESS
            peer.release()
        deaf.reset()
        sending.join()
    wait_until(node.is_empty_handed, interval=0.01)
    node.forget()


def test_500_silent_connections_do_not_keep_an_honest_sender_waiting(node: Receiving) -> None:
    with ExitStack() as stack:
        established = stack.enter_context(node.peer())
        established.associate()
        crowd = [stack.enter_context(node.peer()) for _ in range(500)]

        started = time.monotonic()
        node_is_well(node)
        assert time.monotonic() - started < 5
        established.send(MESSAGE)
        assert established.status() == Status.SUCCESS
        established.release()
        # The oldest of them had to go.
        assert crowd[0].receive() is None
    node.forget()


def node_is_well(node: Receiving) -> None:
    with node.peer() as peer:
        peer.associate()
        peer.send(echo_message(), MESSAGE)
        assert [peer.status(), peer.status()] == [Status.SUCCESS] * 2
        peer.release()


def test_200_associations_at_once_are_all_served_beside_silent_ones(node: Receiving) -> None:
    films = [[film(value=n % 256) for _ in range(5)] for n in range(200)]
    data = [[encoded(dataset) for dataset in row] for row in films]
    peers: list[RawPeer] = []
    statuses: list[int] = []
    all_open = threading.Barrier(len(films))

    def send(number: int) -> None:
        with node.peer() as peer:
            peer.associate()
            all_open.wait()
            for dataset, body in zip(films[number], data[number], strict=True):
                peer.send(store_message(str(dataset.SOPInstanceUID), body))
                statuses.append(peer.status())
            peer.release()

    with ExitStack() as stack:
        for number in range(20):
            peers.append(stack.enter_context(node.peer()))
            if number % 2:
                peers[-1].associate()
                peers[-1].send(MESSAGE[:-100])
        threads = [threading.Thread(target=send, args=[n]) for n in range(len(films))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [Status.SUCCESS] * 1000
    assert sorted(node.stored()) == sorted(body for row in data for body in row)
    node.forget()


def test_silent_connections_on_the_tls_port_go_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    tls = tls_settings(
        authority,
        authority.issue("node"),
        port=free_port(),
        client_certificate="none",
        handshake_seconds=60,
    )
    monkeypatch.setattr(receiver, "_MOST_SILENT", 5)
    with receiving(tmp_path / "site", tls=tls) as node, ExitStack() as stack:
        # They begin a handshake, and then say nothing more.
        crowd = [stack.enter_context(RawPeer(tls.port)) for _ in range(12)]
        for peer in crowd:
            peer.send(bytes.fromhex("160301"))

        for peer in crowd[:7]:
            assert peer.receive() is None
        # The others wait for their handshake's end, and the plain port is free for all.
        node.assert_unharmed()


def test_aborted_peers_that_stay_go_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_MOST_SILENT", 5)
    with (
        receiving(tmp_path / "site", artim_seconds=60.0) as node,
        node.peer() as established,
        ExitStack() as stack,
    ):
        established.associate()
        aborted = [stack.enter_context(node.peer()) for _ in range(5)]
        for peer in aborted:
            peer.send(b"garbage!")
            answer = peer.receive()
            assert answer is not None
            assert answer.kind == ABORTED
        silent = [stack.enter_context(node.peer()) for _ in range(7)]

        for peer in [*aborted, *silent[:2]]:
            assert peer.receive() is None
        established.send(echo_message())
        assert established.status() == Status.SUCCESS
        established.release()


def test_an_abort_that_comes_when_the_timer_is_already_over_is_no_error(tmp_path: Path) -> None:
    with (
        captured_logs() as log,
        receiving(tmp_path / "site", artim_seconds=0.2) as node,
        node.peer() as peer,
    ):
        peer.send(RELEASE)
        assert peer.receive() is not None
        # Behind the timer, and before the node looks at it.
        time.sleep(0.4)
        peer.send(ABORT)
        assert peer.receive() is None
    assert "association_crashed" not in log.getvalue()
