"""How text stands in our structured reports, and the proof that it survived.

Lines are parted by CR LF, as DICOM text has them. Each Arabic line stands between the marks U+2067
and U+2069 (right-to-left isolate), since viewers print it in a left-to-right page; reading takes
exactly one pair off each line, so marks of the text's own stay.

Source: PS3.5 6.1.3, 6.2 (UT).
"""

from __future__ import annotations

import unicodedata

from pydicom.dataset import Dataset

from core.errors import TextIntegrityError
from core.report import Language, Report, SectionKind, Signature, standing
from dicom_node import PYDICOM_ERRORS
from dicom_node import sr_terms as terms
from dicom_node.document_writing import from_file, verify_patient_and_study
from dicom_node.documents import DocumentContext
from dicom_node.header_text import named
from dicom_node.passages import ADDENDUM, COMPARISON, NOTICES, passages

_RIGHT_TO_LEFT_ISOLATE, _POP_ISOLATE = "\u2067", "\u2069"
# What a character set that cannot hold a text makes of it.
_SIGNS_OF_LOSS = ("\ufffd", "????")
_ALLOWED_CONTROLS = frozenset("\n\t")
_NAMES = {
    terms.NOTICE.value: NOTICES,
    terms.COMPARISON[0].value: COMPARISON,
    terms.ADDENDUM.value: ADDENDUM,
} | {terms.SECTIONS[kind][0].value: kind.value for kind in SectionKind}


def check_text(text: str) -> None:
    """Refuse a text that a UT could not hold as it is, or that was damaged before it came here.

    Raises:
        TextIntegrityError: It holds a control character, a lone surrogate or a sign of loss.
    """
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in _ALLOWED_CONTROLS):
            raise TextIntegrityError(
                f"The text holds U+{ord(character):04X}, which a DICOM text cannot carry."
            )
    if any(sign in text for sign in _SIGNS_OF_LOSS):
        raise TextIntegrityError("The text holds replacement characters: letters were lost.")


def to_lines(text: str, language: Language) -> str:
    """Return a text as it is written into Text Value."""
    return "\r\n".join(_isolate(line, language) for line in text.split("\n"))


def _isolate(line: str, language: Language) -> str:
    if language is not Language.AR or not line:
        return line
    return f"{_RIGHT_TO_LEFT_ISOLATE}{line}{_POP_ISOLATE}"


def from_lines(text: str, language: Language) -> str:
    """Return a text as it was before `to_lines`."""
    return "\n".join(_without_isolate(line, language) for line in text.split("\r\n"))


def _without_isolate(line: str, language: Language) -> str:
    is_isolated = language is Language.AR
    if is_isolated and line.startswith(_RIGHT_TO_LEFT_ISOLATE) and line.endswith(_POP_ISOLATE):
        return line[1:-1]
    return line


def languages_of(report: Report, language: Language | None) -> tuple[Language, ...]:
    """Return the languages of a document: the one asked for, else all that are equally finished.

    Raises:
        KeyError: The report has no such narrative.
    """
    if language is None:
        return report.languages_in_status
    return (report.narrative(language).language,)


def signatures_of(report: Report, language: Language | None) -> tuple[Signature, ...]:
    """Return who answers for a document: who signed its text, then who signed addenda in it."""
    if report.signature is None:
        return ()
    languages = set(languages_of(report, language))
    if not languages & set(report.signature.languages):
        return ()
    added = [a.signature for a in report.addenda if languages & set(a.signature.languages)]
    return (report.signature, *added)


def series_description(report: Report, language: Language | None) -> str:
    """Return state and language: lists of series show the first 20 letters or so."""
    languages = languages_of(report, language)
    state = standing(report.status_of(languages[0]))
    warning = "" if state.is_final else " - NOT VERIFIED"
    return f"{state.mark} {'+'.join(one.upper() for one in languages)}{warning}"


def read_back(data: bytes) -> dict[str, str]:
    """Return the texts of one of our documents by section kind, the notices under ``notices``.

    Several sections of a kind, and the several notices, are parted by a line feed.

    Raises:
        TextIntegrityError: The bytes are no document of ours.
    """
    texts: dict[str, str] = {}
    for _, name, text in _read_sections(from_file(data)):
        texts[name] = f"{texts[name]}\n{text}" if name in texts else text
    return texts


def verify_sr(
    data: bytes, *, report: Report, context: DocumentContext, language: Language | None
) -> None:
    """Prove that a document says what the report says, of the right patient, no more finished.

    Raises:
        KeyError: The report has no narrative in that language.
        TextIntegrityError: A text, a notice, a name or a flag differs, or letters were lost.
    """
    dataset = from_file(data)
    sections = _read_sections(dataset)
    for _, _, text in sections:
        check_text(text)
    wanted = [
        (one, passage.name, text)
        for one in languages_of(report, language)
        for passage in passages(report, context, one)
        for text in passage.texts
    ]
    if len(sections) != len(wanted) or not all(map(_says, sections, wanted)):
        raise TextIntegrityError("The structured report does not read back as it was written.")
    verify_patient_and_study(dataset, context.header)
    _verify_standing(dataset, report, language)


def _says(section: tuple[str, str, str], wanted: tuple[str, str, str]) -> bool:
    """Compare; spaces at the end of a UT are padding (PS3.5 6.2) and may be gone."""
    return section[:2] == wanted[:2] and section[2] in {wanted[2], wanted[2].rstrip(" ")}


def _verify_standing(dataset: Dataset, report: Report, language: Language | None) -> None:
    state = standing(report.status_of(languages_of(report, language)[0]))
    written = (
        dataset.get("CompletionFlag"),
        dataset.get("VerificationFlag"),
        dataset.get("PreliminaryFlag"),
    )
    if written != (state.completion_flag, state.verification_flag, state.preliminary_flag):
        raise TextIntegrityError("The flags of the structured report are not those of its state.")
    if dataset.get("SeriesDescription") != series_description(report, language):
        raise TextIntegrityError("The series description does not say the state.")
    verifiers = [str(v.VerifyingObserverName) for v in dataset.get("VerifyingObserverSequence", ())]
    if verifiers != [named(one.reader_name) for one in signatures_of(report, language)]:
        raise TextIntegrityError("The structured report does not name who signed it.")


def _read_sections(dataset: Dataset) -> list[tuple[str, str, str]]:
    """Return language, name and text of each text."""
    found: list[tuple[str, str, str]] = []
    try:
        root_language = _language_in(dataset)
        if root_language is None:
            raise ValueError("no language")
        for container in dataset.ContentSequence:
            name = _NAMES.get(container.ConceptNameCodeSequence[0].CodeValue)
            if container.ValueType != "CONTAINER" or name is None:
                continue
            language = _language_in(container) or root_language
            found += [
                (language, name, from_lines(item.TextValue, language))
                for item in container.ContentSequence
                if item.ValueType == "TEXT"
            ]
    except PYDICOM_ERRORS:
        raise TextIntegrityError("The bytes are no structured report of ours.") from None
    return found


def _language_in(container: Dataset) -> Language | None:
    """Return what a container says by TID 1204."""
    for item in container.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == terms.LANGUAGE.value:
            return Language(item.ConceptCodeSequence[0].CodeValue)
    return None
