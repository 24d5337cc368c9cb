"""What stands around a report in each of its DICOM objects, whatever their kind.

Every builder (`report_sr`, `report_pdf`, `key_image`, `key_objects`) takes a `DocumentContext`. The
same report and the same context give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydicom import uid

from core.report import PriorStudy, RequestReference, StudyHeader


class Purpose(StrEnum):
    """Why a document names its predecessor (PS3.16 CID 7009)."""

    REPLACED = "121360"
    ADDENDED = "121361"
    PRELIMINARY = "121362"


class KeyObjectTitle(StrEnum):
    """What a Key Object Selection says of its objects (PS3.16 CID 7010).

    The rejections are those of IHE Imaging Object Change Management: an archive that knows the
    profile hides what is rejected for safety, and shows what is rejected for quality on demand.
    """

    OF_INTEREST = "113000"
    REJECTED_FOR_QUALITY = "113001"
    REJECTED_FOR_SAFETY = "113037"


@dataclass(frozen=True, kw_only=True)
class DocumentReference:
    """Another DICOM object of the same study.

    Attributes:
        frame_number: Of an image with several frames, the one that is meant; 0 for the whole.
    """

    sop_instance_uid: str
    series_uid: str
    sop_class_uid: str = uid.BasicTextSRStorage
    frame_number: int = 0


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """An earlier document that a document follows, and what became of it."""

    document: DocumentReference
    purpose: Purpose = Purpose.REPLACED


@dataclass(frozen=True, kw_only=True)
class DocumentContext:
    """Patient, study, order and history of a document.

    Attributes:
        header: Patient and study as they are known now, so that viewers show one patient.
        report_version: Decides the UIDs, with study, kind and language.
        created_at: Its offset becomes Timezone Offset From UTC, which also holds for
            the study's date and time: hand over the site's local time.
        software_version: Of Taqrir.
        predecessors: Earlier documents of the same kind and language.
        requests: The orders that the study was made for; without any the header's own accession
            number stands for one.
        evidence: What else of the study the report stands on; a final report names all its images.
        prior_studies: What an archive listed of the patient; empty also where nobody asked.

    Raises:
        ValueError: `created_at` has no offset.
    """

    header: StudyHeader
    report_version: int
    created_at: datetime
    software_version: str
    predecessors: tuple[Predecessor, ...] = ()
    requests: tuple[RequestReference, ...] = ()
    evidence: tuple[DocumentReference, ...] = ()
    prior_studies: tuple[PriorStudy, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.created_at.utcoffset() is None:
            raise ValueError("created_at needs an offset")
