"""The audit trail of one process: what happened, told by PS3.15 A.5, in a file of today.

Every call is short and never raises: a trail that cannot be written must not stop reception. A
message that is lost is logged, shown by `taqrir status`, and the trail itself says that it has a
gap as soon as it can be written again.

The files hold patients' numbers by their nature; the log, as always, holds none.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from core import audit_events
from core.audit_events import Alert, Node, StudyInstances
from core.audit_files import AuditFiles
from core.audit_messages import AuditMessage, AuditSource, Outcome, QueryObject, to_xml
from core.audit_received import ReceivedTransfers
from core.audit_repeats import RepeatFilter
from core.clock import Clock, utcnow
from core.log import log
from core.received import ReceivedInstance
from core.settings import Settings

_log = log(__name__)
# Sources and reasons that are told apart within a minute.
_MOST_KINDS = 256
# Asking who is open costs a file for each association.
_FLUSH_INTERVAL = timedelta(seconds=1)


class _Refusal(NamedTuple):
    """Refusals of one kind: what is told once a minute. The AE title is the stranger's to vary."""

    alert: Alert
    address: str
    description: str


class AuditTrail:
    """Writes the messages of one process; safe from several threads, cheap to make, needs no close.

    Args:
        open_associations: Returns the associations that are open now, each with its peer's
            address; only the process that indexes needs it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock = utcnow,
        *,
        open_associations: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._open_associations = open_associations
        self._ae_title = settings.node.ae_title
        self._files = AuditFiles(settings.data_dir)
        audit = settings.audit
        self._source = AuditSource(
            site=audit.site, source=audit.source or f"{self._ae_title}@{socket.gethostname()}"
        )
        # Reentrant: what is told of a flush is written under the lock that guards the counts.
        self._lock = threading.RLock()
        self._received = ReceivedTransfers()
        self._addresses: dict[str, str] = {}
        self._flushed_at = clock()
        self._refusals = RepeatFilter(
            _MOST_KINDS, other=_Refusal(Alert.ASSOCIATION_REFUSED, "", "")
        )
        self._unwritten = 0

    # What happens to the process

    def application_started(self, component: str) -> None:
        """Tell that a part of Taqrir runs: `node`, `index`, `worker`."""
        message = audit_events.application_activity(
            self._ae_title, component, at=self._clock(), is_start=True
        )
        self.write(message)

    def application_stopped(self, component: str) -> None:
        """Tell what was gathered so far, and that a part of Taqrir ends."""
        self.flush(is_last=True)
        message = audit_events.application_activity(
            self._ae_title, component, at=self._clock(), is_start=False
        )
        self.write(message)

    # Who was kept out, and who was let in

    def association_refused(self, ae_title: str, address: str, reason: str) -> None:
        """Tell that an association was refused; `reason` is ours, such as ``unknown AE title``."""
        self.security_alert(Alert.ASSOCIATION_REFUSED, reason, ae_title=ae_title, address=address)

    def security_alert(
        self, alert: Alert, description: str = "", *, ae_title: str = "", address: str = ""
    ) -> bool:
        """Tell of an attempt that failed; repeats of a minute are told as one, with their number.

        Args:
            alert: What was attempted.
            description: Words of ours: they tell one kind of attempt from another.
            ae_title: What the peer calls itself, if it came to that.
            address: Where it came from.

        Returns:
            True where it was told at once, False where it was counted as a repeat.
        """
        at = self._clock()
        with self._lock:
            self._tell_repeats(at)
            kind = self._refusals.admit(_Refusal(alert, address, description), at)
        if kind is not None:
            self._write_alert(kind, ae_title, at)
        return kind is not None

    def user_authenticated(
        self, user: str, ae_title: str, address: str, *, is_accepted: bool = True
    ) -> None:
        """Tell that an association came with a user identity (PS3.7 D.3.3.7).

        A refused one is a security alert too; its repeats are counted there, so that a flood of
        guesses stays small.
        """
        peer = Node(ae_title=ae_title, address=address)
        refused = Alert.USER_REFUSED
        if not is_accepted and not self.security_alert(refused, ae_title=ae_title, address=address):
            return
        message = audit_events.user_authentication(
            self._ae_title, user, peer, at=self._clock(), is_accepted=is_accepted
        )
        self.write(message)

    # What happens to studies

    def instances_received(self, batch: Sequence[ReceivedInstance]) -> None:
        """Count instances whose rows are committed; they are told by association and study."""
        if not self._settings.audit.enabled:
            return
        with self._lock:
            if any(received.association not in self._addresses for received in batch):
                self._look()
            self._received.add(batch, self._addresses)
            is_due = self._clock() - self._flushed_at >= _FLUSH_INTERVAL
        if is_due:
            self.flush()

    def instances_sent(
        self,
        study: StudyInstances,
        *,
        ae_title: str,
        address: str,
        outcome: Outcome = Outcome.SUCCESS,
        description: str = "",
    ) -> None:
        """Tell that we stored instances to a peer, or that it refused them."""
        peer = Node(ae_title=ae_title, address=address)
        message = audit_events.sent(
            self._ae_title,
            peer,
            study,
            at=self._clock(),
            outcome=outcome,
            description=description,
        )
        self.write(message)

    def report_decided(
        self, study: StudyInstances, *, reader: str, name: str, account: str, description: str
    ) -> None:
        """Tell that a person signed, corrected, addended or rejected a report."""
        message = audit_events.report_decided(
            self._ae_title,
            study,
            reader=reader,
            name=name,
            account=account,
            at=self._clock(),
            description=description,
        )
        self.write(message)

    def consent_decided(self, study: StudyInstances, *, account: str, description: str) -> None:
        """Tell that an operator said whether a study may train a model."""
        message = audit_events.consent_decided(
            self._ae_title, study, account=account, at=self._clock(), description=description
        )
        self.write(message)

    def exported(self, study: StudyInstances, *, account: str, folder: Path) -> None:
        """Tell that what is known of a study was written to a folder outside of ours."""
        message = audit_events.exported(
            self._ae_title, study, account=account, folder=folder, at=self._clock()
        )
        self.write(message)

    def study_deleted(self, study: StudyInstances, *, actor: str = "retention") -> None:
        """Tell that a study's instances were removed."""
        message = audit_events.study_deleted(self._ae_title, study, at=self._clock(), actor=actor)
        self.write(message)

    def query(self, asked: QueryObject, *, ae_title: str, address: str) -> None:
        """Tell that we sent a C-FIND; the identifier is the encoded data set."""
        peer = Node(ae_title=ae_title, address=address)
        self.write(audit_events.query(self._ae_title, peer, asked, at=self._clock()))

    # Writing

    def _look(self) -> None:
        """Ask which associations are open; where nobody can say, the last answer stands."""
        try:
            self._addresses = dict(self._open_associations())
        except OSError:
            _log.exception("associations_unknown")

    def flush(self, *, is_last: bool = False) -> None:
        """Tell what has been gathered and is due; to be called every few seconds.

        Args:
            is_last: Tell everything: the process ends.
        """
        at = self._clock()
        with self._lock:
            self._flushed_at = at
            self._tell_repeats(None if is_last else at)
            self._look()
            transfers = self._received.take(at, () if is_last else self._addresses)
        for transfer in transfers:
            sender = self._settings.sender(transfer.sender)
            address = transfer.address or (sender.host if sender else "")
            peer = Node(ae_title=transfer.sender, address=address)
            message = audit_events.received(
                self._ae_title,
                peer,
                transfer.instances(),
                at=transfer.last_at,
                is_new=transfer.is_new,
            )
            self.write(message)

    def write(self, message: AuditMessage) -> bool:
        """Append one message; False where that failed, which is logged and never raised."""
        if not self._settings.audit.enabled:
            return True
        with self._lock:
            try:
                self._tell_gap()
                self._files.append(to_xml(message, self._source), at=self._clock())
            except Exception as error:  # noqa: BLE001  the trail's border: reception goes on
                self._unwritten += 1
                self._files.mark_unwritten()
                _log.error(
                    "audit_not_written",
                    kind=message.event.meaning,
                    reason=getattr(error, "strerror", ""),
                    count=self._unwritten,
                    exc_info=error,
                )
                return False
        return True

    def _tell_gap(self) -> None:
        """Say in the trail that messages are missing, where some are; the sign goes away."""
        since = self._files.unwritten_since()
        if since is None and not self._unwritten:
            return
        number = str(self._unwritten or "an unknown number of")
        message = audit_events.security_alert(
            self._ae_title,
            Alert.AUDIT_GAP,
            f"{number} messages" + (f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""),
            at=self._clock(),
            outcome=Outcome.MAJOR_FAILURE,
        )
        self._files.append(to_xml(message, self._source), at=message.at)
        self._unwritten = 0
        self._files.unmark_unwritten()

    def _tell_repeats(self, at: datetime | None) -> None:
        for repeats in self._refusals.expire(at):
            words = f"{repeats.key.description or 'the same'}; {repeats.count} times more"
            self._write_alert(repeats.key._replace(description=words), "", repeats.last_at)

    def _write_alert(self, kind: _Refusal, ae_title: str, at: datetime) -> None:
        peer = Node(ae_title=ae_title, address=kind.address) if ae_title or kind.address else None
        message = audit_events.security_alert(
            self._ae_title, kind.alert, kind.description, at=at, peer=peer
        )
        self.write(message)
