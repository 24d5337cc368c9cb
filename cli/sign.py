"""`sign`, `reject`, `correct`, `addend`: a person's decision, given on the command line."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import as_json, open_database, print_json, with_settings
from core import store
from core.database import reading
from core.errors import SettingsError
from core.report import Language, Report
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
_Function = Callable[..., Any]
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


def _deciding(
    done: str, *options: Callable[[_Function], _Function]
) -> Callable[[Callable[..., Decision]], click.Command]:
    """Make a command of a function that decides on a version of a study's report.

    The function is given `parts`, the `study`'s row, the `version` that was read, the `reader` and
    what its own options say; what its decision led to is told.

    Args:
        done: The decision in one word, as it is told: signed.
        options: What is asked for beside study, version and reader.
    """

    def wrap(decide: Callable[..., Decision]) -> click.Command:
        @as_json
        @with_settings
        @functools.wraps(decide)
        def command(
            settings: Settings,
            config: Path | None,
            *,
            study: str,
            name: str,
            number: str,
            as_json: bool,
            **given: Any,
        ) -> None:
            del config
            parts = _parts(settings)
            decision = decide(parts, _study(parts, study), reader=_reader(name, number), **given)
            _say(decision, done, as_json=as_json)

        # Shown in the order in which they stand here.
        shown: list[Callable[[Any], Any]] = [
            click.argument("study"),
            _version,
            _name,
            _number,
            *options,
        ]
        made: Any = command
        for option in reversed(shown):
            made = option(made)
        return click.command()(made)

    return wrap


@_deciding(
    "signed",
    _languages,
    click.option(
        "--report", "file", type=_FILE, help="The edited report, as `show --json` prints it."
    ),
)
def sign(
    parts: Parts,
    study: int,
    *,
    version: int,
    languages: tuple[str, ...],
    reader: Reader,
    file: Path | None,
) -> Decision:
    """Sign a draft, in the languages that are named and in no other.

    STUDY is a Study Instance UID or an accession number that only one study bears. Refused where
    the version is not the current one, or the study is not IN_REVIEW.
    """
    from worker import signing

    return signing.sign(
        parts,
        study,
        version=version,
        languages=_chosen(languages),
        reader=reader,
        edited=_edited(parts, study, version, file) if file else None,
    )


@_deciding(
    "corrected",
    _languages,
    click.option("--report", "file", type=_FILE, required=True, help="The corrected report."),
)
def correct(
    parts: Parts,
    study: int,
    *,
    version: int,
    languages: tuple[str, ...],
    reader: Reader,
    file: Path,
) -> Decision:
    """Sign another text in the place of a signed report."""
    from worker import signing

    return signing.correct(
        parts,
        study,
        version=version,
        languages=_chosen(languages),
        reader=reader,
        edited=_edited(parts, study, version, file),
    )


@_deciding(
    "addended",
    click.option(
        "--text",
        "texts",
        type=(click.Choice([language.value for language in Language]), _FILE),
        multiple=True,
        required=True,
        metavar="LANGUAGE FILE",
        help="What is added in a language: a file of plain text, UTF-8; may be given twice.",
    ),
)
def addend(
    parts: Parts,
    study: int,
    *,
    version: int,
    texts: tuple[tuple[str, Path], ...],
    reader: Reader,
) -> Decision:
    """Sign an addition to a signed report."""
    from worker import signing

    added = {Language(language): _text(file) for language, file in texts}
    return signing.addend(parts, study, version=version, texts=added, reader=reader)


@_deciding(
    "rejected",
    click.option("--reason", required=True, help="Why, for the timeline; no patient data."),
)
def reject(parts: Parts, study: int, *, version: int, reader: Reader, reason: str) -> Decision:
    """Reject a draft: it is taken back, and nothing takes its place."""
    from worker import signing

    return signing.reject(parts, study, version=version, reader=reader, reason=reason)


def _edited(parts: Parts, study: int, version: int, file: Path) -> Report:
    from worker.report_file import read_report

    with reading(parts.engine) as session:
        study_uid = store.get(session, study).study_uid
    return read_report(file.read_bytes(), version=version, study_uid=study_uid)


def _chosen(languages: tuple[str, ...]) -> tuple[Language, ...]:
    return tuple(language for language in Language if language in languages)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n").strip("\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is no plain text in UTF-8") from None


COMMANDS = (sign, reject, correct, addend)
