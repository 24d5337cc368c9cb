"""Deflated objects: read like others, and no bomb fills the memory."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from dicom_samples import radiograph, to_bytes
from pydicom import uid

from core.errors import UnreadableInstanceError
from dicom_node.header import read_header
from dicom_node.inflation import INFLATED_BYTES, inflate

DEFLATED = uid.DeflatedExplicitVRLittleEndian


def parts(data: bytes) -> tuple[bytes, bytes]:
    """Return preamble with file meta information, and the data set as it is."""
    start = 144 + int.from_bytes(data[140:144], "little")
    return data[:start], data[start:]


def deflate(pieces: list[tuple[bytes, int]]) -> bytes:
    """Deflate pieces, each repeated so often, without ever holding all of them."""
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    out = b"".join(stream.compress(piece) for piece, count in pieces for _ in range(count))
    return out + stream.flush()


def bomb(*, before_the_pixels: bool) -> bytes:
    """Return an object of a few hundred kilobytes that inflates to 256 MiB."""
    meta, _ = parts(to_bytes(radiograph(), DEFLATED))
    _, body = parts(to_bytes(radiograph()))
    pixels = body.index(b"\xe0\x7f\x10\x00OW")
    size = (256 << 20).to_bytes(4, "little")
    zeros = (bytes(1 << 20), 256)
    if before_the_pixels:
        # A private element of bytes in front of the pixels.
        pieces = [(body[:pixels] + b"\x09\x70\x10\x10OB\0\0" + size, 1), zeros, (body[pixels:], 1)]
    else:
        pieces = [(body[:pixels] + b"\xe0\x7f\x10\x00OW\0\0" + size, 1), zeros]
    return meta + deflate(pieces)


@pytest.mark.parametrize("as_file", [True, False])
def test_a_bomb_behind_the_header_is_not_inflated(tmp_path: Path, *, as_file: bool) -> None:
    data = bomb(before_the_pixels=False)
    path = tmp_path / "bomb.dcm"
    path.write_bytes(data)
    tracemalloc.start()
    header = read_header(path if as_file else BytesIO(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert header.transfer_syntax_uid == DEFLATED
    assert header.study_uid == radiograph().StudyInstanceUID
    assert peak < 2.5 * INFLATED_BYTES


def test_a_bomb_within_the_header_is_refused() -> None:
    data = bomb(before_the_pixels=True)
    tracemalloc.start()
    with pytest.raises(UnreadableInstanceError):
        read_header(BytesIO(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * INFLATED_BYTES


def test_a_report_without_pixels_that_is_too_large_is_refused() -> None:
    dataset = radiograph()
    del dataset.PixelData
    meta, body = parts(to_bytes(dataset))
    meta, _ = parts(to_bytes(dataset, DEFLATED))
    element = b"\x09\x70\x10\x10OB\0\0" + (16 << 20).to_bytes(4, "little")
    # Every element is whole, only there are too many of them.
    pieces = [(body, 1)] + [
        p
        for n in range(6)
        for p in ((element[:2] + bytes([0x10 + n, 0x10]) + element[4:], 1), (bytes(1 << 20), 16))
    ]
    with pytest.raises(UnreadableInstanceError):
        read_header(BytesIO(meta + deflate(pieces)))


@pytest.mark.parametrize("cut", [2, 10, 100])
def test_a_deflated_object_that_is_cut_off_is_unreadable(cut: int) -> None:
    data = to_bytes(radiograph(), DEFLATED)
    with pytest.raises(UnreadableInstanceError, match=r"cut off|damaged"):
        read_header(BytesIO(data[:-cut]))


def test_garbage_said_to_be_deflated_is_unreadable() -> None:
    meta, _ = parts(to_bytes(radiograph(), DEFLATED))
    with pytest.raises(UnreadableInstanceError, match="damaged"):
        read_header(BytesIO(meta + b"\xff" * 500))


def test_a_limit_that_falls_anywhere_loses_no_byte_before_it() -> None:
    data = to_bytes(radiograph(), DEFLATED)
    whole = inflate(BytesIO(data))
    assert whole is not None
    assert whole.is_whole
    everything = whole.file.getvalue()
    start = len(parts(data)[0])
    for limit in range(1, len(everything) - start, 37):
        part = inflate(BytesIO(data), limit)
        assert part is not None
        assert not part.is_whole
        assert part.file.getvalue() == everything[: start + limit]


def test_what_is_not_deflated_is_left_as_it_is() -> None:
    # The UID in a description does not make an object a deflated one.
    data = to_bytes(radiograph(StudyDescription=str(DEFLATED)))
    source = BytesIO(data)
    assert inflate(source) is None
    assert source.tell() == 0
    assert read_header(source).study_description == DEFLATED
