"""Our listener for orders and merges: endpoint, reception and who may come in, in a thread."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from core.audit import AuditTrail
from core.audit_events import Alert
from core.clock import Clock, utcnow
from core.hosts import is_loopback, is_same_host
from core.settings import Settings
from core.settings_orders import OrdersTlsSettings
from core.tls_context import OwnPair, acceptor_context
from hl7.endpoint import Endpoint, Limits
from hl7.reception import Reception
from hl7.serving import ServingThread


class OrdersListener:
    """Listens for messages from `start` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        *,
        clock: Clock = utcnow,
        port: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            settings: All settings.
            engine: The database.
            clock: The time.
            port: Instead of the settings' own; 0 for one that is free.

        Raises:
            SettingsError: A file of `[orders.tls]` cannot be used.
        """
        self._orders = settings.orders
        self._audit = AuditTrail(settings, clock)
        self._reception = Reception(engine, settings.orders, clock)
        endpoint = Endpoint(
            self._reception.take,
            host=settings.orders.host,
            port=settings.orders.port if port is None else port,
            limits=Limits(
                max_bytes=settings.orders.max_message_mb << 20,
                idle_seconds=settings.orders.idle_seconds,
                frame_seconds=settings.orders.message_seconds,
                max_connections=settings.orders.max_connections,
            ),
            admit=self._admit,
            tls=tls_context(settings.orders.tls, settings.resolve),
        )
        self._serving = ServingThread(endpoint, "orders-listener")

    def start(self) -> int:
        """Listen; return the port.

        Raises:
            OSError: The port is taken, or the address is not ours.
        """
        self._reception.start()
        return self._serving.start()

    def stop(self) -> None:
        """Close the connections and keep what was taken."""
        self._serving.stop()
        self._reception.stop()

    def _admit(self, address: str) -> bool:
        peers = self._orders.peers
        if peers:
            is_admitted = any(is_same_host(peer.host, address) for peer in peers)
        else:
            is_admitted = is_loopback(address)
        if not is_admitted:
            self._audit.security_alert(Alert.ORDERS_REFUSED, "unknown address", address=address)
        return is_admitted


def tls_context(
    tls: OrdersTlsSettings | None, resolve: Callable[[Path], Path]
) -> ssl.SSLContext | None:
    """Return the context of the port for orders, None where it speaks plainly.

    Raises:
        SettingsError: A file cannot be used.
    """
    if tls is None:
        return None
    return acceptor_context(
        own_pair(tls, resolve),
        profile="bcp195",
        client_certificate=tls.client_certificate,
        trusted=None if tls.trusted is None else resolve(tls.trusted),
    )


def own_pair(tls: OrdersTlsSettings, resolve: Callable[[Path], Path]) -> OwnPair:
    """Return the files of the certificate that the port for orders shows."""
    return OwnPair(setting="orders.tls", certificate=resolve(tls.certificate), key=resolve(tls.key))
