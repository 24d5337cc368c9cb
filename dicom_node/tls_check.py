"""Whether the files of DICOM TLS will do: `[node.tls]` and `[pacs.tls]`."""

from __future__ import annotations

from core.clock import Clock, utcnow
from core.settings import Settings
from core.settings_destinations import PacsSettings
from core.settings_node import SenderSettings
from core.tls_check import check_acceptor, check_peer
from core.tls_context import peer_tls
from dicom_node.tls import own_pair


def check_tls(settings: Settings, *, clock: Clock = utcnow) -> list[str]:
    """Check what `[node.tls]` names; without that section there is nothing to check.

    Returns:
        Warnings: see `core.tls_check.check_acceptor`.

    Raises:
        SettingsError: The node could not serve TLS with it; setting and file are named.
    """
    tls = settings.node.tls
    if tls is None:
        return []
    return check_acceptor(
        own_pair(tls, settings.resolve),
        profile=tls.profile,
        client_certificate=tls.client_certificate,
        trusted=None if tls.trusted is None else settings.resolve(tls.trusted),
        clock=clock,
    )


def check_pacs_tls(settings: Settings, pacs: PacsSettings, *, clock: Clock = utcnow) -> list[str]:
    """Check what `[pacs.tls]` of an archive names, as `check_tls` does.

    Raises:
        SettingsError: The archive could not be called with it; setting and file are named.
    """
    return check_peer(peer_tls(pacs.tls, settings.resolve), clock=clock)


def check_sender_tls(
    settings: Settings, sender: SenderSettings, *, clock: Clock = utcnow
) -> list[str]:
    """Check what `[senders.tls]` of a sender names, as `check_tls` does.

    Raises:
        SettingsError: Nothing could be reported to it; setting and file are named.
    """
    return check_peer(peer_tls(sender.tls, settings.resolve, "senders.tls"), clock=clock)
