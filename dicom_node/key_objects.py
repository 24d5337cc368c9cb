"""Key Object Selections: the images that a report stands on, or documents that nobody shall use.

A rejection names our own documents by the titles of IHE Imaging Object Change Management; an
archive that knows the profile then hides them. The documents themselves stay as they were.

Source: PS3.3 A.35.4; PS3.16 TID 2010, CID 7010, CID 7011; IHE RAD TF-3 4.66.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import uid
from pydicom.dataset import Dataset

from core.errors import TextIntegrityError
from core.identifiers import DocumentKind
from core.report import Language, ModelVersion
from dicom_node import PYDICOM_ERRORS
from dicom_node import content_items as content
from dicom_node import document_writing as writing
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext, DocumentReference, KeyObjectTitle
from dicom_node.sr_reading import check_text, from_lines, to_lines

_SERIES_NUMBERS = {DocumentKind.KEY_OBJECTS: 9906, DocumentKind.REJECTION: 9907}
# Named by COMPOSITE items; everything else that we name is an image.
_DOCUMENT_CLASSES = frozenset(
    {uid.BasicTextSRStorage, uid.EncapsulatedPDFStorage, uid.KeyObjectSelectionDocumentStorage}
)


def build_key_objects(
    *,
    title: KeyObjectTitle,
    references: Sequence[DocumentReference],
    model: ModelVersion,
    context: DocumentContext,
    text: str = "",
    language: Language = Language.EN,
) -> bytes:
    """Return a Key Object Selection as a whole DICOM file.

    Args:
        title: What it says of the objects.
        references: The objects, all of the context's study.
        model: The device's model, as in the report.
        context: Patient, study, order; the report version that is selected from or rejected.
        text: Key Object Description, a sentence for a person.
        language: Of the text.

    Raises:
        ValueError: There is nothing to select.
        TextIntegrityError: The text cannot be written so that it reads back as it was.
    """
    if not references:
        raise ValueError("a key object selection names at least one object")
    check_text(text)
    is_selection = title is KeyObjectTitle.OF_INTEREST
    kind = DocumentKind.KEY_OBJECTS if is_selection else DocumentKind.REJECTION
    study = context.header.study_uid
    dataset = Dataset()
    with writing.refusing_loss():
        writing.write_beginning(
            dataset,
            context,
            model,
            sop_class_uid=uid.KeyObjectSelectionDocumentStorage,
            kind=kind,
            language=None,
            number=0 if is_selection else int(title),
        )
        dataset.Modality = "KO"
        dataset.SeriesNumber = _SERIES_NUMBERS[kind]
        dataset.SeriesDescription = _series_description(title)
        dataset.ReferencedPerformedProcedureStepSequence = []
        dataset.InstanceNumber = context.report_version
        dataset.ReferencedRequestSequence = writing.request_items(context)
        dataset.CurrentRequestedProcedureEvidenceSequence = [
            writing.hierarchy_item(study, references)
        ]
        dataset.ValueType = "CONTAINER"
        dataset.ConceptNameCodeSequence = [terms.KEY_OBJECT_TITLES[title].item()]
        dataset.ContinuityOfContent = "SEPARATE"
        template = Dataset()
        template.MappingResource = "DCMR"
        template.TemplateIdentifier = "2010"
        dataset.ContentTemplateSequence = [template]
        dataset.ContentSequence = _tree(title, references, text, language)
        data = writing.to_file(dataset)
    verify_key_objects(data, title=title, references=references, context=context, text=text)
    return data


def verify_key_objects(
    data: bytes,
    *,
    title: KeyObjectTitle,
    references: Sequence[DocumentReference],
    context: DocumentContext,
    text: str = "",
) -> None:
    """Prove that a Key Object Selection says this of these objects, of the right patient.

    Raises:
        TextIntegrityError: It does not.
    """
    dataset = writing.from_file(data)
    writing.verify_patient_and_study(dataset, context.header)
    try:
        is_so = dataset.ConceptNameCodeSequence[0].CodeValue == title
        named = [
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for item in dataset.ContentSequence
            if item.ValueType in {"IMAGE", "COMPOSITE"}
        ]
        said = "".join(
            from_lines(item.TextValue, _language_of(dataset))
            for item in dataset.ContentSequence
            if item.ValueType == "TEXT" and _is_description(item)
        )
    except PYDICOM_ERRORS:
        raise TextIntegrityError("The bytes are no key object selection of ours.") from None
    wanted = [one.sop_instance_uid for one in references]
    if not is_so or named != wanted or said.rstrip(" ") != text.rstrip(" "):
        raise TextIntegrityError("The key object selection does not read back as it was written.")


def _series_description(title: KeyObjectTitle) -> str:
    if title is KeyObjectTitle.OF_INTEREST:
        return "AI KEY IMAGES"
    return "AI DRAFT REJECTED"


def _tree(
    title: KeyObjectTitle, references: Sequence[DocumentReference], text: str, language: Language
) -> list[Dataset]:
    """Return the content by TID 2010."""
    items = []
    if title is KeyObjectTitle.REJECTED_FOR_QUALITY:
        items.append(content.code("HAS CONCEPT MOD", terms.TITLE_MODIFIER, terms.OTHER_FAILURE))
    items.append(content.code("HAS CONCEPT MOD", terms.LANGUAGE, terms.LANGUAGES[language]))
    items += content.device_observer()
    if text:
        name = terms.KEY_OBJECT_DESCRIPTION.item()
        items.append(content.text("CONTAINS", name, to_lines(text, language)))
    for one in references:
        value_type = "COMPOSITE" if one.sop_class_uid in _DOCUMENT_CLASSES else "IMAGE"
        items.append(content.reference(value_type, one, None))
    return items


def _is_description(item: Dataset) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == terms.KEY_OBJECT_DESCRIPTION.value)


def _language_of(dataset: Dataset) -> Language:
    for item in dataset.ContentSequence:
        names = item.get("ConceptNameCodeSequence", ())
        if names and names[0].CodeValue == terms.LANGUAGE.value:
            return Language(item.ConceptCodeSequence[0].CodeValue)
    raise ValueError("no language")
