r"""The frame that carries a message over TCP: ``0B``, the message, ``1C 0D``.

Source: HL7 v2 Minimal Lower Layer Protocol, transport specification release 1.
"""

from __future__ import annotations

START = b"\x0b"
END = b"\x1c\r"
# Some peers end a frame with CR LF or send a line end between frames.
_BETWEEN_FRAMES = b"\r\n"


# Enough of a message that is too long to answer it by its header.
_BEGINNING = 1 << 16


class FrameTooLargeError(Exception):
    """A frame is longer than was agreed; what follows on the connection cannot be trusted.

    Attributes:
        beginning: The first bytes of the message.
    """

    def __init__(self, beginning: bytes = b"") -> None:
        super().__init__("a frame is longer than was agreed")
        self.beginning = beginning


def frame(message: bytes) -> bytes:
    """Return a message in its frame.

    Raises:
        ValueError: The message holds a frame byte, so that the peer would read two.
    """
    if START in message or END[:1] in message:
        raise ValueError("the message holds a byte that begins or ends a frame")
    return START + message + END


class FrameReader:
    """Cuts a stream of bytes into messages: several in a packet, one over many packets.

    Each byte is looked at once, however small the packets are.

    Attributes:
        stray_bytes: How many bytes stood outside of frames, line ends aside.
    """

    def __init__(self, max_bytes: int) -> None:
        """Read frames whose message has at most `max_bytes` bytes."""
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._is_inside = False
        self.stray_bytes = 0

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._is_inside

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are whole now.

        Raises:
            FrameTooLargeError: The frame that is being read is longer than allowed.
        """
        self._buffer += data
        messages = []
        while self._enter():
            end = self._buffer.find(END, self._searched)
            if (len(self._buffer) - 1 if end < 0 else end) > self._max_bytes:
                raise FrameTooLargeError(bytes(self._buffer[:_BEGINNING]))
            if end < 0:
                # The last byte may be the first half of the end mark.
                self._searched = max(len(self._buffer) - 1, 0)
                break
            messages.append(bytes(self._buffer[:end]))
            del self._buffer[: end + len(END)]
            self._is_inside = False
        return messages

    def _enter(self) -> bool:
        """Drop what stands before the next frame; say whether one has begun."""
        if not self._is_inside:
            outside, mark, rest = self._buffer.partition(START)
            self.stray_bytes += len(outside.strip(_BETWEEN_FRAMES))
            self._buffer = rest
            self._searched = 0
            self._is_inside = bool(mark)
        return self._is_inside
