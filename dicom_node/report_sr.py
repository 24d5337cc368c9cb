"""A report as DICOM Basic Text SR by TID 2000: draft, signed, corrected, addended and withdrawn.

One document a language, each a series of its own; or, for sites that ask for it, one document with
both. Everything that says how finished the report is (flags, mark, notices) comes from
`core.report.standing` and `core.report.notices`. The notices are the first section of the tree, so
that every viewer prints them before any text of the report; the mark also leads the Series
Description, which is what a list of series shows.

The same arguments give the same bytes. `build_sr` reads its own result back before it returns it.

Source: PS3.3 A.35.1, C.17; PS3.16 TID 1003, 1004, 1204, 2000.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import uid
from pydicom.dataset import Dataset

from core.identifiers import (
    DocumentKind,
    document_series_uid,
    document_uid,
)
from core.report import Language, Report, Signature, standing
from dicom_node import content_items as content
from dicom_node import document_writing as writing
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext, DocumentReference
from dicom_node.header_text import described, identified, named
from dicom_node.passages import Passage, passages
from dicom_node.sr_reading import (
    check_text,
    languages_of,
    read_back,
    series_description,
    signatures_of,
    to_lines,
    verify_sr,
)
from dicom_node.sr_terms import Term

__all__ = ["build_sr", "read_back", "verify_sr"]

# High, so that viewers list them behind the images; one a language, the same in every version.
_SERIES_NUMBERS = {Language.EN: 9901, Language.AR: 9902, None: 9903}
_NO_ORGANISATION = "not given"


def build_sr(*, report: Report, context: DocumentContext, language: Language | None) -> bytes:
    """Return a report in one language as a whole DICOM file, by `Report.status_of` that language.

    Args:
        report: What to write; it must have a narrative in the language.
        context: Patient, study, order, predecessors.
        language: Which narrative; None for one document with every language that is as finished
            as the report.

    Raises:
        KeyError: The report has no narrative in that language.
        TextIntegrityError: A text cannot be written so that it reads back as it was.
    """
    written = [(one, passages(report, context, one)) for one in languages_of(report, language)]
    # Everything is checked before anything is written.
    for _, parts in written:
        for passage in parts:
            for text in passage.texts:
                check_text(text)
    dataset = Dataset()
    with writing.refusing_loss():
        writing.write_beginning(
            dataset,
            context,
            report.model,
            sop_class_uid=uid.BasicTextSRStorage,
            kind=DocumentKind.SR,
            language=language,
        )
        _write_document(dataset, report, context, language)
        _write_references(dataset, report, context, language)
        dataset.ContentSequence = [
            *_observation_context(report, language),
            *(
                _section(one, passage, is_bilingual=language is None)
                for one, parts in written
                for passage in parts
            ),
            *_key_images(report, written[0][0]),
        ]
        data = writing.to_file(dataset)
    verify_sr(data, report=report, context=context, language=language)
    return data


def _write_document(
    dataset: Dataset, report: Report, context: DocumentContext, language: Language | None
) -> None:
    root_language = languages_of(report, language)[0]
    state = standing(report.status_of(root_language))
    dataset.Modality = "SR"
    dataset.SeriesNumber = _SERIES_NUMBERS[language]
    dataset.SeriesDescription = series_description(report, language)
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.InstanceNumber = context.report_version
    dataset.CompletionFlag = state.completion_flag
    # LO; the first sentence of the notice.
    dataset.CompletionFlagDescription = described(state.notices[Language.EN].split(". ")[0])
    dataset.VerificationFlag = state.verification_flag
    dataset.PreliminaryFlag = state.preliminary_flag
    if signatures := signatures_of(report, language):
        dataset.VerifyingObserverSequence = [_verifier(one) for one in signatures]
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ConceptNameCodeSequence = [terms.TITLE.item(root_language)]
    if language is not None:
        # Two languages in one document are not what TID 2000 allows: such a one does not name it.
        template = Dataset()
        template.MappingResource = "DCMR"
        template.TemplateIdentifier = "2000"
        dataset.ContentTemplateSequence = [template]


def _verifier(signature: Signature) -> Dataset:
    item = Dataset()
    item.VerifyingOrganization = described(signature.organisation) or _NO_ORGANISATION
    item.VerificationDateTime = signature.signed_at.strftime("%Y%m%d%H%M%S%z")[:19]
    item.VerifyingObserverName = named(signature.reader_name)
    item.VerifyingObserverIdentificationCodeSequence = []
    return item


def _write_references(
    dataset: Dataset, report: Report, context: DocumentContext, language: Language | None
) -> None:
    study = context.header.study_uid
    dataset.AuthorObserverSequence = [writing.author_item(report.model)]
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedRequestSequence = writing.request_items(context)
    writing.write_predecessors(dataset, study, context.predecessors)
    evidence = [*writing.frames_as_references(report.frames), *context.evidence]
    if _has_source(report, language):
        version = context.report_version
        source = DocumentReference(
            sop_instance_uid=document_uid(study, version, DocumentKind.SR, Language.EN),
            series_uid=document_series_uid(study, version, DocumentKind.SR, Language.EN),
        )
        item = writing.reference_item(source)
        item.PurposeOfReferenceCodeSequence = [terms.SOURCE_DOCUMENT.item()]
        dataset.ReferencedInstanceSequence = [item]
        # Listed as evidence too, since only there stands the series that it is to be found in.
        evidence.append(source)
    if evidence:
        dataset.CurrentRequestedProcedureEvidenceSequence = [
            writing.hierarchy_item(study, evidence)
        ]
    dataset.CodingSchemeIdentificationSequence = [writing.our_scheme()]


def _has_source(report: Report, language: Language | None) -> bool:
    """Tell whether an English document of this version stands beside one in another language."""
    if language is None or language is Language.EN:
        return False
    has_english = any(n.language is Language.EN for n in report.narratives)
    return has_english and report.status_of(Language.EN) is report.status_of(language)


def _observation_context(report: Report, language: Language | None) -> Iterator[Dataset]:
    """Yield language and observers; few items, since viewers print all before the first section."""
    context = "HAS OBS CONTEXT"
    root_language = languages_of(report, language)[0]
    yield content.code("HAS CONCEPT MOD", terms.LANGUAGE, terms.LANGUAGES[root_language])
    yield from content.device_observer()
    name, revision = described(report.model.name), described(report.model.revision)
    yield content.text(context, terms.ALGORITHM_NAME.item(), name or "unknown")
    yield content.text(context, terms.ALGORITHM_VERSION.item(), revision or "unknown")
    for signature in signatures_of(report, language):
        yield from _person(signature)


def _person(signature: Signature) -> Iterator[Dataset]:
    """Yield a reader by TID 1003."""
    context = "HAS OBS CONTEXT"
    yield content.code(context, terms.OBSERVER_TYPE, terms.PERSON)
    person = content.item(context, "PNAME", terms.PERSON_NAME.item())
    person.PersonName = named(signature.reader_name)
    yield person
    if organisation := described(signature.organisation):
        yield content.text(context, terms.PERSON_ORGANISATION.item(), organisation)
    if reader_id := identified(signature.reader_id, writing.LO_LENGTH):
        yield content.text(context, terms.PERSON_ID.item(), reader_id)


def _container(
    heading: Term, language: Language, items: list[Dataset], continuity: str = "SEPARATE"
) -> Dataset:
    section = content.item("CONTAINS", "CONTAINER", heading.item(language))
    section.ContinuityOfContent = continuity
    section.ContentSequence = items
    return section


def _section(language: Language, passage: Passage, *, is_bilingual: bool) -> Dataset:
    name = passage.element.item(language)
    items = [content.text("CONTAINS", name, to_lines(text, language)) for text in passage.texts]
    if is_bilingual:
        items.insert(0, content.code("HAS CONCEPT MOD", terms.LANGUAGE, terms.LANGUAGES[language]))
    # OHIF breaks the lines of continuous text only: a Finding by itself runs off the page, and of
    # an Arabic line it is the beginning that is out of sight.
    continuity = "CONTINUOUS" if len(passage.texts) == 1 else "SEPARATE"
    return _container(passage.heading, language, items, continuity)


def _key_images(report: Report, language: Language) -> list[Dataset]:
    images = writing.frames_as_references(report.frames)
    name = terms.SOURCE_IMAGE.item(language)
    items = [content.reference("IMAGE", image, name) for image in images]
    return [_container(terms.KEY_IMAGES, language, items)] if items else []
