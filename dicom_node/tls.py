"""The acceptor's side of DICOM TLS: handshakes with a time limit, files that may change.

A handshake waits for its peer, so it belongs to the connection's own thread, never to the loop that
accepts. Established associations keep what they were made with; the next handshake sees the files
of the moment.

Source: PS3.15 B.12, B.13; RFC 8446 4.4.2, 6.2.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import SettingsError, TransientError
from core.log import log
from core.settings_node import NodeTlsSettings
from core.tls_context import OwnPair, acceptor_context

_log = log(__name__)

# How long a refused peer is given to read the alert that says why, in seconds.
_FAREWELL_SECONDS = 0.5
_FAREWELL_BYTES = 1 << 16
_LONGEST_SUBJECT = 256


class HandshakeFault(StrEnum):
    """Why there is no TLS connection; the value is the sentence's end."""

    TIMED_OUT = "the handshake took too long"
    BROKEN_OFF = "the peer broke the handshake off"
    NOT_TLS = "the peer does not speak TLS: perhaps it sends plain DICOM to the TLS port"
    PROTOCOL_TOO_OLD = "the peer offers no TLS version that is still allowed (1.2 or newer)"
    NO_COMMON_CIPHER = "the peer offers no cipher suite that the profile allows"
    NO_CERTIFICATE = "the peer showed no certificate"
    UNKNOWN_AUTHORITY = "the peer's certificate is of an authority that is not trusted"
    EXPIRED = "the peer's certificate has expired or is not valid yet"
    UNFIT_CERTIFICATE = "the peer's certificate is not fit for this"
    NOT_TRUSTED_BY_PEER = "the peer does not trust our certificate"
    OTHER = "the handshake failed"


class TlsHandshakeError(TransientError):
    """A connection that never became a TLS connection; it is closed already.

    Attributes:
        fault: The reason, out of a closed set: fit for a log line and an audit message.
    """

    def __init__(self, fault: HandshakeFault, detail: str = "") -> None:
        super().__init__(f"No TLS connection: {fault}{f' ({detail})' if detail else ''}.")
        self.fault = fault


# OpenSSL's names of reasons; they differ between the versions of TLS.
_FAULTS = {
    "WRONG_VERSION_NUMBER": HandshakeFault.NOT_TLS,
    "HTTP_REQUEST": HandshakeFault.NOT_TLS,
    "HTTPS_PROXY_REQUEST": HandshakeFault.NOT_TLS,
    "UNKNOWN_PROTOCOL": HandshakeFault.NOT_TLS,
    "RECORD_LAYER_FAILURE": HandshakeFault.NOT_TLS,
    "UNSUPPORTED_PROTOCOL": HandshakeFault.PROTOCOL_TOO_OLD,
    "VERSION_TOO_LOW": HandshakeFault.PROTOCOL_TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": HandshakeFault.PROTOCOL_TOO_OLD,
    "NO_SHARED_CIPHER": HandshakeFault.NO_COMMON_CIPHER,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": HandshakeFault.NO_COMMON_CIPHER,
    "NO_SUITABLE_KEY_SHARE": HandshakeFault.NO_COMMON_CIPHER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": HandshakeFault.NO_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": HandshakeFault.NOT_TRUSTED_BY_PEER,
    "SSLV3_ALERT_BAD_CERTIFICATE": HandshakeFault.NOT_TRUSTED_BY_PEER,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": HandshakeFault.NOT_TRUSTED_BY_PEER,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": HandshakeFault.NOT_TRUSTED_BY_PEER,
    "UNEXPECTED_EOF_WHILE_READING": HandshakeFault.BROKEN_OFF,
}
# X509_V_ERR_...: OpenSSL's numbers.
_UNKNOWN_AUTHORITY_CODES = frozenset({2, 18, 19, 20, 21, 27})
_DATE_CODES = frozenset({9, 10})


class TlsAcceptor:
    """Turns accepted connections into TLS connections.

    Args:
        settings: `[node.tls]`.
        resolve: Says where a file is that a setting names.

    Raises:
        SettingsError: A file cannot be used; setting and file are named.
    """

    def __init__(self, settings: NodeTlsSettings, resolve: Callable[[Path], Path]) -> None:
        self._settings = settings
        self._own = own_pair(settings, resolve)
        self._trusted = None if settings.trusted is None else resolve(settings.trusted)
        self._lock = threading.Lock()
        self._seen = self._look()
        self._is_usable = True
        self._context = self._load()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Shake hands, within `handshake_seconds` from now however the bytes trickle in.

        Call it in the connection's own thread: it waits for the peer. The result has a time-out in
        Python (`settimeout`); SO_RCVTIMEO has no effect on it.

        Raises:
            TlsHandshakeError: It failed; the connection is closed.
        """
        try:
            # For do_handshake the time-out counts for the whole of it, not for each read.
            connection.settimeout(self._settings.handshake_seconds)
            secured = self._current().wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        except OSError as error:
            connection.close()
            raise _explain(error) from None
        try:
            secured.do_handshake()
        except OSError as error:
            _part(secured, error)
            raise _explain(error) from None
        except BaseException:
            secured.close()
            raise
        return secured

    def _current(self) -> ssl.SSLContext:
        """Return a context of the files as they are now, or the last one that could be made.

        A new one for each connection: a context remembers TLS 1.2 sessions for two hours, and who
        resumes one is not asked for a certificate again. Python cannot switch that off.
        """
        with self._lock:
            found = self._look()
            is_changed = found != self._seen
            # Remembered before it is tried: a pair that is half written is complained of once, and
            # tried again when its files change again.
            self._seen = found
            if is_changed or self._is_usable:
                self._renew(is_changed=is_changed)
            return self._context

    def _renew(self, *, is_changed: bool) -> None:
        try:
            self._context = self._load()
        except SettingsError as error:
            self._is_usable = False
            # It names a setting and a file.
            _log.error("tls_files_not_usable", reason=str(error))
        else:
            self._is_usable = True
            if is_changed:
                _log.info("tls_files_reloaded")

    def _load(self) -> ssl.SSLContext:
        return acceptor_context(
            self._own,
            profile=self._settings.profile,
            client_certificate=self._settings.client_certificate,
            trusted=self._trusted,
        )

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        files = (self._own.certificate, self._own.key, self._trusted)
        return tuple(_version(path) for path in files if path is not None)


def own_pair(settings: NodeTlsSettings, resolve: Callable[[Path], Path]) -> OwnPair:
    """Return the files of the certificate that the node shows."""
    return OwnPair(
        setting="node.tls",
        certificate=resolve(settings.certificate),
        key=resolve(settings.key),
    )


def peer_subject(connection: ssl.SSLSocket) -> str:
    """Return whom the peer's certificate names, such as `CN=ct1,O=Site`; empty without one.

    Cut at 256 characters: it goes to logs and audit messages.
    """
    try:
        certificate: dict[str, Any] = connection.getpeercert() or {}
    except ssl.SSLError:
        # Its authority is trusted, but its text is in no known encoding.
        return "?"
    names = [pair for part in certificate.get("subject", ()) for pair in part]
    texts = [f"{_SHORT.get(kind, kind)}={_escape(value)}" for kind, value in reversed(names)]
    return ",".join(texts)[:_LONGEST_SUBJECT]


# RFC 4514 3.
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}


def _escape(value: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in value)
    return "".join(f"\\{c}" if c in ',+"\\<>;=' else c for c in printable)


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _explain(error: OSError) -> TlsHandshakeError:
    if isinstance(error, TimeoutError):
        return TlsHandshakeError(HandshakeFault.TIMED_OUT)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        fault = _FAULTS.get(reason)
        return (
            TlsHandshakeError(fault) if fault else TlsHandshakeError(HandshakeFault.OTHER, reason)
        )
    return TlsHandshakeError(HandshakeFault.BROKEN_OFF)


def _explain_certificate(error: ssl.SSLCertVerificationError) -> TlsHandshakeError:
    if error.verify_code in _UNKNOWN_AUTHORITY_CODES:
        return TlsHandshakeError(HandshakeFault.UNKNOWN_AUTHORITY)
    if error.verify_code in _DATE_CODES:
        return TlsHandshakeError(HandshakeFault.EXPIRED)
    # OpenSSL's own fixed words.
    return TlsHandshakeError(HandshakeFault.UNFIT_CERTIFICATE, error.verify_message)


def _part(connection: ssl.SSLSocket, error: OSError) -> None:
    """Close, but let a peer whose certificate was refused read why.

    A connection that is closed with unread bytes is reset, and the reset takes the alert with it.
    """
    plain = socket.socket(fileno=connection.detach())
    with contextlib.closing(plain), contextlib.suppress(OSError):
        if isinstance(error, ssl.SSLError):
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(_FAREWELL_SECONDS)
            plain.recv(_FAREWELL_BYTES)
