"""Whatever an archive does, each object is there once, or PARKED with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from harness import Site, Timing, film, one_database
from harness.commitment import confirm
from harness.faulty_pacs import FaultyPacs

from core.lifecycle import DeliveryState
from worker.confirm import finish_confirming, start_confirming

CONFIRMED, PARKED = DeliveryState.CONFIRMED, DeliveryState.PARKED
_STUDIES = 3
_ROUNDS = 60
_TIMEOUT_SECONDS = 0.3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@one_database
@pytest.mark.parametrize("seed", range(8))
def test_each_object_is_there_once_or_parked_with_a_reason(
    make_site: Callable[..., Site], seed: int
) -> None:
    with FaultyPacs(seed, late_seconds=_TIMEOUT_SECONDS * 1.5) as pacs:
        timing = Timing(timeout_seconds=_TIMEOUT_SECONDS, quick_retries=1)
        site = make_site(pacs={"main": pacs.port}, timing=timing)
        confirm(site, confirm="find")
        for _ in range(_STUDIES):
            site.take_in(film())
        for _ in range(_ROUNDS):
            site.deliver_due()
            start_confirming(site.parts)
            finish_confirming()
            rows = [row for study in range(1, _STUDIES + 1) for row in site.deliveries(study)]
            if all(delivery.state in {CONFIRMED, PARKED} for delivery, _ in rows):
                break
            site.clock.advance(minutes=6)

        assert len(rows) == 2 * _STUDIES
        for delivery, artifact in rows:
            assert delivery.state in {CONFIRMED, PARKED}, (pacs.told, delivery.reason)
            if delivery.state == CONFIRMED:
                assert artifact.uid in pacs.kept
            else:
                assert delivery.reason
        # Whatever came under a UID was always the same object, and nothing else ever came.
        assert all(len(contents) == 1 for contents in pacs.seen.values())
        assert set(pacs.kept) <= {artifact.uid for _, artifact in rows}
        assert Counter(pacs.told)
