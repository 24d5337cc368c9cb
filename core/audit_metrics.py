"""Figures of the audit trail for Prometheus: they stand in its files, not in the database."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.audit_backlog import shipping_state
from core.clock import Clock, utcnow
from core.settings import Settings

# Name and meaning; `docs/metrics.md` is compared with it by a test.
AUDIT_METRICS = {
    "taqrir_audit_waiting": "Audit messages that the audit repository does not have yet",
    "taqrir_audit_oldest_waiting_seconds": "Age of the oldest of them",
    "taqrir_audit_unwritten": "1 while audit messages could not be written, else 0",
}


class AuditCollector(Collector):
    """Looks at the files anew when it is asked."""

    def __init__(self, settings: Settings, clock: Clock = utcnow) -> None:
        self._settings = settings
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their samples."""
        state = shipping_state(self._settings, at=self._clock())
        values = (state.messages, state.oldest_seconds, state.unwritten_since is not None)
        for (name, meaning), value in zip(AUDIT_METRICS.items(), values, strict=True):
            yield GaugeMetricFamily(name, meaning, value=float(value))
