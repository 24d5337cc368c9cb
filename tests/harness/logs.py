"""Everything that this process logs, at DEBUG, in the form that a site sees."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from core import log


@contextmanager
def captured_logs() -> Iterator[io.StringIO]:
    """Configure logging as the programs do, at DEBUG and for every library, into a buffer."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configuration = structlog.get_config()
    stream = io.StringIO()
    log.configure(stream, level=logging.DEBUG)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.configure(**configuration)
