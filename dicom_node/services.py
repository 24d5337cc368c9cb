"""What is done for one association: admission, C-ECHO, C-STORE, storage commitment.

Nothing of the bytes of a connection is known here, and nothing of files and rows there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from core.associations import Associations, OpenAssociation, TooManyAssociationsError
from core.audit import AuditTrail
from core.audit_events import Alert
from core.blobs import Incoming, InstanceFiles
from core.log import log
from core.settings import Settings
from dicom_node import command_set
from dicom_node.admission import Admitted, admit
from dicom_node.command_set import Command, CommandSet, Field
from dicom_node.negotiation import (
    CONGESTED,
    NOT_IDENTIFIED,
    TOO_MANY,
    AcceptedContext,
    Agreement,
    Refusal,
    Request,
    agree,
)
from dicom_node.receive import Reception, Status, StorePolicy, StoreRequest

if TYPE_CHECKING:
    from dicom_node.commitment import CommitmentService, EventReport

_COMMITMENT_CLASS = "1.2.840.10008.1.20.1"
# PS3.7 C.5.
_UNRECOGNISED_OPERATION, _NOT_AUTHORISED, _INVALID_ARGUMENT = 0x0211, 0x0124, 0x0115
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer a message; `NONE` where it is not answered at all."""

    status: int
    comment: str = ""
    NONE: ClassVar[Answer]


Answer.NONE = Answer(status=-1)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request of ours: command set, data set, presentation context."""

    command: bytes
    context_id: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class NodeParts:
    """What all associations of a receiving process share."""

    settings: Settings
    files: InstanceFiles
    associations: Associations
    policy: StorePolicy
    commitment: Callable[[], CommitmentService]
    trail: AuditTrail


class Services:
    """The services of one association.

    Args:
        parts: What it shares with the others.
        address: Where the peer calls from.
        is_tls: Whether it came through TLS.
    """

    def __init__(self, parts: NodeParts, address: str, *, is_tls: bool = False) -> None:
        self._parts = parts
        self._address = address
        self._is_tls = is_tls
        self._admitted: Admitted | None = None
        self._calling = ""
        self._reports: dict[int, EventReport] = {}
        self._asked_commitment = False
        self._messages = 0
        self._spare: Incoming | None = None
        self.id = parts.associations.new_id()

    def admit(self, request: Request) -> Agreement | Refusal:
        """Decide about an association request, and enter the association where it may be."""
        self._calling = request.calling_ae_title
        outcome = admit(self._parts.settings, request, self._address, is_tls=self._is_tls)
        if isinstance(outcome, Admitted):
            outcome = self._enter(outcome) or outcome
        if isinstance(outcome, Refusal):
            self._tell_refusal(outcome.word, request.username.decode("utf-8", "replace"))
            return outcome
        self._admitted = outcome
        if outcome.user:
            self._parts.trail.user_authenticated(outcome.user, self._calling, self._address)
        _log.info("association_opened", ae_title=self._calling, address=self._address)
        return agree(request, is_identified=bool(outcome.user))

    def _enter(self, admitted: Admitted) -> Refusal | None:
        """Enter the register; return why there is no room."""
        node = self._parts.settings.node
        if not self._parts.policy.has_room(self._parts.files):
            return CONGESTED
        entry = OpenAssociation(
            id=self.id,
            ae_title=admitted.ae_title,
            address=self._address,
            since=time.time(),
            is_tls=self._is_tls,
        )
        try:
            self._parts.associations.enter(
                entry,
                limit=node.max_associations,
                limit_of_sender=node.max_associations_per_sender,
            )
        except TooManyAssociationsError:
            return TOO_MANY
        except OSError:
            return CONGESTED
        return None

    def _tell_refusal(self, reason: str, user: str) -> None:
        _log.warning(
            "association_rejected",
            ae_title=self._calling,
            address=self._address,
            reason=reason,
        )
        if reason == NOT_IDENTIFIED.word:
            self._parts.trail.user_authenticated(
                user, self._calling, self._address, is_accepted=False
            )
        else:
            self._parts.trail.association_refused(self._calling, self._address, reason)

    def broke_protocol(self, problem: str) -> None:
        """Hear that the peer sent what is no DICOM."""
        _log.warning(
            "protocol_broken", ae_title=self._calling, address=self._address, reason=problem
        )

    def ended(self) -> None:
        """Leave the register: the association is over. It may be said more than once."""
        if self._spare is not None:
            self._spare.discard()
            self._spare = None
        if self._admitted is not None:
            self._admitted = None
            self._parts.associations.leave(self.id)
            _log.info("association_closed", ae_title=self._calling, address=self._address)

    def begin_store(self, command: CommandSet, context: AcceptedContext) -> Reception:
        """Make room for a C-STORE's object, or for the refusal of it."""
        request = StoreRequest(
            sop_class_uid=command.text(Field.AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=command.text(Field.AFFECTED_SOP_INSTANCE_UID),
            transfer_syntax_uid=context.transfer_syntax,
            calling_ae_title=self._calling,
            called_ae_title=self._parts.settings.node.ae_title,
        )
        spare, self._spare = self._spare, None
        return Reception(
            self._parts.files,
            request,
            self._parts.policy,
            self.id,
            refusal=self._refuse_store(request, context),
            spare=spare,
        )

    def prepare_store(self) -> None:
        """Open the next object's file while the sender is busy with our last answer.

        Making a file takes the file system longer than we need for all the rest of a small object.
        """
        if self._spare is None and self._admitted is not None:
            with contextlib.suppress(OSError):
                self._spare = self._parts.files.incoming(self.id)

    def _refuse_store(
        self, request: StoreRequest, context: AcceptedContext
    ) -> tuple[Status, str] | None:
        if self._admitted is None or self._admitted.sender is None:
            return Status.NOT_AUTHORISED, "this AE title may not store here"
        if request.sop_class_uid != context.abstract_syntax:
            return Status.SOP_CLASS_NOT_SUPPORTED, "not the presentation context's SOP class"
        return None

    def serve(self, command: CommandSet, data: bytes, context: AcceptedContext) -> Answer:
        """Do what a message asks that is no C-STORE with its object."""
        number = command.number(Field.COMMAND_FIELD)
        match number:
            case Command.C_ECHO_RQ:
                return Answer(status=Status.SUCCESS)
            case Command.C_STORE_RQ:
                return Answer(status=Status.CANNOT_UNDERSTAND, comment="no data set came with it")
            case Command.N_ACTION_RQ:
                return self._act(command, data, context)
            case Command.N_EVENT_REPORT_RQ:
                return self._take_report(command, data, context)
            case _:
                pass
        if number & Command.RESPONSE or number == Command.C_CANCEL_RQ:
            if number == Command.N_EVENT_REPORT_RSP:
                self._hear(command)
            return Answer.NONE
        return Answer(status=_UNRECOGNISED_OPERATION, comment="unrecognised operation")

    def _hear(self, command: CommandSet) -> None:
        """Take the answer to a report of ours."""
        report = self._reports.pop(command.number(Field.RESPONDED_MESSAGE_ID), None)
        if report is not None:
            self._parts.commitment().reported(report, command.number(Field.STATUS))

    def _act(self, command: CommandSet, data: bytes, context: AcceptedContext) -> Answer:
        if context.abstract_syntax != _COMMITMENT_CLASS:
            return Answer(status=_UNRECOGNISED_OPERATION)
        if self._admitted is None or not self._admitted.may_ask_commitment:
            return Answer(status=_NOT_AUTHORISED, comment="no commitment for this AE title")
        self._asked_commitment = True
        return Answer(
            status=self._parts.commitment().on_action(
                association=self.id,
                calling_ae_title=self._calling,
                sop_instance_uid=command.text(Field.REQUESTED_SOP_INSTANCE_UID),
                action_type=command.number(Field.ACTION_TYPE_ID),
                data=data,
                transfer_syntax_uid=context.transfer_syntax,
            )
        )

    def _take_report(self, command: CommandSet, data: bytes, context: AcceptedContext) -> Answer:
        if context.abstract_syntax != _COMMITMENT_CLASS:
            return Answer(status=_UNRECOGNISED_OPERATION)
        if self._admitted is None or not self._admitted.is_pacs:
            return Answer(status=_NOT_AUTHORISED, comment="no archive of ours")
        status = self._parts.commitment().on_event_report(
            calling_ae_title=self._calling,
            event_type=command.number(Field.EVENT_TYPE_ID),
            data=data,
            transfer_syntax_uid=context.transfer_syntax,
        )
        if status == _INVALID_ARGUMENT:
            # Of no transaction of ours with this archive.
            self._parts.trail.security_alert(
                Alert.FORGED_REPORT, ae_title=self._calling, address=self._address
            )
        return Answer(status=status)

    def report(self, agreement: Agreement) -> Message | None:
        """Return a report that belongs on this association, once it is ready."""
        if not self._asked_commitment or self._reports:
            return None
        context_id = agreement.context_for(_COMMITMENT_CLASS)
        if context_id is None:
            return None
        report = self._parts.commitment().report_for(self.id, self._calling)
        if report is None:
            return None
        self._messages += 1
        self._reports[self._messages] = report
        command = command_set.encode(
            {
                Field.AFFECTED_SOP_CLASS_UID: _COMMITMENT_CLASS,
                Field.COMMAND_FIELD: Command.N_EVENT_REPORT_RQ,
                Field.MESSAGE_ID: self._messages,
                Field.DATA_SET_TYPE: 0x0001,
                Field.AFFECTED_SOP_INSTANCE_UID: report.sop_instance_uid,
                Field.EVENT_TYPE_ID: report.event_type,
            }
        )
        data = report.encode(agreement.contexts[context_id].transfer_syntax)
        return Message(command=command, context_id=context_id, data=data)
