"""Association negotiation as acceptor: what is asked for, and what we answer.

pynetdicom decodes the request, negotiates the presentation contexts and encodes the answer; what we
offer, and the answers to the extended items, stand here.

Source: PS3.8 7.1 and 9.3, PS3.7 annex D.3, PS3.4 B.3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StorageCommitmentPushModel,
)

from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.contexts import STORAGE_SOP_CLASSES, supported_contexts
from dicom_node.receive import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.upper_layer import MAXIMUM_PDU_BYTES, AbortReason, InvalidPduError

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_PROTOCOL_VERSION = 1
_ACCEPTED = 0
# Requests that a sender may have under way at once. They wait in the connection while we work on
# the one before, so that the disk's time and the network's overlap.
_ASYNCHRONOUS_OPERATIONS = 16
# PS3.4 table B.3-2: storage level 2 (everything is kept), signature level 3 (bit for bit), no
# element is coerced; every other byte is reserved.
_STORAGE_LEVELS = bytes((2, 0, 3, 0, 0, 0))
_STORAGE = frozenset(STORAGE_SOP_CLASSES)
# Called and calling AE title in an A-ASSOCIATE-RQ (PS3.8 table 9-11).
_AE_TITLES = slice(10, 42)
# PS3.7 D.3.3.7.1: types of user identity.
_USERNAME, _USERNAME_AND_PASSCODE = 1, 2


@dataclass(frozen=True)
class Refusal:
    """Why an association is rejected (PS3.8 table 9-21), with a word for log and audit."""

    result: int
    source: int
    reason: int
    word: str


PROTOCOL_VERSION = Refusal(1, 2, 2, "protocol version")
APPLICATION_CONTEXT = Refusal(1, 1, 2, "application context")
UNKNOWN_CALLING_AE = Refusal(1, 1, 3, "calling AE title or address unknown")
UNKNOWN_CALLED_AE = Refusal(1, 1, 7, "called AE title is not ours")
NOT_IDENTIFIED = Refusal(1, 1, 1, "user identity")
TLS_REQUIRED = Refusal(1, 1, 1, "TLS required")
CONGESTED = Refusal(2, 3, 1, "disk nearly full")
TOO_MANY = Refusal(2, 3, 2, "too many associations")


@dataclass(frozen=True, kw_only=True)
class AcceptedContext:
    """A presentation context of an association."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a peer asks for.

    Attributes:
        username, passcode: User identity; empty where none was given.
        wants_user_response: It asks for a positive answer to its identity.
        implementation: Version name, or class UID, of its software; for the audit only.
    """

    calling_ae_title: str
    called_ae_title: str
    protocol_version: int
    application_context: str
    username: bytes = b""
    passcode: bytes = field(default=b"", repr=False)
    wants_user_response: bool = False
    primitive: Any = field(repr=False)

    @property
    def refusal(self) -> Refusal | None:
        """What no configuration would let pass."""
        if not self.protocol_version & _PROTOCOL_VERSION:
            return PROTOCOL_VERSION
        if self.application_context != _APPLICATION_CONTEXT:
            return APPLICATION_CONTEXT
        return None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was negotiated.

    Attributes:
        contexts: By presentation context ID.
        peer_maximum: Bytes that the peer takes in one PDU; 0: any number.
        answer: The A-ASSOCIATE-AC PDU.
    """

    contexts: Mapping[int, AcceptedContext]
    peer_maximum: int
    answer: bytes = field(repr=False)

    def context_for(self, abstract_syntax: str) -> int | None:
        """Return the ID of a context, None where the peer did not ask for it."""
        for number, context in self.contexts.items():
            if context.abstract_syntax == abstract_syntax:
                return number
        return None


@contextmanager
def _invalid_requests() -> Iterator[None]:
    """Refuse the request that brings pynetdicom to an error; some of its checks are assertions."""
    try:
        with pydicom_warnings("ignore"):
            yield
    except (AssertionError, *PYDICOM_ERRORS):
        raise InvalidPduError(
            "an A-ASSOCIATE-RQ that cannot be read", AbortReason.INVALID_PARAMETER
        ) from None


@_invalid_requests()
def read_request(pdu: bytes) -> Request:
    """Decode an A-ASSOCIATE-RQ.

    Raises:
        InvalidPduError: It is none.
    """
    decoded = A_ASSOCIATE_RQ()
    decoded.decode(_with_spaces(pdu))
    primitive = decoded.to_primitive()
    identity = _item(primitive, UserIdentityNegotiation)
    is_named = identity is not None and identity.user_identity_type in {
        _USERNAME,
        _USERNAME_AND_PASSCODE,
    }
    return Request(
        calling_ae_title=primitive.calling_ae_title.strip(),
        called_ae_title=primitive.called_ae_title.strip(),
        protocol_version=decoded.protocol_version or 0,
        application_context=str(primitive.application_context_name or ""),
        username=identity.primary_field or b"" if is_named else b"",
        passcode=identity.secondary_field or b"" if is_named else b"",
        wants_user_response=bool(identity and identity.positive_response_requested),
        primitive=primitive,
    )


def _with_spaces(pdu: bytes) -> bytes:
    """Return a request whose AE titles are padded with spaces; some senders fill up with zeros."""
    start, end = _AE_TITLES.start, _AE_TITLES.stop
    return pdu[:start] + pdu[_AE_TITLES].replace(b"\0", b" ") + pdu[end:]


@_invalid_requests()
def agree(request: Request, *, is_identified: bool = False) -> Agreement:
    """Answer a request with what we support of it.

    Args:
        request: What is asked.
        is_identified: The user identity was asked for and proved: it gets its positive answer,
            where that is wanted (PS3.7 D.3.3.7).

    Raises:
        InvalidPduError: What it asks for contradicts itself.
    """
    asked: A_ASSOCIATE = request.primitive
    roles = {
        UID(item.sop_class_uid or ""): (item.scu_role, item.scp_role)
        for item in asked.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }
    results, role_items = negotiate_as_acceptor(
        asked.presentation_context_definition_list, supported(), roles
    )
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(_APPLICATION_CONTEXT)
    answer.calling_ae_title = asked.calling_ae_title
    answer.called_ae_title = asked.called_ae_title
    answer.result = _ACCEPTED
    answer.result_source = 1
    answer.presentation_context_definition_results_list = results
    accepted = [context for context in results if context.result == _ACCEPTED]
    answer.user_information = [
        *_identification(),
        *role_items,
        *_extended(request, accepted),
        *_identity(request, is_identified=is_identified),
    ]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return Agreement(
        contexts={
            context.context_id or 0: AcceptedContext(
                abstract_syntax=str(context.abstract_syntax),
                transfer_syntax=str(context.transfer_syntax[0]),
            )
            for context in accepted
        },
        peer_maximum=asked.maximum_length_received or 0,
        answer=pdu.encode(),
    )


def rejection(request: Request, refusal: Refusal) -> bytes:
    """Return an A-ASSOCIATE-RJ PDU."""
    primitive = request.primitive
    primitive.result = refusal.result
    primitive.result_source = refusal.source
    primitive.diagnostic = refusal.reason
    pdu = A_ASSOCIATE_RJ()
    pdu.from_primitive(primitive)
    return pdu.encode()


@cache
def supported() -> list[PresentationContext]:
    """Return what we accept: Verification, all of storage, and commitment in both roles."""
    commitment = build_context(StorageCommitmentPushModel, _little_endian())
    # An archive that reports to us takes the SCP's role; a sender that asks us is an SCU.
    commitment.scu_role = commitment.scp_role = True
    return [*supported_contexts(), commitment]


def _little_endian() -> list[str]:
    return ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


def _identification() -> list[Any]:
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = MAXIMUM_PDU_BYTES
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [maximum, implementation, version]


def _extended(request: Request, accepted: list[PresentationContext]) -> list[Any]:
    """Answer the extended negotiation items that were asked for."""
    items: list[Any] = []
    asked = request.primitive
    if window := _item(asked, AsynchronousOperationsWindowNegotiation):
        ours = AsynchronousOperationsWindowNegotiation()
        # 0 asks for any number. We ourselves never have more than one request under way.
        ours.maximum_number_operations_invoked = min(
            window.maximum_number_operations_invoked or _ASYNCHRONOUS_OPERATIONS,
            _ASYNCHRONOUS_OPERATIONS,
        )
        ours.maximum_number_operations_performed = 1
        items.append(ours)
    classes = {context.abstract_syntax for context in accepted} & _STORAGE
    for item in asked.user_information:
        if isinstance(item, SOPClassExtendedNegotiation) and item.sop_class_uid in classes:
            levels = SOPClassExtendedNegotiation()
            levels.sop_class_uid = item.sop_class_uid
            levels.service_class_application_information = _STORAGE_LEVELS
            items.append(levels)
    return items


def _identity(request: Request, *, is_identified: bool) -> list[Any]:
    if not (is_identified and request.wants_user_response):
        return []
    identity = UserIdentityNegotiation()
    identity.server_response = b""
    return [identity]


def _item(primitive: A_ASSOCIATE, kind: type) -> Any:
    return next((item for item in primitive.user_information if isinstance(item, kind)), None)
