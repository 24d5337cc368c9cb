"""The command's entry point: sub-commands and what becomes of errors."""

from __future__ import annotations

import logging
import sys

import click

from cli import act, complete, demo, look, node, retention, rules, run
from core import log
from core.errors import TaqrirError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taqrir", prog_name="taqrir")
def taqrir() -> None:
    """Draft radiology reports in English and Arabic for a PACS and a RIS.

    Drafts only, not a medical device: a radiologist reviews and signs.
    """


for module in (run, node, look, act, complete, rules, retention, demo):
    for command in module.COMMANDS:
        taqrir.add_command(command)


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
