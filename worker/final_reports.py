"""What a study's report was in the end: signed here, or final on the information system's feed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core import ordering, versions
from core.errors import UnreadableMessageError
from core.order_tables import Hl7Message, OutsideReport
from core.report import Language, Narrative, Report, SectionKind, from_json, standing
from core.tables import Draft, Study
from hl7.final_text import FinalText, read_final_texts
from model.parsing import parse_report
from worker.parts import Parts

_ARABIC_LETTERS = re.compile("[\u0621-\u064a]")
_LATIN_LETTERS = re.compile("[A-Za-z]")
# Between these shares of Arabic letters a text is of two languages, and of neither for sure.
_MOSTLY_LATIN, _MOSTLY_ARABIC = 0.1, 0.5


@dataclass(frozen=True, kw_only=True)
class FinalReport:
    """A report that somebody answers for.

    Attributes:
        narratives: In the languages that were signed, and in no other.
        edits: What was changed in the draft, section by section; empty of a report from the feed.
        is_addended: Something was added since: the text alone says too little, in any language.
        names: Whom a message of the feed names.
        is_shared: It is of an accession that several studies bear: of which images, nobody knows.
    """

    narratives: tuple[Narrative, ...] = field(repr=False)
    finished_at: datetime
    is_ours: bool
    edits: tuple[dict[str, str], ...] = field(default=(), repr=False)
    is_addended: bool = False
    names: tuple[str, ...] = field(default=(), repr=False)
    is_shared: bool = False


def final_report_of(parts: Parts, session: Session, study: Study) -> FinalReport | None:
    """Return a study's newest final report; None where there is none, or its text is gone."""
    draft = versions.current(session, study.id)
    if draft is not None and draft.report:
        report = from_json(draft.report)
        if report.signature is not None:
            return _signed_here(session, draft, report)
    return _from_feed(parts, session, study)


def _signed_here(session: Session, draft: Draft, report: Report) -> FinalReport:
    signed = [n for n in report.narratives if standing(report.status_of(n.language)).is_final]
    rows = session.scalars(
        select(Draft)
        .where(Draft.study_id == draft.study_id, Draft.is_withheld.is_(False))
        .order_by(Draft.report_version)
    )
    return FinalReport(
        narratives=tuple(signed),
        finished_at=draft.created_at,
        is_ours=True,
        edits=tuple(edit for row in rows for edit in row.changes.get("edits", ())),
        is_addended=bool(report.addenda),
    )


def _from_feed(parts: Parts, session: Session, study: Study) -> FinalReport | None:
    named = [OutsideReport.study_uid == study.study_uid]
    if study.accession_number:
        named.append(OutsideReport.accession_number == study.accession_number)
    rows = session.execute(
        select(OutsideReport, Hl7Message)
        .join(Hl7Message, Hl7Message.id == OutsideReport.message_id)
        .where(or_(*named))
        .order_by(OutsideReport.id.desc())
    )
    for told, message in rows:
        # As for ending a study's draft: number and patient must both be this study's.
        key = (told.patient_id, told.patient_issuer)
        if not ordering.agrees(session, study, [key]):
            continue
        if told.study_uid != study.study_uid and told.accession_issuer not in {
            "",
            study.accession_issuer,
        }:
            continue
        return _read(parts, session, study, told, message)
    return None


def _read(
    parts: Parts, session: Session, study: Study, told: OutsideReport, message: Hl7Message
) -> FinalReport | None:
    if not message.content:
        return None
    try:
        texts = read_final_texts(
            message.content, default_charset=parts.settings.orders.default_charset
        )
    except UnreadableMessageError:
        return None
    text = next((one for one in texts if _is_of(one, told)), None)
    if text is None:
        return None
    narrative = _narrative(text.text)
    others = session.scalars(
        select(Study.id).where(
            Study.accession_number == study.accession_number, Study.accession_number != ""
        )
    ).all()
    return FinalReport(
        narratives=(narrative,) if narrative else (),
        finished_at=message.received_at,
        is_ours=False,
        names=text.names,
        is_shared=told.study_uid != study.study_uid and len(others) > 1,
    )


def _is_of(text: FinalText, told: OutsideReport) -> bool:
    key = text.note.key
    return (key.study_uid, key.accession_number) == (told.study_uid, told.accession_number)


def _narrative(text: str) -> Narrative | None:
    """Return a report of the feed in its one language, where it marks findings and impression."""
    arabic, latin = len(_ARABIC_LETTERS.findall(text)), len(_LATIN_LETTERS.findall(text))
    share = arabic / max(arabic + latin, 1)
    if _MOSTLY_LATIN < share < _MOSTLY_ARABIC:
        return None
    language = Language.AR if share >= _MOSTLY_ARABIC else Language.EN
    parsed = parse_report(text, language)
    narrative = Narrative(language=language, sections=parsed.sections)
    is_whole = narrative.text_of(SectionKind.FINDINGS) and narrative.text_of(SectionKind.IMPRESSION)
    return narrative if is_whole else None
