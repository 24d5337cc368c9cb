"""Progress of long work on a terminal; nothing where standard error goes elsewhere."""

from __future__ import annotations

import sys

import click


class Counter:
    """Counts files as they are done: `12/500`."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def __call__(self, _done: object) -> None:
        """Count one more."""
        self._done += 1
        if sys.stderr.isatty():
            click.echo(f"\r{self._done}/{self._total}", nl=self._done >= self._total, err=True)
