"""How text stands in our structured reports, and the proof that it survived.

Lines are parted by CR LF, as DICOM text has them. Each Arabic line stands between the marks U+2067
and U+2069 (right-to-left isolate), since viewers print it in a left-to-right page; reading takes
exactly one pair off each line, so marks of the text's own stay.

Source: PS3.5 6.1.3, 6.2 (UT).
"""

from __future__ import annotations

import unicodedata
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from core.errors import TextIntegrityError
from core.report import Language, Report, notices, standing
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node import sr_terms as terms

_RIGHT_TO_LEFT_ISOLATE, _POP_ISOLATE = "\u2067", "\u2069"
# What a character set that cannot hold a text makes of it.
_SIGNS_OF_LOSS = ("\ufffd", "????")
_ALLOWED_CONTROLS = frozenset("\n\t")
NOTICES = "notices"


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


def _from_lines(text: str, language: Language) -> str:
    return "\n".join(_without_isolate(line, language) for line in text.split("\r\n"))


def _without_isolate(line: str, language: Language) -> str:
    is_isolated = language is Language.AR
    if is_isolated and line.startswith(_RIGHT_TO_LEFT_ISOLATE) and line.endswith(_POP_ISOLATE):
        return line[1:-1]
    return line


def read_back(data: bytes) -> dict[str, str]:
    """Return the texts of one of our documents by section kind, the notices under ``notices``.

    Several sections of a kind, and the several notices, are parted by a line feed.

    Raises:
        TextIntegrityError: The bytes are no document of ours.
    """
    texts: dict[str, str] = {}
    for name, text in _read_sections(_parse(data)):
        texts[name] = f"{texts[name]}\n{text}" if name in texts else text
    return texts


def verify_sr(data: bytes, report: Report, language: Language) -> None:
    """Prove that a document says what the report says, no more finished than it is.

    Raises:
        TextIntegrityError: A text, a notice or a flag differs, or letters were lost.
    """
    dataset = _parse(data)
    sections = _read_sections(dataset)
    for _, text in sections:
        check_text(text)
    written = report.narrative(language).sections
    wanted = [(NOTICES, notice) for notice in notices(report, language)]
    wanted += [(s.kind.value, s.text) for s in written if s.text.strip()]
    if len(sections) != len(wanted) or not all(map(_says, sections, wanted)):
        raise TextIntegrityError("The structured report does not read back as it was written.")
    _verify_standing(dataset, report, language)


def _says(section: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """Compare; spaces at the end of a UT are padding (PS3.5 6.2) and may be gone."""
    return section[0] == wanted[0] and section[1] in {wanted[1], wanted[1].rstrip(" ")}


def _verify_standing(dataset: Dataset, report: Report, language: Language) -> None:
    state = standing(report.status)
    written = (
        dataset.get("CompletionFlag"),
        dataset.get("VerificationFlag"),
        dataset.get("PreliminaryFlag"),
    )
    if written != (state.completion_flag, state.verification_flag, state.preliminary_flag):
        raise TextIntegrityError("The flags of the structured report are not those of its state.")
    if not str(dataset.get("SeriesDescription")).startswith(f"{state.mark} {language.upper()}"):
        raise TextIntegrityError("The series description does not begin with the state.")


def _parse(data: bytes) -> Dataset:
    with pydicom_warnings("error"):
        try:
            dataset = dcmread(BytesIO(data))
            # Conversion happens on access; here every element is touched under our rule.
            dataset.walk(lambda _dataset, _element: None)
        except (*PYDICOM_ERRORS, Warning):
            raise TextIntegrityError("The structured report cannot be read back.") from None
    return dataset


def _read_sections(dataset: Dataset) -> list[tuple[str, str]]:
    names = {heading.value: kind.value for kind, (heading, _) in terms.SECTIONS.items()}
    names[terms.NOTICE.value] = NOTICES
    found: list[tuple[str, str]] = []
    try:
        language = _language_of(dataset)
        for container in dataset.ContentSequence:
            name = names.get(container.ConceptNameCodeSequence[0].CodeValue)
            if container.ValueType != "CONTAINER" or name is None:
                continue
            found += [
                (name, _from_lines(item.TextValue, language)) for item in container.ContentSequence
            ]
    except PYDICOM_ERRORS:
        raise TextIntegrityError("The bytes are no structured report of ours.") from None
    return found


def _language_of(dataset: Dataset) -> Language:
    """Return what the root says by TID 1204."""
    for item in dataset.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == terms.LANGUAGE.value:
            return Language(item.ConceptCodeSequence[0].CodeValue)
    raise ValueError("no language")
