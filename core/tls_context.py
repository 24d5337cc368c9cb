"""What TLS is allowed to be, for DICOM and HL7, and the contexts made of a site's files.

TLS 1.2 and 1.3 only, key agreement by ephemeral elliptic curves only, RSA keys of 2048 bits or more
and no SHA-1. Certificates are judged by the authorities that the site names, never by those of the
operating system; a certificate in that file is trusted itself, too, so that two systems can simply
exchange theirs.

Source: PS3.15 B.12 and B.13; RFC 8996; RFC 9325 4.2.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from core.errors import SettingsError
from core.settings_delivery import WebTlsSettings
from core.settings_tls import PacsTlsSettings

Profile = Literal["bcp195", "bcp195-modified"]
ClientCertificate = Literal["required", "optional", "none"]

# Best first; the acceptor's order counts. The names are OpenSSL's. TLS 1.3 has suites of its own,
# which Python cannot choose: OpenSSL offers AES-GCM and ChaCha20-Poly1305, all of them allowed.
_SUITES: dict[Profile, tuple[str, ...]] = {
    # RFC 9325 4.2, the recommended ones.
    "bcp195": (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    # B.13, all that it demands of a server for TLS 1.2.
    "bcp195-modified": (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-CCM",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES256-CCM8",
        "ECDHE-ECDSA-AES128-CCM8",
    ),
}
# OpenSSL's level of 112 bits: RSA of 2048 bits, no SHA-1 in signatures.
_SECURITY_LEVEL = "@SECLEVEL=2"
_VERIFY = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_UNUSABLE = {
    "KEY_VALUES_MISMATCH": "the key is not the key of this certificate",
    "EE_KEY_TOO_SMALL": "its key is too short; 2048 bits of RSA or 256 of a curve are the least",
    "CA_KEY_TOO_SMALL": "an authority's key is too short; 2048 bits of RSA are the least",
    "CA_MD_TOO_WEAK": "it is signed with a digest that is no longer allowed",
}


@dataclass(frozen=True, kw_only=True)
class OwnPair:
    """Our certificate and its key.

    Attributes:
        setting: Where they are named, such as `node.tls`; it stands in every complaint.
        certificate: PEM file of the certificate, and of the authorities between it and the root.
        key: PEM file of the private key.
    """

    setting: str
    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class PeerTls:
    """How a peer is called over TLS.

    Attributes:
        trusted: PEM file of the authorities that sign its certificate, or the certificate itself.
        own: What we show where the peer asks for a certificate.
        verify_host: Whether its certificate must name the host or address that we call.
        setting: Where this is set, such as `pacs.tls`.
    """

    trusted: Path
    own: OwnPair | None = None
    verify_host: bool = True
    setting: str = "pacs.tls"


def peer_tls(
    settings: PacsTlsSettings | WebTlsSettings | None,
    resolve: Callable[[Path], Path],
    setting: str = "pacs.tls",
) -> PeerTls | None:
    """Return how a peer is called over TLS, None where it is called without.

    Args:
        settings: `[pacs.tls]` or its like.
        resolve: Says where a file is that a setting names.
        setting: What stands in every complaint.
    """
    if settings is None:
        return None
    own = None
    if settings.certificate is not None and settings.key is not None:
        own = OwnPair(
            setting=setting,
            certificate=resolve(settings.certificate),
            key=resolve(settings.key),
        )
    trusted = resolve(settings.trusted)
    return PeerTls(trusted=trusted, own=own, verify_host=settings.verify_host, setting=setting)


def acceptor_context(
    own: OwnPair,
    *,
    profile: Profile,
    client_certificate: ClientCertificate,
    trusted: Path | None,
) -> ssl.SSLContext:
    """Return the context of our own port.

    Raises:
        SettingsError: A file cannot be used; setting and file are named.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    restrict(context, profile)
    # No session outlives its connection, so that each one is judged by the files of today.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    load_pair(context, own)
    context.verify_mode = _VERIFY[client_certificate]
    if trusted is not None:
        load_trusted(context, own.setting, trusted)
    return context


def restrict(context: ssl.SSLContext, profile: Profile = "bcp195") -> None:
    """Bring a context down to a profile."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join((*_SUITES[profile], _SECURITY_LEVEL)))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE


def load_peer_tls(context: ssl.SSLContext, tls: PeerTls) -> None:
    """Prepare a context for calling a peer.

    The suites are those of B.12; each is one of B.13, too.

    Raises:
        SettingsError: A file cannot be used; setting and file are named.
    """
    restrict(context)
    context.check_hostname = tls.verify_host
    context.verify_mode = ssl.CERT_REQUIRED
    load_trusted(context, tls.setting, tls.trusted)
    if tls.own is not None:
        load_pair(context, tls.own)


def requestor_context(tls: PeerTls) -> ssl.SSLContext:
    """Return a context for calling a peer.

    Raises:
        SettingsError: A file cannot be used; setting and file are named.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_peer_tls(context, tls)
    return context


def load_pair(context: ssl.SSLContext, own: OwnPair) -> None:
    """Load our certificate and its key.

    Raises:
        SettingsError: They cannot be read, are no PEM files or do not belong together.
    """
    _require_pem(own.setting, "certificate", own.certificate, b"CERTIFICATE-----")
    _require_pem(own.setting, "key", own.key, b"PRIVATE KEY-----")

    def refuse_passphrase() -> NoReturn:
        # Without this OpenSSL would ask at the terminal and wait.
        raise SettingsError(
            f"{own.setting}.key: {own.key} is locked with a passphrase, and nobody is there to "
            "type it: keep the key unlocked and readable for Taqrir's user only"
        )

    try:
        context.load_cert_chain(own.certificate, own.key, refuse_passphrase)
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None)
        words = _UNUSABLE.get(str(reason), f"it cannot be used with {own.key} ({reason})")
        raise SettingsError(f"{own.setting}.certificate: {own.certificate}: {words}") from None


def load_trusted(context: ssl.SSLContext, setting: str, path: Path) -> None:
    """Load the certificates by which a peer's is judged.

    Raises:
        SettingsError: The file cannot be read or holds none.
    """
    _require_pem(setting, "trusted", path, b"CERTIFICATE-----")
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    try:
        context.load_verify_locations(path)
    except OSError as error:
        reason = getattr(error, "reason", None)
        raise SettingsError(f"{setting}.trusted: {path}: it cannot be used ({reason})") from None


def _require_pem(setting: str, name: str, path: Path, mark: bytes) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}.{name}: {path} cannot be read: {error.strerror}") from None
    if mark not in data:
        kind = "private key" if name == "key" else "certificate"
        raise SettingsError(f"{setting}.{name}: {path} holds no {kind} in PEM form")
