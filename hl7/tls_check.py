"""Whether the files of HL7's TLS will do: `[orders.tls]` and `[ris.tls]`."""

from __future__ import annotations

from core.clock import Clock, utcnow
from core.settings import Settings
from core.settings_destinations import RisSettings
from core.tls_check import check_acceptor, check_peer
from core.tls_context import peer_tls
from hl7.listener import own_pair


def check_orders_tls(settings: Settings, *, clock: Clock = utcnow) -> list[str]:
    """Check what `[orders.tls]` names; without that section there is nothing to check.

    Returns:
        Warnings: see `core.tls_check.check_acceptor`.

    Raises:
        SettingsError: Orders could not be taken over TLS with it; setting and file are named.
    """
    tls = settings.orders.tls
    if tls is None:
        return []
    return check_acceptor(
        own_pair(tls, settings.resolve),
        client_certificate=tls.client_certificate,
        trusted=None if tls.trusted is None else settings.resolve(tls.trusted),
        clock=clock,
    )


def check_ris_tls(settings: Settings, ris: RisSettings, *, clock: Clock = utcnow) -> list[str]:
    """Check what `[ris.tls]` of an information system names, as `check_orders_tls` does.

    Raises:
        SettingsError: It could not be called with it; setting and file are named.
    """
    return check_peer(peer_tls(ris.tls, settings.resolve, "ris.tls"), clock=clock)
