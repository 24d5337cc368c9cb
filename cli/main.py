"""The command's entry point: sub-commands and what becomes of errors."""

from __future__ import annotations

import importlib
import logging
import sys

import click

from core import log
from core.errors import TaqrirError

# Where each command is: a module is imported when its command is called, so that a process that
# keeps running holds no libraries of the others'.
_MODULES = {
    "run": ("up", "worker"),
    "node": ("node",),
    "orders": ("orders",),
    "status": ("status",),
    "show": ("show",),
    "settings_page": ("settings",),
    "act": ("send", "retry", "check"),
    "complete": ("complete",),
    "sign": ("sign", "reject", "correct", "addend"),
    "consent": ("consent",),
    "edits": ("edits",),
    "deliveries": ("deliveries", "park"),
    "hl7": ("hl7",),
    "ask": ("ask",),
    "rules": ("rules",),
    "retention": ("dismiss", "purge"),
    "model": ("model",),
    "phantom": ("phantom",),
    "demo": ("demo",),
}
_HOMES = {command: module for module, commands in _MODULES.items() for command in commands}


class _Commands(click.Group):
    """The sub-commands, in the order of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _HOMES:
            return None
        module = importlib.import_module(f"cli.{_HOMES[cmd_name]}")
        commands: tuple[click.Command, ...] = module.COMMANDS
        return next(command for command in commands if command.name == cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taqrir", prog_name="taqrir")
def taqrir() -> None:
    """Draft radiology reports in English and Arabic for a PACS and a RIS.

    Drafts only, not a medical device: a radiologist reviews and signs.
    """


def main() -> None:
    """Run the command; an error of ours is a sentence on standard error and exit code 2."""
    # Commands that keep running ask for a log; the others say in words what went wrong.
    log.configure(level=logging.CRITICAL)
    try:
        # Without its standalone mode click returns the code of `context.exit`, and 0 for --help.
        sys.exit(taqrir.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except TaqrirError as error:
        click.echo(f"taqrir: {error}", err=True)
        sys.exit(2)
