"""Whether the files of TLS will do, for DICOM and HL7, asked before the first peer asks.

Our certificate is not merely parsed: a handshake with ourselves, in memory, shows that certificate
and key work together and that a peer who trusts them would accept them, today and for this use.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.clock import Clock, utcnow
from core.errors import SettingsError
from core.tls_context import (
    ClientCertificate,
    OwnPair,
    PeerTls,
    Profile,
    acceptor_context,
    load_pair,
    load_trusted,
    requestor_context,
    restrict,
)

_SOON = timedelta(days=30)
_WORDS_OF_CODE = {9: "it is not valid yet", 10: "it has expired"}
# A handshake takes each side two or three turns.
_TURNS = 8


def check_acceptor(
    own: OwnPair,
    *,
    client_certificate: ClientCertificate,
    trusted: Path | None,
    profile: Profile = "bcp195",
    clock: Clock = utcnow,
) -> list[str]:
    """Check the files of a port of ours.

    Returns:
        Warnings: sentences about certificates that end soon and keys that everybody can read.

    Raises:
        SettingsError: No peer could be served with it; setting and file are named.
    """
    context = acceptor_context(
        own, profile=profile, client_certificate=client_certificate, trusted=trusted
    )
    warnings = _judge_own(own, clock(), is_server=True)
    if trusted is not None:
        warnings += _judge_authorities(context, own.setting, trusted, clock())
    return warnings


def check_peer(tls: PeerTls | None, *, clock: Clock = utcnow) -> list[str]:
    """Check the files that a peer is called with, as `check_acceptor` does; None has none.

    Raises:
        SettingsError: The peer could not be called with it; setting and file are named.
    """
    if tls is None:
        return []
    context = requestor_context(tls)
    warnings = _judge_authorities(context, tls.setting, tls.trusted, clock())
    if tls.own is not None:
        warnings += _judge_own(tls.own, clock(), is_server=False)
    return warnings


def _judge_own(own: OwnPair, now: datetime, *, is_server: bool) -> list[str]:
    warnings = []
    ends = _valid_until(own, is_server=is_server)
    if ends - now < _SOON:
        warnings.append(f"{own.setting}.certificate: {own.certificate} expires on {ends:%Y-%m-%d}")
    if own.key.stat().st_mode & 0o004:
        warnings.append(f"{own.setting}.key: {own.key} can be read by every user of this machine")
    return warnings


def _judge_authorities(
    context: ssl.SSLContext, setting: str, path: Path, now: datetime
) -> list[str]:
    warnings = []
    for certificate in context.get_ca_certs():
        ends = _not_after(certificate)
        if ends - now < _SOON:
            words = "has expired" if ends <= now else "expires"
            warnings.append(f"{setting}.trusted: an authority in {path} {words}, {ends:%Y-%m-%d}")
    return warnings


def _valid_until(own: OwnPair, *, is_server: bool) -> datetime:
    """Return when our certificate ends.

    Raises:
        SettingsError: No peer would accept it.
    """
    acceptor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    requestor = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    requestor.check_hostname = False
    requestor.verify_mode = ssl.CERT_NONE
    restrict(acceptor)
    restrict(requestor)
    # Somebody has to be the server, whoever is judged.
    load_pair(acceptor, own)
    load_pair(requestor, own)
    judge = requestor if is_server else acceptor
    judge.verify_mode = ssl.CERT_REQUIRED
    load_trusted(judge, own.setting, own.certificate)
    try:
        sides = _shake_hands(acceptor, requestor)
    except ssl.SSLCertVerificationError as error:
        words = _WORDS_OF_CODE.get(error.verify_code, error.verify_message)
        raise SettingsError(f"{own.setting}.certificate: {own.certificate}: {words}") from None
    except ssl.SSLError as error:
        raise SettingsError(
            f"{own.setting}.certificate: {own.certificate} cannot be used: {error.reason}"
        ) from None
    certificate = sides[1 if is_server else 0].getpeercert()
    return _not_after(certificate or {})


def _shake_hands(
    acceptor: ssl.SSLContext, requestor: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Connect two contexts in memory and return both ends."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        acceptor.wrap_bio(there, back, server_side=True),
        requestor.wrap_bio(back, there, server_side=False),
    )
    waiting = {1, 0}
    for _turn in range(_TURNS):
        for side in sorted(waiting, reverse=True):
            try:
                sides[side].do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.discard(side)
    return sides


def _not_after(certificate: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), tz=UTC)
