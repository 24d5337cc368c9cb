"""`sign`, `reject`, `correct`, `addend`: a person's decision, given on the command line."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import as_json, open_database, print_json, with_settings
from core import store
from core.database import reading
from core.errors import SettingsError
from core.report import Language
from core.settings import Settings

if TYPE_CHECKING:
    from worker.parts import Parts
    from worker.signing import Decision, Reader

_version = click.option(
    "--draft", "version", type=int, required=True, help="Version that was read."
)
_languages = click.option(
    "--language",
    "languages",
    type=click.Choice([language.value for language in Language]),
    multiple=True,
    required=True,
    help="Language that is signed; may be given twice.",
)
_name = click.option("--reader", "name", required=True, help="Who decides: a person's name.")
_number = click.option("--id", "number", required=True, help="How the site knows the reader.")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _parts(settings: Settings) -> Parts:
    """Return what a decision is written with.

    Raises:
        SettingsError: Signing at the command line is off, or nothing was ever started here.
    """
    if not settings.signing.command_line:
        raise SettingsError(
            "signing at the command line is off: whoever may run it signs in any name; "
            "[signing] command_line = true switches it on"
        )
    from worker.parts import Parts

    open_database(settings).dispose()
    return Parts(settings=settings)


def _study(parts: Parts, name: str) -> int:
    with reading(parts.engine) as session:
        found = store.find(session, name)
    if len(found) != 1:
        raise SettingsError(f"{len(found)} studies bear {name}: name one by its Study Instance UID")
    return found[0].id


def _reader(name: str, number: str) -> Reader:
    from worker.signing import Reader

    return Reader(name=name, id=number, account=getpass.getuser())


def _say(decision: Decision, verb: str, *, as_json: bool) -> None:
    findings = [
        {"code": f.code, "severity": f.severity, "language": f.language, "message": f.message}
        for f in decision.findings
    ]
    if as_json:
        print_json(
            {
                "study_uid": decision.study_uid,
                "report_version": decision.report_version,
                "edits": decision.edits,
                "findings": findings,
            }
        )
        return
    edited = f", {decision.edits} sections edited" if decision.edits else ""
    click.echo(f"{decision.study_uid}: version {decision.report_version} {verb}{edited}")
    for finding in findings:
        click.echo(f"  {finding['severity']}: {finding['code']}: {finding['message']}", err=True)


@click.command()
@click.argument("study")
@_version
@_languages
@_name
@_number
@click.option("--report", "file", type=_FILE, help="The edited report, as `show --json` prints it.")
@as_json
@with_settings
def sign(
    settings: Settings,
    config: Path | None,
    *,
    study: str,
    version: int,
    languages: tuple[str, ...],
    name: str,
    number: str,
    file: Path | None,
    as_json: bool,
) -> None:
    """Sign a draft, in the languages that are named and in no other.

    STUDY is a Study Instance UID or an accession number that only one study bears. Refused where
    the version is not the current one, or the study is not IN_REVIEW.
    """
    del config
    parts = _parts(settings)
    from worker import signing
    from worker.report_file import read_report

    decision = signing.sign(
        parts,
        _study(parts, study),
        version=version,
        languages=_chosen(languages),
        reader=_reader(name, number),
        edited=read_report(file.read_bytes(), version=version) if file else None,
    )
    _say(decision, "signed", as_json=as_json)


@click.command()
@click.argument("study")
@_version
@_languages
@_name
@_number
@click.option("--report", "file", type=_FILE, required=True, help="The corrected report.")
@as_json
@with_settings
def correct(
    settings: Settings,
    config: Path | None,
    *,
    study: str,
    version: int,
    languages: tuple[str, ...],
    name: str,
    number: str,
    file: Path,
    as_json: bool,
) -> None:
    """Sign another text in the place of a signed report."""
    del config
    parts = _parts(settings)
    from worker import signing
    from worker.report_file import read_report

    decision = signing.correct(
        parts,
        _study(parts, study),
        version=version,
        languages=_chosen(languages),
        reader=_reader(name, number),
        edited=read_report(file.read_bytes(), version=version),
    )
    _say(decision, "corrected", as_json=as_json)


@click.command()
@click.argument("study")
@_version
@click.option(
    "--text",
    "texts",
    type=(click.Choice([language.value for language in Language]), _FILE),
    multiple=True,
    required=True,
    metavar="LANGUAGE FILE",
    help="What is added in a language: a file of plain text, UTF-8; may be given twice.",
)
@_name
@_number
@as_json
@with_settings
def addend(
    settings: Settings,
    config: Path | None,
    *,
    study: str,
    version: int,
    texts: tuple[tuple[str, Path], ...],
    name: str,
    number: str,
    as_json: bool,
) -> None:
    """Sign an addition to a signed report."""
    del config
    parts = _parts(settings)
    from worker import signing

    decision = signing.addend(
        parts,
        _study(parts, study),
        version=version,
        texts={Language(language): _text(file) for language, file in texts},
        reader=_reader(name, number),
    )
    _say(decision, "addended", as_json=as_json)


@click.command()
@click.argument("study")
@_version
@_name
@_number
@click.option("--reason", required=True, help="Why, for the timeline; no patient data.")
@as_json
@with_settings
def reject(
    settings: Settings,
    config: Path | None,
    *,
    study: str,
    version: int,
    name: str,
    number: str,
    reason: str,
    as_json: bool,
) -> None:
    """Reject a draft: it is taken back, and nothing takes its place."""
    del config
    parts = _parts(settings)
    from worker import signing

    decision = signing.reject(
        parts,
        _study(parts, study),
        version=version,
        reader=_reader(name, number),
        reason=reason,
    )
    _say(decision, "rejected", as_json=as_json)


def _chosen(languages: tuple[str, ...]) -> tuple[Language, ...]:
    return tuple(language for language in Language if language in languages)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n").strip("\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is no plain text in UTF-8") from None


COMMANDS = (sign, reject, correct, addend)
