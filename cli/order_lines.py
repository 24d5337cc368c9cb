"""What `status` and `show` say of orders and of the messages that brought them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import messages, ordering
from core.lifecycle import MessageState, OrderState
from core.order_tables import Order
from core.tables import Study

# A person reads the first of them; how many there are say the counts.
_SHOWN = 50


def describe_orders(session: Session) -> dict[str, Any]:
    """Return counts, orders in conflict and messages that failed, as plain data."""
    conflicts = session.scalars(
        select(Order)
        .where(Order.state == OrderState.CONFLICT)
        .order_by(Order.id.desc())
        .limit(_SHOWN)
    ).all()
    failed = messages.listed(session, states=[MessageState.FAILED], limit=_SHOWN)
    return {
        "messages": dict(messages.count_messages(session)),
        "orders": dict(ordering.count_orders(session)),
        "conflicting_orders": [_order(order) for order in reversed(conflicts)],
        "failed_messages": [
            {
                "number": row.id,
                "kind": row.kind,
                "control_id": row.control_id,
                "reason": row.reason,
            }
            for row in failed
        ],
    }


def orders_lines(report: dict[str, Any]) -> list[str]:
    """Return what an operator reads of them; nothing where no message ever came."""
    lines = []
    if any(report["messages"].values()):
        lines.append(f"Messages    {_counts(report['messages'])}")
    if any(report["orders"].values()):
        lines.append(f"Orders      {_counts(report['orders'])}")
    lines += [
        f"CONFLICT    order {row['number']} ({row['accession_number'] or 'no accession'}): "
        f"{row['reason']}"
        for row in report["conflicting_orders"]
    ]
    lines += [
        "FAILED      message {number} {kind} {control_id}: {reason}".format(**row)
        for row in report["failed_messages"]
    ]
    return lines


def orders_of_study(session: Session, study: Study) -> list[dict[str, Any]]:
    """Return the orders of a study, and those that name it and are of another patient."""
    rows = [*ordering.orders_of(session, study.id), *ordering.conflicts_of(session, study)]
    return [_order(row) | {"indication": _indication(row)} for row in rows]


def study_orders_lines(orders: list[dict[str, Any]]) -> list[str]:
    """Return a study's orders for a person at a terminal."""
    lines = [
        f"  {row['state']} order {row['number']}, {row['priority']}"
        + (f": {row['reason']}" if row["reason"] else "")
        + (f": {row['indication']}" if row["indication"] else "")
        for row in orders
    ]
    return ["", "Orders", *lines] if lines else []


def _order(order: Order) -> dict[str, Any]:
    return {
        "number": order.id,
        "state": order.state,
        "reason": order.reason,
        "accession_number": order.accession_number,
        "study_uid": order.study_uid,
        "placer_number": order.placer_number,
        "filler_number": order.filler_number,
        "priority": order.priority,
        "updated_at": order.updated_at,
    }


def _indication(order: Order) -> str:
    # Another patient's is nobody's business here.
    return order.indication if order.state == OrderState.ATTACHED else ""


def _counts(counts: dict[str, int]) -> str:
    return "  ".join(f"{state} {number}" for state, number in counts.items())
