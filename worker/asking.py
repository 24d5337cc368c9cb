"""A person asks about a study, and the model answers from the frames that its draft is made of.

Question and answer are kept by study, so that the next question is asked with them. The timeline
says that somebody asked, not what.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import store
from core.database import reading, writing
from core.drafting import Answer, AskRequest
from core.errors import PermanentError
from core.report import FrameReference, Language
from core.tables import Study, Turn
from worker.context import context_of, identifiers_of, laterality_of, severities_of
from worker.parts import Parts
from worker.seeing import look_at


@dataclass(frozen=True, kw_only=True)
class AskedTurn:
    """A turn that was recorded, and the frames that it was answered from."""

    number: int
    answer: Answer
    frames: tuple[FrameReference, ...]


def ask(parts: Parts, study_id: int, question: str, language: Language, *, actor: str) -> AskedTurn:
    """Ask about a study, and record question and answer.

    Whoever drafts for the study answers: the model, with the adapter that its rule names. Earlier
    turns on the same version of the study are part of the question, withheld ones not.

    Raises:
        PermanentError: There is no question, or the study has been purged or holds nothing to see.
        TransientError: The model cannot answer now.
    """
    if not question.strip():
        raise PermanentError("There is no question.")
    with reading(parts.engine) as session:
        study = store.get(session, study_id)
        turns = turns_of(session, study_id)
    if study.purged_at is not None:
        raise PermanentError("The study was purged; its images are gone.")
    selection, rendering = look_at(parts, study)
    with reading(parts.engine) as session:
        context = context_of(session, study, selection)
        header = store.header_of(session, study)
    began = time.monotonic()
    answer = parts.drafter.answer(
        AskRequest(
            images=rendering.images,
            context=context,
            question=question,
            language=language,
            history=tuple(
                (turn.question, turn.answer)
                for turn in turns
                if turn.study_version == study.version and not turn.is_withheld
            ),
            severities=severities_of(parts, study),
            max_new_tokens=parts.settings.model.max_new_tokens,
            adapter=study.options.get("adapter", ""),
            laterality=laterality_of(selection),
            identifiers=identifiers_of(header),
        )
    )
    frames = tuple(image.frame for image in rendering.images)
    with writing(parts.engine) as session:
        # The lock numbers the turns of two who ask at once.
        store.get(session, study_id, lock=True)
        number = len(turns_of(session, study_id)) + 1
        turn = _turn(study, number, answer, frames)
        turn.created_at, turn.actor = parts.clock(), actor
        session.add(turn)
        store.note(
            session,
            study_id,
            "asked",
            at=parts.clock(),
            actor=actor,
            turn=number,
            language=language,
            model=str(answer.model),
            seconds=round(time.monotonic() - began, 1),
            findings=sorted({finding.code for finding in answer.findings}),
            withheld=answer.is_withheld,
        )
    return AskedTurn(number=number, answer=answer, frames=frames)


def turns_of(session: Session, study: int) -> Sequence[Turn]:
    """Return what was asked about a study, oldest first."""
    return session.scalars(select(Turn).where(Turn.study_id == study).order_by(Turn.number)).all()


def _turn(study: Study, number: int, answer: Answer, frames: tuple[FrameReference, ...]) -> Turn:
    return Turn(
        study_id=study.id,
        study_version=study.version,
        number=number,
        language=answer.language,
        question=answer.question,
        answer=answer.text,
        is_withheld=answer.is_withheld,
        detail={
            "model": str(answer.model),
            "decoding": asdict(answer.decoding),
            "findings": [asdict(finding) for finding in answer.findings],
            "reasons": list(answer.reasons),
            "frames": [asdict(frame) for frame in frames],
        },
    )
