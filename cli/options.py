"""Options that several commands share."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.errors import SettingsError
from core.footprint import apart
from core.settings import Settings
from core.settings_file import load

if TYPE_CHECKING:
    from sqlalchemy import Engine

DEFAULT_CONFIG = Path("taqrir.toml")


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config`, and hand it the settings read from there.

    Without the option `./taqrir.toml` is read if there is one, else the defaults hold.
    """
    return _with_settings(command, _load)


def with_settings_apart(command: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same for a command that supervises others for months.

    What is needed to look at the rules does not stay in its memory.
    """
    return _with_settings(command, functools.partial(_load, is_apart=True))


def _with_settings(
    command: Callable[..., Any], load_settings: Callable[[Path | None], Settings]
) -> Callable[..., Any]:
    @click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Settings file (default: ./taqrir.toml if there is one).",
    )
    @functools.wraps(command)
    def wrapped(config: Path | None, **arguments: Any) -> Any:
        path = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        return command(settings=load_settings(path), config=path, **arguments)

    return wrapped


def _load(path: Path | None, *, is_apart: bool = False) -> Settings:
    """Read the settings, and the rules in them as the node would.

    Raises:
        SettingsError: A setting is wrong, or a rule can never fit.
    """
    settings = load(path)
    if settings.rules:
        try:
            apart(_check_rules, settings) if is_apart else _check_rules(settings)
        except SettingsError as error:
            lines = [f"{path}: {line}" for line in str(error).splitlines()]
            raise SettingsError("\n".join(lines)) from None
    return settings


def _check_rules(settings: Settings) -> None:
    # What a SOP class is called is DICOM's knowledge, which the settings themselves lack.
    from dicom_node.rule_check import check_rules

    check_rules(settings.rules, [sender.ae_title for sender in settings.senders])


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def since_option(words: str) -> Callable[..., Any]:
    """Return `--since DATE`, the beginning of a day where the command runs."""
    return click.option(
        "--since",
        type=click.DateTime(["%Y-%m-%d"]),
        callback=lambda _context, _option, day: day and day.astimezone(),
        metavar="YYYY-MM-DD",
        help=words,
    )


def print_json(data: Any) -> None:
    """Print data as JSON, Arabic letters as they are."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def open_database(settings: Settings) -> Engine:
    """Open the database of an installation that exists.

    Raises:
        SettingsError: Nothing was ever started there, or the tables are of another release.
    """
    from core import database, migration

    url = database.database_url(settings)
    if url.startswith("sqlite") and not (settings.data_dir / "taqrir.db").exists():
        raise SettingsError(
            f"{settings.data_dir} holds no database: nothing has been started with these settings"
        )
    engine = database.open_engine(url)
    found, newest = migration.revisions(engine)
    if found != newest:
        raise SettingsError(
            f"the database's tables are at revision {found}, this release wants {newest}: "
            "start `taqrir up`, `node` or `worker` once, which brings them there"
        )
    return engine
