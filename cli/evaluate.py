"""`taqrir model evaluate`: how good are the drafts, in numbers with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.options import with_settings
from cli.phantom_drafts import Shown, draft_phantoms, references_of
from core.settings import Settings

_FORMATS = ("text", "json", "html")


def _output(command: Any) -> Any:
    for option in (
        click.option("--format", "form", type=click.Choice(_FORMATS), default="text"),
        click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write here."),
    ):
        command = option(command)
    return command


def _show(table: Any, form: str, out: Path | None) -> None:
    from model.evaluate.table import Format

    text = table.render(Format(form))
    if out:
        out.write_text(text + "\n", encoding="utf-8")
    else:
        click.echo(text)


@click.group()
def evaluate() -> None:
    """Score a model's texts: on phantoms, against reports, on questions about pictures."""


@evaluate.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--count", default=500, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=77_001, show_default=True, type=click.IntRange(0))
@click.option("--size", default=512, show_default=True, type=click.IntRange(64, 4096))
@click.option("--shown", type=click.Choice(Shown), default=Shown.FILM, show_default=True)
@click.option(
    "--style",
    type=click.Choice(["standard", "site"]),
    default="standard",
    show_default=True,
    help="Manner of the reports that drafts are compared with.",
)
@click.option("--drafts", type=click.Path(dir_okay=False, path_type=Path), help="Keep drafts here.")
@_output
@with_settings
def phantoms(
    settings: Settings,
    config: Path | None,
    folder: Path | None,
    *,
    count: int,
    seed: int,
    size: int,
    shown: Shown,
    style: str,
    drafts: Path | None,
    form: str,
    out: Path | None,
) -> None:
    """Draft for phantoms of other ranges than training's, and compare with their truth.

    Each goes as a DX instance through our own reading of pixels, and comes back as an SR whose
    text is read again. FOLDER is the settings' `model.path` where it is left out. With `--shown
    blank` or `shuffled` the scores show whether the model looks at its pictures at all.
    """
    del config
    from model.drafter import open_drafter
    from model.evaluate.reports import draft_line, score_reports
    from model.evaluate.table import scores_table
    from model.phantom.ranges import UNSEEN
    from model.phantom.wording import Style

    def tell(done: int) -> None:
        if done % 50 == 0 or done == count:
            click.echo(f"drafted {done} of {count}", err=True)

    drafter = open_drafter(folder or settings.checkpoint_folder, settings.model.device)
    truths, drafted = draft_phantoms(
        drafter,
        count=count,
        seed=seed,
        size=size,
        ranges=UNSEEN,
        shown=Shown(shown),
        style=Style(style),
        on_draft=tell,
    )
    if drafts:
        drafts.write_text("".join(draft_line(d) + "\n" for d in drafted), encoding="utf-8")
    scores = score_reports(references_of(truths), drafted)
    _show(scores_table(f"{drafter.version}, {shown} of seed {seed}", scores), form, out)


@evaluate.command()
@click.argument("references", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("drafts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Drafts of another run: DRAFTS are compared with them by a paired test.",
)
@_output
def reports(
    references: Path, drafts: Path, *, against: Path | None, form: str, out: Path | None
) -> None:
    """Score DRAFTS against REFERENCES, both JSON lines.

    A reference: {"id", "report": {"en", "ar"}, "summary": {...}}, and for phantoms their
    "findings"; a draft has "is_withheld" too. `truth.jsonl` of `taqrir phantom` is such a file.
    """
    from model.evaluate.reports import (
        compare_drafts,
        read_drafts,
        read_references,
        score_reports,
    )
    from model.evaluate.table import comparison_table, scores_table

    wanted, drafted = read_references(references), read_drafts(drafts)
    if against:
        differences = compare_drafts(wanted, read_drafts(against), drafted)
        table = comparison_table(f"{drafts} less {against}: {len(wanted)} reports", differences)
    else:
        table = scores_table(str(drafts), score_reports(wanted, drafted))
    _show(table, form, out)


@evaluate.command()
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_output
def vqa(answers: Path, *, form: str, out: Path | None) -> None:
    """Score answers to questions about pictures, as MultiMedEval does.

    A line: {"reference": "yes", "answer": "Yes, there is.", "is_closed": true}
    """
    from model.evaluate.table import plain_table
    from model.evaluate.vqa import read_answers, score_answers

    rows = read_answers(answers)
    _show(plain_table(f"{answers}: {len(rows)} questions", score_answers(rows)), form, out)


@evaluate.command()
@click.argument("bench", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--judge", default="judge", show_default=True, help="The judge's model name.")
@click.option(
    "--requests", type=click.Path(dir_okay=False, path_type=Path), help="Write what it is asked."
)
@click.option(
    "--replies",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What it answered; then the score is shown.",
)
@_output
def mbench(
    bench: Path,
    answers: Path,
    *,
    judge: str,
    requests: Path | None,
    replies: Path | None,
    form: str,
    out: Path | None,
) -> None:
    """Score answers to BiMed-MBench by a judge's ratings; no network is used.

    BENCH is one language's file of the bench, ANSWERS its answers ({"question_id", "text"}).
    `--requests` writes what a judge is to be sent, in the OpenAI batch format; `--replies` reads
    what it answered ({"custom_id", "response": {...}}, or {"custom_id", "text"}).
    """
    from model.evaluate.mbench import rate, read_bench, requests_for, write_requests
    from model.evaluate.table import plain_table

    if (requests is None) is (replies is None):
        raise click.UsageError("Name --requests or --replies.")
    questions = read_bench(bench)
    if requests:
        write_requests(requests, requests_for(questions, answers, judge))
        click.echo(f"{requests}: {len(questions)} requests")
    elif replies:
        score, unread = rate(questions, replies)
        title = f"{bench}: {len(questions) - unread} ratings, {unread} not readable"
        _show(plain_table(title, [("BiMed-MBench", score)]), form, out)


COMMANDS = (evaluate,)
