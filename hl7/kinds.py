"""Of what kind a message is, and what its kind means to us; the table is in docs/orders.md.

Where MSH-9 names no trigger, EVN-1 does: until 2.2 it was the only place for it, and old systems
still write it there alone.

Source: HL7 v2.5.1 2.15.9.9 (MSH-9), 3.4.1.1 (EVN-1), table 0076.
"""

from __future__ import annotations

import re

ORDERS = frozenset({"ORM^O01", "OMI^O23", "OMG^O19"})
REPORTS = frozenset({"ORU^R01"})
UPDATES = frozenset({"ADT^A01", "ADT^A04", "ADT^A08", "ADT^A31"})
MERGES = frozenset({"ADT^A18", "ADT^A34", "ADT^A36", "ADT^A40"})
# Of a message type that old systems send without one.
_ONLY_TRIGGERS = {"ORM": "O01", "OMI": "O23", "OMG": "O19", "ORU": "R01"}
_NAME, _TRIGGER = re.compile("[A-Z]{3}"), re.compile("[A-Z][A-Z0-9]{2}")
# HL7's word for a field that is to be empty.
NULL = '""'


def kind_of(name: str, trigger: str, event: str) -> str:
    """Return a kind such as ``ADT^A40``; shorter where a part of it stands nowhere.

    Args:
        name: MSH-9.1.
        trigger: MSH-9.2; it counts where EVN-1 says something else.
        event: EVN-1.
    """
    name, trigger, event = ("" if t.strip() == NULL else t.strip() for t in (name, trigger, event))
    return "^".join(filter(None, (name, trigger or _ONLY_TRIGGERS.get(name) or event)))


def may_merge(kind: str) -> bool:
    """Tell whether a message says that patients are one, or leaves open whether it does."""
    name, _, trigger = kind.partition("^")
    if not _NAME.fullmatch(name):
        return True
    return kind in MERGES or (name == "ADT" and not _TRIGGER.fullmatch(trigger))
