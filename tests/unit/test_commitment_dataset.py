"""What is asked and reported, as bytes: read strictly, whatever a peer sends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset

from dicom_node.commitment_dataset import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    TRANSFER_SYNTAXES,
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

_ONE = Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3.1")
_TWO = Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3.2")
_LITTLE = uid.ExplicitVRLittleEndian


def _bytes(dataset: Dataset) -> bytes:
    return encode_dataset(dataset, _LITTLE)


def _request(*references: Reference) -> Dataset:
    return CommitmentRequest(transaction_uid="1.2.9", references=references).to_dataset()


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_a_request_reads_back_as_it_was_written(syntax: str) -> None:
    request = CommitmentRequest(transaction_uid="1.2.9", references=(_ONE, _TWO))

    assert read_request(encode_dataset(request.to_dataset(), syntax), syntax) == request


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize(
    ("committed", "failed", "event"),
    [
        ((_ONE, _TWO), (), ALL_COMMITTED),
        ((_ONE,), ((_TWO, 0x0112),), FAILURES_EXIST),
        ((), ((_ONE, 0x0119), (_TWO, 0x0110)), FAILURES_EXIST),
    ],
)
def test_a_report_reads_back_as_it_was_written_and_knows_its_event(
    syntax: str,
    committed: tuple[Reference, ...],
    failed: tuple[tuple[Reference, int], ...],
    event: int,
) -> None:
    report = CommitmentReport(transaction_uid="1.2.9", committed=committed, failed=failed)

    assert read_report(encode_dataset(report.to_dataset(), syntax), syntax) == report
    assert report.event_type == event


def test_ten_thousand_references_are_read() -> None:
    many = tuple(
        Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid=f"1.2.3.{n}")
        for n in range(10_000)
    )
    asked = CommitmentRequest(transaction_uid="1.2.9", references=many)

    assert read_request(_bytes(asked.to_dataset()), _LITTLE) == asked


def test_more_references_than_any_study_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.commitment_dataset._MOST_REFERENCES", 1)

    with pytest.raises(TooManyReferencesError):
        read_request(_bytes(_request(_ONE, _TWO)), _LITTLE)


def test_an_object_that_is_named_twice_counts_once() -> None:
    assert read_request(_bytes(_request(_ONE, _TWO, _ONE)), _LITTLE).references == (_ONE, _TWO)


def test_uids_that_are_padded_with_blanks_are_understood() -> None:
    data = _bytes(_request(_ONE))

    assert read_request(data.replace(b"1.2.3.1\0", b"1.2.3.1 "), _LITTLE).references == (_ONE,)


def _without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def _with(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def _in_item(change: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
    return lambda dataset: change(dataset.ReferencedSOPSequence[0])


@pytest.mark.parametrize(
    "spoil",
    [
        _without("TransactionUID"),
        _with("TransactionUID", ""),
        _with("TransactionUID", ["1.2", "1.3"]),
        _without("ReferencedSOPSequence"),
        _with("ReferencedSOPSequence", []),
        _in_item(_without("ReferencedSOPClassUID")),
        _in_item(_without("ReferencedSOPInstanceUID")),
        _in_item(_with("ReferencedSOPInstanceUID", "")),
    ],
)
def test_a_request_that_lacks_what_it_must_have_is_refused(
    spoil: Callable[[Dataset], None],
) -> None:
    dataset = _request(_ONE)
    spoil(dataset)

    with pytest.raises(BadCommitmentError):
        read_request(_bytes(dataset), _LITTLE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"not a data set at all, only words",
        _bytes(_request(_ONE))[:-20],
        # An instance UID that would lead out of a folder.
        _bytes(_request(_ONE)).replace(b"1.2.3.1\0", b"../../a\0"),
        # A sequence that says it is text.
        _bytes(_request(_ONE)).replace(b"\x08\x00\x99\x11SQ", b"\x08\x00\x99\x11UT"),
        # Nested beyond any sense.
        b"\x08\x00\x99\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5_000,
    ],
)
def test_a_broken_data_set_is_refused(data: bytes) -> None:
    with pytest.raises(BadCommitmentError):
        read_request(data, _LITTLE)
    with pytest.raises(BadCommitmentError):
        read_report(data, _LITTLE)


@pytest.mark.parametrize(
    "syntax", ["", "1.2.3", uid.JPEGBaseline8Bit, uid.DeflatedExplicitVRLittleEndian]
)
def test_a_transfer_syntax_that_was_never_agreed_on_is_refused(syntax: str) -> None:
    with pytest.raises(BadCommitmentError):
        read_request(_bytes(_request(_ONE)), syntax)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), syntax=st.sampled_from(TRANSFER_SYNTAXES))
def test_bytes_of_whatever_kind_are_read_or_refused(data: bytes, syntax: str) -> None:
    for read in (read_request, read_report):
        try:
            read(data, syntax)
        except (BadCommitmentError, TooManyReferencesError):
            continue


def test_what_pydicom_calls_a_trouble_of_the_disk_is_a_bad_request() -> None:
    data = bytearray(_bytes(_request(_ONE, _TWO)))
    # The sequence's length is one byte instead of all its items.
    assert data[18:22] == b"SQ\0\0"
    data[22] = 1

    with pytest.raises(BadCommitmentError):
        read_request(bytes(data), _LITTLE)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_request_with_changed_bytes_is_read_or_refused(draw: st.DataObject) -> None:
    data = bytearray(_bytes(_request(_ONE, _TWO)))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read_request(bytes(data), _LITTLE)
    except (BadCommitmentError, TooManyReferencesError):
        return


def test_a_failure_without_a_reason_is_a_failure() -> None:
    dataset = CommitmentReport(transaction_uid="1.2.9", failed=((_ONE, 0x0112),)).to_dataset()
    del dataset.FailedSOPSequence[0].FailureReason

    assert read_report(_bytes(dataset), _LITTLE).failed == ((_ONE, 0x0110),)


def test_reasons_are_said_in_words() -> None:
    assert describe_reason(0x0112) == "0112 no such object instance"
    assert describe_reason(0x0999) == "0999 unknown reason"
