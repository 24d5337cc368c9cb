"""`edits`: how much of the drafts people change before they sign."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from cli.options import as_json, open_database, print_json, since_option, with_settings
from core.database import reading
from core.edits import count_edits
from core.settings import Settings


@click.command()
@since_option("Count only what was signed on that day or later.")
@as_json
@with_settings
def edits(
    settings: Settings, config: Path | None, *, since: datetime | None, as_json: bool
) -> None:
    """Show what people change in drafts, by language and modality.

    Accepted: signed letter for letter as it was drafted. Distance: the mean share of words that
    were put in, taken out or replaced.
    """
    del config
    engine = open_database(settings)
    with reading(engine) as session:
        rows = count_edits(session, since=since)
    engine.dispose()
    if as_json:
        print_json(
            [
                {
                    **asdict(row),
                    "accepted_share": row.accepted_share,
                    "distance": row.mean_distance,
                }
                for row in rows
            ]
        )
        return
    if not rows:
        click.echo("Nothing was signed.")
        return
    click.echo("language  modality  texts  accepted  distance")
    for row in rows:
        click.echo(
            f"{row.language:<9} {row.modality:<9} {row.texts:>5} {row.accepted_share:>9.0%} "
            f"{row.mean_distance:>9.3f}"
        )


COMMANDS = (edits,)
