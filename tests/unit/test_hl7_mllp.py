"""The MLLP client against misbehaving peers, and the endpoint against misbehaving senders."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnclearAnswerError,
    UnreadableMessageError,
)
from hl7.ack import AckCode, build_ack, read_ack
from hl7.demo_ris import DemoRis, file_stem
from hl7.endpoint import MllpServer
from hl7.er7 import parse
from hl7.frame import FrameReader, frame
from hl7.mllp import probe, send

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
MESSAGE = (
    "MSH|^~\\&|TAQRIR|HOSP|RIS|CITY|20261122||ORU^R01^ORU_R01|ID-1|P|2.5.1||||||UNICODE UTF-8\r"
    "PID|1||7||قباني\r"
).encode()


def answered(code: str, control_id: str = "ID-1", more: str = "") -> bytes:
    return frame(f"MSH|^~\\&|RIS\rMSA|{code}|{control_id}{more}\r".encode())


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port; `behave` gets the connection once the whole message was read."""

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            reader = FrameReader(1 << 20)
            while not reader.feed(connection.recv(4096)):
                pass
            behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
    assert not thread.is_alive()


def saying(*pieces: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_a_positive_answer_is_delivery(code: str) -> None:
    with peer(saying(answered(code, more="|stored"))) as port:
        ack = send("127.0.0.1", port, MESSAGE)
    assert (ack.code, ack.control_id, ack.text) == (code, "ID-1", "stored")
    assert "stored" not in repr(ack)


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("MSH|^~\\&|RIS", "|تم"),
        ("MSH|^~\\&|RIS|مستشفى|TAQRIR||20260101||ACK|9|P|2.3", ""),
        ("MSH|^~\\&|RIS|HOSP|TAQRIR||20260101||ACK|9|P|2.5.1||||||UNICODE UTF-8", "|تم"),
        ("MSH|^~\\&|RIS|HOSP|TAQRIR||20260101||ACK|9|P|2.5.1||||||ISO IR6", "|stored"),
        ("MSH|^~\\&|RIS", "^x\rERR" + "|^" * 6000),
    ],
)
@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_an_answer_counts_whatever_its_words_are_written_in(
    header: str, end: str, line_end: str
) -> None:
    for code, is_good in (("AA", True), ("AE", False)):
        text = f"{header}\rMSA|{code}|ID-1{end}\r".replace("\r", line_end)
        with peer(saying(frame(text.encode("cp1256")))) as port:
            if is_good:
                assert send("127.0.0.1", port, MESSAGE).control_id == "ID-1"
            else:
                with pytest.raises(TransientError, match=code):
                    send("127.0.0.1", port, MESSAGE)


def test_an_answer_in_pieces_is_put_together() -> None:
    whole = answered("AA")
    with peer(saying(*(whole[i : i + 5] for i in range(0, len(whole), 5)))) as port:
        assert send("127.0.0.1", port, MESSAGE).code == "AA"


def test_the_first_of_two_answers_counts() -> None:
    with peer(saying(answered("AA") + answered("AR"))) as port:
        assert send("127.0.0.1", port, MESSAGE).code == "AA"


def test_line_ends_around_frames_are_no_harm() -> None:
    with peer(saying(b"\r\n" + answered("AA") + b"\n")) as port:
        assert send("127.0.0.1", port, MESSAGE).code == "AA"


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_a_peer_in_trouble_is_tried_again(code: str) -> None:
    with (
        peer(saying(answered(code, more="|CANARY"))) as port,
        pytest.raises(TransientError, match=code) as trouble,
    ):
        send("127.0.0.1", port, MESSAGE)
    assert "CANARY" not in str(trouble.value)


@pytest.mark.parametrize(
    "answer",
    [
        answered("AR"),
        answered("CR"),
        answered("AR", control_id=""),
        answered("AR", more="|CANARY"),
    ],
)
def test_a_refusal_is_final(answer: bytes) -> None:
    with peer(saying(answer)) as port, pytest.raises(PeerRefusedError) as refusal:
        send("127.0.0.1", port, MESSAGE)
    assert "CANARY" not in str(refusal.value)


@pytest.mark.parametrize(
    "answer",
    [
        answered("AA", "ID-2"),
        answered("AA", ""),
        answered("AA", "id-1"),
        answered("AR", "ID-2"),
        answered("AA", "ID-2") + answered("AA"),
    ],
)
def test_an_answer_to_another_message_is_not_ours(answer: bytes) -> None:
    with peer(saying(answer)) as port, pytest.raises(TransientError) as trouble:
        send("127.0.0.1", port, MESSAGE)
    assert "another message" in str(trouble.value)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15",
        frame(b""),
        frame(b"\x06"),
        frame(b"AA"),
        frame(b"MSH|^~\\&|RIS\r"),
        frame(b"MSH|^~\\&|RIS\rMSA||ID-1\r"),
        frame(b"MSH|^~\\&|RIS\rMSA|YES|ID-1\r"),
        frame(MESSAGE),
        frame("MSH|^~\\&|RIS\rMSA|تم|ID-1\r".encode("cp1256")),
        frame("MSH|^~\\&|RIS|تم\r".encode("cp1256")),
    ],
)
def test_garbage_is_no_delivery_and_a_person_is_told(garbage: bytes) -> None:
    with peer(saying(garbage)) as port, pytest.raises(UnclearAnswerError, match="listener"):
        send("127.0.0.1", port, MESSAGE, timeout_seconds=5)


def test_an_endless_answer_is_cut_off() -> None:
    def flood(connection: socket.socket) -> None:
        try:
            connection.sendall(b"\x0b")
            for _ in range(10_000):
                connection.sendall(b"x" * 1000)
        except OSError:
            return
        raise AssertionError("ten megabytes were taken")

    with peer(flood) as port, pytest.raises(UnclearAnswerError):
        send("127.0.0.1", port, MESSAGE, max_answer_bytes=1000)


@pytest.mark.parametrize("piece", [b"", answered("AA")[:-1], answered("AA")[:10]])
def test_a_peer_that_closes_early_is_unreachable(piece: bytes) -> None:
    with peer(saying(piece)) as port, pytest.raises(PeerUnreachableError):
        send("127.0.0.1", port, MESSAGE)


@pytest.mark.parametrize("drip", [b"", b"x"])
def test_a_silent_or_dripping_peer_runs_out_of_time(drip: bytes) -> None:
    done = threading.Event()

    def behave(connection: socket.socket) -> None:
        try:
            connection.sendall(b"\x0b")
            while not done.wait(0.05):
                connection.sendall(drip)
        except OSError:
            return

    with peer(behave) as port:
        begin = time.monotonic()
        with pytest.raises(PeerUnreachableError, match="no answer"):
            send("127.0.0.1", port, MESSAGE, timeout_seconds=0.4)
        assert time.monotonic() - begin < 2
        done.set()


def test_a_peer_that_does_not_read_runs_out_of_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        message = MESSAGE + b"NTE|1||" + b"x" * (32 << 20)
        with pytest.raises(PeerUnreachableError):
            send("127.0.0.1", listener.getsockname()[1], message, timeout_seconds=0.5)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_nobody_there_is_unreachable() -> None:
    port = _closed_port()
    with pytest.raises(PeerUnreachableError):
        send("127.0.0.1", port, MESSAGE, timeout_seconds=2)
    with pytest.raises(PeerUnreachableError, match=str(port)):
        probe("127.0.0.1", port, timeout_seconds=2)
    with pytest.raises(PeerUnreachableError):
        probe("name.invalid", port, timeout_seconds=2)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"", UnreadableMessageError),
        (b"MSH|^~\\&|A\r", UnreadableMessageError),
        (MESSAGE + b"NTE|1||\x1c\r", ValueError),
    ],
)
def test_what_is_no_message_is_not_sent(message: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        send("127.0.0.1", _closed_port(), message)


# Acknowledgements of our own


def test_our_answer_goes_back_to_the_sender_and_is_the_same_again() -> None:
    data = build_ack(MESSAGE, AckCode.AA, created_at=MOMENT, text="a|b")
    ack, message = read_ack(data), parse(data)
    assert (ack.code, ack.control_id, ack.text) == (AckCode.AA, "ID-1", "a|b")
    assert [message.text("MSH", n) for n in (3, 4, 5, 6)] == ["RIS", "CITY", "TAQRIR", "HOSP"]
    assert [message.text("MSH", 9, n) for n in (1, 2, 3)] == ["ACK", "R01", "ACK"]
    assert data == build_ack(MESSAGE, AckCode.AA, created_at=MOMENT, text="a|b")


@pytest.mark.parametrize("garbage", [b"", b"junk", b"\xff\x00"])
def test_what_cannot_be_read_is_refused_without_a_name(garbage: bytes) -> None:
    ack = read_ack(build_ack(garbage, AckCode.AA, created_at=MOMENT))
    assert (ack.code, ack.control_id) == (AckCode.AR, "")


@pytest.mark.parametrize("version", ["2.1", "2.3", "2.3.1", "2.5.1", "2.8", "9.9", ""])
def test_a_sender_of_any_version_is_answered(version: str) -> None:
    message = MESSAGE.replace(b"|2.5.1|", f"|{version}|".encode())
    assert read_ack(build_ack(message, AckCode.AA, created_at=MOMENT)).control_id == "ID-1"


# The endpoint


@contextmanager
def endpoint(handler: Callable[[bytes], bytes], **limits: float) -> Iterator[int]:
    """Run an endpoint in a thread of its own."""
    started, ports = threading.Event(), list[int]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with MllpServer(handler, **limits) as server:  # type: ignore[arg-type]
            ports.append(server.port)
            started.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def received(connection: socket.socket, count: int) -> list[bytes]:
    reader, messages = FrameReader(1 << 25), list[bytes]()
    while len(messages) < count:
        chunk = connection.recv(1 << 16)
        assert chunk, "closed"
        messages += reader.feed(chunk)
    return messages


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_several_messages_in_a_packet_are_answered_in_order() -> None:
    with endpoint(lambda message: b"re " + message) as port, connected(port) as connection:
        connection.sendall(b"".join(frame(str(n).encode()) for n in range(50)))
        assert received(connection, 50) == [f"re {n}".encode() for n in range(50)]


def test_one_message_over_many_packets_is_one_message() -> None:
    with endpoint(lambda message: str(len(message)).encode()) as port, connected(port) as sender:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(b"x" * 100):
            sender.sendall(bytes([byte]))
        assert received(sender, 1) == [b"100"]
        sender.sendall(frame(b"y" * 5_000_000))
        assert received(sender, 1) == [b"5000000"]


def test_a_message_that_is_too_long_is_refused_and_the_endpoint_lives() -> None:
    with endpoint(lambda message: message, max_bytes=1000) as port:
        with connected(port) as connection:
            connection.sendall(b"\x0b" + b"x" * 100_000)
            [answer] = received(connection, 1)
            assert read_ack(answer).code is AckCode.AR
            connection.shutdown(socket.SHUT_WR)
            assert is_closed(connection)
        with connected(port) as connection:
            connection.sendall(frame(b"short"))
            assert received(connection, 1) == [b"short"]


@pytest.mark.parametrize("beginning", [b"", b"\x0bMSH", b"junk"])
def test_a_sender_that_stalls_or_drips_is_let_go(beginning: bytes) -> None:
    with (
        endpoint(lambda message: message, idle_seconds=0.3, frame_seconds=0.3) as port,
        connected(port) as connection,
    ):
        begin = time.monotonic()
        closed = False
        while not closed and time.monotonic() - begin < 5:
            try:
                connection.sendall(beginning[:1] if time.monotonic() - begin > 0.1 else beginning)
                connection.settimeout(0.05)
                closed = connection.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
        assert closed


def test_a_handler_that_fails_answers_ae_and_the_connection_goes_on() -> None:
    def fail_once(message: bytes) -> bytes:
        if message == MESSAGE:
            raise KeyError("CANARY")
        return message

    with endpoint(fail_once) as port, connected(port) as connection:
        connection.sendall(frame(MESSAGE) + frame(b"next"))
        first, second = received(connection, 2)
        assert (read_ack(first).code, read_ack(first).control_id) == (AckCode.AE, "ID-1")
        assert second == b"next"


def test_a_slow_handler_holds_up_its_own_connection_only() -> None:
    release = threading.Event()

    def wait(message: bytes) -> bytes:
        if message == b"slow":
            assert release.wait(10)
        return message

    with endpoint(wait) as port, connected(port) as slow, connected(port) as quick:
        slow.sendall(frame(b"slow"))
        quick.sendall(frame(b"quick"))
        assert received(quick, 1) == [b"quick"]
        release.set()
        assert received(slow, 1) == [b"slow"]


def test_an_endpoint_closes_with_connections_open() -> None:
    with endpoint(lambda message: message) as port:
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    with connection:
        assert is_closed(connection)
    with pytest.raises(PeerUnreachableError):
        probe("127.0.0.1", port)


# The RIS of the demonstration


def test_the_demo_ris_stores_what_came_byte_for_byte(tmp_path: Path) -> None:
    with DemoRis(tmp_path / "oru") as ris:
        probe("127.0.0.1", ris.port)
        assert send("127.0.0.1", ris.port, MESSAGE).code == "AA"
        assert send("127.0.0.1", ris.port, MESSAGE).code == "AA"
        other = MESSAGE + b"NTE|1\r"
        assert send("127.0.0.1", ris.port, other).code == "AA"
        assert ris.received == (tmp_path / "oru/ID-1.hl7", tmp_path / "oru/ID-1-2.hl7")
    assert [path.read_bytes() for path in ris.received] == [MESSAGE, other]
    with pytest.raises(PeerUnreachableError):
        probe("127.0.0.1", ris.port)


def test_the_demo_ris_refuses_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    with DemoRis(tmp_path) as ris, connected(ris.port) as connection:
        connection.sendall(frame(b"junk"))
        assert read_ack(received(connection, 1)[0]).code is AckCode.AR
        connection.sendall(frame(MESSAGE))
        assert read_ack(received(connection, 1)[0]).code is AckCode.AA
    assert [path.name for path in tmp_path.iterdir()] == ["ID-1.hl7"]


@pytest.mark.parametrize(
    ("control_id", "stem"),
    [
        ("ABC-1", "ABC-1"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("a b\x00c", "a_b_c"),
        ("مرحبا", "unnamed"),
        ("x" * 300, "x" * 64),
    ],
)
def test_a_control_id_becomes_a_harmless_file_name(control_id: str, stem: str) -> None:
    assert file_stem(control_id) == stem


def test_the_demo_ris_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with DemoRis(tmp_path) as ris, pytest.raises(OSError, match="in use"):
        DemoRis(tmp_path, port=ris.port).__enter__()
