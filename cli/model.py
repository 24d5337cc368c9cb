"""`model info`, `verify` and `convert`: a checkpoint folder before it is used; and its training."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli import evaluate, export, train
from cli.options import as_json, print_json, with_settings
from core.settings import Settings

_BILLION = 1e9
_MEGABYTE = 1e6


def _folder_argument(command: Any) -> Any:
    return click.argument("folder", type=click.Path(path_type=Path), required=False)(command)


@click.group()
def model() -> None:
    """Look at, check, convert, train or evaluate a checkpoint; export a site's reports.

    Nothing is fetched from a network. FOLDER is the settings' `model.path` where it is left out.
    """


@model.command()
@_folder_argument
@as_json
@with_settings
def info(settings: Settings, config: Path | None, folder: Path | None, *, as_json: bool) -> None:
    """Show what a folder holds, from the headers of its files: seconds for any size.

    Exit code 2: the folder cannot be loaded; the sentence says why.
    """
    del config
    from model.auto_folder import inspect_auto, is_for_auto

    folder = folder or settings.checkpoint_folder
    if settings.model.engine == "auto" or is_for_auto(folder):
        other = {"folder": str(folder), **asdict(inspect_auto(folder))}
        rows = "\n".join(f"{name:<16}{value}" for name, value in other.items())
        print_json(other) if as_json else click.echo(rows)
        return
    facts = _facts(folder, _cache_file(settings))
    print_json(facts) if as_json else click.echo(_facts_text(facts))


def _cache_file(settings: Settings) -> Path:
    from model.fingerprint import CACHE_NAME

    return settings.data_dir / CACHE_NAME


def _facts(folder: Path, cache_file: Path) -> dict[str, Any]:
    from model.checkpoint import inspect_checkpoint
    from model.fingerprint import known_version

    found = inspect_checkpoint(folder)
    version = known_version(folder, cache_file)
    return {
        "folder": str(folder),
        **asdict(found),
        "layout": found.layout.value,
        "files": [{"file": str(file), "bytes": file.stat().st_size} for file in found.files],
        "image_tokens": found.geometry.token_count,
        "revision": version.revision if version else None,
    }


def _facts_text(facts: dict[str, Any]) -> str:
    formats = ", ".join(
        f"{name} ({count / facts['parameter_count']:.0%})"
        for name, count in facts["number_formats"].items()
    )
    demonstration = " (a demonstration without clinical meaning)" * facts["is_demonstration"]
    size, patch = facts["geometry"]["size"], facts["geometry"]["patch_size"]
    rows = [
        ("folder", facts["folder"]),
        ("name", facts["name"] + demonstration),
        ("layout", facts["layout"]),
        ("architecture", facts["architecture"]),
        ("conversation", facts["conversation"]),
        ("parameters", f"{facts['parameter_count'] / _BILLION:.3f} billion"),
        ("number formats", formats),
        ("weights", f"{_in_megabytes(facts['weight_bytes'])} in {len(facts['files'])} files"),
        *(("", f"{file['file']}  {_in_megabytes(file['bytes'])}") for file in facts["files"]),
        ("vision tower", facts["vision_tower"]),
        ("picture", f"{size} x {size} pixels, {facts['image_tokens']} tokens of {patch} x {patch}"),
        ("context", f"{facts['context_tokens']} tokens"),
        ("vocabulary", f"{facts['vocabulary']} tokens"),
        ("adapter", facts["adapter"] or "none"),
        *([("base", facts["base"])] if facts["base"] else []),
        ("not needed", f"{len(facts['dropped'])} tensors"),
        ("revision", facts["revision"] or "not known before a load or `taqrir model verify`"),
    ]
    return "\n".join(f"{name:<16}{value}" for name, value in rows)


def _in_megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MB"


@model.command()
@_folder_argument
@as_json
@with_settings
def verify(settings: Settings, config: Path | None, folder: Path | None, *, as_json: bool) -> None:
    """Read every byte of a folder: headers, digests, NaN and infinite weights, tokenizer.

    Digests are compared with SHA256SUMS and with what a download tool wrote down, where there is
    either, and with the digest that an earlier load took. Exit code 1: something is wrong.
    """
    del config
    from model.verification import verify_checkpoint

    found = verify_checkpoint(
        folder or settings.checkpoint_folder,
        cache_file=_cache_file(settings),
        on_step=lambda words: click.echo(words, err=True),
    )
    if as_json:
        print_json({"is_sound": found.is_sound, **asdict(found)})
    else:
        for file in found.files:
            click.echo(
                f"{file.sha256}  {file.file}  ({file.compared_with or 'nothing to compare'})"
            )
        click.echo(f"revision {found.revision or 'unknown'}")
        for fault in found.faults:
            click.echo(f"FAULT: {fault}")
        click.echo("sound" if found.is_sound else f"{len(found.faults)} faults")
    sys.exit(0 if found.is_sound else 1)


@model.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@as_json
def convert(source: Path, target: Path, *, as_json: bool) -> None:
    """Write the folder SOURCE, of any layout, as TARGET in transformers' LLaVA layout.

    TARGET must not be there yet. An adapter is merged into its base. Exit code 2: refused.
    """
    from model.conversion import convert_checkpoint

    done = convert_checkpoint(source, target, on_step=lambda words: click.echo(words, err=True))
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(
            f"{target}: {done.name}, revision {done.revision}, "
            f"{_in_megabytes(done.weight_bytes)} in {done.file_count} files"
        )


for _command in (*export.COMMANDS, *train.COMMANDS, *evaluate.COMMANDS):
    model.add_command(_command)

COMMANDS = (model,)
