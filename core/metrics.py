"""Figures for Prometheus, counted from the database at each scrape.

The database is the truth, so the figures survive restarts and need no shared memory between
processes: any process may serve them. `METRICS` is the one list (the audit trail's figures stand in
`core.audit_metrics`); `docs/metrics.md` is compared with both by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core import edits, messages, ordering, outbox, store
from core.clock import Clock, utcnow
from core.database import reading
from core.lifecycle import State
from core.tables import AuditEvent, Draft, Instance, Study

_Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, kw_only=True)
class MetricSource:
    """One metric: what it is called, what it means, how it is counted."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()
    count: Callable[[Session, datetime], Iterable[_Sample]]


def _studies(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    return [((state,), number) for state, number in store.count_states(session).items()]


def _deliveries(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    counts = outbox.count_deliveries(session)
    return [((destination, state), number) for (destination, state), number in counts.items()]


def _instances(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    query = select(Instance.sender, func.count()).group_by(Instance.sender)
    return [((row[0],), row[1]) for row in session.execute(query)]


def _received_bytes(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    return [((), session.scalar(select(func.coalesce(func.sum(Instance.size_bytes), 0))) or 0)]


def _oldest_queued(session: Session, at: datetime) -> Iterable[_Sample]:
    oldest = session.scalar(
        select(func.min(Study.state_changed_at)).where(Study.state == State.QUEUED)
    )
    return [((), (at - oldest).total_seconds() if oldest else 0.0)]


def _drafts(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    query = select(Draft.model_name, Draft.is_withheld, func.count()).group_by(
        Draft.model_name, Draft.is_withheld
    )
    return [((row[0], str(row[1]).lower()), row[2]) for row in session.execute(query)]


def _draft_seconds(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    return [((), session.scalar(select(func.coalesce(func.sum(Draft.seconds), 0.0))) or 0.0)]


def _events(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    query = select(AuditEvent.event, func.count()).group_by(AuditEvent.event)
    return [((row[0],), row[1]) for row in session.execute(query)]


def _messages(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    return [((state,), count) for state, count in messages.count_messages(session).items()]


def _oldest_message(session: Session, at: datetime) -> Iterable[_Sample]:
    oldest = messages.oldest_received(session)
    return [((), (at - oldest).total_seconds() if oldest else 0.0)]


def _orders(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    return [((state,), count) for state, count in ordering.count_orders(session).items()]


def _signed_texts(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    for row in edits.count_edits(session):
        yield (row.language, row.modality, "true"), row.accepted
        yield (row.language, row.modality, "false"), row.texts - row.accepted


def _edit_distance(session: Session, at: datetime) -> Iterable[_Sample]:
    del at
    rows = edits.count_edits(session)
    return [((row.language, row.modality), row.mean_distance) for row in rows]


def _heartbeats(session: Session, at: datetime) -> Iterable[_Sample]:
    return [
        ((name,), (at - beat_at).total_seconds())
        for name, beat_at in store.heartbeats(session).items()
    ]


METRICS = (
    MetricSource(
        name="taqrir_studies",
        kind="gauge",
        help="Studies in each state; the sum is the number received",
        labels=("state",),
        count=_studies,
    ),
    MetricSource(
        name="taqrir_deliveries",
        kind="gauge",
        help="Deliveries of each destination in each state",
        labels=("destination", "state"),
        count=_deliveries,
    ),
    MetricSource(
        name="taqrir_instances",
        kind="gauge",
        help="Objects kept, by the AE title that sent them",
        labels=("sender",),
        count=_instances,
    ),
    MetricSource(
        name="taqrir_instances_bytes",
        kind="gauge",
        help="Bytes of the objects kept",
        count=_received_bytes,
    ),
    MetricSource(
        name="taqrir_oldest_queued_seconds",
        kind="gauge",
        help="How long the study that waits longest has waited for a drafting worker",
        count=_oldest_queued,
    ),
    MetricSource(
        name="taqrir_drafts",
        kind="counter",
        help="Drafts written, by model and whether they were withheld",
        labels=("model", "withheld"),
        count=_drafts,
    ),
    MetricSource(
        name="taqrir_draft_seconds",
        kind="counter",
        help="Seconds spent writing drafts",
        count=_draft_seconds,
    ),
    MetricSource(
        name="taqrir_events",
        kind="counter",
        help="Lines of all timelines, by event",
        labels=("event",),
        count=_events,
    ),
    MetricSource(
        name="taqrir_hl7_messages",
        kind="gauge",
        help="HL7 messages received, in each state",
        labels=("state",),
        count=_messages,
    ),
    MetricSource(
        name="taqrir_hl7_oldest_received_seconds",
        kind="gauge",
        help="How long the message that waits longest has waited to be followed",
        count=_oldest_message,
    ),
    MetricSource(
        name="taqrir_orders",
        kind="gauge",
        help="Orders in each state; a conflict is of another patient than its study",
        labels=("state",),
        count=_orders,
    ),
    MetricSource(
        name="taqrir_signed_texts",
        kind="gauge",
        help="Texts that were signed, and whether exactly as they were drafted",
        labels=("language", "modality", "accepted"),
        count=_signed_texts,
    ),
    MetricSource(
        name="taqrir_edit_distance",
        kind="gauge",
        help="Mean share of words that differ between a draft and what was signed",
        labels=("language", "modality"),
        count=_edit_distance,
    ),
    MetricSource(
        name="taqrir_heartbeat_age_seconds",
        kind="gauge",
        help="Time since a queue's consumer last took a beat: a worker may live and not consume",
        labels=("name",),
        count=_heartbeats,
    ),
)


class DatabaseCollector(Collector):
    """Counts every metric anew when it is asked."""

    def __init__(self, engine: Engine, clock: Clock = utcnow) -> None:
        self._engine = engine
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their samples."""
        families = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
        with reading(self._engine) as session:
            for source in METRICS:
                family = families[source.kind](source.name, source.help, labels=source.labels)
                for labels, value in source.count(session, self._clock()):
                    family.add_metric(labels, float(value))
                yield family


def serve(engine: Engine, host: str, port: int, *more: Collector) -> Callable[[], None]:
    """Serve `/metrics`, with more collectors beside the database's, in a thread; return its stop.

    Raises:
        OSError: The port is taken.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in (DatabaseCollector(engine), *more):
        registry.register(collector)
    server, _thread = start_http_server(port, host, registry=registry)
    return server.shutdown
