"""One study as training pairs: its final report and its pictures, without what names anybody."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.cleaning import GAP, MAX_LETTERS, without_identifiers
from core.database import reading
from core.errors import NotForUsError, PatientConflictError
from core.lifecycle import State
from core.report import Language, Narrative, Report, SectionKind
from core.tables import Study
from model.shortening import allowed
from model.train.pairs import FinalText, final_text, pairs_of
from worker.context import context_of
from worker.edits import draft_of
from worker.final_reports import FinalReport, final_report_of
from worker.identifiers import all_identifiers
from worker.parts import Parts
from worker.seeing import look_at

_IN_WORK = frozenset((State.RECEIVING, State.QUEUED, State.DRAFTING))


class LeftOut(StrEnum):
    """Why a study, or one language of it, is not exported."""

    NO_CONSENT = "no_consent"
    PURGED = "purged"
    IN_WORK = "in_work"
    NO_FINAL_REPORT = "no_final_report"
    EARLIER = "earlier"
    ADDENDED = "addended"
    LATE_IMAGES = "late_images"
    SHARED_ACCESSION = "shared_accession"
    PATIENT_CONFLICT = "patient_conflict"
    NO_PICTURES = "no_pictures"
    NO_TEXT = "no_text"
    # Of a language:
    NOT_ASKED_FOR = "not_asked_for"
    INCOMPLETE = "incomplete"
    TOO_LONG = "too_long"
    IDENTIFIES = "identifies"


REASONS: dict[LeftOut, str] = {
    LeftOut.NO_CONSENT: "signed, without consent: `taqrir consent STUDY --yes`",
    LeftOut.PURGED: "purged: pictures and texts are gone",
    LeftOut.IN_WORK: "received, queued or drafted right now",
    LeftOut.NO_FINAL_REPORT: "nobody signed a report, or its text is gone",
    LeftOut.EARLIER: "final before the day that was asked for",
    LeftOut.ADDENDED: "an addendum says what the text does not",
    LeftOut.LATE_IMAGES: "images came after it was signed",
    LeftOut.SHARED_ACCESSION: "its report is of an accession with several studies",
    LeftOut.PATIENT_CONFLICT: "its objects name different patients",
    LeftOut.NO_PICTURES: "none of its pictures can be read",
    LeftOut.NO_TEXT: "no text of it is whole and in one language, or what was asked for",
    LeftOut.NOT_ASKED_FOR: "in a language that was not asked for",
    LeftOut.INCOMPLETE: "findings or impression are missing",
    LeftOut.TOO_LONG: "too long to be cleaned of names",
    LeftOut.IDENTIFIES: "something in it names a person, or looks like it",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCase:
    """What is written of one study.

    Attributes:
        pictures: By file name: arrays (H, W, 3), uint8.
        pairs: Records of conversation JSON.
        reference: The final texts beside the draft and what was changed in it.
        draft: The draft in the form that `taqrir model evaluate reports` reads.
    """

    pictures: dict[str, NDArray[np.uint8]]
    pairs: list[dict[str, Any]] = field(repr=False)
    reference: dict[str, Any] = field(repr=False)
    draft: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an export is asked for.

    Attributes:
        languages: Texts in others are left out.
        since: Only reports that were final then or later.
    """

    languages: tuple[Language, ...] = tuple(Language)
    since: datetime | None = None


def case_of(
    parts: Parts, study: Study, record: str, wanted: Wanted
) -> tuple[TrainingCase | LeftOut, Counter[tuple[LeftOut, Language]]]:
    """Return a study as training pairs, or why it is left out; and which of its languages are.

    Args:
        parts: Of the installation.
        study: One that may train a model.
        record: The name that it has in the export.
        wanted: What is asked for.
    """
    nothing: Counter[tuple[LeftOut, Language]] = Counter()
    with reading(parts.engine) as session:
        final = final_report_of(parts, session, study)
        if (obstacle := _obstacle(study, final, wanted)) or final is None:
            return obstacle or LeftOut.NO_FINAL_REPORT, nothing
        names = (*all_identifiers(session, study), *final.names)
        drafted = draft_of(session, study.id)
    texts, left_out = _texts(final, names, wanted)
    if not texts:
        return LeftOut.NO_TEXT, left_out
    try:
        selection, rendering = look_at(parts, study)
    except PatientConflictError:
        return LeftOut.PATIENT_CONFLICT, nothing
    except NotForUsError:
        return LeftOut.NO_PICTURES, nothing
    with reading(parts.engine) as session:
        # An earlier report is another study's: its consent is not this one's.
        context = replace(context_of(session, study, selection), prior_impression="")
    pictures = {
        f"images/{record}-{number}.png": image.pixels
        for number, image in enumerate(rendering.images, start=1)
    }
    case = TrainingCase(
        pictures=pictures,
        pairs=pairs_of(
            record,
            list(pictures),
            allowed(context, names),
            texts,
            arabic=parts.settings.model.arabic,
        ),
        reference=_reference(record, final, texts, names, modality=context.modality),
        draft=_draft(record, drafted, texts.keys(), names),
    )
    return case, left_out


def _obstacle(study: Study, final: FinalReport | None, wanted: Wanted) -> LeftOut | None:
    """Return what keeps a study back as a whole."""
    if study.state in _IN_WORK:
        return LeftOut.IN_WORK
    if final is None:
        return LeftOut.NO_FINAL_REPORT
    if wanted.since is not None and final.finished_at < wanted.since:
        return LeftOut.EARLIER
    tests = (
        (LeftOut.ADDENDED, final.is_addended),
        (LeftOut.LATE_IMAGES, final.is_ours and study.needs_addendum),
        (LeftOut.SHARED_ACCESSION, final.is_shared),
    )
    return next((reason for reason, holds in tests if holds), None)


def _texts(
    final: FinalReport, names: tuple[str, ...], wanted: Wanted
) -> tuple[dict[Language, FinalText], Counter[tuple[LeftOut, Language]]]:
    """Return the texts that a model may learn from, and why others are not among them."""
    texts: dict[Language, FinalText] = {}
    left_out: Counter[tuple[LeftOut, Language]] = Counter()
    for narrative in final.narratives:
        language = narrative.language
        text = _cleaned(narrative, names)
        if language not in wanted.languages:
            left_out[LeftOut.NOT_ASKED_FOR, language] += 1
        elif not text.report:
            left_out[LeftOut.INCOMPLETE, language] += 1
        elif any(len(section.text) > MAX_LETTERS for section in narrative.sections):
            left_out[LeftOut.TOO_LONG, language] += 1
        elif GAP in f"{text.report} {text.summary}":
            left_out[LeftOut.IDENTIFIES, language] += 1
        else:
            texts[language] = text
    return texts, left_out


def _cleaned(narrative: Narrative, names: tuple[str, ...]) -> FinalText:
    sections = tuple(
        replace(section, text=without_identifiers(section.text, names))
        for section in narrative.sections
    )
    return final_text(sections, narrative.language)


def _reference(
    record: str,
    final: FinalReport,
    texts: dict[Language, FinalText],
    names: tuple[str, ...],
    *,
    modality: str,
) -> dict[str, Any]:
    return {
        "id": record,
        "modality": modality,
        "signed_here": final.is_ours,
        "report": {language: text.report for language, text in texts.items()},
        "summary": {language: text.summary for language, text in texts.items() if text.summary},
        "edits": [
            edit | {side: without_identifiers(edit[side], names) for side in ("before", "after")}
            for edit in final.edits
            # The history, as it is no part of the text.
            if edit["language"] in texts and edit["section"] != SectionKind.HISTORY
        ],
    }


def _draft(
    record: str, drafted: Report | None, languages: Any, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return the draft in the final texts' languages; where there is none, a withheld one."""
    narratives = [n for n in drafted.narratives if n.language in languages] if drafted else []
    texts = {n.language: _cleaned(n, names) for n in narratives}
    codes = sorted({finding.code for finding in drafted.blocking}) if drafted else ["NO_DRAFT"]
    return {
        "id": record,
        "model": str(drafted.model) if drafted else "",
        "is_withheld": bool(codes),
        "reasons": codes,
        "report": {language: text.report for language, text in texts.items()},
        "summary": {language: text.summary for language, text in texts.items() if text.summary},
    }
