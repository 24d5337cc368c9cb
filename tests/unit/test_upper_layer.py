"""Bytes into PDUs and PDVs: the same however they are cut, and nothing else than what they are."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from harness.raw_peer import pdu, pdv, request
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP, P_DATA_TF

from dicom_node.upper_layer import (
    MAXIMUM_PDU_BYTES,
    AbortReason,
    Fragment,
    InvalidPduError,
    PduType,
    UpperLayer,
    data_pdus,
    short_pdu,
)

# What an upper layer gave: fragments put together, other PDUs, and how it ended.
Seen = list[tuple[Any, ...]]


class Pair:
    """Two ends of a connection over the loopback, made again for each use."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))

    def close(self) -> None:
        self._server.close()

    def read(self, pieces: list[bytes]) -> Seen:
        """Return what an upper layer makes of bytes that come piece by piece."""
        seen: Seen = []
        with socket.create_connection(self._server.getsockname()) as peer:
            accepted, _ = self._server.accept()
            layer = UpperLayer(accepted)
            try:
                for piece in pieces:
                    peer.sendall(piece)
                    missing = len(piece)
                    while missing:
                        missing -= layer.receive()
                        _take(layer, seen)
                peer.shutdown(socket.SHUT_WR)
                assert layer.receive() == 0
                seen.append(("end", layer.is_between_messages))
            except InvalidPduError as error:
                seen.append(("invalid", error.reason))
            finally:
                layer.close()
        return seen


def _take(layer: UpperLayer, seen: Seen) -> None:
    for item in layer.items():
        if not isinstance(item, Fragment):
            seen.append(("pdu", item.type, item.data))
            continue
        kind = ("data", item.context_id, item.is_command)
        is_open = seen and seen[-1][:3] == kind and not seen[-1][4]
        before = seen.pop()[3] if is_open else b""
        seen.append((*kind, before + bytes(item.view), item.is_last))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the data in pieces, cut at some places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


pdvs = st.builds(
    pdv,
    st.integers(0, 255),
    st.binary(max_size=40).map(lambda data: data[: len(data) // 2 * 2]),
    st.integers(0, 3),
)
good_pdus = st.one_of(
    st.lists(pdvs, min_size=1, max_size=4).map(lambda items: pdu(*items)),
    st.builds(
        lambda body, kind: pdu(body, kind=kind), st.binary(min_size=4), st.sampled_from([1, 2])
    ),
    st.sampled_from([short_pdu(PduType(kind)) for kind in (3, 5, 6, 7)]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(good_pdus, max_size=5), st.lists(st.integers(0, 4000), max_size=12))
def test_good_bytes_come_out_whole_however_they_are_cut(
    pair: Pair, pdus: list[bytes], places: list[int]
) -> None:
    data = b"".join(pdus)

    seen = pair.read(cut(data, places))

    assert seen == pair.read([data])
    assert seen[-1] == ("end", True)
    others = [item[2] for item in seen if item[0] == "pdu"]
    assert others == [item for item in pdus if item[0] != PduType.DATA]
    came = b"".join(item[3] for item in seen if item[0] == "data")
    assert came == b"".join(_payload(item) for item in pdus if item[0] == PduType.DATA)


def _payload(whole: bytes) -> bytes:
    """Return the data of a P-DATA-TF PDU, as another library reads it."""
    foreign = P_DATA_TF()
    foreign.decode(whole)
    # Context and control header come first.
    return b"".join(
        item.presentation_data_value[1:] for item in foreign.presentation_data_value_items
    )


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(st.lists(good_pdus, max_size=3), st.binary(max_size=60)).map(
            lambda parts: b"".join(parts[0]) + parts[1]
        ),
        st.tuples(st.integers(0, 9), st.integers(0, 1 << 18), st.binary(max_size=60)).map(
            lambda parts: struct.pack(">BxL", *parts[:2]) + parts[2]
        ),
    ),
    st.lists(st.integers(0, 300), max_size=12),
)
def test_any_bytes_mean_the_same_however_they_are_cut(
    pair: Pair, data: bytes, places: list[int]
) -> None:
    assert _joined(pair.read(cut(data, places))) == _joined(pair.read([data]))


def _joined(seen: Seen) -> Seen:
    """Leave out a data set that is not at its end: how much of it is seen depends on the cuts."""
    return [item for item in seen if item[0] != "data" or item[4]]


def test_every_single_cut_of_a_stream_gives_the_same(pair: Pair) -> None:
    data = request() + pdu(pdv(1, b"abcd", 1), pdv(1, b"", 3), pdv(3, b"xy", 2)) + pdu(b"", kind=4)
    whole = pair.read([data])

    assert whole[-1] == ("invalid", AbortReason.INVALID_PARAMETER)
    assert [item[0] for item in whole] == ["pdu", "data", "data", "invalid"]
    for place in range(1, len(data)):
        assert pair.read([data[:place], data[place:]]) == whole


def test_an_object_larger_than_the_buffer_comes_out_whole(pair: Pair) -> None:
    content = bytes(range(256)) * 10_000
    sent = data_pdus(7, content, is_command=False, peer_maximum=MAXIMUM_PDU_BYTES)

    seen = pair.read([sent[at : at + 100_000] for at in range(0, len(sent), 100_000)])

    # The pieces before the last are not the last.
    assert b"".join(item[3] for item in seen[:-1]) == content
    assert seen[-2][4]


@pytest.mark.parametrize(
    ("maximum", "size"),
    [
        *itertools.product([0, 8, 9, 16, 17, 32, 1000, 131_072], [0, 2, 10, 11, 26, 1000]),
        *itertools.product([0, 1000, 131_072], [300_000]),
    ],
)
def test_what_we_send_another_library_reads(maximum: int, size: int) -> None:
    content = bytes(number % 251 for number in range(size))

    sent = data_pdus(5, content, is_command=True, peer_maximum=maximum)

    came, controls = b"", []
    while sent:
        length = struct.unpack_from(">L", sent, 2)[0]
        assert length <= (maximum or MAXIMUM_PDU_BYTES)
        whole, sent = sent[: 6 + length], sent[6 + length :]
        foreign = P_DATA_TF()
        foreign.decode(whole)
        (item,) = foreign.presentation_data_value_items
        assert item.presentation_context_id == 5
        controls.append(item.presentation_data_value[0])
        came += item.presentation_data_value[1:]
    assert came == content
    assert controls == [1] * (len(controls) - 1) + [3]


def test_short_pdus_are_read_by_another_library() -> None:
    abort = A_ABORT_RQ()
    abort.decode(short_pdu(PduType.ABORT, 2, AbortReason.INVALID_PARAMETER))
    assert (abort.source, abort.reason_diagnostic) == (2, 6)
    released = A_RELEASE_RP()
    released.decode(short_pdu(PduType.RELEASE_RP))
    assert released.encode() == short_pdu(PduType.RELEASE_RP)


def test_after_a_drop_nothing_is_left() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as peer,
    ):
        accepted, _ = server.accept()
        layer = UpperLayer(accepted)
        peer.sendall(pdu(pdv(1, b"abcd", 1))[:14])
        layer.receive()
        assert len(list(layer.items())) == 1
        assert not layer.is_between_messages

        layer.drop()
        assert layer.is_between_messages
        peer.sendall(short_pdu(PduType.ABORT))
        layer.receive()
        (item,) = layer.items()
        assert not isinstance(item, Fragment)
        assert item.type is PduType.ABORT
        layer.close()
