"""Association requests, right and wrong: what is read of them, and what is answered.

pynetdicom encodes the requests and reads the answers; what it would refuse to encode is mended into
the bytes.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from harness.raw_peer import FILM_STORAGE, VERIFICATION, request
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from dicom_node import negotiation, pydicom_warnings
from dicom_node.contexts import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from dicom_node.negotiation import Refusal, agree, read_request, rejection
from dicom_node.upper_layer import MAXIMUM_PDU_BYTES, InvalidPduError

COMMITMENT = "1.2.840.10008.1.20.1"
EXPLICIT, IMPLICIT, BIG = (
    str(uid.ExplicitVRLittleEndian),
    str(uid.ImplicitVRLittleEndian),
    str(uid.ExplicitVRBigEndian),
)
# Where the AE titles stand in a request (PS3.8 table 9-11).
CALLED, CALLING = slice(10, 26), slice(26, 42)


def answered(data: bytes, *, is_identified: bool = False) -> A_ASSOCIATE:
    """Return our answer to a request, as another library reads it."""
    pdu = A_ASSOCIATE_AC()
    pdu.decode(agree(read_request(data), is_identified=is_identified).answer)
    return pdu.to_primitive()


def item(answer: A_ASSOCIATE, kind: type) -> Any:
    return next((i for i in answer.user_information if isinstance(i, kind)), None)


def replaced(data: bytes, place: slice, value: bytes) -> bytes:
    assert len(value) == place.stop - place.start
    return data[: place.start] + value + data[place.stop :]


# AE titles


@pytest.mark.parametrize(
    "title",
    [b"MODALITY        ", b"        MODALITY", b"    MODALITY    ", b"MODALITY" + bytes(8)],
    ids=["behind", "in front", "around", "with zeros"],
)
def test_padding_of_an_ae_title_does_not_count(title: bytes) -> None:
    data = replaced(replaced(request(), CALLING, title), CALLED, title.replace(b"M", b"X"))

    asked = read_request(data)

    assert (asked.calling_ae_title, asked.called_ae_title) == ("MODALITY", "XODALITY")


@pytest.mark.parametrize(
    "title",
    [bytes(16), b" " * 16, "مستشفى".encode()[:12] + b"    ", b"\xff" * 16, b"A\nB\\C" + b" " * 11],
    ids=["zeros", "spaces", "Arabic", "ones", "control characters"],
)
def test_an_ae_title_that_is_none_is_no_senders(title: bytes) -> None:
    try:
        asked = read_request(replaced(request(), CALLING, title))
    except InvalidPduError:
        return
    assert asked.calling_ae_title != "MODALITY"
    rejected = A_ASSOCIATE_RJ()
    rejected.decode(rejection(asked, negotiation.UNKNOWN_CALLING_AE))
    assert rejected.reason_diagnostic == 3


# What no configuration would let pass


def test_another_protocol_version_is_refused() -> None:
    asked = read_request(replaced(request(), slice(6, 8), b"\0\2"))

    assert asked.refusal == Refusal(1, 2, 2, "protocol version")


def test_a_peer_that_speaks_later_versions_too_is_taken() -> None:
    # PS3.8 table 9-11: a bit each, and only bit 0 is tested.
    assert read_request(replaced(request(), slice(6, 8), b"\0\7")).refusal is None


def test_another_application_context_is_refused() -> None:
    data = request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2")

    assert read_request(data).refusal == Refusal(1, 1, 2, "application context")


@pytest.mark.parametrize(
    "refusal",
    [value for value in vars(negotiation).values() if isinstance(value, Refusal)],
    ids=lambda refusal: refusal.word,
)
def test_a_rejection_says_who_and_why(refusal: Refusal) -> None:
    rejected = A_ASSOCIATE_RJ()

    rejected.decode(rejection(read_request(request()), refusal))

    said = (rejected.result, rejected.source, rejected.reason_diagnostic)
    assert said == (refusal.result, refusal.source, refusal.reason)


# Presentation contexts


def test_128_presentation_contexts_are_answered() -> None:
    contexts = [
        (2 * number + 1, str(sop), (EXPLICIT, IMPLICIT))
        for number, sop in enumerate(STORAGE_SOP_CLASSES[:128])
    ]

    answer = answered(request(contexts=contexts))

    results = answer.presentation_context_definition_results_list
    assert [c.context_id for c in results] == [number for number, _, _ in contexts]
    assert {c.result for c in results} == {0}
    assert {str(c.transfer_syntax[0]) for c in results} == {EXPLICIT}


def test_the_best_of_200_transfer_syntaxes_is_chosen() -> None:
    unknown = [f"1.2.3.4.{number}" for number in range(198)]
    syntaxes = [IMPLICIT, *unknown, EXPLICIT]

    agreement = agree(read_request(request(contexts=[(5, FILM_STORAGE, syntaxes)])))

    assert agreement.contexts[5].transfer_syntax == EXPLICIT


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_a_sender_that_has_one_syntax_only_is_taken_with_it(syntax: str) -> None:
    agreement = agree(read_request(request(contexts=[(1, FILM_STORAGE, [str(syntax)])])))

    assert agreement.contexts[1].transfer_syntax == syntax


def test_what_is_not_supported_is_said_context_by_context() -> None:
    contexts = [
        (1, "1.2.3.4", (EXPLICIT,)),
        (3, FILM_STORAGE, ("1.2.3.4.5",)),
        (5, FILM_STORAGE, (BIG, IMPLICIT)),
        (255, VERIFICATION, (IMPLICIT,)),
    ]

    agreement = agree(read_request(request(contexts=contexts)))

    answer = A_ASSOCIATE_AC()
    answer.decode(agreement.answer)
    # Abstract syntax, then transfer syntaxes not supported (PS3.8 table 9-18).
    assert [c.result for c in answer.presentation_context] == [3, 4, 0, 0]
    assert {n: c.transfer_syntax for n, c in agreement.contexts.items()} == {5: BIG, 255: IMPLICIT}
    assert agreement.context_for(VERIFICATION) == 255
    assert agreement.context_for(COMMITMENT) is None


def test_one_class_may_be_asked_for_in_several_contexts() -> None:
    contexts = [(1, FILM_STORAGE, (IMPLICIT,)), (3, FILM_STORAGE, (EXPLICIT,))]

    agreement = agree(read_request(request(contexts=contexts)))

    assert {n: c.transfer_syntax for n, c in agreement.contexts.items()} == {
        1: IMPLICIT,
        3: EXPLICIT,
    }


@pytest.mark.parametrize("number", [0, 2, 254])
def test_a_context_of_even_number_is_no_request(number: int) -> None:
    data = request(contexts=[(1, FILM_STORAGE, (EXPLICIT,))])
    at = data.index(b"\x20\0", 74)
    data = data[: at + 4] + bytes((number,)) + data[at + 5 :]

    with pytest.raises(InvalidPduError):
        read_request(data)


def test_a_number_of_two_contexts_is_that_of_one_in_the_end() -> None:
    data = request(contexts=[(1, FILM_STORAGE, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,))])
    at = data.index(b"\3\0\0\0\x30")
    data = data[:at] + b"\1" + data[at + 1 :]

    agreement = agree(read_request(data))

    answer = A_ASSOCIATE_AC()
    answer.decode(agreement.answer)
    said = {c.context_id for c in answer.presentation_context if c.result == 0}
    assert said == set(agreement.contexts)


# Extended negotiation


def test_our_largest_pdu_and_our_name_are_told() -> None:
    answer = answered(request(maximum=0))

    assert answer.maximum_length_received == MAXIMUM_PDU_BYTES
    assert answer.implementation_class_uid == negotiation.IMPLEMENTATION_CLASS_UID
    assert [type(i).__name__ for i in answer.user_information] == [
        "MaximumLengthNotification",
        "ImplementationClassUIDNotification",
        "ImplementationVersionNameNotification",
    ]


@pytest.mark.parametrize("maximum", [0, 1, 16, 16_384, 2**32 - 1])
def test_the_peers_largest_pdu_is_remembered(maximum: int) -> None:
    assert agree(read_request(request(maximum=maximum))).peer_maximum == maximum


def _window(invoked: int, performed: int) -> AsynchronousOperationsWindowNegotiation:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = invoked
    window.maximum_number_operations_performed = performed
    return window


@pytest.mark.parametrize("invoked", [0, 1, 2, 16, 17, 65_535])
@pytest.mark.parametrize("performed", [0, 1, 5])
def test_no_more_operations_at_once_are_granted_than_were_asked_for(
    invoked: int, performed: int
) -> None:
    answer = answered(request(items=[_window(invoked, performed)]))

    ours = item(answer, AsynchronousOperationsWindowNegotiation)
    # 0 asks for any number (PS3.7 D.3.3.3).
    assert 1 <= ours.maximum_number_operations_invoked <= (invoked or 65_535)
    assert 1 <= ours.maximum_number_operations_performed <= (performed or 65_535)


def test_who_does_not_ask_for_operations_at_once_gets_no_answer_to_it() -> None:
    assert item(answered(request()), AsynchronousOperationsWindowNegotiation) is None


def _role(sop_class: str, *, scu: bool, scp: bool) -> SCP_SCU_RoleSelectionNegotiation:
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = uid.UID(sop_class)
    role.scu_role, role.scp_role = scu, scp
    return role


@pytest.mark.parametrize(("scu", "scp"), [(True, False), (False, True), (True, True)])
def test_both_roles_of_storage_commitment_are_granted(scu: bool, scp: bool) -> None:
    contexts = [(1, COMMITMENT, (IMPLICIT,))]
    answer = answered(request(contexts=contexts, items=[_role(COMMITMENT, scu=scu, scp=scp)]))

    (context,) = answer.presentation_context_definition_results_list
    assert context.result == 0
    granted = item(answer, SCP_SCU_RoleSelectionNegotiation)
    assert (granted.scu_role, granted.scp_role) == (scu, scp)


def test_a_role_that_storage_has_not_is_not_granted() -> None:
    answer = answered(request(items=[_role(FILM_STORAGE, scu=True, scp=True)]))

    granted = item(answer, SCP_SCU_RoleSelectionNegotiation)
    assert granted is None or not granted.scp_role


def _levels(sop_class: str, levels: bytes) -> SOPClassExtendedNegotiation:
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = uid.UID(sop_class)
    extended.service_class_application_information = levels
    return extended


def test_storage_is_told_to_keep_everything() -> None:
    asked = [_levels(FILM_STORAGE, bytes(6)), _levels("1.2.3.4", b"\1"), _levels(VERIFICATION, b"")]

    answer = answered(request(items=asked))

    levels = [i for i in answer.user_information if isinstance(i, SOPClassExtendedNegotiation)]
    assert [str(i.sop_class_uid) for i in levels] == [FILM_STORAGE]
    assert levels[0].service_class_application_information == bytes((2, 0, 3, 0, 0, 0))


def test_a_class_that_was_not_accepted_gets_no_levels() -> None:
    contexts = [(1, FILM_STORAGE, ("1.2.3.4.5",))]

    answer = answered(request(contexts=contexts, items=[_levels(FILM_STORAGE, bytes(6))]))

    assert item(answer, SOPClassExtendedNegotiation) is None


def test_common_extended_negotiation_is_passed_over() -> None:
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = uid.UID(FILM_STORAGE)
    common.service_class_uid = uid.UID("1.2.840.10008.4.2")

    answer = answered(request(items=[common]))

    assert item(answer, SOPClassCommonExtendedNegotiation) is None


# User identity


def identity(
    primary: bytes = b"user", secondary: bytes | None = b"code", kind: int = 2, *, answer: bool
) -> UserIdentityNegotiation:
    user = UserIdentityNegotiation()
    user.user_identity_type = kind
    user.positive_response_requested = answer
    user.primary_field = primary
    if secondary is not None:
        user.secondary_field = secondary
    return user


def test_user_and_passcode_are_read_and_not_shown() -> None:
    asked = read_request(request(items=[identity(answer=False)]))

    assert (asked.username, asked.passcode) == (b"user", b"code")
    assert "code" not in repr(asked)


def test_a_user_without_a_passcode_is_read() -> None:
    asked = read_request(request(items=[identity(secondary=None, kind=1, answer=True)]))

    assert (asked.username, asked.passcode) == (b"user", b"")


@pytest.mark.parametrize("kind", [3, 4, 5])
def test_tickets_and_assertions_are_no_username(kind: int) -> None:
    asked = read_request(request(items=[identity(b"user", None, kind, answer=True)]))

    assert asked.username == b""
    assert item(answered(request(items=[identity(kind=kind, answer=True)])), type(None)) is None


@pytest.mark.parametrize(("wanted", "proved"), [(True, True), (False, True), (True, False)])
def test_a_positive_answer_is_given_to_a_user_who_was_checked_and_wants_it(
    wanted: bool, proved: bool
) -> None:
    answer = answered(request(items=[identity(answer=wanted)]), is_identified=proved)

    response = item(answer, UserIdentityNegotiation)
    assert (response is not None) == (wanted and proved)
    # PS3.7 D.3.3.7.2: for a username the response is empty.
    assert response is None or response.server_response == b""


# What is no request

WHOLE = request(
    items=[
        identity(answer=True),
        _window(5, 5),
        _role(COMMITMENT, scu=True, scp=True),
        _levels(FILM_STORAGE, bytes(6)),
    ]
)


def _take(data: bytes) -> None:
    """Read, then agree or reject: nothing but an InvalidPduError may come out."""
    try:
        asked = read_request(data)
        agreement = agree(asked)
    except InvalidPduError:
        return
    rejection(asked, negotiation.TOO_MANY)
    answer = A_ASSOCIATE_AC()
    with pydicom_warnings("ignore"):
        answer.decode(agreement.answer)


@pytest.mark.parametrize("at", range(0, len(WHOLE), 3))
def test_a_request_that_is_cut_off_is_read_or_refused(at: int) -> None:
    _take(WHOLE[:2] + struct.pack(">L", max(at - 6, 0)) + WHOLE[6:at])


@given(st.lists(st.tuples(st.integers(6, len(WHOLE) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_request_is_read_or_refused(damage: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in damage:
        data[at] = value
    _take(bytes(data))


@given(st.binary(max_size=300))
def test_no_bytes_bring_the_negotiation_down(body: bytes) -> None:
    _take(struct.pack(">BxL", 1, len(body)) + body)
    _take(WHOLE[:74] + body)
