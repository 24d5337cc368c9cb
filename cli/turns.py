"""What was asked about a study, as `taqrir show` tells it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.tables import Study, Turn


def describe_turns(session: Session, study: Study) -> list[dict[str, Any]]:
    """Return what was asked about a study (`taqrir ask`), less the answers that are withheld."""
    turns = session.scalars(select(Turn).where(Turn.study_id == study.id).order_by(Turn.number))
    return [
        {
            "turn": turn.number,
            "at": turn.created_at,
            "actor": turn.actor,
            "question": turn.question,
            "answer": "" if turn.is_withheld else turn.answer,
            "is_withheld": turn.is_withheld,
            "detail": turn.detail,
        }
        for turn in turns
    ]


def turn_lines(turns: list[dict[str, Any]]) -> list[str]:
    """Return the turns of a study for a person at a terminal."""
    lines = ["", "Conversation, not verified"] if turns else []
    for turn in turns:
        said = "withheld" if turn["is_withheld"] else turn["answer"]
        lines += [f"  {turn['turn']}. {turn['question']}", f"     {said}"]
    return lines
