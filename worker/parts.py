"""What the tasks of one process share, opened when first needed.

A Celery pool forks: engines and models must be opened in the child, never before. Where threads
share them, they are opened before the second thread starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Engine

from core.audit import AuditTrail
from core.blobs import InstanceFiles
from core.clock import Clock, utcnow
from core.database import database_url, open_engine
from core.drafting import Drafter
from core.process import name_of_process
from core.queue import Doorbell
from core.settings import Settings


@dataclass
class Parts:
    """Settings, clock and everything that is opened from them."""

    settings: Settings
    clock: Clock = utcnow

    @cached_property
    def name(self) -> str:
        """Who holds the leases of this process."""
        return name_of_process("worker")

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        return open_engine(database_url(self.settings))

    @cached_property
    def files(self) -> InstanceFiles:
        """The received objects."""
        return InstanceFiles(self.settings.data_dir)

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        return AuditTrail(self.settings, self.clock)

    @cached_property
    def doorbell(self) -> Doorbell:
        """The broker."""
        return Doorbell(self.settings)

    @cached_property
    def drafter(self) -> Drafter:
        """The model; loads torch."""
        from model.opening import open_drafter

        return open_drafter(self.settings)
