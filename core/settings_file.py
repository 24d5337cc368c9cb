"""Reads the settings: from `taqrir.toml`, then from variables `TAQRIR_SECTION__KEY`.

An unknown key or an impossible value stops the start: the error names the line (or the variable),
the key, the value and what is allowed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.errors import SettingsError
from core.settings import Settings

ENVIRONMENT_PREFIX = "TAQRIR_"
_ROWS = ("senders", "rules", "pacs", "ris")


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a file and of the environment, which has the last word.

    Args:
        path: The file; None for defaults. Relative folders in it count from the file's own folder.
        environment: Variables to look at; those of the process where None.

    Raises:
        SettingsError: The file cannot be read, a key is unknown or a value is impossible.
    """
    text = _read(path) if path else ""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    variables = _overlay(data, os.environ if environment is None else environment)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        lines = [_sentence(path, text, variables, dict(e)) for e in error.errors()]
        raise SettingsError("\n".join(lines)) from None
    base = path.resolve().parent if path else Path.cwd()
    settings = settings.model_copy(update={"data_dir": base / settings.data_dir.expanduser()})
    settings._base_dir = base  # noqa: SLF001  our own class
    return settings


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{path}: cannot be read: {reason}") from None


def _overlay(data: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Write `TAQRIR_SECTION__KEY` variables over the file's values; return where each one went."""
    variables: dict[tuple[str, ...], str] = {}
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        keys = tuple(name[len(ENVIRONMENT_PREFIX) :].lower().split("__"))
        target: Any = data
        for key in keys[:-1]:
            target = target.setdefault(key, {})
            if key in _ROWS:
                raise SettingsError(f"{name}: rows of [[{key}]] are set in the file only")
            if not isinstance(target, dict):
                raise SettingsError(f"{name}: {key} is a setting, no section with settings in it")
        target[keys[-1]] = _from_variable(value)
        variables[keys] = name
    return variables


def _from_variable(value: str) -> Any:
    """Read a variable as TOML where that gives a list, else as text; pydantic does the rest."""
    if not value.startswith("["):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _sentence(
    path: Path | None, text: str, variables: dict[tuple[str, ...], str], error: dict[str, Any]
) -> str:
    """Return one refusal: where it stands, the key, the value, what is allowed."""
    location: tuple[Any, ...] = error["loc"]
    keys = tuple(str(part) for part in location if not isinstance(part, int))
    where = _variable(variables, keys) or _place(path, text, location)
    key = ".".join(str(part) for part in location) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown setting {key}; known here: {', '.join(_known(keys[:-1]))}"
    message = error["msg"].removeprefix("Value error, ")
    given = (
        "" if error["type"] == "missing" or not location else f" = {_mask(repr(error['input']))}"
    )
    return f"{where}: {key}{given}: {message[:1].lower()}{message[1:]}"


def _variable(variables: dict[tuple[str, ...], str], keys: tuple[str, ...]) -> str:
    """Return the variable that set a key, or something within it; empty where none did."""
    if keys in variables:
        return variables[keys]
    within = (name for set_keys, name in variables.items() if set_keys[: len(keys)] == keys)
    return next(within, "") if keys else ""


def _known(keys: tuple[str, ...]) -> list[str]:
    """Return the names of the settings in a section."""
    section: Any = Settings
    for key in keys:
        field = section.model_fields.get(key)
        if field is None:
            return []
        annotation = field.annotation
        section = annotation.__args__[0] if hasattr(annotation, "__args__") else annotation
    return sorted(section.model_fields)


def _place(path: Path | None, text: str, location: tuple[Any, ...]) -> str:
    """Return `file:line` of a setting; tomllib itself remembers no lines.

    Walks the section headers and counts the rows of each `[[section]]`. Where the key itself is not
    written (it is missing), the line is that of its section.
    """
    if path is None:
        return "settings"
    wanted = [str(part) for part in location]
    section: list[str] = []
    rows: dict[str, int] = {}
    best = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
            name = match.group(1)
            rows[name] = rows.get(name, -1) + 1
            section = [*name.split("."), str(rows[name])]
        elif match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            section = match.group(1).split(".")
        elif match := re.match(r"""\s*["']?([\w-]+)["']?\s*(?:\.\s*([\w-]+)\s*)?=""", line):
            key = [*section, *(part for part in match.groups() if part)]
            if key == wanted[: len(key)] and len(key) > len(section):
                return f"{path}:{number}"
            continue
        else:
            continue
        if section == wanted[: len(section)]:
            best = f"{path}:{number}"
    return best or str(path)


def _mask(text: str) -> str:
    """Hide the password of an address such as `redis://user:password@host`."""
    # To the last @: a password may hold one, though it should be written %40.
    text = re.sub(r"(//[^:/@]*:).*@", r"\1***@", text, flags=re.DOTALL)
    return re.sub(r"([?&]password=)[^&'\"]*", r"\1***", text)


def masked(settings: Settings) -> dict[str, Any]:
    """Return the effective settings as plain data, passwords in addresses masked."""
    data = settings.model_dump(mode="json")
    for section in ("database", "broker"):
        url = data[section]["url"]
        data[section]["url"] = _mask(url)
    return data
