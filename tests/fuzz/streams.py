"""What the fuzzer sends: good associations, put together at random and then damaged."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass

from harness.films import film
from harness.raw_peer import (
    ABORT,
    COMMAND,
    FILM_CONTEXT,
    FILM_STORAGE,
    LAST,
    RELEASE,
    RELEASED,
    VERIFICATION,
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
from hypothesis import strategies as st

_CONTEXTS = tuple(
    (number, abstract, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"))
    for number, abstract in ((1, VERIFICATION), (3, FILM_STORAGE), (5, "1.2.840.10008.1.20.1"))
)
_FILMS = [film(value=number) for number in range(3)]
_STORES = [
    store_message(str(dataset.SOPInstanceUID), encoded(dataset), number)
    for number, dataset in enumerate(_FILMS, start=1)
]
_UID, _DATA = str(_FILMS[0].SOPInstanceUID), encoded(_FILMS[0])
GOOD = (request(contexts=_CONTEXTS), *_STORES, echo_message(9), RELEASE)
# Good and odd pieces, each a whole number of PDUs.
_PIECES = (
    *GOOD,
    request(maximum=16),
    request(calling="NOBODY"),
    store_message(_UID, b""),
    store_message("../x", _DATA),
    b"".join(
        pdu(piece)
        for piece in [
            *split(FILM_CONTEXT, store_command(_UID, 5), 8, is_command=True),
            *split(FILM_CONTEXT, _DATA, 50),
        ]
    ),
    pdu(
        *split(FILM_CONTEXT, store_command(_UID, 6), 30, is_command=True),
        *split(FILM_CONTEXT, _DATA, 200),
    ),
    pdu(pdv(FILM_CONTEXT, store_command(_UID, 7), COMMAND | LAST)),
    pdu(pdv(FILM_CONTEXT, _DATA, LAST)),
    pdu(pdv(FILM_CONTEXT, _DATA[:100], 0)),
    pdu(pdv(1, echo_command(8, command_field=0x0020, data_set_type=1), COMMAND | LAST)),
    pdu(pdv(5, echo_command(8, command_field=0x0130, data_set_type=1), COMMAND | LAST)),
    pdu(pdv(5, echo_command(8, command_field=0x0100, data_set_type=1), COMMAND | LAST)),
    pdu(pdv(1, echo_command(8, command_field=0x0FFF), COMMAND | LAST)),
    pdu(bytes(70), kind=2),
    pdu(bytes(4), kind=3),
    RELEASED,
    ABORT,
)
_LENGTHS = (0, 1, 2, 3, 5, 6, 7, 131_072, 131_073, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass(frozen=True)
class Example:
    """Bytes, how they are cut, and how the connection ends.

    Attributes:
        cuts: How many bytes each read of the node gets at most, over and over; all where empty.
        stays: The peer falls silent at the end; else it closes its side.
    """

    data: bytes
    cuts: tuple[int, ...] = ()
    stays: bool = False

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "data": self.data.hex()})

    @classmethod
    def from_json(cls, text: str) -> Example:
        fields = json.loads(text)
        return cls(bytes.fromhex(fields["data"]), tuple(fields["cuts"]), bool(fields["stays"]))


def _damaged(data: bytes, kind: str, at: int, size: int, value: bytes) -> bytes:
    at %= len(data) + 1
    match kind:
        case "replace":
            return data[:at] + value + data[at + len(value) :]
        case "insert":
            return data[:at] + value + data[at:]
        case "delete":
            return data[:at] + data[at + size :]
        case "repeat":
            return data[: at + size] + data[at:]
        case _:
            return data[:at]


_values = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from([struct.pack(">L", length) for length in _LENGTHS]),
)
_damages = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "replace", "insert", "delete", "repeat", "cut"]),
        st.integers(0, 1 << 14),
        st.integers(1, 300),
        _values,
    ),
    max_size=4,
)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Return a strategy of examples."""
    pieces = draw(st.lists(st.sampled_from(_PIECES), max_size=6))
    # Most begin as they should, or all that follows would be refused in the same way.
    if draw(st.integers(0, 9)):
        pieces.insert(0, GOOD[0])
    data = b"".join(pieces)
    for damage in draw(_damages):
        data = _damaged(data, *damage)
    sizes = st.sampled_from([1, 2, 5, 6, 7, 11, 12, 13, 64, 1000, 1 << 20])
    cuts = tuple(draw(st.lists(sizes, max_size=5)))
    return Example(data, cuts, stays=not draw(st.integers(0, 9)))
