"""`ask`: a question about a study, answered by the model from the study's own frames."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.options import as_json, open_database, print_json, with_settings
from core import store
from core.database import reading
from core.report import Language, Report, notices
from core.settings import Settings

_SEVERAL = 2


@click.command()
@click.argument("study")
@click.argument("question")
@click.option(
    "--language",
    type=click.Choice([language.value for language in Language]),
    help="Language of the answer (default: that of the question).",
)
@as_json
@with_settings
def ask(
    settings: Settings,
    config: Path | None,
    study: str,
    question: str,
    language: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask the model about a study; its answer is a draft that nobody has verified.

    STUDY is a Study Instance UID or an accession number. The model sees the frames that a draft is
    made of, and what was asked and answered before. Question and answer are kept with the study.

    Exit code 1: nothing was received under that name, or the checks withhold the answer; 2: several
    studies bear the accession number.
    """
    del config
    engine = open_database(settings)
    with reading(engine) as session:
        found = [(row.id, row.study_uid) for row in store.find(session, study)]
    engine.dispose()
    if not found:
        click.echo(f"taqrir: nothing was received under {study}", err=True)
        sys.exit(1)
    if len(found) > 1:
        uids = ", ".join(uid for _, uid in found)
        click.echo(
            f"taqrir: {len(found)} studies bear {study}, name one by its UID: {uids}", err=True
        )
        sys.exit(_SEVERAL)
    [(study_id, study_uid)] = found
    result = _ask(settings, study_id, question, language) | {"study_uid": study_uid}
    print_json(result) if as_json else click.echo(_text(result))
    if result["is_withheld"]:
        codes = ", ".join(
            sorted({f["code"] for f in result["findings"] if f["severity"] == "block"})
        )
        click.echo(f"taqrir: the answer is withheld by {codes}", err=True)
        sys.exit(1)


def _ask(settings: Settings, study: int, question: str, language: str | None) -> dict[str, Any]:
    # Only here: the model's libraries take seconds to load.
    from model.conversation import language_of
    from worker.asking import ask as ask_model
    from worker.parts import Parts

    wanted = Language(language) if language else language_of(question)
    actor = f"operator {getpass.getuser()}"
    turn = ask_model(Parts(settings=settings), study, question, wanted, actor=actor)
    answer = turn.answer
    return {
        "turn": turn.number,
        "language": wanted,
        "question": answer.question,
        "answer": "" if answer.is_withheld else answer.text,
        "is_withheld": answer.is_withheld,
        "notices": notices(Report(narratives=(), model=answer.model), wanted),
        "findings": [asdict(finding) for finding in answer.findings],
        "reasons": answer.reasons,
        "frames": [asdict(frame) for frame in turn.frames],
    }


def _text(result: dict[str, Any]) -> str:
    lines = [*result["notices"], ""]
    if not result["is_withheld"]:
        lines += [result["answer"], ""]
    lines += [f"  {f['severity']}: {f['code']}: {f['message']}" for f in result["findings"]]
    lines += [f"  note: {reason}" for reason in result["reasons"]]
    lines += [f"  seen: {f['sop_instance_uid']}: {f['reason']}" for f in result["frames"]]
    return "\n".join(lines)


COMMANDS = (ask,)
