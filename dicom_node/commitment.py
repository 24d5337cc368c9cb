"""Storage commitment in an association: requests of senders, reports of archives.

What arrives here is written down and answered; evaluating and reporting on associations of our own
is the index process's business (`dicom_node.commitment_report`).

Source: PS3.4 J, PS3.7 10.1.1 and 10.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from core import commitments, confirmation, store
from core.associations import Associations
from core.clock import Clock, utcnow
from core.database import reading, writing
from core.log import log
from core.settings import Settings
from core.tables import Commitment
from dicom_node.commitment_dataset import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    REQUEST_STORAGE_COMMITMENT,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    BadCommitmentError,
    CommitmentReport,
    CommitmentRequest,
    Reference,
    TooManyReferencesError,
    describe_reason,
    encode_dataset,
    read_report,
    read_request,
)

_log = log(__name__)


class CommitmentStatus(IntEnum):
    """Statuses of N-ACTION and N-EVENT-REPORT that we answer (PS3.7 10.1.1.1.8, 10.1.4.1.10)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    INVALID_ARGUMENT = 0x0115
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORISED = 0x0124
    RESOURCE_LIMITATION = 0x0213


@dataclass(frozen=True, kw_only=True)
class EventReport:
    """A report that is ready for a sender: the parameters of an N-EVENT-REPORT.

    Attributes:
        commitment: The request's row; taken for some minutes, until `CommitmentService.reported`.
    """

    commitment: int
    content: CommitmentReport
    sop_class_uid: str = SOP_CLASS_UID
    sop_instance_uid: str = SOP_INSTANCE_UID

    @property
    def event_type(self) -> int:
        """1: all committed, 2: failures exist."""
        return self.content.event_type

    def encode(self, transfer_syntax_uid: str) -> bytes:
        """Return the Event Information in an agreed transfer syntax."""
        return encode_dataset(self.content.to_dataset(), transfer_syntax_uid)


def report_of(row: Commitment) -> EventReport:
    """Return what a sender is told of its request."""
    failed = {(c, i): int(reason, 16) for c, i, reason in row.failed}
    committed = [(c, i) for c, i in row.instances if (c, i) not in failed]
    content = CommitmentReport(
        transaction_uid=row.transaction_uid,
        committed=tuple(Reference(sop_class_uid=c, sop_instance_uid=i) for c, i in committed),
        failed=tuple(
            (Reference(sop_class_uid=c, sop_instance_uid=i), reason)
            for (c, i), reason in failed.items()
        ),
    )
    return EventReport(commitment=row.id, content=content)


class CommitmentService:
    """What the associations of one process say of storage commitment; calls block on the database.

    No call raises for what a peer sent or for a database that is away: the status says it.
    """

    def __init__(self, engine: Engine, settings: Settings, clock: Clock = utcnow) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._associations = Associations(settings.data_dir)

    def on_action(
        self,
        *,
        calling_ae_title: str,
        sop_instance_uid: str,
        action_type: int,
        data: bytes,
        transfer_syntax_uid: str,
        association: str = "",
    ) -> int:
        """Take a sender's N-ACTION; the request is durable where the answer is Success.

        Args:
            calling_ae_title: Who asks.
            sop_instance_uid: Requested SOP Instance UID.
            action_type: Action Type ID.
            data: Action Information.
            transfer_syntax_uid: How that is encoded.
            association: Where the report goes if the sender does not listen itself.

        Returns:
            The status to answer.
        """
        objection = self._objection(calling_ae_title, sop_instance_uid, action_type)
        if objection:
            return self._refuse(calling_ae_title, *objection)
        try:
            request = read_request(data, transfer_syntax_uid)
            self._take(calling_ae_title, request, association)
        except BadCommitmentError as error:
            return self._refuse(calling_ae_title, CommitmentStatus.INVALID_ARGUMENT, str(error))
        except TooManyReferencesError as error:
            return self._refuse(calling_ae_title, CommitmentStatus.RESOURCE_LIMITATION, str(error))
        except SQLAlchemyError:
            _log.exception("commitment_not_taken", ae_title=calling_ae_title)
            return CommitmentStatus.PROCESSING_FAILURE
        _log.info(
            "commitment_requested",
            ae_title=calling_ae_title,
            uid=request.transaction_uid,
            count=len(request.references),
        )
        return CommitmentStatus.SUCCESS

    def report_for(self, association: str, calling_ae_title: str) -> EventReport | None:
        """Return a report that is due on this very association; None where there is none yet.

        Only for senders that do not listen themselves. A report belongs on the association that
        asked; when that has ended, on whichever the sender opens next (PS3.4 J.3.3).
        """
        sender = self._settings.sender(calling_ae_title)
        if sender is None or not sender.commitment_days or (sender.host and sender.port):
            return None
        try:
            return self._report_for(association, calling_ae_title)
        except SQLAlchemyError:
            _log.exception("commitment_not_read", ae_title=calling_ae_title)
            return None

    def reported(self, report: EventReport, status: int) -> None:
        """Write down how a sender answered a report."""
        try:
            write_answer(self._engine, self._clock, report, status)
        except SQLAlchemyError:
            # It is due again when its claim is over: a report too many is better than none.
            _log.exception("commitment_not_written")

    def on_event_report(
        self, *, calling_ae_title: str, event_type: int, data: bytes, transfer_syntax_uid: str
    ) -> int:
        """Take an archive's N-EVENT-REPORT on what we asked it; return the status to answer.

        Only the archive that was asked is believed: the called AE title of the transaction must be
        the caller's.
        """
        names = {p.destination for p in self._settings.pacs if p.ae_title == calling_ae_title}
        if not names:
            return self._refuse(calling_ae_title, CommitmentStatus.NOT_AUTHORISED, "no archive")
        if event_type not in (ALL_COMMITTED, FAILURES_EXIST):
            return self._refuse(
                calling_ae_title, CommitmentStatus.NO_SUCH_EVENT_TYPE, "another event than 1 or 2"
            )
        try:
            report = read_report(data, transfer_syntax_uid)
            return self._settle(calling_ae_title, names, report)
        except (BadCommitmentError, TooManyReferencesError) as error:
            return self._refuse(calling_ae_title, CommitmentStatus.INVALID_ARGUMENT, str(error))
        except SQLAlchemyError:
            _log.exception("commitment_not_written", ae_title=calling_ae_title)
            return CommitmentStatus.PROCESSING_FAILURE

    def _objection(
        self, ae_title: str, sop_instance_uid: str, action_type: int
    ) -> tuple[CommitmentStatus, str] | None:
        """Return why a request is refused whatever its data set says; None where it is not."""
        sender = self._settings.sender(ae_title)
        if sender is None or not sender.commitment_days:
            return CommitmentStatus.NOT_AUTHORISED, "commitment is off for this sender"
        if sop_instance_uid != SOP_INSTANCE_UID:
            return CommitmentStatus.NO_SUCH_INSTANCE, "not the well-known instance"
        if action_type != REQUEST_STORAGE_COMMITMENT:
            return CommitmentStatus.NO_SUCH_ACTION, "another action than 1"
        return None

    def _take(self, ae_title: str, request: CommitmentRequest, association: str) -> None:
        """Write a request down.

        Raises:
            BadCommitmentError: Its transaction UID is in use.
        """

        def write() -> bool:
            with writing(self._engine) as session:
                return commitments.request(
                    session,
                    ae_title=ae_title,
                    transaction_uid=request.transaction_uid,
                    instances=[[r.sop_class_uid, r.sop_instance_uid] for r in request.references],
                    association=association,
                    at=self._clock(),
                )

        try:
            is_taken = write()
        except IntegrityError:
            # The same request came at the same time on another association, and was first.
            is_taken = write()
        if not is_taken:
            raise BadCommitmentError("The transaction is known with other objects.")

    def _report_for(self, association: str, ae_title: str) -> EventReport | None:
        with reading(self._engine) as session:
            due = commitments.reporting(session, ae_title=ae_title, at=self._clock())
        if not due:
            return None
        still_open = {entry.id for entry in self._associations.all()}
        for commitment, asked_on in due:
            if asked_on == association or asked_on not in still_open:
                with writing(self._engine) as session:
                    row = commitments.claim(session, commitment, at=self._clock())
                if row is not None:
                    return report_of(row)
        return None

    def _settle(self, ae_title: str, names: set[str], report: CommitmentReport) -> int:
        uid, at = report.transaction_uid, self._clock()
        denied = {r.sop_instance_uid: describe_reason(reason) for r, reason in report.failed}
        with writing(self._engine) as session:
            destinations = confirmation.destinations_of(session, uid)
            if not destinations <= names:
                # Somebody else's transaction: a mistake, or a forgery.
                store.note(
                    session, None, "commitment_forged", at=at, actor="node", ae_title=ae_title
                )
            elif destinations:
                confirmed, refused = confirmation.settle(
                    session,
                    uid,
                    committed={r.sop_instance_uid for r in report.committed},
                    denied=denied,
                    at=at,
                    actor="node",
                )
        if not destinations or not destinations <= names:
            return self._refuse(
                ae_title, CommitmentStatus.INVALID_ARGUMENT, "the transaction is none of ours"
            )
        _log.info(
            "commitment_reported",
            ae_title=ae_title,
            uid=uid,
            count=confirmed,
            status=f"{refused} denied",
        )
        return CommitmentStatus.SUCCESS

    def _refuse(self, ae_title: str, status: CommitmentStatus, reason: str) -> int:
        _log.warning("commitment_refused", ae_title=ae_title, status=f"{status:04X}", reason=reason)
        return status


def write_answer(engine: Engine, clock: Clock, report: EventReport, status: int) -> None:
    """Write down how a sender answered a report: taken, or to be tried again."""
    with writing(engine) as session:
        if status == CommitmentStatus.SUCCESS:
            commitments.reported(session, report.commitment, at=clock())
        else:
            words = f"the sender answered {status:04X}"
            commitments.postpone(session, report.commitment, at=clock(), reason=words)
