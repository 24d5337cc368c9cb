"""The audit trail goes to a repository: RFC 5424 messages over TLS (RFC 5425), PS3.15 A.6.

Syslog has no acknowledgement: what was handed to a connection may still be lost when the receiver
dies. So each batch has a connection of its own, and it counts as sent only when the receiver has
closed that connection in order after our close_notify: it has then read all that came before. A
batch that ends otherwise is sent again, hence at least once; a repository tells repeats by their
equal bytes.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading

from core.audit_backlog import Backlog, Batch
from core.audit_connection import AuditConnection
from core.audit_files import AuditFiles
from core.errors import SettingsError
from core.log import log
from core.settings import Settings
from core.settings_node import SyslogSettings

_log = log(__name__)
# Security and authorization messages (PS3.15 A.6).
_FACILITY = 10
# By EventOutcomeIndicator: notice, warning, error, critical (RFC 5424 6.2.1).
_SEVERITIES = {b"0": 5, b"4": 4, b"8": 3, b"12": 2}
_EVENT = re.compile(rb'EventDateTime="([^"]+)" EventOutcomeIndicator="([0-9]+)"')
_MSGID = "DICOM+RFC3881"
_BATCH_BYTES = 1 << 20
_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 2.0
_PAUSE_SECONDS, _PAUSE_MAX_SECONDS = 1.0, 300.0


class AuditShipper:
    """Follows the trail's files in a thread and sends what is new; nothing to do without syslog.

    Args:
        poll_seconds: How often the files are looked at.
        pause_seconds: First wait after a failure; it doubles each time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        poll_seconds: float = _POLL_SECONDS,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._backlog = Backlog(AuditFiles(settings.data_dir))
        self._poll_seconds = poll_seconds
        self._first_pause = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-shipper", daemon=True)

    def start(self) -> None:
        """Begin to send, what an earlier run left first.

        Raises:
            SettingsError: A certificate file of `[audit.syslog]` cannot be used.
        """
        if self._settings.audit.syslog is not None:
            tls_context(self._settings, self._settings.audit.syslog)
            self._thread.start()

    def stop(self) -> None:
        """Try once more to send what is there, and end; what is left waits in the files."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        is_last = False
        while not is_last:
            is_last = self._stopping.is_set()
            if is_last and pause:
                # The repository was away a moment ago: nobody waits for its time-outs now.
                return
            try:
                self.ship()
            except Exception as error:  # noqa: BLE001  the thread's border: the files keep everything
                pause = min(pause * 2 or self._first_pause, _PAUSE_MAX_SECONDS)
                _log.error("audit_not_shipped", exc_info=error, seconds=pause)
            else:
                if pause:
                    _log.info("audit_shipped_again")
                pause = 0.0
            self._stopping.wait(pause or self._poll_seconds)

    def ship(self) -> int:
        """Send all that waits; return how many messages that were.

        Raises:
            OSError: The repository is away, is not who it should be, or did not read everything.
            SettingsError: A certificate file cannot be used.
        """
        syslog = self._settings.audit.syslog
        count = 0
        while syslog is not None and (batch := self._backlog.next_batch(_BATCH_BYTES)):
            if batch.torn:
                _log.error("audit_line_torn", file=batch.path.name, count=batch.torn)
            if batch.lines:
                self._send(syslog, batch)
            self._backlog.mark_sent(batch)
            count += len(batch.lines)
            if self._stopping.is_set():
                break
        return count

    def _send(self, syslog: SyslogSettings, batch: Batch) -> None:
        # Made anew each time: certificates are renewed while we run.
        context = tls_context(self._settings, syslog)
        host = socket.gethostname()
        address = (syslog.host, syslog.port)
        with socket.create_connection(address, timeout=_TIMEOUT_SECONDS) as plain:
            connection = AuditConnection(plain, context, syslog.host)
            connection.send(b"".join(frame(line, host) for line in batch.lines))
            connection.close_in_order()


def frame(line: bytes, host: str) -> bytes:
    """Return a message of the trail as RFC 5424 has it, framed by octet counting (RFC 5425 4.3).

    The message is plain ASCII, so it carries no byte order mark.
    """
    found = _EVENT.search(line)
    at, outcome = (found[1].decode("ascii"), found[2]) if found else ("-", b"0")
    priority = _FACILITY * 8 + _SEVERITIES.get(outcome, 5)
    name = re.sub(r"[^\x21-\x7e]", "_", host)[:255] or "-"
    header = f"<{priority}>1 {at} {name} taqrir - {_MSGID} - "
    message = header.encode("ascii") + line
    return f"{len(message)} ".encode("ascii") + message


def tls_context(settings: Settings, syslog: SyslogSettings) -> ssl.SSLContext:
    """Return how we speak TLS to the repository: it must show a certificate for its address.

    Raises:
        SettingsError: A file is missing or holds no certificate or key.
    """
    key = settings.resolve(syslog.key) if syslog.key else None
    try:
        context = ssl.create_default_context(cafile=settings.resolve(syslog.trusted))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if syslog.certificate is not None:
            context.load_cert_chain(settings.resolve(syslog.certificate), key)
    except OSError as error:
        raise SettingsError(
            f"audit.syslog: a certificate or key cannot be used: {error.strerror or error}"
        ) from None
    return context
