"""An information system that is not ours, both ways: packages of npm send orders, get results."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Site, film
from servers import wait_until
from servers.mllp import field, running_mllp_listener, send_orders

from core import migration, ordering
from core.database import reading
from core.lifecycle import DeliveryState, State
from core.settings_orders import OrdersSettings
from hl7.listener import OrdersListener
from worker.orders import follow_all

pytestmark = pytest.mark.peer
REASON = "سعال | fever & ^chills"


def test_orders_come_from_a_foreign_system_and_results_go_back_to_one(tmp_path: Path) -> None:
    with running_mllp_listener(tmp_path) as ris:
        site = Site(tmp_path / "site", ris={"main": ris.port})
        migration.migrate(site.engine)
        settings = site.settings.model_copy(update={"orders": OrdersSettings()})
        listener = OrdersListener(settings, site.engine, port=0)
        port = listener.start()
        image = film()
        try:
            answers = send_orders(
                port,
                [
                    {
                        "id": "F1",
                        "patient": "P1",
                        "name": "قباني",
                        "accession": "OTHER",
                        "priority": "S",
                        "reason": REASON,
                        "uid": image.StudyInstanceUID,
                    },
                    {"id": "F2", "retired": "P1", "patient": "P9", "name": "Qabbani"},
                ],
            )
            assert answers == [["AA", "F1"], ["AA", "F2"]]
            assert follow_all(site.parts) == 2

            site.take_in(image)
            site.deliver_due()
        finally:
            listener.stop()
        segments = {s["name"]: s for s in wait_until(ris.messages)[0]}

    assert (site.state(), site.study().priority) == (State.IN_REVIEW, "stat")
    assert site.drafter.requests[0].context.indication == REASON
    assert site.are_all(DeliveryState.SENT)
    assert field(segments["PID"], 3)[0][0] == ["P9"]
    assert field(segments["PID"], 5)[0][0] == ["Qabbani"]
    with reading(site.engine) as session:
        assert ordering.reference_of(session, 1).placer_number == "F1"
    site.close()
