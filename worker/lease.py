"""Keeping a claim while a study is drafted, and noticing when it was lost."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from core import store
from core.database import writing
from core.log import log
from core.tables import Study
from worker.parts import Parts

_log = log(__name__)
# A claim is renewed three times before it would end, so that one slow commit loses nothing.
_RENEWALS = 3


class LostLeaseError(Exception):
    """The study is no longer ours: a late image came, or another worker took it."""


class Lease:
    """Renews a study's claim in a thread for as long as the block runs.

    Attributes:
        lost: Set once the study is no longer ours.
    """

    def __init__(self, parts: Parts, study: Study) -> None:
        self._parts = parts
        self._study = study
        self._seconds = parts.settings.worker.lease_seconds
        self._ended = threading.Event()
        self.lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def require(self) -> None:
        """Go on only while the study is ours.

        Raises:
            LostLeaseError: It is not.
        """
        if self.lost.is_set():
            raise LostLeaseError

    def _renew(self) -> None:
        lease = timedelta(seconds=self._seconds)
        while not self._ended.wait(self._seconds / _RENEWALS):
            try:
                with writing(self._parts.engine) as session:
                    at = self._parts.clock()
                    if not store.renew(session, self._study, at=at, lease=lease):
                        self.lost.set()
                        return
            except SQLAlchemyError:
                _log.exception("lease_not_renewed", study=self._study.id)
