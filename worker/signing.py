"""A person decides on a report: signs it, rejects it, corrects or adds to what was signed.

Each function is one transaction: the study's state, the new report version with its deliveries, and
the lines of timeline and audit trail are written together or not at all. A decision is about one
version that somebody has read; where another is current by now, it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from core import outbox, store, versions
from core.audit_events import StudyInstances
from core.database import reading, writing
from core.errors import SigningRefusedError
from core.lifecycle import Event, Origin, State
from core.log import log
from core.report import (
    Addendum,
    Finding,
    Language,
    Narrative,
    Report,
    ReportStatus,
    Signature,
    from_json,
)
from core.tables import Draft, Study
from dicom_node.sr_reading import check_text
from worker.issuing import issue
from worker.parts import Parts
from worker.rechecking import recheck
from worker.withdrawal import withdraw

_log = log(__name__)
_DRAFTS = frozenset((Origin.MODEL, Origin.RENEWED))
_LONGEST_NAME, _LONGEST_ID, _LONGEST_REASON = 300, 64, 200


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


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a decision led to.

    Attributes:
        report_version: The new one; of a rejection the one that was rejected.
        findings: What the checks say of the signed text; none of them blocks.
        edits: How many sections were changed against what was read.
    """

    study_uid: str
    report_version: int
    findings: tuple[Finding, ...] = ()
    edits: int = 0


@dataclass(frozen=True, kw_only=True)
class _Version:
    """A version that a decision makes.

    Attributes:
        against: The version that was decided on.
        edits: What was changed against it.
    """

    study: Study
    against: Draft
    report: Report
    event: Event
    reader: Reader
    languages: tuple[Language, ...]
    edits: list[dict[str, str]]


def sign(
    parts: Parts,
    study: int,
    *,
    version: int,
    languages: tuple[Language, ...],
    reader: Reader,
    edited: Report | None = None,
) -> Decision:
    """Sign a draft in some languages, as it stands or as it was edited.

    Another language goes on as an unsigned draft; where the signed text was edited, its draft no
    longer fits and is withdrawn.

    Raises:
        SigningRefusedError: The version is not the current one, the study is not in review, or the
            text may not be signed.
    """
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.IN_REVIEW)
        if draft.origin not in _DRAFTS:
            raise SigningRefusedError(f"Version {version} is no draft.")
        report = from_json(draft.report)
        signed, edits, findings = _signed(
            parts, report, edited, languages, reader, status=ReportStatus.SIGNED
        )
        decision = Decision(
            study_uid=row.study_uid,
            report_version=_record(
                session,
                parts,
                _Version(
                    study=row,
                    against=draft,
                    report=signed,
                    event=Event.SIGNED,
                    reader=reader,
                    languages=languages,
                    edits=edits,
                ),
            ),
            findings=findings,
            edits=len(edits),
        )
    _ring(parts, study)
    return decision


def correct(
    parts: Parts,
    study: int,
    *,
    version: int,
    languages: tuple[Language, ...],
    reader: Reader,
    edited: Report,
) -> Decision:
    """Sign another text in the place of a signed one; a language that is not named is withdrawn.

    Raises:
        SigningRefusedError: As `sign`; or nothing is corrected.
    """
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.SIGNED)
        report = from_json(draft.report)
        signed, edits, findings = _signed(
            parts, report, edited, languages, reader, status=ReportStatus.CORRECTED
        )
        if not edits:
            raise SigningRefusedError("The text is the signed one: there is nothing to correct.")
        decision = Decision(
            study_uid=row.study_uid,
            report_version=_record(
                session,
                parts,
                _Version(
                    study=row,
                    against=draft,
                    report=signed,
                    event=Event.CORRECTED,
                    reader=reader,
                    languages=languages,
                    edits=edits,
                ),
            ),
            findings=findings,
            edits=len(edits),
        )
    _ring(parts, study)
    return decision


def addend(
    parts: Parts, study: int, *, version: int, texts: Mapping[Language, str], reader: Reader
) -> Decision:
    """Add to a signed report, in some languages.

    Raises:
        SigningRefusedError: As `sign`; or there is nothing to add.
    """
    languages = tuple(language for language in Language if language in texts)
    if not languages or not all(texts[language].strip() for language in languages):
        raise SigningRefusedError("An addendum needs a text in each language that it is for.")
    for text in texts.values():
        check_text(text)
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.SIGNED)
        report = from_json(draft.report)
        addendum = Addendum(
            texts=tuple((language, texts[language]) for language in languages),
            signature=_signature(parts, reader, languages),
        )
        added = replace(report, status=ReportStatus.ADDENDED, addenda=(*report.addenda, addendum))
        number = _record(
            session,
            parts,
            _Version(
                study=row,
                against=draft,
                report=added,
                event=Event.ADDENDED,
                reader=reader,
                languages=languages,
                edits=[],
            ),
        )
        decision = Decision(study_uid=row.study_uid, report_version=number)
    _ring(parts, study)
    return decision


def reject(parts: Parts, study: int, *, version: int, reader: Reader, reason: str) -> Decision:
    """Reject a draft: it is taken back, and nothing takes its place.

    Raises:
        SigningRefusedError: The version is not the current one, or the study is not in review.
    """
    words = " ".join(reason.split())
    if not words or len(words) > _LONGEST_REASON:
        raise SigningRefusedError(f"A reason takes 1 to {_LONGEST_REASON} letters.")
    _check_reader(reader)
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.IN_REVIEW)
        at = parts.clock()
        store.advance(
            session,
            row,
            Event.REJECTED,
            at=at,
            actor=_actor(reader),
            changes={"reason_code": "REJECTED", "reason": words},
            detail={**_who(reader), "report_version": version, "reason": words},
        )
        outbox.drop_pending(session, row.id, at=at, actor=_actor(reader), reason="rejected")
        withdraw(session, parts, row)
        _audit(parts, row, reader, f"report version {draft.report_version} rejected")
        decision = Decision(study_uid=row.study_uid, report_version=version)
    _ring(parts, study)
    return decision


def _look(session: Session, study: int, version: int, state: State) -> tuple[Study, Draft]:
    """Return study and version, locked, where the version may be decided on.

    Raises:
        SigningRefusedError: It may not.
    """
    row = store.get(session, study, lock=True)
    if row.state != state:
        raise SigningRefusedError(f"The study is {row.state}, not {state}.")
    draft = versions.current(session, study)
    if draft is None or not draft.report:
        raise SigningRefusedError("The study has no report.")
    is_stale = draft.report_version != version or draft.study_version != row.version
    if is_stale:
        raise SigningRefusedError(
            f"Version {version} is not the current one; that is {draft.report_version}. "
            "Read it, then decide on it."
        )
    return row, draft


def _signed(
    parts: Parts,
    report: Report,
    edited: Report | None,
    languages: tuple[Language, ...],
    reader: Reader,
    *,
    status: ReportStatus,
) -> tuple[Report, list[dict[str, str]], tuple[Finding, ...]]:
    """Return the report as it is signed, what was changed in it, and what the checks say.

    Raises:
        SigningRefusedError: The text may not be signed.
    """
    present = [narrative.language for narrative in report.narratives]
    if not languages or len(set(languages)) != len(languages):
        raise SigningRefusedError("Name each language that is signed once, at least one.")
    if missing := [language for language in languages if language not in present]:
        raise SigningRefusedError(f"The report has no text in {', '.join(missing)}.")
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
        signature=_signature(parts, reader, languages),
        withdrawn=others if edits else tuple(o for o in report.withdrawn if o in others),
        # They are of the draft's sentences.
        confidences=(),
    )
    findings = recheck(signed, languages)
    signed = replace(signed, findings=findings)
    if signed.blocking:
        reasons = " ".join(finding.message for finding in signed.blocking)
        raise SigningRefusedError(f"English and Arabic say different things: {reasons}")
    return signed, edits, findings


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


def _record(session: Session, parts: Parts, made: _Version) -> int:
    """Write the new version, the study's state and what is told of it; return its number."""
    at, row, reader = parts.clock(), made.study, made.reader
    number = versions.next_report_version(session, row.id)
    changes: dict[str, Any] = {"reason": "", "reason_code": ""}
    if made.event is Event.ADDENDED:
        changes["needs_addendum"] = False
    store.advance(
        session,
        row,
        made.event,
        at=at,
        actor=_actor(reader),
        changes=changes,
        detail={
            **_who(reader),
            "report_version": number,
            "against": made.against.report_version,
            "languages": list(made.languages),
            "edits": len(made.edits),
            "findings": sorted({finding.code for finding in made.report.findings}),
        },
    )
    issue(
        session,
        parts.settings,
        row,
        made.report,
        origin=Origin(made.event),
        at=at,
        actor=_actor(reader),
        selection=made.against.selection,
        changes={"against": made.against.report_version, "edits": made.edits},
    )
    words = f"report version {number} {made.event} in {', '.join(made.languages)}"
    _audit(parts, row, reader, words)
    _log.info("report_decided", study=row.id, kind=made.event, version=number)
    return number


def _signature(parts: Parts, reader: Reader, languages: tuple[Language, ...]) -> Signature:
    _check_reader(reader)
    return Signature(
        reader_name=reader.name.strip(),
        reader_id=reader.id.strip(),
        signed_at=parts.clock().astimezone(),
        languages=languages,
        organisation=parts.settings.signing.organisation,
    )


def _check_reader(reader: Reader) -> None:
    for what, text, longest in (
        ("name", reader.name, _LONGEST_NAME),
        ("id", reader.id, _LONGEST_ID),
    ):
        is_blank = not text.strip("^= \t")
        if is_blank or len(text) > longest or not text.isprintable() or "\\" in text:
            raise SigningRefusedError(
                f"The reader's {what} takes 1 to {longest} printable letters without a backslash."
            )


def _actor(reader: Reader) -> str:
    return f"reader {reader.id.strip()}"


def _who(reader: Reader) -> dict[str, str]:
    return {"reader": reader.name.strip(), "id": reader.id.strip(), "account": reader.account}


def _audit(parts: Parts, row: Study, reader: Reader, description: str) -> None:
    parts.audit.report_decided(
        StudyInstances(
            study_uid=row.study_uid,
            patient_id=row.patient_id,
            patient_issuer=row.patient_issuer,
            accession_numbers=(row.accession_number,),
            sop_classes={},
        ),
        reader=reader.id.strip(),
        name=reader.name.strip(),
        account=reader.account,
        description=description,
    )


def _ring(parts: Parts, study: int) -> None:
    with reading(parts.engine) as session:
        due = outbox.due(session, at=parts.clock(), study=study)
    for delivery in due:
        parts.doorbell.ring_delivery(delivery)
