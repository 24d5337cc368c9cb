"""`settings`: what is in force, and the page that describes every setting, written from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from cli.options import as_json, print_json, with_settings
from core.settings import Settings
from core.settings_file import ENVIRONMENT_PREFIX, masked

_START = f"""# Settings

Read from `taqrir.toml` (`--config FILE`, else `./taqrir.toml`), then from variables
`{ENVIRONMENT_PREFIX}SECTION__KEY`, which have the last word: `{ENVIRONMENT_PREFIX}NODE__PORT=104`.
Rows of `[[...]]` are set in the file only. An unknown key or an impossible value stops the start
with the line that is wrong. `taqrir settings` shows what holds. Written by
`taqrir settings --describe`.

"""


@click.command("settings")
@click.option("--describe", is_flag=True, help="Print the page that describes every setting.")
@as_json
@with_settings
def show_settings(
    settings: Settings, config: Path | None, *, describe: bool, as_json: bool
) -> None:
    """Show the effective settings, secrets masked."""
    if describe:
        click.echo(describe_settings(), nl=False)
        return
    data = masked(settings)
    if as_json:
        print_json(data)
        return
    click.echo(f"# from {config or 'defaults'} and TAQRIR_* variables")
    for key, value in data.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                click.echo(f"{key}.{name} = {json.dumps(inner)}")
        else:
            click.echo(f"{key} = {json.dumps(value)}")


def describe_settings() -> str:
    """Return `docs/settings.md`."""
    return _START + "\n".join(_sections())


def _sections() -> Iterator[str]:
    yield "## Top level\n"
    yield _table({"data_dir": Settings.model_fields["data_dir"]})
    for name, field in Settings.model_fields.items():
        section, is_row = _section_of(field.annotation)
        if section is not None:
            yield from _section(name, section, is_row=is_row)


def _section(name: str, section: type[BaseModel], *, is_row: bool) -> Iterator[str]:
    yield f"## `[[{name}]]`\n" if is_row else f"## `[{name}]`\n"
    yield f"{(section.__doc__ or '').strip().splitlines()[0]}\n"
    yield _table(section.model_fields)
    for inner, field in section.model_fields.items():
        part, is_part_row = _section_of(field.annotation)
        if part is not None:
            yield from _section(f"{name}.{inner}", part, is_row=is_part_row)


def _section_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the section that an annotation names, and whether it stands for rows."""
    is_row = get_origin(annotation) is tuple
    # `tuple[Row, ...]` and `Part | None` name theirs first.
    inner = next(iter(get_args(annotation)), annotation)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return inner, is_row
    return None, False


def _table(fields: dict[str, Any]) -> str:
    lines = ["| Key | Default | Meaning |", "|---|---|---|"]
    for name, field in fields.items():
        lines.append(f"| `{name}` | {_default(field)} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, StrEnum):
        value = value.value
    return f"`{json.dumps(value, default=str)}`"


COMMANDS = (show_settings,)
