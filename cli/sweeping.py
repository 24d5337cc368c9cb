"""The worker's sweep, with the metrics beside it: `taqrir worker --part sweep`."""

from __future__ import annotations

import threading

from cli.running import wait_for_stop
from core import metrics
from core.audit_metrics import AuditCollector
from core.errors import SettingsError
from core.retention_metrics import RetentionCollector
from core.settings import Settings
from worker.parts import Parts
from worker.sweep import Sweep


def sweep(settings: Settings) -> None:
    """Sweep and serve metrics until a signal comes.

    Raises:
        SettingsError: The port of the metrics is taken.
    """
    parts = Parts(settings=settings)
    where = settings.metrics
    try:
        more = (RetentionCollector(parts.engine, settings), AuditCollector(settings))
        stop_metrics = metrics.serve(parts.engine, where.host, where.port, *more)
    except OSError as error:
        raise SettingsError(
            f"metrics.port = {where.port}: cannot listen on {where.host}: {error.strerror}"
        ) from None
    sweeping = Sweep(parts)
    thread = threading.Thread(target=sweeping.run, name="sweep")
    thread.start()
    wait_for_stop()
    sweeping.stop()
    thread.join()
    stop_metrics()
