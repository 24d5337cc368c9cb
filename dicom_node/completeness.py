"""The rule, pure: is a study whole, and what becomes of it then.

Nothing in DICOM says that a study is whole, so evidence is weighed, in this order:

1. the hard limit has passed: it is taken as it is, whatever still comes;
2. an open association carries it: it is not whole;
3. an archive holds images of it that have not come: it is not whole;
4. an archive holds nothing more: it is whole after a short silence;
5. it has been quiet for as long as its senders are known to pause, and longer: it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.lifecycle import Event
from dicom_node.archives import GRACE_SECONDS, Standing, Word
from dicom_node.pace import QuietTime


class Reason(StrEnum):
    """Why a study version was taken for whole: `Study.completed_by`."""

    QUIET = "quiet"
    COUNTED = "counted"
    HARD_LIMIT = "hard_limit"
    OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a study that is being received.

    Attributes:
        silent_seconds: Since its newest image came.
        open_seconds: Since the first object of its version came.
        quiet: The silence that its senders ask for.
        word: What an archive says.
        carriers: Open associations that brought some of it or are bringing it now.
    """

    silent_seconds: float
    open_seconds: float
    quiet: QuietTime
    word: Word
    carriers: int = 0


def judge(evidence: Evidence, *, hard_limit_seconds: float) -> Reason | None:
    """Return why a study is whole; None where it is not."""
    if evidence.open_seconds >= hard_limit_seconds:
        return Reason.HARD_LIMIT
    if evidence.carriers:
        return None
    silent, quiet = evidence.silent_seconds, evidence.quiet
    match evidence.word.standing:
        case Standing.MISSING:
            return None
        case Standing.WHOLE:
            return Reason.COUNTED if silent >= quiet.counted_seconds else None
        case Standing.PENDING:
            # The first answer may come long after the quiet time: the node was just started.
            is_in_vain = evidence.word.waited_seconds >= GRACE_SECONDS
            return Reason.QUIET if silent >= quiet.seconds and is_in_vain else None
        case Standing.NOT_ASKED | Standing.UNANSWERED | Standing.UNDECIDED:
            return Reason.QUIET if silent >= quiet.seconds else None


def explain(reason: Reason, evidence: Evidence, *, hard_limit_seconds: float) -> str:
    """Return the sentence of the timeline: what was decided, and on which figures."""
    quiet, word = evidence.quiet, evidence.word
    match reason:
        case Reason.QUIET:
            sentence = f"nothing came for {quiet.seconds:g} s ({quiet.source})"
        case Reason.COUNTED:
            sentence = f"nothing came for {quiet.counted_seconds:g} s"
        case Reason.HARD_LIMIT:
            sentence = f"its first object came {hard_limit_seconds / 60:g} minutes ago"
        case Reason.OPERATOR:
            sentence = "an operator said so"
    if evidence.carriers:
        sentence += f"; open associations that carry it: {evidence.carriers}"
    return f"{sentence}; {word.reason}" if word.reason else sentence


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a whole study."""

    event: Event
    code: str = ""
    reason: str = ""


def decide(
    *,
    images: int,
    admitted: int,
    admission: str,
    version: int,
    max_versions: int,
    has_conflict: bool,
) -> Decision:
    """Return what a study's being whole means.

    Two patients under one Study Instance UID come first: nothing of it may be drafted. A study
    without an image (reports, structured data) is not for us, nor is one of whose images no rule
    lets any start a draft. One that gets late images again and again is no longer drafted without
    being asked.

    Args:
        images: Current images, ours left out.
        admitted: Those of them that may start a draft.
        admission: Why the others may not.
        version: The study's version.
        max_versions: `completion.max_versions`.
        has_conflict: Its objects name different patients.
    """
    if has_conflict:
        return Decision(event=Event.IDENTITY_CONFLICT)
    if images == 0:
        return Decision(event=Event.NOT_FOR_US, code="NO_IMAGE", reason="the study holds no image")
    if admitted == 0:
        reason = f"no image of it starts a draft: {admission}"
        return Decision(event=Event.NOT_FOR_US, code="NOT_ADMITTED", reason=reason)
    if version > max_versions:
        return Decision(
            event=Event.NOT_FOR_US,
            code="TOO_MANY_VERSIONS",
            reason=(
                f"late images came {version - 1} times; `taqrir retry` drafts the study again "
                f"(completion.max_versions = {max_versions})"
            ),
        )
    return Decision(event=Event.WENT_QUIET)
