"""Who may associate, and for what: the site's list of senders and archives."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from core.hosts import is_same_host
from core.settings import Settings
from core.settings_node import SenderSettings
from dicom_node import negotiation
from dicom_node.negotiation import Refusal, Request


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """What an association may do.

    Attributes:
        sender: Its row, where it may store.
        is_pacs: It is one of our archives: it may verify, and report on storage commitment.
        user: User name that was asked for and proved; empty where none is asked for.
    """

    ae_title: str
    sender: SenderSettings | None
    is_pacs: bool
    user: str = ""

    @property
    def may_ask_commitment(self) -> bool:
        """Whether we commit to storage for it."""
        return self.sender is not None and self.sender.commitment_days > 0


def admit(
    settings: Settings, request: Request, address: str, *, is_tls: bool
) -> Admitted | Refusal:
    """Decide about an association request.

    Args:
        settings: Who is known.
        request: What the peer asks.
        address: Where it calls from.
        is_tls: Whether it came through TLS.
    """
    if request.refusal is not None:
        return request.refusal
    if request.called_ae_title != settings.node.ae_title:
        return negotiation.UNKNOWN_CALLED_AE
    sender = settings.sender(request.calling_ae_title)
    refusal: Refusal | None = None
    if sender is not None and (refusal := _refuse_sender(sender, request, address, is_tls=is_tls)):
        sender = None
    is_pacs = any(pacs.ae_title == request.calling_ae_title for pacs in settings.pacs)
    if sender is None and not is_pacs:
        return refusal or negotiation.UNKNOWN_CALLING_AE
    return Admitted(
        ae_title=request.calling_ae_title,
        sender=sender,
        is_pacs=is_pacs,
        user=sender.username if sender else "",
    )


def _refuse_sender(
    sender: SenderSettings, request: Request, address: str, *, is_tls: bool
) -> Refusal | None:
    if sender.host and not is_same_host(sender.host, address):
        return negotiation.UNKNOWN_CALLING_AE
    if sender.require_tls and not is_tls:
        return negotiation.TLS_REQUIRED
    if sender.username:
        passcode = sender.passcode.get_secret_value().encode()
        # Both are compared, and in constant time: the answer's delay tells nothing.
        is_user = hmac.compare_digest(request.username, sender.username.encode())
        if not (hmac.compare_digest(request.passcode, passcode) and is_user):
            return negotiation.NOT_IDENTIFIED
    return None
