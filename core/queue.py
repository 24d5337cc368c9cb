"""The doorbell: Celery on a Redis-compatible broker. Messages carry ids and nothing else.

Losing a message loses no work: the database knows what is due, and the sweep rings again. That is
why a broker that is away never fails the caller.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.broker import socket_path
from core.errors import TransientError
from core.log import log
from core.queue_names import DELIVER_QUEUE, DRAFT_QUEUE
from core.settings import EMBEDDED, Settings

DRAFT_TASK = "taqrir.draft"
DELIVER_TASK = "taqrir.deliver"
BEAT_TASK = "taqrir.beat"

# Redis keeps a message for a dead worker this long. Our own lease brings work back much sooner, so
# the timeout only has to be longer than any draft, lest Celery hand a running one out again.
_VISIBILITY_SECONDS = 6 * 3600
# A beat that nobody answered for this long says what it has to say; the next one is on its way.
_BEAT_SECONDS = 60
_log = log(__name__)


def broker_url(settings: Settings) -> str:
    """Return the broker's address as Celery wants it."""
    if settings.broker.url != EMBEDDED:
        return settings.broker.url
    return f"redis+socket://{socket_path(settings.data_dir)}"


def make_app(settings: Settings) -> Celery:
    """Return the Celery application; only `worker` hangs tasks on it."""
    app = Celery("taqrir", broker=broker_url(settings), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_SECONDS,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
            "socket_timeout": 10,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        task_acks_late=True,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_routes={DRAFT_TASK: DRAFT_QUEUE, DELIVER_TASK: DELIVER_QUEUE},
        task_serializer="json",
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


class Doorbell:
    """Rings for work after the commit that made it due."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_app(settings)
        # One try: kombu would knock for six seconds at a broker that is away, ring after ring.
        self._app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0}

    def ring_study(self, study: int) -> bool:
        """Tell a drafting worker of a QUEUED study; False where the broker is away."""
        return self._ring(DRAFT_TASK, DRAFT_QUEUE, study)

    def ring_delivery(self, delivery: int) -> bool:
        """Tell a delivering worker of a due delivery; False where the broker is away."""
        return self._ring(DELIVER_TASK, DELIVER_QUEUE, delivery)

    def ring_beat(self, queue: str) -> bool:
        """Ask whoever consumes a queue for a sign of life."""
        return self._ring(BEAT_TASK, queue, queue, expires=_BEAT_SECONDS)

    def _ring(self, task: str, queue: str, argument: Any, expires: int | None = None) -> bool:
        try:
            self._app.send_task(task, args=[argument], queue=queue, expires=expires, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            _log.warning("ring_failed", task=task, error=type(error).__name__)
            return False
        return True

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue.

        Raises:
            TransientError: The broker is away.
        """
        try:
            with self._app.connection_for_read() as connection:
                client: Any = connection.channel().client  # type: ignore[attr-defined]  # Redis's
                return int(client.llen(queue))
        except (OperationalError, RedisError, OSError) as error:
            raise TransientError(f"the broker is away ({type(error).__name__})") from None

    def close(self) -> None:
        """Give connections back."""
        self._app.close()
