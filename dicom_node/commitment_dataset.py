"""The data sets of storage commitment: what is asked (N-ACTION) and reported (N-EVENT-REPORT).

Source: PS3.4 J.3.2 and J.3.3, PS3.3 C.14.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode, encode

from core.errors import PermanentError
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.header import is_valid_uid

# The Push Model's SOP class and its one, well-known instance (PS3.4 J.3.5).
SOP_CLASS_UID = "1.2.840.10008.1.20.1"
SOP_INSTANCE_UID = "1.2.840.10008.1.20.1.1"
REQUEST_STORAGE_COMMITMENT = 1
ALL_COMMITTED, FAILURES_EXIST = 1, 2
# In the order of preference, as `dicom_node.contexts` has it.
TRANSFER_SYNTAXES: tuple[UID, ...] = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
_TAGS = {
    "TransactionUID": 0x00081195,
    "ReferencedSOPClassUID": 0x00081150,
    "ReferencedSOPInstanceUID": 0x00081155,
}
# More than any study has; a request is kept in one row.
_MOST_REFERENCES = 50_000
# pydicom raises OSError for a sequence that is cut off, though nothing here is read from a disk.
_READING_ERRORS = (*PYDICOM_ERRORS, OSError)


class Reason(IntEnum):
    """Failure Reasons that we give (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


_REASONS = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class/instance conflict",
    0x0122: "referenced SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


class BadCommitmentError(PermanentError):
    """A data set of storage commitment that breaks the standard; nothing was done."""


class TooManyReferencesError(PermanentError):
    """A request that names more instances than we look up at once."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One object that is named."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """Please commit to these objects."""

    transaction_uid: str
    references: tuple[Reference, ...]

    def to_dataset(self) -> Dataset:
        """Return the Action Information (PS3.4 J.3.2.1.1)."""
        dataset = Dataset()
        dataset.TransactionUID = self.transaction_uid
        dataset.ReferencedSOPSequence = [_item(reference) for reference in self.references]
        return dataset


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """What became of a request: committed objects, and those that failed with their reason."""

    transaction_uid: str
    committed: tuple[Reference, ...] = ()
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event_type(self) -> int:
        """Event Type ID (PS3.4 table J.3-3)."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED

    def to_dataset(self) -> Dataset:
        """Return the Event Information (PS3.4 J.3.3.1.1)."""
        dataset = Dataset()
        dataset.TransactionUID = self.transaction_uid
        if self.committed:
            dataset.ReferencedSOPSequence = [_item(reference) for reference in self.committed]
        if self.failed:
            items = []
            for reference, reason in self.failed:
                item = _item(reference)
                item.FailureReason = reason
                items.append(item)
            dataset.FailedSOPSequence = items
        return dataset


def describe_reason(reason: int) -> str:
    """Return a Failure Reason as a person reads it."""
    return f"{reason:04X} {_REASONS.get(reason, 'unknown reason')}"


def encode_dataset(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    """Return a data set of ours in an agreed transfer syntax."""
    syntax = UID(transfer_syntax_uid)
    with pydicom_warnings("error"):
        data = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian)
    if data is None:
        raise ValueError("the data set cannot be encoded")
    return data


def read_request(data: bytes, transfer_syntax_uid: str) -> CommitmentRequest:
    """Read the Action Information of an N-ACTION; each object is named once.

    Raises:
        BadCommitmentError: It is none, or it lacks what the standard requires.
        TooManyReferencesError: It names too many objects.
    """
    with pydicom_warnings("ignore"):
        try:
            dataset = _decode(data, transfer_syntax_uid)
            references = [_reference(item) for item in _items(dataset, "ReferencedSOPSequence")]
            transaction = _uid(dataset, "TransactionUID")
        except _READING_ERRORS:
            raise BadCommitmentError("The data set cannot be read.") from None
    if not references:
        raise BadCommitmentError("It names no object.")
    return CommitmentRequest(
        transaction_uid=transaction, references=tuple(dict.fromkeys(references))
    )


def read_report(data: bytes, transfer_syntax_uid: str) -> CommitmentReport:
    """Read the Event Information of an N-EVENT-REPORT.

    Raises:
        BadCommitmentError: It is none, or it lacks what the standard requires.
        TooManyReferencesError: It names too many objects.
    """
    with pydicom_warnings("ignore"):
        try:
            dataset = _decode(data, transfer_syntax_uid)
            committed = [_reference(item) for item in _items(dataset, "ReferencedSOPSequence")]
            failed = [
                (_reference(item), int(item.get("FailureReason") or Reason.PROCESSING_FAILURE))
                for item in _items(dataset, "FailedSOPSequence")
            ]
            transaction = _uid(dataset, "TransactionUID")
        except _READING_ERRORS:
            raise BadCommitmentError("The data set cannot be read.") from None
    if not committed and not failed:
        raise BadCommitmentError("It names no object.")
    return CommitmentReport(
        transaction_uid=transaction, committed=tuple(committed), failed=tuple(failed)
    )


def _decode(data: bytes, transfer_syntax_uid: str) -> Dataset:
    if transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise BadCommitmentError("The transfer syntax was never agreed on.")
    syntax = UID(transfer_syntax_uid)
    return decode(BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


def _items(dataset: Dataset, keyword: str) -> Any:
    """Return a sequence's items; none where it is absent or empty.

    Raises:
        BadCommitmentError: It is no sequence.
        TooManyReferencesError: There are too many.
    """
    if keyword not in dataset:
        return ()
    element = dataset[keyword]
    if element.VR != "SQ":
        raise BadCommitmentError(f"{keyword} is no sequence.")
    items = element.value or ()
    if len(items) > _MOST_REFERENCES:
        raise TooManyReferencesError(f"More than {_MOST_REFERENCES} objects are named at once.")
    return items


def _reference(item: Dataset) -> Reference:
    return Reference(
        sop_class_uid=_uid(item, "ReferencedSOPClassUID"),
        sop_instance_uid=_uid(item, "ReferencedSOPInstanceUID"),
    )


def _uid(dataset: Dataset, keyword: str) -> str:
    # As it came: pydicom would spend a second on the conversions of 10,000 references.
    raw = dataset.get_item(_TAGS[keyword]).value
    # Padded with a blank instead of a zero byte by some.
    text = (raw.decode("ascii") if isinstance(raw, bytes) else str(raw)).rstrip(" \0")
    if not is_valid_uid(text):
        raise BadCommitmentError(f"{keyword} is no UID.")
    return text


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
