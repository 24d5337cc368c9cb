"""What a person signs: the text as it was read or edited, under whose name, and what changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.errors import SigningRefusedError
from core.report import Language, Narrative, Report, ReportStatus, Signature
from dicom_node.sr_reading import check_text
from worker.parts import Parts
from worker.rechecking import recheck

_LONGEST_NAME, _LONGEST_ID = 300, 64


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who decides.

    Attributes:
        name: In DICOM form (``Darwish^Mona=درويش^منى``) or as it is spoken.
        id: How the site knows the reader.
        account: Of the operating system, or of the page: who was at the keyboard.
    """

    name: str = field(repr=False)
    id: str = field(repr=False)
    account: str


def signed_report(
    parts: Parts,
    report: Report,
    edited: Report | None,
    languages: tuple[Language, ...],
    reader: Reader,
    *,
    status: ReportStatus,
) -> tuple[Report, list[dict[str, str]]]:
    """Return the report as it is signed, with what the checks say, and what was changed in it.

    Raises:
        SigningRefusedError: The text may not be signed.
    """
    present = [narrative.language for narrative in report.narratives]
    if not languages or len(set(languages)) != len(languages):
        raise SigningRefusedError("Name each language that is signed once, at least one.")
    if missing := [language for language in languages if language not in present]:
        raise SigningRefusedError(f"The report has no text in {', '.join(missing)}.")
    if edited is not None and _frames(edited) != _frames(report):
        raise SigningRefusedError(
            "The edited report names other frames than the draft: it was written on other images."
        )
    _require_sections_once(edited or report)
    edits = _edits(report, edited or report, languages)
    narratives = report.narratives
    if edited is not None:
        narratives = tuple(
            edited.narrative(n.language) if n.language in languages else n
            for n in report.narratives
        )
    for narrative in narratives:
        for section in narrative.sections:
            check_text(section.text)
    others = tuple(language for language in present if language not in languages)
    signed = replace(
        report,
        narratives=narratives,
        status=status,
        signature=signature_of(parts, reader, languages),
        withdrawn=others if edits else tuple(o for o in report.withdrawn if o in others),
        # They are of the draft's sentences.
        confidences=(),
    )
    signed = replace(signed, findings=recheck(signed, languages))
    if signed.blocking:
        reasons = " ".join(finding.message for finding in signed.blocking)
        raise SigningRefusedError(f"English and Arabic say different things: {reasons}")
    return signed, edits


def _frames(report: Report) -> list[tuple[str, int]]:
    return [(frame.sop_instance_uid, frame.frame_number) for frame in report.frames]


def _require_sections_once(report: Report) -> None:
    for narrative in report.narratives:
        kinds = [section.kind for section in narrative.sections]
        if len(set(kinds)) != len(kinds):
            raise SigningRefusedError(f"A section stands twice in {narrative.language}.")


def _edits(report: Report, edited: Report, languages: tuple[Language, ...]) -> list[dict[str, str]]:
    """Return what was changed, section by section.

    Raises:
        SigningRefusedError: A language was changed that is not signed, or is missing.
    """
    there = {narrative.language for narrative in edited.narratives}
    if missing := [language for language in languages if language not in there]:
        raise SigningRefusedError(f"The edited report has no text in {', '.join(missing)}.")
    edits = [
        edit
        for narrative in report.narratives
        if narrative.language in there
        for edit in _differences(narrative, edited.narrative(narrative.language))
    ]
    if others := {edit["language"] for edit in edits} - set(languages):
        raise SigningRefusedError(
            f"The text in {', '.join(sorted(others))} was changed and is not signed: name that "
            "language too, or leave it as it was."
        )
    return edits


def _differences(read: Narrative, signed: Narrative) -> list[dict[str, str]]:
    before = {section.kind: section.text for section in read.sections}
    after = {section.kind: section.text for section in signed.sections}
    return [
        {
            "language": read.language,
            "section": kind,
            "before": before.get(kind, ""),
            "after": after.get(kind, ""),
        }
        for kind in dict.fromkeys((*before, *after))
        if before.get(kind, "") != after.get(kind, "")
    ]


def signature_of(parts: Parts, reader: Reader, languages: tuple[Language, ...]) -> Signature:
    """Return a reader's signature of this moment.

    Raises:
        SigningRefusedError: The reader's name or id cannot be written.
    """
    check_reader(reader)
    return Signature(
        reader_name=reader.name.strip(),
        reader_id=reader.id.strip(),
        signed_at=parts.clock().astimezone(),
        languages=languages,
        organisation=parts.settings.signing.organisation,
    )


def check_reader(reader: Reader) -> None:
    """Refuse a reader whose name or id a document or message could not carry.

    Raises:
        SigningRefusedError: It could not.
    """
    for what, text, longest in (
        ("name", reader.name, _LONGEST_NAME),
        ("id", reader.id, _LONGEST_ID),
    ):
        is_blank = not text.strip("^= \t")
        if is_blank or len(text) > longest or not text.isprintable() or "\\" in text:
            raise SigningRefusedError(
                f"The reader's {what} takes 1 to {longest} printable letters without a backslash."
            )
