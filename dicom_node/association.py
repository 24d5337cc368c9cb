"""One association, from its first byte to its last, in a thread of its own.

The state machine (`dicom_node.states`) decides what an event means; the methods named after its
actions do it. Data in an established association take the short way: `_take` hands the pieces of a
C-STORE's data set to its `Reception`, and a message that is whole to the services.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import UnreadableInstanceError
from core.log import log
from dicom_node import command_set
from dicom_node.command_set import Command, CommandSet
from dicom_node.negotiation import (
    AcceptedContext,
    Agreement,
    Refusal,
    read_request,
    rejection,
)
from dicom_node.receive import Reception
from dicom_node.services import Answer, Services
from dicom_node.states import Action, UpperLayerEvent, UpperLayerState, react
from dicom_node.upper_layer import (
    AbortReason,
    Fragment,
    InvalidPduError,
    Pdu,
    PduType,
    Silence,
    UpperLayer,
    data_pdus,
    short_pdu,
)

_State, _Event = UpperLayerState, UpperLayerEvent
_log = log(__name__)

# A command set is a few hundred bytes; a storage commitment of 10,000 references some megabytes.
_LARGEST_COMMAND_BYTES = 1 << 16
_LARGEST_DATA_SET_BYTES = 32 << 20
# One system call writes 1024 pieces at most (IOV_MAX), the file's header among them; a peer of tiny
# PDUs sends more in one read.
_MOST_PIECES = 1000
_SOURCE_USER, _SOURCE_PROVIDER = 0, 2
_EVENTS = {
    PduType.ASSOCIATE_RQ: _Event.ASSOCIATE_RQ_CAME,
    PduType.ASSOCIATE_AC: _Event.ASSOCIATE_AC_CAME,
    PduType.ASSOCIATE_RJ: _Event.ASSOCIATE_RJ_CAME,
    PduType.DATA: _Event.DATA_CAME,
    PduType.RELEASE_RQ: _Event.RELEASE_RQ_CAME,
    PduType.RELEASE_RP: _Event.RELEASE_RP_CAME,
    PduType.ABORT: _Event.ABORT_CAME,
}


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a peer may be silent, in seconds.

    Attributes:
        artim: From the connection to the association request, and from our last word to the
            connection's end (PS3.8 9.1.4).
        stall: In the middle of a message.
        idle: Between messages.
    """

    artim: float
    stall: float
    idle: float


class Association:
    """The acceptor's side of one association.

    Args:
        upper_layer: Its connection.
        services: What is done for it: admission, storage, verification, commitment.
        patience: How long it may be silent.
    """

    def __init__(self, upper_layer: UpperLayer, services: Services, patience: Patience) -> None:
        self._upper_layer = upper_layer
        self._services = services
        self._patience = patience
        self._state = _State.IDLE
        self._artim_ends: float | None = None
        self._last_word = time.monotonic()
        self._agreement: Agreement | None = None
        self._contexts: dict[int, AcceptedContext] = {}
        # The message under way: its command, then where its data set goes.
        self._context_id = 0
        self._command_bytes = bytearray()
        self._command: CommandSet | None = None
        self._reception: Reception | None = None
        self._data_set = bytearray()
        self._pieces: list[memoryview] = []
        self._pdu: Pdu | None = None
        self._is_broken = False
        self._abort_reason = AbortReason.NOT_SPECIFIED
        # AA-2 to AA-5 and AR-5 end in state 1, where `run` closes the connection; AA-6 ignores; the
        # other actions are a requestor's.
        self._steps: dict[Action, Callable[[], None]] = {
            Action.AE_5: self._start_artim,
            Action.AE_6: self._negotiate,
            Action.AE_8: self._start_artim,
            Action.AR_2: self._release,
            Action.AR_4: self._answer_release,
            Action.AA_1: self._abort_as_user,
            Action.AA_7: self._repeat_abort,
            Action.AA_8: self._abort_as_provider,
        }

    def run(self) -> None:
        """Serve the association until its connection is closed."""
        self._react(_Event.TRANSPORT_OPENED)
        try:
            while self._state is not _State.IDLE:
                self._step()
        except OSError:
            # The connection broke, or the peer no longer takes our answers.
            if self._state is not _State.IDLE:
                self._react(_Event.TRANSPORT_CLOSED)
        finally:
            self._end()
            self._upper_layer.close()

    @property
    def is_silent(self) -> bool:
        """Whether the peer has not yet asked for anything, or has nothing more to ask."""
        return self._state in {_State.IDLE, _State.AWAITING_REQUEST, _State.AWAITING_CLOSE}

    def _step(self) -> None:
        """Wait for bytes and take what they hold."""
        try:
            if not self._upper_layer.receive():
                self._react(_Event.TRANSPORT_CLOSED)
                return
        except Silence:
            self._tick()
            return
        self._last_word = time.monotonic()
        if self._is_broken:
            self._upper_layer.drop()
        try:
            self._take_items()
        except InvalidPduError as error:
            self._refuse(error)
        self._look_at_artim()

    def _take_items(self) -> None:
        self._take_run()
        for item in self._upper_layer.items():
            if isinstance(item, Fragment):
                self._take(item)
            else:
                self._pdu = item
                self._react(_EVENTS[item.type])
            if self._state is _State.IDLE:
                return
            self._take_run()
        self._flush()

    def _take_run(self) -> None:
        """Take an object's bytes, as far as they lie in a row."""
        if self._reception is None:
            return
        views, is_last = self._upper_layer.take_data(self._context_id)
        self._pieces += views
        if is_last:
            self._flush()
            self._finish_store(self._reception)

    def _refuse(self, error: InvalidPduError) -> None:
        _log.warning("pdu_refused", reason=str(error), state=self._state.name)
        self._services.broke_protocol(str(error))
        self._abort_reason = error.reason
        # Where the next PDU begins, nobody knows any more.
        self._is_broken = True
        self._upper_layer.drop()
        self._react(_Event.INVALID_PDU_CAME)

    def _tick(self) -> None:
        """Look at the timers after a second of silence."""
        if self._artim_ends is not None:
            self._look_at_artim()
            return
        is_under_way = self._command is not None or self._command_bytes
        is_idle = self._upper_layer.is_between_messages and not is_under_way
        limit = self._patience.idle if is_idle else self._patience.stall
        if time.monotonic() - self._last_word > limit:
            _log.warning("association_stalled", seconds=limit, kind="idle" if is_idle else "stall")
            self._react(_Event.ABORT_ASKED)
        elif is_idle and self._agreement is not None:
            self._send_report()

    def _look_at_artim(self) -> None:
        """Close the connection once its timer is over: bytes that trickle in do not hold it up."""
        is_over = self._artim_ends is not None and time.monotonic() > self._artim_ends
        if is_over and self._state is not _State.IDLE:
            self._react(_Event.ARTIM_EXPIRED)

    # What the state machine asks for

    def _react(self, event: UpperLayerEvent) -> None:
        action, self._state = react(self._state, event)
        if step := self._steps.get(action):
            step()

    def _start_artim(self) -> None:
        self._artim_ends = time.monotonic() + self._patience.artim

    def _negotiate(self) -> None:
        """AE-6: decide about the request; AE-7 or AE-8 says the answer."""
        self._artim_ends = None
        request = read_request(self._pdu.data if self._pdu else b"")
        answer = self._services.admit(request)
        if isinstance(answer, Refusal):
            self._answer_request(rejection(request, answer), _Event.ASSOCIATE_REJECTED)
            return
        self._agreement = answer
        self._contexts = dict(answer.contexts)
        self._answer_request(answer.answer, _Event.ASSOCIATE_ACCEPTED)

    def _answer_request(self, pdu: bytes, event: UpperLayerEvent) -> None:
        self._upper_layer.send(pdu)
        self._react(event)

    def _release(self) -> None:
        """AR-2: nothing keeps us, so the release is answered at once."""
        self._end()
        self._react(_Event.RELEASE_ANSWERED)

    def _answer_release(self) -> None:
        self._upper_layer.send(short_pdu(PduType.RELEASE_RP))
        self._start_artim()

    def _abort_as_user(self) -> None:
        self._abort(_SOURCE_USER, AbortReason.NOT_SPECIFIED)

    def _abort_as_provider(self) -> None:
        reason = self._abort_reason
        if reason is AbortReason.NOT_SPECIFIED:
            reason = AbortReason.UNEXPECTED_PDU
        self._abort(_SOURCE_PROVIDER, reason)

    def _abort(self, source: int, reason: AbortReason) -> None:
        self._end()
        self._upper_layer.send(short_pdu(PduType.ABORT, source, reason))
        self._start_artim()

    def _repeat_abort(self) -> None:
        """AA-7: abort once more; the timer runs on, or a peer could stay connected for ever."""
        abort = short_pdu(PduType.ABORT, _SOURCE_PROVIDER, AbortReason.UNEXPECTED_PDU)
        self._upper_layer.send(abort)

    def _end(self) -> None:
        """Forget what is not whole, and leave the register, though the connection may last."""
        self._forget_message()
        self._services.ended()

    # Messages

    def _take(self, fragment: Fragment) -> None:
        """DT-2: take a piece of a command set or of a data set."""
        if self._state is not _State.ESTABLISHED:
            # Every state but this one has its own answer to data (after an abort: none).
            self._react(_Event.DATA_CAME)
            return
        if fragment.is_command:
            self._take_command(fragment)
        elif self._command is None or fragment.context_id != self._context_id:
            raise InvalidPduError("data without a command", AbortReason.UNEXPECTED_PARAMETER)
        elif self._reception is not None:
            self._pieces.append(fragment.view)
            if fragment.is_last:
                self._flush()
                self._finish_store(self._reception)
        else:
            self._take_data(fragment)

    def _flush(self) -> None:
        """Write what has come of an object: the buffer that holds it is about to be used again."""
        if self._pieces:
            if self._reception is not None:
                for at in range(0, len(self._pieces), _MOST_PIECES):
                    self._reception.write(self._pieces[at : at + _MOST_PIECES])
            self._pieces = []

    def _take_command(self, fragment: Fragment) -> None:
        if self._command is not None:
            raise InvalidPduError(
                "a command before the data of the last one", AbortReason.UNEXPECTED_PARAMETER
            )
        if fragment.context_id not in self._contexts:
            raise InvalidPduError(
                "a presentation context that was not accepted", AbortReason.INVALID_PARAMETER
            )
        if self._command_bytes and fragment.context_id != self._context_id:
            raise InvalidPduError("two commands at once", AbortReason.UNEXPECTED_PARAMETER)
        self._context_id = fragment.context_id
        self._command_bytes += fragment.view
        if len(self._command_bytes) > _LARGEST_COMMAND_BYTES:
            raise InvalidPduError("a command set without an end", AbortReason.INVALID_PARAMETER)
        if not fragment.is_last:
            return
        try:
            command = command_set.decode(bytes(self._command_bytes))
        except UnreadableInstanceError as error:
            raise InvalidPduError(str(error), AbortReason.INVALID_PARAMETER) from None
        self._command_bytes.clear()
        self._begin(command)

    def _begin(self, command: CommandSet) -> None:
        """Answer a command without a data set; make room for the data set of another."""
        if not command.has_data_set:
            self._serve(command, b"")
            return
        self._command = command
        if command.number(command_set.Field.COMMAND_FIELD) == Command.C_STORE_RQ:
            self._reception = self._services.begin_store(command, self._contexts[self._context_id])

    def _finish_store(self, reception: Reception) -> None:
        command, self._command, self._reception = self._command, None, None
        if command is not None:
            status = reception.finish()
            self._send(command_set.response(command, status, reception.problem))
            self._services.prepare_store()

    def _take_data(self, fragment: Fragment) -> None:
        """Gather the data set of a message that is not a C-STORE."""
        self._data_set += fragment.view
        if len(self._data_set) > _LARGEST_DATA_SET_BYTES:
            raise InvalidPduError("a data set without an end", AbortReason.INVALID_PARAMETER)
        command = self._command
        if fragment.is_last and command is not None:
            data = bytes(self._data_set)
            self._forget_message()
            self._serve(command, data)

    def _serve(self, command: CommandSet, data: bytes) -> None:
        answer = self._services.serve(command, data, self._contexts[self._context_id])
        if answer is Answer.NONE:
            return
        self._send(command_set.response(command, answer.status, answer.comment))
        self._send_report()

    def _send_report(self) -> None:
        """Send a report on storage commitment that is ready for this association."""
        message = self._services.report(self._agreement) if self._agreement else None
        if message is not None:
            self._send(message.command, context_id=message.context_id, data=message.data)

    def _send(self, command: bytes, *, context_id: int | None = None, data: bytes = b"") -> None:
        number = self._context_id if context_id is None else context_id
        maximum = self._agreement.peer_maximum if self._agreement else 0
        pdus = data_pdus(number, command, is_command=True, peer_maximum=maximum)
        if data:
            pdus += data_pdus(number, data, is_command=False, peer_maximum=maximum)
        self._upper_layer.send(pdus)

    def _forget_message(self) -> None:
        if self._reception is not None:
            self._reception.abandon()
        self._reception = self._command = None
        self._command_bytes.clear()
        self._data_set.clear()
        self._pieces = []
