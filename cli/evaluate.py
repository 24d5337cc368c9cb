"""`taqrir model evaluate`: how good are the drafts, in numbers with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.options import with_settings
from cli.phantom_drafts import Shown, draft_phantoms, references_of
from core.errors import SettingsError
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
@click.option(
    "--shown", type=click.Choice([s.value for s in Shown]), default="film", show_default=True
)
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
    shown: str,
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
@click.option(
    "--pairs",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the English pairs here, for metrics that are not ours.",
)
@click.option(
    "--scores",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What those metrics gave: shown beside ours.",
)
@_output
def reports(
    references: Path,
    drafts: Path,
    *,
    against: Path | None,
    pairs: Path | None,
    scores: Path | None,
    form: str,
    out: Path | None,
) -> None:
    """Score DRAFTS against REFERENCES, both JSON lines.

    A reference: {"id", "report": {"en", "ar"}, "summary": {...}}, and for phantoms their
    "findings"; a draft has "is_withheld" too. `truth.jsonl` of `taqrir phantom` is such a file.

    `--pairs` writes what RadGraph, CheXbert and their like compare, in English alone, and
    `--scores` reads the numbers that they gave to each pair.
    """
    from model.evaluate.pairs import pairs_of, read_scores, write_pairs
    from model.evaluate.reports import (
        compare_drafts,
        read_drafts,
        read_references,
        score_reports,
    )
    from model.evaluate.table import comparison_table, scores_table

    if sum(option is not None for option in (against, pairs, scores)) > 1:
        raise click.UsageError("Name one of --against, --pairs and --scores.")
    wanted, drafted = read_references(references), read_drafts(drafts)
    if pairs:
        compared = pairs_of(wanted, drafted)
        write_pairs(pairs, compared)
        click.echo(f"{pairs}: {len(compared)} English pairs of {len(drafted)} drafts")
        return
    if against:
        differences = compare_drafts(wanted, read_drafts(against), drafted)
        table = comparison_table(f"{drafts} less {against}: {len(wanted)} reports", differences)
    else:
        others = read_scores(scores, pairs_of(wanted, drafted)) if scores else None
        table = scores_table(str(drafts), score_reports(wanted, drafted), others)
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
@click.argument("answers", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the bench's pictures: have the settings' model answer first.",
)
@click.option(
    "--requests",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what a judge is to be sent; nothing is sent.",
)
@click.option("--judge", "is_sent", is_flag=True, help="Send it to the settings' [judge].")
@click.option(
    "--replies",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What it answered; then the score is shown.",
)
@click.option("--model", help="The judge's name there (default: [judge] model).")
@_output
@with_settings
def mbench(
    settings: Settings,
    config: Path | None,
    bench: Path,
    answers: Path,
    *,
    images: Path | None,
    requests: Path | None,
    is_sent: bool,
    replies: Path | None,
    model: str | None,
    form: str,
    out: Path | None,
) -> None:
    """Score answers to BiMed-MBench by a judge's ratings.

    BENCH is one language's file of the bench, ANSWERS its answers ({"question_id", "text"}), which
    `--images` has the settings' model write; what stands there is not asked for again.

    `--judge` sends both to the model server of the settings' [judge], and appends its replies to
    the file of `--replies` as they come; what stands there is not asked for again. Without it
    nothing is sent to a judge: `--requests` writes what it is to be sent, in the OpenAI batch
    format, and `--replies` reads what it answered ({"custom_id", "response": {...}}, or
    {"custom_id", "text"}).
    """
    del config
    from model.evaluate.mbench import (
        OPTIONS,
        rate,
        read_bench,
        read_replies,
        requests_for,
        write_requests,
    )
    from model.evaluate.table import ratings_table

    if (requests and replies) or (is_sent and not replies):
        raise click.UsageError("Name --requests or --replies; --judge needs --replies.")
    if not (images or requests or replies):
        raise click.UsageError("Name --images, --requests or --replies.")
    judge = settings.judge
    questions = read_bench(bench)
    if images:
        _answer(settings, questions, images, answers)
    if not (requests or replies):
        return
    asked = requests_for(
        questions,
        answers,
        model or (judge.model if judge else "judge"),
        judge.options if judge else OPTIONS,
    )
    if requests:
        write_requests(requests, asked)
        click.echo(f"{requests}: {len(questions)} requests")
    elif replies:
        if is_sent:
            _send(settings, asked, replies)
        _show(ratings_table(str(bench), rate(questions, read_replies(replies, asked))), form, out)


def _answer(settings: Settings, questions: list[Any], images: Path, answers: Path) -> None:
    """Have the settings' model answer; see `model.evaluate.bench_answers`."""
    from model.evaluate.bench_answers import answer_bench
    from model.opening import open_engine

    answer_bench(
        open_engine(settings),
        questions,
        images,
        answers,
        at_once=settings.model.in_flight,
        on_answer=lambda done: click.echo(f"answered {done} of {len(questions)}", err=True),
    )


def _send(settings: Settings, asked: list[dict[str, Any]], replies: Path) -> None:
    """Have a judge answer; see `model.evaluate.judge`."""
    from model.evaluate.judge import Patience, ask_judge
    from model.opening import open_judge

    if settings.judge is None:
        raise SettingsError("there is no [judge] in the settings: nothing was sent to anybody")
    client = open_judge(settings.judge, settings.resolve)
    try:
        ask_judge(
            client,
            asked,
            replies,
            at_once=settings.judge.at_once,
            patience=Patience(max_attempts=settings.judge.max_attempts),
            on_reply=lambda done: click.echo(f"judged {done} of {len(asked)}", err=True),
        )
    finally:
        client.close()


COMMANDS = (evaluate,)
