"""What a status of storage means: the same numbers come by C-STORE and by STOW-RS.

Source: PS3.4 B.2.3 (C-STORE), PS3.7 C (general), PS3.18 I.2 (STOW-RS reasons).
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUCCESS = 0x0000
_ELEMENTS_DISCARDED, _CLASS_MISMATCH = 0xB006, 0xB007
# Said by some of a resend after an answer that was lost: it is what the first attempt wanted.
_DUPLICATE = 0x0111
_DOUBTFUL = frozenset((_ELEMENTS_DISCARDED, _CLASS_MISMATCH, _DUPLICATE))
_WARNING_RANGE = range(0xB000, 0xC000)
# PS3.7 C.1.3: three warnings of old.
_OLD_WARNINGS = frozenset((0x0001, 0x0107, 0x0116))
OUT_OF_RESOURCES = range(0xA700, 0xA800)
WARNINGS = {
    0xB000: "stored, but the peer changed elements",
    _ELEMENTS_DISCARDED: "stored, but the peer left elements out",
    _CLASS_MISMATCH: "stored, though the data set does not match its SOP class",
    _DUPLICATE: "the peer says that it holds the object already",
}
# The rest says its number.
REFUSALS = (
    (OUT_OF_RESOURCES, "out of resources"),
    (range(0xA900, 0xAA00), "the data set does not match its SOP class"),
    (range(0xC000, 0xD000), "the peer cannot understand the object"),
    (range(0x0110, 0x0111), "processing failure"),
    (range(0x0117, 0x0118), "invalid SOP Instance UID"),
    (range(0x0122, 0x0123), "SOP class not supported"),
    (range(0x0124, 0x0125), "not authorised"),
)


@dataclass(frozen=True, kw_only=True)
class StoreAnswer:
    """A peer's answer to an object.

    Attributes:
        is_success: The peer keeps the object, perhaps with a warning.
        meaning: What the status means; empty for plain success.
        comment: The peer's own words. They may name the patient: never log them.
        is_unlisted: The yes of a web service that does not name the object.
    """

    status: int
    is_success: bool
    meaning: str = ""
    comment: str = field(default="", repr=False)
    is_unlisted: bool = False

    @property
    def is_passing(self) -> bool:
        """Whether a refusal may end by itself: the peer is out of resources."""
        return self.status in OUT_OF_RESOURCES

    @property
    def is_doubtful(self) -> bool:
        """Whether the peer's yes leaves open what it keeps, so that it should be looked up."""
        return self.is_unlisted or self.status in _DOUBTFUL


def judge(status: int, comment: str = "") -> StoreAnswer:
    """Return what a status means."""
    if status == SUCCESS:
        return StoreAnswer(status=status, is_success=True, comment=comment)
    if status in _WARNING_RANGE or status in _OLD_WARNINGS or status in WARNINGS:
        meaning = WARNINGS.get(status, "stored, with a warning")
        return StoreAnswer(status=status, is_success=True, meaning=meaning, comment=comment)
    meaning = next((words for statuses, words in REFUSALS if status in statuses), "failure")
    return StoreAnswer(status=status, is_success=False, meaning=meaning, comment=comment)
