"""`taqrir phantom`: chest films whose findings are known, with truth and reference reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.options import as_json, print_json

DEFAULT_SIZE = 512


@click.command()
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 999_999))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to; it must be empty or not there.",
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--size", default=DEFAULT_SIZE, show_default=True, type=click.IntRange(64, 4096))
@click.option("--unseen", is_flag=True, help="From other ranges than training's.")
@click.option(
    "--style",
    type=click.Choice(["standard", "site"]),
    default="standard",
    show_default=True,
    help="Manner of the reference reports: the demonstration's, or another hospital's.",
)
@click.option("--pictures", is_flag=True, help="PNG and conversations for training, no DICOM.")
@as_json
def phantom(
    count: int,
    out: Path,
    seed: int,
    size: int,
    *,
    unseen: bool,
    style: str,
    pictures: bool,
    as_json: bool,
) -> None:
    """Write synthetic chest films as DX instances, with `truth.jsonl` beside them.

    The same seed and number give the same film. Nothing in them is of a person.
    """
    from model.phantom.folder import write_pictures, write_truths
    from model.phantom.ranges import TRAINING, UNSEEN
    from model.phantom.record import OWN_TEXTS, USUAL
    from model.phantom.wording import Style

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise click.BadParameter("the folder is not empty", param_hint="--out")
    out.mkdir(parents=True, exist_ok=True)
    ranges = UNSEEN if unseen else TRAINING
    drawn: dict[str, Any] = {"size": size, "ranges": ranges, "style": Style(style)}
    if pictures:
        mixture = OWN_TEXTS if style == Style.SITE else USUAL
        write_pictures(out, count, seed, mixture=mixture, **drawn)
        files = [f"films ({count})", "truth.jsonl", "conversations.jsonl"]
    else:
        truths = [write_phantom(out, seed, i, **drawn) for i in range(count)]
        write_truths(out, truths)
        files = [truth.file for truth in truths]
    if as_json:
        print_json({"folder": str(out), "seed": seed, "count": count, "files": files})
    else:
        click.echo(f"{out}: {count} phantoms of seed {seed}, truth.jsonl beside them")


def write_phantom(
    folder: Path,
    seed: int,
    index: int,
    *,
    size: int = DEFAULT_SIZE,
    ranges: Any = None,
    style: Any = None,
) -> Any:
    """Write one phantom as a DX instance and return its truth (`model.phantom.record.Truth`).

    The ranges are training's where None, and the style is the demonstration's.
    """
    from dicom_node.dx_film import DxFilm, build_dx
    from model.phantom.metadata import metadata_of
    from model.phantom.phantoms import numbered_phantom
    from model.phantom.ranges import TRAINING
    from model.phantom.record import truth_of
    from model.phantom.wording import Style

    made = numbered_phantom(seed, index, size=size, ranges=ranges or TRAINING)
    told = metadata_of(seed, index)
    stored = told.store(made.film)
    name = f"phantom-{seed}-{index:06}"
    film = DxFilm(
        values=stored.values,
        bits=stored.bits,
        photometric=stored.photometric,
        window=stored.window,
        view=made.case.view,
        name=name,
        patient_id=told.patient_id,
        patient_name=told.patient_name,
        sex=told.sex,
        accession_number=told.accession_number,
        study_date=told.study_date,
        study_time=told.study_time,
    )
    file = f"{name}.dcm"
    (folder / file).write_bytes(build_dx(film))
    return truth_of(
        seed,
        index,
        made.case,
        file,
        accession_number=told.accession_number,
        style=style or Style.STANDARD,
    )


COMMANDS = (phantom,)
