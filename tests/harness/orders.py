"""What became of orders and of the messages that brought them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from core import messages
from core.database import reading
from core.order_tables import Order
from harness.feed import message, segment
from harness.site import Site


def rows(site: Site) -> Sequence[Order]:
    """Return all orders, oldest first."""
    with reading(site.engine) as session:
        return session.scalars(select(Order).order_by(Order.id)).all()


def states(site: Site) -> list[tuple[str, int | None]]:
    """Return each order's state and study."""
    return [(row.state, row.study_id) for row in rows(site)]


def outcomes(site: Site) -> list[tuple[str, str]]:
    """Return each message's state and reason."""
    with reading(site.engine) as session:
        return [(row.state, row.reason) for row in messages.listed(session)]


def ordered(orc: str, *, patient: str = "P1", **obr: str) -> bytes:
    """Return an order of some ORC; without fields of an OBR it has none."""
    places = {"accession": 18, "step": 20, "priority": 27, "reason": 31}
    fields = {places[name]: value for name, value in obr.items()}
    return message(
        "ORM^O01", f"PID|||{patient}", f"ORC|{orc}", *([segment("OBR", fields)] if fields else [])
    )


# An order with all that later messages of it may leave out.
WHOLE = ordered("NW|O1|F1", accession="ACC1", step="S1", priority="^^^^^S", reason="^cough")
