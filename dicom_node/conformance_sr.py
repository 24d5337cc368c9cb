"""What the conformance statement says of the objects that are created, read off some that were.

Source: PS3.2 annex N (contents of created SOP instances), PS3.3 A.35.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from core.report import Language, ReportStatus, standing
from dicom_node import sr_terms
from dicom_node.conformance import Table
from dicom_node.conformance_samples import (
    key_image,
    key_objects,
    pdf_object,
    structured_report,
)
from dicom_node.sr_terms import Term

_COPIED, _MADE, _FIXED = "COPY", "AUTO", "FIXED"
# Where the value of each attribute comes from: in words of PS3.2, and in words for a person.
_SOURCES: dict[str, tuple[str, str]] = {
    "SpecificCharacterSet": (_FIXED, "`ISO_IR 192`: only UTF-8 holds both languages"),
    "InstanceCreationDate": (_MADE, "when the text was recorded, in the site's local time"),
    "InstanceCreationTime": (_MADE, "the same"),
    "SOPClassUID": (_FIXED, "as this annex says"),
    "SOPInstanceUID": (
        _MADE,
        "derived from study, report version, kind and language: a retry makes no second object",
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
    "Modality": (_FIXED, "`SR`, `DOC`, `OT` or `KO`"),
    "Manufacturer": (_FIXED, "`Taqrir`"),
    "ReferringPhysicianName": (_COPIED, "from the images"),
    "TimezoneOffsetFromUTC": (_MADE, "the site's"),
    "StudyDescription": (_COPIED, "from the images, cut to 64 bytes of UTF-8"),
    "SeriesDescription": (_MADE, "the state's mark; language; `- NOT VERIFIED` unless signed"),
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
    "SeriesNumber": (_FIXED, "one for each kind and language"),
    "InstanceNumber": (_MADE, "the report version; of key images their number"),
    "ValueType": (_FIXED, "`CONTAINER`"),
    "ConceptNameCodeSequence": (_FIXED, "the document's title"),
    "VerifyingObserverSequence": (
        _MADE,
        "of a signed report: who signed, for whom, when (with offset); then who signed addenda",
    ),
    "ContinuityOfContent": (_FIXED, "`SEPARATE`"),
    "AuthorObserverSequence": (_FIXED, "Taqrir as a device (`DEV`), with the model's name"),
    "PerformedProcedureCodeSequence": (_FIXED, "empty"),
    "ReferencedRequestSequence": (
        _COPIED,
        (
            "an item for each order: accession, placer, filler and procedure numbers, description "
            "and code as the order says them; without one, Accession Number and Study Description"
        ),
    ),
    "PredecessorDocumentsSequence": (
        _MADE,
        "earlier documents of this kind and language, each with what became of it (CID 7009)",
    ),
    "CurrentRequestedProcedureEvidenceSequence": (
        _MADE,
        (
            "what is referred to, by series; in a final report all images of the study; in Arabic "
            "the English document, too"
        ),
    ),
    "ReferencedInstanceSequence": (_MADE, "in Arabic: the English document as its source"),
    "CodingSchemeIdentificationSequence": (_FIXED, "`99TAQRIR`"),
    "CompletionFlag": (_MADE, "by the state, as the table above"),
    "CompletionFlagDescription": (_FIXED, "the first sentence of the notice"),
    "VerificationFlag": (_MADE, "the same"),
    "PreliminaryFlag": (_MADE, "the same"),
    "ContentTemplateSequence": (_FIXED, "`DCMR` 2000; `DCMR` 2010 of a selection"),
    "ContentSequence": (_MADE, "the content tree"),
    # Encapsulated PDF.
    "ConversionType": (_FIXED, "`SYN` of a PDF, `WSD` of a key image"),
    "AcquisitionDateTime": (_FIXED, "empty"),
    "BurnedInAnnotation": (_FIXED, "`YES`"),
    "SourceInstanceSequence": (_MADE, "the images that the model saw"),
    "DocumentTitle": (_MADE, "the state's mark and the languages"),
    "MIMETypeOfEncapsulatedDocument": (_FIXED, "`application/pdf`"),
    "EncapsulatedDocument": (_MADE, "pages of each language, fonts embedded"),
    "EncapsulatedDocumentLength": (_MADE, "without the byte of padding"),
    # Key images.
    "ImageType": (_FIXED, "`DERIVED\\SECONDARY`"),
    "DerivationDescription": (_MADE, "why the frame was chosen"),
    "SourceImageSequence": (_MADE, "the image, and its frame where it has several"),
    "PatientOrientation": (_FIXED, "empty"),
    "Laterality": (_FIXED, "empty"),
    "SamplesPerPixel": (_FIXED, "3"),
    "PhotometricInterpretation": (_FIXED, "`RGB`"),
    "PlanarConfiguration": (_FIXED, "0"),
    "Rows": (_MADE, "of the picture; small ones are enlarged by a whole number"),
    "Columns": (_MADE, "the same"),
    "BitsAllocated": (_FIXED, "8"),
    "BitsStored": (_FIXED, "8"),
    "HighBit": (_FIXED, "7"),
    "PixelRepresentation": (_FIXED, "0"),
    "PixelData": (_MADE, "as the model saw it, windowed, the state in a strip burned in"),
}


def report_tables() -> dict[str, Table]:
    """Return the tables by the names that the page's marks have."""
    signed = structured_report(Language.EN, is_full=True)
    return {
        "report-states": _states(),
        "report-attributes": _attributes(
            structured_report(Language.AR, is_full=True),
            structured_report(Language.EN, is_full=False),
        ),
        "report-tree": _tree(signed),
        "pdf-attributes": _attributes(pdf_object(is_full=True), pdf_object(is_full=False)),
        "key-image-attributes": _attributes(key_image(is_full=True), key_image(is_full=False)),
        "key-objects-attributes": _attributes(
            key_objects(is_full=True), key_objects(is_full=False)
        ),
        "key-objects-tree": _tree(key_objects(is_full=True)),
        "report-codes": _codes(),
    }


def _states() -> Table:
    rows = []
    for status in ReportStatus:
        told = standing(status)
        flags = (told.completion_flag, told.verification_flag, told.preliminary_flag)
        first = told.notices[Language.EN].split(". ")[0].rstrip(".")
        rows.append((status.value, *(f"`{flag}`" for flag in flags), f"`{told.mark}`", first))
    columns = (
        "State",
        "Completion Flag",
        "Verification Flag",
        "Preliminary Flag",
        "Series Description begins",
        "First words of the text",
    )
    return Table(columns=columns, rows=tuple(rows))


def _attributes(full: Dataset, bare: Dataset) -> Table:
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


def _tree(document: Dataset) -> Table:
    rows = [
        (
            "> " * depth + item.ValueType,
            item.get("RelationshipType", ""),
            _name(item),
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


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence", ())
    if item.ValueType == "CONTAINER" and "ContentTemplateSequence" in item:
        return "the title"
    return _code(names[0]) if names else ""


def _code(item: Dataset) -> str:
    return f"({item.CodeValue}, {item.CodingSchemeDesignator}, {item.CodeMeaning})"


def _value(item: Dataset) -> str:
    if "ConceptNameCodeSequence" not in item:
        return "an object of the selection"
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
        sr_terms.PERSON_NAME.value: "who signed",
        sr_terms.PERSON_ORGANISATION.value: "for whom",
        sr_terms.PERSON_ID.value: "how the site knows the reader",
        sr_terms.KEY_OBJECT_DESCRIPTION.value: "a sentence for a person",
        sr_terms.NOTICE.value: "a sentence: the state; the model and who signed; a demonstration",
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
