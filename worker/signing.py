"""A person decides on a report: signs it, rejects it, corrects or adds to what was signed.

Each function is one transaction: the study's state, the new report version with its deliveries, and
the lines of timeline and audit trail are written together or not at all. A decision is about one
version that somebody has read; where another is current by now, it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    Report,
    ReportStatus,
    from_json,
    standing,
)
from core.tables import Draft, Study
from dicom_node.sr_reading import check_text
from worker.edits import note_edits
from worker.issuing import issue
from worker.parts import Parts
from worker.signed_text import Reader, check_reader, signature_of, signed_report
from worker.withdrawal import withdraw

__all__ = ["Decision", "Reader", "addend", "correct", "reject", "sign"]

_log = log(__name__)
_DRAFTS = frozenset((Origin.MODEL, Origin.RENEWED))
_LONGEST_REASON = 200


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
        SigningRefusedError: The version is not the current one, the study is not in review, its
            objects name different patients, or the text may not be signed.
    """
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.IN_REVIEW)
        _require_one_patient(session, row)
        if draft.origin not in _DRAFTS:
            raise SigningRefusedError(f"Version {version} is no draft.")
        report = from_json(draft.report)
        signed, edits = signed_report(
            parts, report, edited, languages, reader, status=ReportStatus.SIGNED
        )
        made = _Version(
            study=row,
            against=draft,
            report=signed,
            event=Event.SIGNED,
            reader=reader,
            languages=languages,
            edits=edits,
        )
        decision = replace(_record(session, parts, made), findings=signed.findings)
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
        _require_one_patient(session, row)
        report = from_json(draft.report)
        signed, edits = signed_report(
            parts, report, edited, languages, reader, status=ReportStatus.CORRECTED
        )
        if not edits:
            raise SigningRefusedError("The text is the signed one: there is nothing to correct.")
        made = _Version(
            study=row,
            against=draft,
            report=signed,
            event=Event.CORRECTED,
            reader=reader,
            languages=languages,
            edits=edits,
        )
        decision = replace(_record(session, parts, made), findings=signed.findings)
    _ring(parts, study)
    return decision


def addend(
    parts: Parts, study: int, *, version: int, texts: Mapping[Language, str], reader: Reader
) -> Decision:
    """Add to a signed report, in some languages.

    Raises:
        SigningRefusedError: As `sign`; or there is nothing to add, or a language is not signed.
    """
    languages = tuple(language for language in Language if language in texts)
    if not languages or not all(texts[language].strip() for language in languages):
        raise SigningRefusedError("An addendum needs a text in each language that it is for.")
    for text in texts.values():
        check_text(text)
    with writing(parts.engine) as session:
        row, draft = _look(session, study, version, State.SIGNED)
        _require_one_patient(session, row)
        report = from_json(draft.report)
        if unsigned := [one for one in languages if not standing(report.status_of(one)).is_final]:
            raise SigningRefusedError(
                f"The report is not signed in {', '.join(unsigned)}: an addendum takes the "
                "languages that are signed, for the others no final document would hold it."
            )
        addendum = Addendum(
            texts=tuple((language, texts[language]) for language in languages),
            signature=signature_of(parts, reader, languages),
        )
        added = replace(report, status=ReportStatus.ADDENDED, addenda=(*report.addenda, addendum))
        made = _Version(
            study=row,
            against=draft,
            report=added,
            event=Event.ADDENDED,
            reader=reader,
            languages=languages,
            edits=[],
        )
        decision = _record(session, parts, made)
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
    check_reader(reader)
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


def _require_one_patient(session: Session, row: Study) -> None:
    """Refuse to sign for one patient what may be another's; a draft may be rejected all the same.

    Raises:
        SigningRefusedError: The study's objects name different patients.
    """
    if store.has_patient_conflict(session, row.id):
        raise SigningRefusedError(
            "The study's objects name different patients: correct them and send them again first."
        )


def _record(session: Session, parts: Parts, made: _Version) -> Decision:
    """Write the new version, the study's state and what is told of it."""
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
    if made.event is not Event.ADDENDED:
        note_edits(session, row, made.report, made.languages, version=number, at=at)
    words = f"report version {number} {made.event} in {', '.join(made.languages)}"
    _audit(parts, row, reader, words)
    _log.info("report_decided", study=row.id, kind=made.event, version=number)
    return Decision(study_uid=row.study_uid, report_version=number, edits=len(made.edits))


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
