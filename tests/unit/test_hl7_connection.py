"""The MLLP client's connection: kept open, one message at a time, answers matched by MSA-2, TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import pytest
from servers.certificates import Authority, Pair

from core.errors import PeerRefusedError, PeerUnreachableError, TransientError
from core.tls_context import OwnPair, PeerTls, acceptor_context
from hl7.frame import FrameReader, frame
from hl7.mllp import AckMode, close_connections, probe, send

Answer = Callable[[socket.socket, str], None]


def message(control_id: str) -> bytes:
    return f"MSH|^~\\&|T|H|R|C|2026||ORU^R01|{control_id}|P|2.5.1\rPID|1||7\r".encode()


def ack(code: str, control_id: str) -> bytes:
    return frame(f"MSH|^~\\&|RIS\rMSA|{code}|{control_id}\r".encode())


class Ris:
    """Answers each message as it is told; counts connections and what came on each."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[list[str]] = []
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._accept)
        self._main.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(plain,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        heard: list[str] = []
        with suppress(OSError), plain:
            plain.settimeout(20)
            context = self._tls
            connection = context.wrap_socket(plain, server_side=True) if context else plain
            self.heard.append(heard)
            reader = FrameReader(1 << 20)
            with connection:
                while chunk := connection.recv(4096):
                    for content in reader.feed(chunk):
                        control_id = content.decode().split("|")[9]
                        heard.append(control_id)
                        self._answer(connection, control_id)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._main.join()
        close_connections()
        for thread in self._threads:
            thread.join()


@contextmanager
def ris(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Ris]:
    peer = Ris(answer, tls)
    yield peer
    peer.stop()


def yes(connection: socket.socket, control_id: str) -> None:
    connection.sendall(ack("AA", control_id))


def test_messages_follow_each_other_on_one_connection() -> None:
    with ris(yes) as peer:
        for number in range(4):
            assert send("127.0.0.1", peer.port, message(f"M{number}")).code == "AA"

    assert peer.heard == [["M0", "M1", "M2", "M3"]]


def test_a_connection_that_the_peer_closed_while_it_rested_is_opened_anew() -> None:
    closed = threading.Semaphore(0)

    def once(connection: socket.socket, control_id: str) -> None:
        yes(connection, control_id)
        connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    with ris(once) as peer:
        for number in range(3):
            assert send("127.0.0.1", peer.port, message(f"M{number}")).control_id == f"M{number}"
            # Not on its way any more: the connection rests, and is closed.
            assert closed.acquire(timeout=20)

    assert [heard[-1] for heard in peer.heard] == ["M0", "M1", "M2"]


def test_a_peer_that_closes_on_what_it_was_just_sent_is_asked_again_once() -> None:
    seen: list[str] = []

    def closing_on_the_second(connection: socket.socket, control_id: str) -> None:
        seen.append(control_id)
        if len(seen) == 2:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            yes(connection, control_id)

    with ris(closing_on_the_second) as peer:
        send("127.0.0.1", peer.port, message("M0"))
        assert send("127.0.0.1", peer.port, message("M1")).control_id == "M1"
    assert peer.heard == [["M0", "M1"], ["M1"]]


def test_a_peer_that_always_closes_is_unreachable() -> None:
    with (
        ris(lambda connection, _: connection.shutdown(socket.SHUT_RDWR)) as peer,
        pytest.raises(PeerUnreachableError),
    ):
        send("127.0.0.1", peer.port, message("M0"))
    assert peer.heard == [["M0"]]


def test_one_message_is_under_way_at_a_time() -> None:
    under_way, most = 0, 0
    guard = threading.Lock()

    def slowly(connection: socket.socket, control_id: str) -> None:
        nonlocal under_way, most
        with guard:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with guard:
            under_way -= 1
        yes(connection, control_id)

    with ris(slowly) as peer:
        threads = [
            threading.Thread(target=send, args=("127.0.0.1", peer.port, message(f"M{n}")))
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1
        assert len(peer.heard) == 1
        assert sorted(peer.heard[0]) == [f"M{n}" for n in range(6)]


def test_after_an_answer_to_another_message_the_connection_is_opened_anew() -> None:
    with ris(lambda c, i: c.sendall(ack("AA", "X" if i == "M0" else i))) as peer:
        with pytest.raises(TransientError):
            send("127.0.0.1", peer.port, message("M0"))
        send("127.0.0.1", peer.port, message("M1"))
    assert peer.heard == [["M0"], ["M1"]]


def test_a_late_answer_to_the_message_before_is_never_taken_for_the_next() -> None:
    def late(connection: socket.socket, control_id: str) -> None:
        if control_id == "M0":
            time.sleep(0.4)
            with suppress(OSError):
                yes(connection, "M0")
        else:
            connection.sendall(ack("AR", control_id))

    with ris(late) as peer:
        with pytest.raises(PeerUnreachableError):
            send("127.0.0.1", peer.port, message("M0"), timeout_seconds=0.2)
        with pytest.raises(PeerRefusedError):
            send("127.0.0.1", peer.port, message("M1"))


@pytest.mark.parametrize("mode", ["original", "enhanced"])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AA", None),
        ("CA", None),
        ("AE", TransientError),
        ("CE", TransientError),
        ("AR", PeerRefusedError),
        ("CR", PeerRefusedError),
    ],
)
def test_what_each_answer_means_in_each_mode(
    mode: AckMode, code: str, error: type[Exception] | None
) -> None:
    with ris(lambda connection, control_id: connection.sendall(ack(code, control_id))) as peer:
        if error is None:
            answer = send("127.0.0.1", peer.port, message("M0"), ack_mode=mode)
            assert answer.code == code
        else:
            with pytest.raises(error):
                send("127.0.0.1", peer.port, message("M0"), ack_mode=mode)


def test_in_enhanced_mode_an_application_answer_that_comes_late_is_passed_over() -> None:
    def commits(connection: socket.socket, control_id: str) -> None:
        # The application's word on the message before comes ahead of the commit of this one.
        before = f"M{int(control_id[1:]) - 1}"
        connection.sendall(ack("AE", before) + ack("CA", control_id))

    with ris(commits) as peer:
        for number in range(3):
            sent = send("127.0.0.1", peer.port, message(f"M{number}"), ack_mode="enhanced")
            assert (sent.code, sent.control_id) == ("CA", f"M{number}")
    assert list(chain.from_iterable(peer.heard)) == ["M0", "M1", "M2"]


def test_a_peer_that_answers_other_messages_only_is_out_of_step() -> None:
    with (
        ris(lambda connection, _: connection.sendall(ack("AA", "X") * 20)) as peer,
        pytest.raises(TransientError),
    ):
        send("127.0.0.1", peer.port, message("M0"), ack_mode="enhanced")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def _accepting(authority: Authority, pair: Pair) -> ssl.SSLContext:
    return acceptor_context(
        OwnPair(setting="test", certificate=pair.certificate, key=pair.key),
        profile="bcp195",
        client_certificate="required",
        trusted=authority.certificate,
    )


def test_over_tls_both_sides_show_who_they_are(authority: Authority, tmp_path: Path) -> None:
    theirs, ours = authority.issue("ris"), authority.issue("taqrir")
    own = OwnPair(setting="ris.tls", certificate=ours.certificate, key=ours.key)
    other = Authority(tmp_path / "other", "Other CA")
    with ris(yes, _accepting(authority, theirs)) as peer:
        tls = PeerTls(trusted=authority.certificate, own=own)
        for number in range(2):
            send("127.0.0.1", peer.port, message(f"M{number}"), tls=tls)
        assert peer.heard == [["M0", "M1"]]
        for wrong in (
            PeerTls(trusted=other.certificate, own=own),
            PeerTls(trusted=authority.certificate),
        ):
            with pytest.raises(PeerUnreachableError):
                send("127.0.0.1", peer.port, message("M2"), tls=wrong)
    assert list(chain.from_iterable(peer.heard)) == ["M0", "M1"]


def test_a_probe_over_tls_tells_a_peer_whose_certificate_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    theirs, ours = authority.issue("ris"), authority.issue("taqrir")
    own = OwnPair(setting="ris.tls", certificate=ours.certificate, key=ours.key)
    other = Authority(tmp_path / "other", "Other CA")
    with ris(yes, _accepting(authority, theirs)) as peer:
        probe("127.0.0.1", peer.port, tls=PeerTls(trusted=authority.certificate, own=own))
        with pytest.raises(PeerUnreachableError, match="no TLS connection"):
            probe("127.0.0.1", peer.port, tls=PeerTls(trusted=other.certificate, own=own))


def test_a_probe_over_tls_tells_a_peer_that_speaks_plainly(authority: Authority) -> None:
    with ris(yes) as peer:
        tls = PeerTls(trusted=authority.certificate)
        with pytest.raises(PeerUnreachableError, match="no TLS connection"):
            probe("127.0.0.1", peer.port, timeout_seconds=0.5, tls=tls)
