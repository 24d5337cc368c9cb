"""The upper layer's state table, held against another implementation of PS3.8 table 9-10."""

from __future__ import annotations

import itertools

import pytest
from pynetdicom.fsm import ACTIONS as FOREIGN_ACTIONS
from pynetdicom.fsm import TRANSITION_TABLE

from core.errors import TransitionError
from dicom_node.states import ACTIONS, NEXT_STATES, Action, UpperLayerEvent, UpperLayerState, react

PAIRS = list(itertools.product(UpperLayerState, UpperLayerEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda value: value.name)
def test_every_pair_of_state_and_event_is_as_in_the_standard(
    state: UpperLayerState, event: UpperLayerEvent
) -> None:
    expected = TRANSITION_TABLE.get((f"Evt{event}", f"Sta{state}"))

    if expected is None:
        with pytest.raises(TransitionError):
            react(state, event)
        return
    action, after = react(state, event)
    assert action == expected
    foreign = FOREIGN_ACTIONS[expected][2]
    known = foreign if isinstance(foreign, tuple) else (foreign,)
    assert tuple(f"Sta{number}" for number in NEXT_STATES[action]) == known
    assert after == NEXT_STATES[action][0]


def test_the_table_has_no_pair_that_the_standard_has_not() -> None:
    ours = {(f"Evt{event}", f"Sta{state}") for state, event in ACTIONS}
    assert ours == set(TRANSITION_TABLE)
    assert set(ACTIONS.values()) == set(Action)
