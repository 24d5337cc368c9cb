"""`taqrir model export`: a site's own signed reports as training data."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.options import as_json, open_database, print_json, since_option, with_settings
from core.report import Language
from core.settings import Settings


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@since_option("Only reports that were signed on that day or later.")
@click.option(
    "--language",
    type=click.Choice([language.value for language in Language]),
    help="Only texts in this language (default: whatever was signed).",
)
@as_json
@with_settings
def export(
    settings: Settings,
    config: Path | None,
    *,
    out: Path,
    since: datetime | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Write signed reports with their pictures for `model train` and `model evaluate reports`.

    Taken are studies with consent (`taqrir consent`) whose report was signed here, or is final on
    the information system's feed. Names, numbers and dates are taken out; a text in which one stood
    is left out. Look through the folder before it leaves your hands: rules do not find every name.

    Exit code 1: there was nothing to write, and no folder.
    """
    del config
    open_database(settings).dispose()
    from worker.exporting import export as write
    from worker.parts import Parts
    from worker.training_case import Wanted

    def tell(done: int, of: int) -> None:
        if done % 50 == 0 or done == of:
            click.echo(f"looked at {done} of {of} studies", err=True)

    parts = Parts(settings=settings)
    languages = (Language(language),) if language else tuple(Language)
    try:
        done = write(
            parts,
            out,
            Wanted(languages=languages, since=since),
            account=getpass.getuser(),
            on_study=tell,
        )
    finally:
        parts.engine.dispose()
    print_json(_plain(out, done)) if as_json else click.echo(_text(out, done))
    if not done.studies:
        sys.exit(1)


def _plain(out: Path, done: Any) -> dict[str, Any]:
    texts: dict[str, dict[str, int]] = {}
    for (reason, language), count in sorted(done.texts_left_out.items()):
        texts.setdefault(reason, {})[language] = count
    return {
        "folder": str(out) if done.studies else None,
        "studies": len(done.studies),
        "pictures": done.pictures,
        "pairs": dict(sorted(done.pairs.items())),
        "left_out": dict(sorted(done.left_out.items())),
        "texts_left_out": texts,
    }


def _text(out: Path, done: Any) -> str:
    from worker.training_case import REASONS

    pairs = ", ".join(f"{count} {task}" for task, count in sorted(done.pairs.items()))
    lines = [
        f"{out}: {len(done.studies)} studies, {done.pictures} pictures, {pairs}"
        if done.studies
        else "Nothing to write."
    ]
    lines += [
        f"  {count} studies left out: {REASONS[reason]}"
        for reason, count in sorted(done.left_out.items())
    ]
    lines += [
        f"  {count} texts ({language}) left out: {REASONS[reason]}"
        for (reason, language), count in sorted(done.texts_left_out.items())
    ]
    return "\n".join(lines)


COMMANDS = (export,)
