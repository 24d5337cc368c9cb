"""What calling a web service comes to, whatever library calls it: TLS, limits, reasons.

The address in the settings is a person's; an exception of a library may hold more than that (the
user of an address, a password), so that reasons are words of ours.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable

from core.errors import PeerUnreachableError, SettingsError, UnclearAnswerError
from core.tls_context import PeerTls, requestor_context


def web_context(tls: PeerTls | None) -> ssl.SSLContext:
    """Return what a connection is secured with; without `tls` the operating system judges.

    Raises:
        PeerUnreachableError: A file cannot be used; that can be mended, and the peer called again.
    """
    if tls is None:
        return ssl.create_default_context()
    try:
        return requestor_context(tls)
    except SettingsError as error:
        raise PeerUnreachableError(str(error)) from None


def gather(pieces: Iterable[bytes], peer: str, *, most_bytes: int, deadline: float) -> bytes:
    """Return an answer's body out of its pieces, as long as it ends.

    Args:
        pieces: The body as it comes.
        peer: Who answers, as complaints name it.
        most_bytes: A longer one is none of ours.
        deadline: Of `time.monotonic`: an answer may come a letter at a time.

    Raises:
        UnclearAnswerError: It is too long.
        PeerUnreachableError: It is too late.
    """
    body = b""
    for piece in pieces:
        body += piece
        if len(body) > most_bytes:
            raise UnclearAnswerError(f"{peer} answered with more than it should.")
        if time.monotonic() > deadline:
            raise PeerUnreachableError(f"{peer} gave no whole answer in time.")
    return body


def why_unanswered(peer: str, error: Exception, *, timed_out: bool, was_connected: bool) -> str:
    """Say why there was no answer; TLS is looked for among the causes of a library's error."""
    if timed_out:
        return f"{peer} gave no answer in time."
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The certificate of {peer} is refused: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return f"There is no TLS connection to {peer}: {cause.reason or 'unknown reason'}."
        cause = cause.__cause__ or cause.__context__
    if was_connected:
        return f"The connection to {peer} broke."
    return f"There is no connection to {peer}."
