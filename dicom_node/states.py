"""The upper-layer state machine as a table (PS3.8 9.2): state and event give action and next state.

The table stands here whole, as in the standard. A receiver that never asks for an association uses
its acceptor half; data in an established association (DT-2) passes beside it, in
`dicom_node.association`, because a table look-up for each PDU buys nothing.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from core.errors import TransitionError


class UpperLayerState(IntEnum):
    """PS3.8 tables 9-1 to 9-5."""

    IDLE = 1
    AWAITING_REQUEST = 2
    AWAITING_OUR_RESPONSE = 3
    AWAITING_TRANSPORT = 4
    AWAITING_PEERS_RESPONSE = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_RESPONSE = 7
    AWAITING_OUR_RELEASE_RESPONSE = 8
    COLLISION_REQUESTOR = 9
    COLLISION_ACCEPTOR = 10
    COLLISION_REQUESTOR_AWAITING_RESPONSE = 11
    COLLISION_ACCEPTOR_AWAITING_OUR_RESPONSE = 12
    AWAITING_CLOSE = 13


class UpperLayerEvent(IntEnum):
    """PS3.8 table 9-10's events, by their numbers."""

    ASSOCIATE_ASKED = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC_CAME = 3
    ASSOCIATE_RJ_CAME = 4
    TRANSPORT_OPENED = 5
    ASSOCIATE_RQ_CAME = 6
    ASSOCIATE_ACCEPTED = 7
    ASSOCIATE_REJECTED = 8
    DATA_ASKED = 9
    DATA_CAME = 10
    RELEASE_ASKED = 11
    RELEASE_RQ_CAME = 12
    RELEASE_RP_CAME = 13
    RELEASE_ANSWERED = 14
    ABORT_ASKED = 15
    ABORT_CAME = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU_CAME = 19


class Action(StrEnum):
    """PS3.8 tables 9-6 to 9-9, by their names."""

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


# Where an action leads. AE-6 ends in 13 where the request is refused by the upper layer itself, and
# AR-8 in 10 for the acceptor: the first one named is the usual one.
NEXT_STATES: dict[Action, tuple[int, ...]] = {
    Action.AE_1: (4,),
    Action.AE_2: (5,),
    Action.AE_3: (6,),
    Action.AE_4: (1,),
    Action.AE_5: (2,),
    Action.AE_6: (3, 13),
    Action.AE_7: (6,),
    Action.AE_8: (13,),
    Action.DT_1: (6,),
    Action.DT_2: (6,),
    Action.AR_1: (7,),
    Action.AR_2: (8,),
    Action.AR_3: (1,),
    Action.AR_4: (13,),
    Action.AR_5: (1,),
    Action.AR_6: (7,),
    Action.AR_7: (8,),
    Action.AR_8: (9, 10),
    Action.AR_9: (11,),
    Action.AR_10: (12,),
    Action.AA_1: (13,),
    Action.AA_2: (1,),
    Action.AA_3: (1,),
    Action.AA_4: (1,),
    Action.AA_5: (1,),
    Action.AA_6: (13,),
    Action.AA_7: (13,),
    Action.AA_8: (13,),
}

# PS3.8 table 9-10: a row an event, a column a state (1 to 13); a dot is a pair that cannot be.
_TABLE = """
 1  AE-1 .    .    .    .    .    .    .    .    .     .    .    .
 2  .    .    .    AE-2 .    .    .    .    .    .     .    .    .
 3  .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 4  .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 5  AE-5 .    .    .    .    .    .    .    .    .     .    .    .
 6  .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
 7  .    .    AE-7 .    .    .    .    .    .    .     .    .    .
 8  .    .    AE-8 .    .    .    .    .    .    .     .    .    .
 9  .    .    .    .    .    DT-1 .    AR-7 .    .     .    .    .
10  .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11  .    .    .    .    .    AR-1 .    .    .    .     .    .    .
12  .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13  .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14  .    .    .    .    .    .    .    AR-4 AR-9 .     .    AR-4 .
15  .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 .
16  .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17  .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18  .    AA-2 .    .    .    .    .    .    .    .     .    .    AA-2
19  .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""


def _parse(table: str) -> dict[tuple[UpperLayerState, UpperLayerEvent], Action]:
    actions = {}
    for row in table.strip().splitlines():
        event, *cells = row.split()
        for state, cell in zip(UpperLayerState, cells, strict=True):
            if cell != ".":
                actions[state, UpperLayerEvent(int(event))] = Action(cell)
    return actions


ACTIONS = _parse(_TABLE)


def react(state: UpperLayerState, event: UpperLayerEvent) -> tuple[Action, UpperLayerState]:
    """Return what to do, and the state that follows it in the usual case.

    Raises:
        TransitionError: The event cannot be in that state: an error of ours, not of the peer's.
    """
    try:
        action = ACTIONS[state, event]
    except KeyError:
        raise TransitionError(f"{event.name} cannot be in state {state.name}") from None
    return action, UpperLayerState(NEXT_STATES[action][0])
