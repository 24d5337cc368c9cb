"""The lifecycle table against one that was written by hand from the design, pair by pair."""

from __future__ import annotations

import pytest

from core.errors import TransitionError
from core.lifecycle import TRANSITIONS, Event, State, next_state

# A row an event, a column a state; a dot: the event cannot happen there.
TABLE = """
                    RECEIVING QUEUED    DRAFTING  IN_REVIEW SIGNED  REJECTED  FAILED    WITHHELD  IGNORED
instance_stored     RECEIVING .         .         .         .       .         .         .         .
went_quiet          QUEUED    .         .         .         .       .         .         .         .
started             .         DRAFTING  .         .         .       .         .         .         .
drafted             .         .         IN_REVIEW .         .       .         .         .         .
failed_transient    .         .         QUEUED    .         .       .         .         .         .
failed_permanent    .         .         FAILED    .         .       .         .         .         .
withheld            .         .         WITHHELD  .         .       .         .         .         .
not_for_us          IGNORED   IGNORED   IGNORED   .         .       .         .         .         .
retried_by_operator .         .         .         .         .       .         QUEUED    QUEUED    QUEUED
signed              .         .         .         SIGNED    .       .         .         .         .
rejected            .         .         .         REJECTED  .       .         .         .         .
lease_expired       .         .         QUEUED    .         .       .         .         .         .
attempts_exhausted  .         .         FAILED    .         .       .         .         .         .
late_instance       .         RECEIVING RECEIVING RECEIVING SIGNED  REJECTED  RECEIVING RECEIVING RECEIVING
identity_conflict   WITHHELD  WITHHELD  WITHHELD  WITHHELD  .       .         .         .         .
final_elsewhere     .         IGNORED   IGNORED   IGNORED   .       .         IGNORED   IGNORED   .
corrected           .         .         .         .         SIGNED  .         .         .         .
addended            .         .         .         .         SIGNED  .         .         .         .
"""  # noqa: E501  a table is read as a table


def _pairs() -> list[tuple[str, str, str]]:
    header, *rows = TABLE.strip().splitlines()
    states = header.split()
    return [
        (state, row.split()[0], to)
        for row in rows
        for state, to in zip(states, row.split()[1:], strict=True)
    ]


def test_the_hand_written_table_knows_every_pair() -> None:
    assert {(s, e) for s, e, _ in _pairs()} == {(s.value, e.value) for s in State for e in Event}


@pytest.mark.parametrize(("state", "event", "to"), _pairs())
def test_a_pair_leads_where_the_design_says_or_raises(state: str, event: str, to: str) -> None:
    if to == ".":
        with pytest.raises(TransitionError, match=f"{event} cannot happen to a study .* {state}"):
            next_state(State(state), Event(event))
    else:
        assert next_state(State(state), Event(event)) is State(to)


def test_nothing_leads_out_of_a_finished_report_but_what_a_person_does() -> None:
    ways_out = {to for (state, _), to in TRANSITIONS.items() if state is State.SIGNED}

    assert ways_out == {State.SIGNED}


def test_every_state_can_be_reached_from_the_first() -> None:
    reached = {State.RECEIVING}
    while more := {to for (s, _), to in TRANSITIONS.items() if s in reached} - reached:
        reached |= more

    assert reached == set(State)


def test_whatever_went_wrong_a_person_can_start_again() -> None:
    for state in (State.FAILED, State.WITHHELD, State.IGNORED):
        assert next_state(state, Event.RETRIED_BY_OPERATOR) is State.QUEUED
