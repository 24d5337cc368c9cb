"""What an archive holds of a study: C-FIND as SCU, matched on UIDs only.

First the archive is asked for its own count, Number of Study Related Instances (0020,1208). Where
it gives none, or where its number is not the one that is hoped for, its images are listed series by
series: then it shows which objects are missing, and what is no image, or ours, does not count.

Only UIDs and a number are read of the answers, so an archive's character set cannot lead astray.

Source: PS3.4 C.4.1 (C-FIND), C.6.2 (study root), C.3.4 (attributes that only an answer holds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
)

from core.audit_messages import QueryObject
from core.errors import PeerRefusedError, PeerUnreachableError, TransientError
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.attributes import Attributes
from dicom_node.commitment_dataset import encode_dataset
from dicom_node.connecting import Peer, associate
from dicom_node.contexts import is_image
from dicom_node.header import InstanceHeader

_MODEL = StudyRootQueryRetrieveInformationModelFind
_SUCCESS = 0x0000
# PS3.4 C.4.1.1.4: matches are continuing, with and without every optional key.
_PENDING = frozenset((0xFF00, 0xFF01))
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
# An archive that ignores our key would list all that it holds.
_MAX_MATCHES = 50_000


@dataclass(frozen=True, kw_only=True)
class ArchivedStudy:
    """What an archive says that it holds of a study.

    Attributes:
        count: Objects of every kind; None where the archive does not say.
        images: SOP Instance UIDs of its images; None where they were not asked for. An object whose
            SOP class the archive does not tell is taken for an image.
    """

    count: int | None = None
    images: frozenset[str] | None = None


def _tell_nobody(query: QueryObject) -> None:
    """Keep no trail of a query."""
    del query


def ask_archive(
    peer: Peer,
    study_uid: str,
    *,
    enough: int | None = None,
    on_query: Callable[[QueryObject], None] = _tell_nobody,
) -> ArchivedStudy:
    """Ask an archive what it holds of a study.

    Args:
        peer: The archive.
        study_uid: Study Instance UID, the only key.
        enough: With this very count the images are not listed; None: they are always.
        on_query: Hears of each C-FIND before it is sent: the audit trail.

    Raises:
        PeerUnreachableError: No connection, or no answer in time.
        PeerRefusedError: The answer was no, or cannot be understood.
        TransientError: The answer was "not now".
    """
    context = build_context(_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    with associate(peer, [context]) as association:
        query = _Query(association, peer, study_uid, on_query)
        count = query.count()
        if count == 0 or (count is not None and count == enough):
            return ArchivedStudy(count=count)
        try:
            return ArchivedStudy(count=count, images=query.images())
        except (PeerRefusedError, TransientError):
            # It answers for studies only; its count is better than nothing.
            if count is None:
                raise
            return ArchivedStudy(count=count)


def lists_instance(
    peer: Peer,
    instance: InstanceHeader,
    *,
    on_query: Callable[[QueryObject], None] = _tell_nobody,
) -> bool:
    """Tell whether an archive lists an object (C-FIND at instance level).

    Raises:
        PeerUnreachableError: No connection, or no answer in time.
        PeerRefusedError: The answer was no, or cannot be understood.
        TransientError: The answer was "not now".
    """
    context = build_context(_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    with associate(peer, [context]) as association:
        query = _Query(association, peer, instance.study_uid, on_query)
        return query.has_instance(instance.series_uid, instance.sop_instance_uid)


@dataclass(frozen=True, kw_only=True)
class _Match:
    """What is read of one answer."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    count: int | None


class _Query:
    """Queries for one study in one association."""

    def __init__(
        self,
        association: Association,
        peer: Peer,
        study_uid: str,
        on_query: Callable[[QueryObject], None],
    ) -> None:
        self._on_query = on_query
        self._association = association
        self._peer = peer
        self._study_uid = study_uid
        self._matches = 0

    def count(self) -> int | None:
        """Return the archive's own count; 0 where it does not know the study, None: not given."""
        counts = [match.count for match in self._find("STUDY", NumberOfStudyRelatedInstances=None)]
        known = [count for count in counts if count is not None and count >= 0]
        # One study may stand there twice, under two patients.
        return sum(known) if len(known) == len(counts) else None

    def images(self) -> frozenset[str]:
        """Return the SOP Instance UIDs of the archive's images, asked for series by series.

        Series by series, since relational queries are an option that few archives have
        (PS3.4 C.4.1.2.2.1).
        """
        found: set[str] = set()
        series = {match.series_uid for match in self._find("SERIES")}
        for uid in sorted(series - {""}):
            for match in self._find("IMAGE", series_uid=uid, SOPClassUID=""):
                if not match.sop_class_uid or is_image(match.sop_class_uid):
                    found.add(match.sop_instance_uid)
        return frozenset(found - {""})

    def has_instance(self, series_uid: str, uid: str) -> bool:
        """Tell whether the archive lists one object of the study; one that ignores keys lists more.

        Every match is read to the end: an association that is left in the middle of an answer
        cannot be released.
        """
        matches = list(self._find("IMAGE", series_uid=series_uid, SOPInstanceUID=uid))
        return any(match.sop_instance_uid == uid for match in matches)

    def _find(self, level: str, *, series_uid: str = "", **wanted: str | None) -> Iterator[_Match]:
        """Yield the matches that are of our study, whatever else the archive answers."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        identifier.StudyInstanceUID = self._study_uid
        if level != "STUDY":
            identifier.SeriesInstanceUID = series_uid
        if level == "IMAGE":
            identifier.SOPInstanceUID = ""
        for keyword, value in wanted.items():
            setattr(identifier, keyword, value)
        # The unique keys of the levels above may be left out of an answer, a level's own may not.
        studies = {self._study_uid} if level == "STUDY" else {self._study_uid, ""}
        for match in self._answers(identifier):
            is_of_series = not series_uid or match.series_uid in {series_uid, ""}
            if match.study_uid in studies and is_of_series:
                yield match

    def _answers(self, identifier: Dataset) -> Iterator[_Match]:
        encoded = encode_dataset(identifier, ExplicitVRLittleEndian)
        self._on_query(
            QueryObject(
                sop_class_uid=str(_MODEL),
                identifier=encoded,
                transfer_syntax_uid=str(ExplicitVRLittleEndian),
            )
        )
        unintelligible = f"{self._peer} answered C-FIND with what cannot be understood."
        try:
            for status, found in self._association.send_c_find(identifier, _MODEL):
                code = status.get("Status")
                if code is None:
                    raise PeerUnreachableError(f"{self._peer} gave no answer to a C-FIND.")
                if code == _SUCCESS:
                    return
                if code not in _PENDING:
                    raise self._refusal(int(code))
                if found is None:
                    raise PeerRefusedError(unintelligible)
                yield self._read(found)
        except (RuntimeError, OSError):
            raise PeerUnreachableError(f"The connection to {self._peer} broke.") from None
        except PYDICOM_ERRORS:
            raise PeerRefusedError(unintelligible) from None

    def _read(self, found: Dataset) -> _Match:
        self._matches += 1
        if self._matches > _MAX_MATCHES:
            raise PeerRefusedError(f"{self._peer} lists more than was asked for.")
        with pydicom_warnings("ignore"):
            attributes = Attributes(found)
            return _Match(
                study_uid=attributes.code("StudyInstanceUID"),
                series_uid=attributes.code("SeriesInstanceUID"),
                sop_instance_uid=attributes.code("SOPInstanceUID"),
                sop_class_uid=attributes.code("SOPClassUID"),
                count=attributes.integer("NumberOfStudyRelatedInstances"),
            )

    def _refusal(self, status: int) -> Exception:
        sentence = f"{self._peer} answered C-FIND with status {status:04X}."
        if status in _OUT_OF_RESOURCES:
            return TransientError(sentence)
        return PeerRefusedError(sentence)
