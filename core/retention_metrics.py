"""Figures of disk and retention for Prometheus: they need the settings and the data folder."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from core import retention
from core.clock import Clock, utcnow
from core.database import reading
from core.disk import DiskGauge
from core.retention import RetentionPolicy
from core.settings import Settings

# Name, label and meaning; `docs/metrics.md` is compared with it by a test.
RETENTION_METRICS = (
    ("taqrir_folder_bytes", "folder", "Bytes in each folder of `data_dir`"),
    ("taqrir_disk_free_bytes", "", "Free bytes of the disk under `data_dir`"),
    ("taqrir_disk_minimum_free_bytes", "", "Watermark under which nothing is taken any more"),
    ("taqrir_kept_studies", "hold", "Studies that are not purged, by what holds them"),
    ("taqrir_purged_studies", "", "Studies whose files, texts and patient were removed"),
    ("taqrir_oldest_kept_seconds", "", "Age of the oldest study that is not purged"),
)


class RetentionCollector(Collector):
    """Counts anew when it is asked; folders are walked once a minute at most."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock = utcnow) -> None:
        self._engine = engine
        self._policy = RetentionPolicy.of(settings)
        self._disk = DiskGauge(settings)
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their samples."""
        samples = self._samples()
        for name, label, meaning in RETENTION_METRICS:
            family = GaugeMetricFamily(name, meaning, labels=(label,) if label else ())
            for value, number in samples[name].items():
                family.add_metric((value,) if label else (), float(number))
            yield family

    def _samples(self) -> dict[str, dict[str, float]]:
        at = self._clock()
        with reading(self._engine) as session:
            disk = self._disk.measure(session)
            kept = retention.overview(session, self._policy, at=at)
        age = (at - kept.oldest).total_seconds() if kept.oldest else 0.0
        return {
            "taqrir_folder_bytes": {name: use.bytes for name, use in disk.folders.items()},
            "taqrir_disk_free_bytes": {"": disk.free_bytes},
            "taqrir_disk_minimum_free_bytes": {"": disk.minimum_free_bytes},
            "taqrir_kept_studies": {hold.value: count for hold, count in kept.holds.items()},
            "taqrir_purged_studies": {"": kept.purged},
            "taqrir_oldest_kept_seconds": {"": age},
        }
