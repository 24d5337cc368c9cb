"""The life of a study: states, events and the one table that joins them.

Pure rules, no database: `core.store.advance` is what applies them. A pair that is not in the table
raises, so a new path has to be written here first.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import TransitionError


class State(StrEnum):
    """Where a study is. Every received study is in exactly one."""

    RECEIVING = "RECEIVING"
    QUEUED = "QUEUED"
    DRAFTING = "DRAFTING"
    IN_REVIEW = "IN_REVIEW"
    SIGNED = "SIGNED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    WITHHELD = "WITHHELD"
    IGNORED = "IGNORED"


# A person has decided on the report of one patient, and nothing is drafted any more.
DECIDED = frozenset((State.SIGNED, State.REJECTED))


class Event(StrEnum):
    """What can happen to a study."""

    INSTANCE_STORED = "instance_stored"
    WENT_QUIET = "went_quiet"
    STARTED = "started"
    DRAFTED = "drafted"
    FAILED_TRANSIENT = "failed_transient"
    FAILED_PERMANENT = "failed_permanent"
    WITHHELD = "withheld"
    NOT_FOR_US = "not_for_us"
    RETRIED_BY_OPERATOR = "retried_by_operator"
    SIGNED = "signed"
    REJECTED = "rejected"
    LEASE_EXPIRED = "lease_expired"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    LATE_INSTANCE = "late_instance"
    IDENTITY_CONFLICT = "identity_conflict"
    FINAL_ELSEWHERE = "final_elsewhere"
    CORRECTED = "corrected"
    ADDENDED = "addended"


class DeliveryState(StrEnum):
    """Where one object on its way to one destination is.

    DROPPED is no dead letter: nobody has to act, its draft was superseded before it was sent.
    """

    PENDING = "PENDING"
    SENT = "SENT"
    CONFIRMED = "CONFIRMED"
    PARKED = "PARKED"
    DROPPED = "DROPPED"


class Origin(StrEnum):
    """How a report version came to be."""

    MODEL = "model"
    # The same text under a corrected header, after the earlier version was sent.
    RENEWED = "renewed"
    SIGNED = "signed"
    CORRECTED = "corrected"
    ADDENDED = "addended"
    # No text: it takes back what stands in archives and information systems.
    WITHDRAWN = "withdrawn"


class CommitmentState(StrEnum):
    """Where a storage commitment that a sender asked for is.

    EVALUATING waits for the index, REPORTING for the sender to take the report; UNREPORTED is a
    dead letter: the sender could not be reached.
    """

    EVALUATING = "EVALUATING"
    REPORTING = "REPORTING"
    REPORTED = "REPORTED"
    UNREPORTED = "UNREPORTED"


class MessageState(StrEnum):
    """Where a received HL7 message is.

    RECEIVED waits to be processed, IGNORED asks nothing of us, FAILED was not understood or could
    not be followed: a person must look, and may play it again.
    """

    RECEIVED = "RECEIVED"
    APPLIED = "APPLIED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


class OrderState(StrEnum):
    """Where an order is.

    WAITING has found no study yet; CONFLICT found one of another patient and is never used.
    """

    WAITING = "WAITING"
    ATTACHED = "ATTACHED"
    CONFLICT = "CONFLICT"
    CANCELLED = "CANCELLED"


_S, _E = State, Event

TRANSITIONS: dict[tuple[State, Event], State] = {
    (_S.RECEIVING, _E.INSTANCE_STORED): _S.RECEIVING,
    (_S.RECEIVING, _E.WENT_QUIET): _S.QUEUED,
    (_S.QUEUED, _E.STARTED): _S.DRAFTING,
    (_S.DRAFTING, _E.DRAFTED): _S.IN_REVIEW,
    (_S.DRAFTING, _E.FAILED_TRANSIENT): _S.QUEUED,
    (_S.DRAFTING, _E.FAILED_PERMANENT): _S.FAILED,
    (_S.DRAFTING, _E.WITHHELD): _S.WITHHELD,
    (_S.DRAFTING, _E.LEASE_EXPIRED): _S.QUEUED,
    (_S.DRAFTING, _E.ATTEMPTS_EXHAUSTED): _S.FAILED,
    (_S.IN_REVIEW, _E.SIGNED): _S.SIGNED,
    (_S.IN_REVIEW, _E.REJECTED): _S.REJECTED,
    (_S.SIGNED, _E.CORRECTED): _S.SIGNED,
    (_S.SIGNED, _E.ADDENDED): _S.SIGNED,
    # A signed or rejected report stays as it is; the timeline carries the flag for an addendum.
    (_S.SIGNED, _E.LATE_INSTANCE): _S.SIGNED,
    (_S.REJECTED, _E.LATE_INSTANCE): _S.REJECTED,
    # DRAFTING too: whether an image can be read is known only once its pixels were decoded.
    **{(s, _E.NOT_FOR_US): _S.IGNORED for s in (_S.RECEIVING, _S.QUEUED, _S.DRAFTING)},
    **{(s, _E.RETRIED_BY_OPERATOR): _S.QUEUED for s in (_S.FAILED, _S.WITHHELD, _S.IGNORED)},
    **{
        (s, _E.LATE_INSTANCE): _S.RECEIVING
        for s in (_S.QUEUED, _S.DRAFTING, _S.IN_REVIEW, _S.FAILED, _S.WITHHELD, _S.IGNORED)
    },
    **{
        (s, _E.IDENTITY_CONFLICT): _S.WITHHELD
        for s in (_S.RECEIVING, _S.QUEUED, _S.DRAFTING, _S.IN_REVIEW)
    },
    **{
        (s, _E.FINAL_ELSEWHERE): _S.IGNORED
        for s in (_S.QUEUED, _S.DRAFTING, _S.IN_REVIEW, _S.WITHHELD, _S.FAILED)
    },
}


def next_state(state: State, event: Event) -> State:
    """Return the state that an event leads to.

    Raises:
        TransitionError: The table does not join the two.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionError(f"{event} cannot happen to a study that is {state}") from None
