"""What the conformance statement says of the structured reports, read off one that was written.

Two documents are made: one of a study that says next to nothing, one of a study that says it all.
What stands in both is always there, what only the second has is there where its source has it.

Source: PS3.2 annex N (contents of created SOP instances), PS3.3 A.35.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from core.report import (
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    Section,
    SectionKind,
    StudyHeader,
)
from dicom_node import sr_terms
from dicom_node.conformance import Table
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor
from dicom_node.report_sr import build_sr
from dicom_node.sr_terms import Term

_UID = "1.2.3"
_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_COPIED, _MADE, _FIXED = "COPY", "AUTO", "FIXED"
# Where the value of each attribute comes from: in words of PS3.2, and in words for a person.
_SOURCES: dict[str, tuple[str, str]] = {
    "SpecificCharacterSet": (_FIXED, "`ISO_IR 192`: only UTF-8 holds both languages"),
    "InstanceCreationDate": (_MADE, "when the draft was recorded, in the site's local time"),
    "InstanceCreationTime": (_MADE, "the same"),
    "SOPClassUID": (_FIXED, "Basic Text SR Storage"),
    "SOPInstanceUID": (
        _MADE,
        "derived from study, report version and language: a retry makes no second object",
    ),
    "StudyDate": (_COPIED, "from the images; empty where it is no date"),
    "SeriesDate": (_MADE, "as Instance Creation Date"),
    "ContentDate": (_MADE, "as Instance Creation Date"),
    "StudyTime": (_COPIED, "from the images; empty where it is no time"),
    "SeriesTime": (_MADE, "as Instance Creation Time"),
    "ContentTime": (_MADE, "as Instance Creation Time"),
    "AccessionNumber": (_COPIED, "from the images; empty where it does not fit the VR"),
    "IssuerOfAccessionNumberSequence": (
        _COPIED,
        "Local Namespace Entity ID; the images' Universal Entity ID where they have no local one",
    ),
    "Modality": (_FIXED, "`SR`"),
    "Manufacturer": (_FIXED, "`Taqrir`"),
    "ReferringPhysicianName": (_COPIED, "from the images"),
    "TimezoneOffsetFromUTC": (_MADE, "the site's"),
    "StudyDescription": (_COPIED, "from the images, cut to 64 bytes of UTF-8"),
    "SeriesDescription": (_MADE, "`AI DRAFT`, the language, `- NOT VERIFIED`"),
    "ManufacturerModelName": (_MADE, "the model's name"),
    "ReferencedPerformedProcedureStepSequence": (_FIXED, "empty"),
    "PatientName": (_COPIED, "from the images, in UTF-8"),
    "PatientID": (_COPIED, "from the images; empty where it does not fit the VR"),
    "IssuerOfPatientID": (_COPIED, "from the images"),
    "PatientBirthDate": (_COPIED, "from the images; empty where it is no date"),
    "PatientSex": (_COPIED, "from the images; empty where it is none of M, F, O"),
    "DeviceUID": (_FIXED, "Taqrir's own; by it the node knows its own objects again"),
    "SoftwareVersions": (_MADE, "version of Taqrir; name and revision of the model"),
    "StudyInstanceUID": (_COPIED, "from the images"),
    "SeriesInstanceUID": (
        _MADE,
        "derived as the SOP Instance UID: each document has its own series",
    ),
    "StudyID": (_COPIED, "from the images; empty where it does not fit the VR"),
    "SeriesNumber": (_FIXED, "one for each language"),
    "InstanceNumber": (_MADE, "the report version"),
    "ValueType": (_FIXED, "`CONTAINER`"),
    "ConceptNameCodeSequence": (_FIXED, "the document's title"),
    "ContinuityOfContent": (_FIXED, "`SEPARATE`"),
    "AuthorObserverSequence": (_FIXED, "Taqrir as a device (`DEV`), with the model's name"),
    "PerformedProcedureCodeSequence": (_FIXED, "empty"),
    "ReferencedRequestSequence": (
        _COPIED,
        (
            "one item: Accession Number, Study Instance UID, Study Description as Requested "
            "Procedure Description; the other identifiers are empty"
        ),
    ),
    "PredecessorDocumentsSequence": (_MADE, "the same language's document that this one replaces"),
    "CurrentRequestedProcedureEvidenceSequence": (
        _MADE,
        "the images that the model saw; in Arabic the English document, too",
    ),
    "ReferencedInstanceSequence": (_MADE, "in Arabic: the English document as its source"),
    "CodingSchemeIdentificationSequence": (_FIXED, "`99TAQRIR`"),
    "CompletionFlag": (_FIXED, "`PARTIAL`"),
    "CompletionFlagDescription": (_FIXED, "the first sentence of the notice"),
    "VerificationFlag": (_FIXED, "`UNVERIFIED`"),
    "PreliminaryFlag": (_FIXED, "`PRELIMINARY`"),
    "ContentTemplateSequence": (_FIXED, "`DCMR` 2000"),
    "ContentSequence": (_MADE, "the content tree"),
}


def report_tables() -> dict[str, Table]:
    """Return the tables by the names that the page's marks have."""
    return {
        "report-attributes": _attributes(),
        "report-tree": _tree(),
        "report-codes": _codes(),
    }


def _document(language: Language, *, is_full: bool) -> Dataset:
    """Return a document of ours, of a study that says it all or next to nothing."""
    sections = [Section(kind=kind, text="Text") for kind in SectionKind]
    full = StudyHeader(
        study_uid=_UID,
        patient=Patient(id="1", issuer="Site", name="A^B", birth_date="20000101", sex="O"),
        study_id="1",
        accession_number="1",
        accession_issuer="Site",
        study_date="20260101",
        study_time="010101",
        description="Study",
        referring_physician="C^D",
    )
    frame = FrameReference(series_uid=_UID, sop_class_uid=uid.CTImageStorage, sop_instance_uid=_UID)
    report = Report(
        narratives=tuple(Narrative(language=one, sections=tuple(sections)) for one in Language),
        model=ModelVersion(name="Model", revision="1", is_demonstration=is_full),
        frames=(frame,) if is_full else (),
    )
    document = DocumentReference(sop_instance_uid=_UID, series_uid=_UID)
    data = build_sr(
        report=report,
        context=DocumentContext(
            header=full if is_full else StudyHeader(study_uid=_UID, patient=Patient()),
            report_version=2,
            created_at=_AT,
            software_version="1",
            predecessors=(Predecessor(document=document),) if is_full else (),
        ),
        language=language,
    )
    return dcmread(BytesIO(data))


def _attributes() -> Table:
    full = _document(Language.AR, is_full=True)
    bare = _document(Language.EN, is_full=False)
    rows = [
        (
            element.name,
            f"({element.tag.group:04X},{element.tag.element:04X})",
            element.VR,
            _presence(element.keyword, full, bare),
            *_SOURCES[element.keyword],
        )
        for element in full
    ]
    columns = ("Attribute", "Tag", "VR", "Presence", "Source", "Value")
    return Table(columns=columns, rows=tuple(rows))


def _presence(keyword: str, full: Dataset, bare: Dataset) -> str:
    """Return a presence code of PS3.2."""
    if full[keyword].is_empty:
        return "EMPTY"
    if keyword not in bare:
        return "ANAP"
    return "VNAP" if bare[keyword].is_empty else "ALWAYS"


def _tree() -> Table:
    document = _document(Language.EN, is_full=True)
    rows = [
        (
            "> " * depth + item.ValueType,
            item.get("RelationshipType", ""),
            _code(item.ConceptNameCodeSequence[0]),
            _value(item),
        )
        for depth, item in _walk(document)
    ]
    # There are two or three notices, a sentence each.
    unique = tuple(dict.fromkeys(rows))
    return Table(columns=("Content item", "Relationship", "Concept name", "Value"), rows=unique)


def _walk(item: Dataset, depth: int = 0) -> Iterator[tuple[int, Dataset]]:
    yield depth, item
    for child in item.get("ContentSequence", ()):
        yield from _walk(child, depth + 1)


def _code(item: Dataset) -> str:
    return f"({item.CodeValue}, {item.CodingSchemeDesignator}, {item.CodeMeaning})"


def _value(item: Dataset) -> str:
    name = item.ConceptNameCodeSequence[0].CodeValue
    if "ConceptCodeSequence" in item:
        if name == sr_terms.LANGUAGE.value:
            return " or ".join(_code(term.item()) for term in sr_terms.LANGUAGES.values())
        return _code(item.ConceptCodeSequence[0])
    if item.ValueType == "CONTAINER":
        return ""
    fixed = {
        sr_terms.DEVICE_UID_TERM.value: "Taqrir's own",
        sr_terms.DEVICE_NAME.value: "`Taqrir`",
        sr_terms.ALGORITHM_NAME.value: "the model's name",
        sr_terms.ALGORITHM_VERSION.value: "the model's revision",
        sr_terms.NOTICE.value: "a sentence: not verified; by which model; a demonstration",
        sr_terms.SOURCE_IMAGE.value: "an image, or a frame of it, that the model saw",
    }
    return fixed.get(name, "text of the section")


def _codes() -> Table:
    rows = {
        (f"`{term.value}`", term.scheme, term.english, term.arabic or "as in English")
        for value in vars(sr_terms).values()
        for term in _terms_in(value)
    }
    columns = ("Code value", "Coding scheme", "Meaning in English", "Meaning in Arabic")
    return Table(columns=columns, rows=tuple(sorted(rows, key=lambda row: (row[1], row[0]))))


def _terms_in(value: Any) -> Iterator[Term]:
    """Yield the terms that a name of `sr_terms` stands for: one, a table of some, pairs of some."""
    if isinstance(value, Term):
        yield value
    elif isinstance(value, dict | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _terms_in(inner)
