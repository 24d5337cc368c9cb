"""Frames out of a stream of bytes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7.frame import FrameReader, FrameTooLargeError, frame

_messages = st.lists(st.binary(max_size=40).map(lambda b: b.translate(None, b"\x0b\x1c")))


@given(_messages, st.integers(1, 17), st.sampled_from([b"", b"\r", b"\r\n"]))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[bytes], size: int, between: bytes
) -> None:
    stream = b"".join(frame(m) + between for m in messages)
    reader = FrameReader(100)
    out = [m for i in range(0, len(stream), size) for m in reader.feed(stream[i : i + size])]
    assert out == messages
    assert not reader.is_inside
    assert reader.stray_bytes == 0


def test_an_end_mark_cut_in_two_is_found() -> None:
    reader = FrameReader(100)
    assert reader.feed(b"\x0bMSH\x1c") == []
    assert reader.is_inside
    assert reader.feed(b"\r") == [b"MSH"]


def test_bytes_outside_of_frames_are_counted_and_not_kept() -> None:
    reader = FrameReader(100)
    assert reader.feed(b"junk\x0bA\x1c\rmore") == [b"A"]
    assert reader.stray_bytes == 8
    for _ in range(100):
        reader.feed(b"x" * 1000)
    assert len(reader._buffer) == 0


def test_a_frame_may_be_as_long_as_agreed_and_no_longer() -> None:
    assert FrameReader(5).feed(b"\x0b12345\x1c\r") == [b"12345"]
    for piece in (b"\x0b123456\x1c\r", b"\x0b1234567"):
        with pytest.raises(FrameTooLargeError):
            FrameReader(5).feed(piece)


def test_ten_megabytes_in_small_packets_take_linear_time() -> None:
    reader = FrameReader(20 << 20)
    packet = b"x" * 1024
    begin = time.perf_counter()
    reader.feed(b"\x0b")
    for _ in range(10_000):
        reader.feed(packet)
    [message] = reader.feed(b"\x1c\r")
    assert len(message) == 10_240_000
    # Quadratic reading takes minutes; this takes some 20 ms.
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("message", [b"a\x0bb", b"a\x1cb", b"\x1c\r"])
def test_a_message_with_a_frame_byte_is_not_framed(message: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        frame(message)
