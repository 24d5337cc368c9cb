"""What a kind of destination has to bring: which objects it takes, and render, verify, send.

A new kind is a module beside this one with a class that fits `Destination`, a section of the
settings, and a line in `worker.destinations`. Nothing else asks what kind a destination is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.audit_messages import QueryObject
from core.drafting import ModelImage
from core.orders import OrderReference
from core.report import Report, ReportStatus, StudyHeader
from dicom_node.documents import DocumentReference


@dataclass(frozen=True, kw_only=True)
class Issue:
    """A report version that is to be sent: what a destination chooses its objects from.

    Attributes:
        has_drafts_out: Documents of earlier versions that no person signed are with peers, and were
            not rejected yet.
    """

    study_uid: str
    report_version: int
    report: Report
    has_drafts_out: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """One object that a destination takes.

    Two destinations that name the same UID get the same bytes.

    Attributes:
        kind: ``sr``, ``oru`` and so on; at most 8 letters.
        language: RFC 5646 tag; empty where the object holds all of them.
        uid: SOP Instance UID or message control id, at most 64 characters.
    """

    kind: str
    language: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class EarlierDocument:
    """An object of an earlier version of the same study.

    Attributes:
        status: How finished its language was.
        content: What this very destination was sent; None where another has it.
    """

    kind: str
    language: str
    uid: str
    report_version: int
    status: ReportStatus = ReportStatus.DRAFT
    content: bytes | None = None


def _no_images() -> Sequence[ModelImage]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that an object is made of; the same source gives the same bytes.

    Attributes:
        predecessors: Earlier objects of the same kind and language that peers have, or may have,
            what goes to this very destination first.
        drafts_out: What a rejection names, as `Issue.has_drafts_out` means it.
        evidence: All images of the study, for a final report.
        is_fixed: An earlier attempt made the bytes, of the order as it was then.
        load_images: Makes the pictures that the model saw; those that can no longer be read are
            left out.
    """

    report: Report
    header: StudyHeader
    kind: str
    language: str
    uid: str
    report_version: int
    created_at: datetime
    predecessors: tuple[EarlierDocument, ...] = ()
    order: OrderReference = field(default_factory=OrderReference)
    drafts_out: tuple[EarlierDocument, ...] = ()
    evidence: tuple[DocumentReference, ...] = ()
    is_fixed: bool = False
    load_images: Callable[[], Sequence[ModelImage]] = field(default=_no_images, repr=False)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A destination as the audit trail names it (PS3.15 A.5.3.7)."""

    ae_title: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A peer's yes.

    Attributes:
        note: What it said beside it, in words of ours.
        is_doubtful: It leaves open what the peer keeps, so that the object is looked up.
    """

    note: str = ""
    is_doubtful: bool = False


class Proof(StrEnum):
    """How it is proved that an archive keeps an object (`confirm` in the settings)."""

    NONE = "none"
    FIND = "find"
    COMMITMENT = "commitment"


class Destination(Protocol):
    """One configured destination."""

    @property
    def name(self) -> str:
        """Its name in rows, log and timeline, such as ``pacs:main``."""

    @property
    def per_minute(self) -> int:
        """The most attempts in a minute that it wants; 0: as many as it takes."""

    @property
    def recipient(self) -> Recipient | None:
        """Whom the audit trail is told of; None: what it takes are no DICOM instances."""

    def items(self, issue: Issue) -> Sequence[Item]:
        """Return the objects that it takes of a report, in the order in which they are to go."""

    def render(self, source: Source) -> bytes:
        """Return an object as it goes out.

        Raises:
            PermanentError: It cannot be made.
        """

    def verify(self, content: bytes, source: Source) -> None:
        """Read back what is about to go and compare it with the report.

        Raises:
            TextIntegrityError: A letter, a flag or an identity differs.
        """

    def send(self, content: bytes) -> Receipt:
        """Hand an object over; return the peer's yes.

        Raises:
            TransientError: Nobody knows whether it arrived, or the peer said: later.
            PermanentError: The peer said no.
        """


class Archive(Destination, Protocol):
    """A destination that can be asked afterwards what it keeps."""

    @property
    def proof(self) -> Proof:
        """Which proof the site wants of it."""

    def holds(self, content: bytes, on_query: Callable[[QueryObject], None]) -> bool:
        """Tell whether it lists an object.

        Args:
            content: The object as it was sent.
            on_query: Hears of a DICOM query before it is sent: the audit trail.

        Raises:
            TransientError: It did not say.
            PermanentError: It will not say.
        """
