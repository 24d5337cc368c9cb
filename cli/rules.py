"""`rules`: what the site's rules say of an object, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.inputs import Inputs, opened
from cli.options import as_json, print_json, with_settings
from core.errors import UnreadableInstanceError
from core.settings import Settings

if TYPE_CHECKING:
    from dicom_node.rules import Explanation


@click.group()
def rules() -> None:
    """Look at the rules that say which images start a draft: `[[rules]]`."""


@rules.command("test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--sender", help="AE title that sends them (default: the first of [[senders]]).")
@as_json
@with_settings
def test_rules(
    settings: Settings,
    config: Path | None,
    paths: tuple[Path, ...],
    sender: str | None,
    *,
    as_json: bool,
) -> None:
    """Explain what the rules decide for files, folders or zip archives; nothing is sent.

    Shows the attributes that were looked at, each rule up to the first that fits, and the decision;
    no patient data. Exit code 2: something could not be read.
    """
    del config
    if sender is None:
        sender = settings.senders[0].ae_title if settings.senders else ""
    elif settings.senders and settings.sender(sender) is None:
        click.echo(f"taqrir: {sender} is not in [[senders]]: the node refuses it", err=True)
    with opened(paths) as inputs:
        files, problems = _explain_all(inputs, sender, settings)
    if as_json:
        print_json({"files": files, "unreadable": problems})
    else:
        if files:
            click.echo("\n\n".join(_text(file) for file in files))
        for problem in problems:
            click.echo(f"taqrir: {problem}", err=True)
    if problems:
        sys.exit(2)


def _explain_all(
    inputs: Inputs, sender: str, settings: Settings
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an explanation for each file, and a sentence for each that cannot be read."""
    from dicom_node.header import read_header
    from dicom_node.rules import explain, looked_at

    known = settings.sender(sender)
    character_set = known.character_set if known else ""
    files: list[dict[str, Any]] = []
    problems = [f"{name}: not found" for name in inputs.missing] + inputs.unreadable
    for path in inputs.files:
        name = inputs.name_of(path)
        try:
            header = read_header(path, character_set)
        except UnreadableInstanceError as error:
            problems.append(f"{name}: {error}")
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
        else:
            explanation = explain(header, sender, settings.rules)
            files.append({"file": name, "attributes": looked_at(header, sender)})
            files[-1] |= _plain(explanation)
    return files, problems


def _plain(explanation: Explanation) -> dict[str, Any]:
    admission = explanation.admission
    return {
        "rules": [
            {"rule": trial.rule, "fits": not trial.mismatch, "mismatch": trial.mismatch}
            for trial in explanation.trials
        ],
        "decision": "draft" if admission.is_admitted else "ignore",
        "rule": admission.rule,
        "reason": admission.reason,
        "priority": admission.priority,
        "options": admission.options,
    }


def _text(file: dict[str, Any]) -> str:
    attributes = (f"{name} {value}" for name, value in file["attributes"].items() if value)
    lines = [file["file"], f"  looked at  {', '.join(attributes)}"]
    lines += [
        f"  rule       {trial['rule']}: {trial['mismatch'] or 'fits'}" for trial in file["rules"]
    ]
    options = "".join(f", {name} {value}" for name, value in file["options"].items())
    lane = f" ({file['priority']}{options})" if file["decision"] == "draft" else ""
    return "\n".join([*lines, f"  decision   {file['decision']}{lane}: {file['reason']}"])


COMMANDS = (rules,)
