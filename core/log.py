"""JSON logs: a static event and allow-listed fields, nothing else.

Patient data cannot reach a log by accident: a field that is not on the list is dropped and its name
reported, lines of libraries keep their text only where the library is known to write none of ours,
and of an exception the type and the places are written, never its message.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

# What may stand in a log line. None of these is ever filled from a data set's text.
FIELDS = frozenset(
    {
        "actor", "address", "ae_title", "attempt", "attempts", "bytes", "code", "count", "delivery",
        "destination", "draft", "error", "exception", "exit_code", "file", "from_state", "host",
        "instance", "kind", "language", "model", "name", "pid", "port", "reason", "role", "seconds",
        "sop_class", "state", "status", "step", "study", "task", "to_state", "transfer_syntax",
        "uid", "version",
    }
)  # fmt: skip
_FRAME = frozenset({"event", "level", "module", "time"})
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
# Libraries whose messages never quote what passes through them: connections, queues, migrations.
_QUIET_LIBRARIES = ("celery", "kombu", "alembic", "redis", "prometheus_client")


def _keep_allowed(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop what is not on the list, and say that something was dropped."""
    del logger, method
    unknown = sorted(key for key in event if key not in FIELDS and key not in _FRAME)
    kept = {key: value for key, value in event.items() if key not in unknown}
    if unknown:
        kept["reason"] = f"fields not allowed in a log: {', '.join(unknown)}"
    return kept


def describe(error: BaseException) -> str:
    """Return an exception's type and the places it passed, without its message."""
    places = [
        f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-6:]
    ]
    return f"{type(error).__name__} at {' < '.join(reversed(places))}"


def _describe_exception(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    del logger, method
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


class _LibraryHandler(logging.Handler):
    """Brings lines of libraries into our form, without their text where it may quote a patient."""

    def emit(self, record: logging.LogRecord) -> None:
        name = record.name
        is_quiet = name.startswith(_QUIET_LIBRARIES)
        # The template alone: arguments may hold anything, celery's the text of an exception.
        template = record.msg if is_quiet and isinstance(record.msg, str) else ""
        text = template.strip().partition("\n")[0][:200]
        fields: dict[str, Any] = {"name": name, "reason": text or "text withheld"}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = describe(record.exc_info[1])
        # structlog knows no levels between the named ones.
        level = max((known for known in _LEVELS if known <= record.levelno), default=logging.DEBUG)
        log(name).log(level, "library", **fields)


def _configure_ours(stream: TextIO | None, level: int) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _describe_exception,
            _keep_allowed,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Asked for at each line: standard error may have been put elsewhere since.
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


# From the first import on: structlog's own default would print local variables of a traceback.
_configure_ours(None, logging.INFO)


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Write logs of this process to a stream (standard error by default), a JSON object a line.

    Lines of libraries and warnings come the same way.
    """
    _configure_ours(stream, level)
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    # pydicom's warnings quote values; a warning's text is withheld like any library's.
    warnings.simplefilter("default")


def log(name: str) -> Any:
    """Return a logger for a module: `log(__name__).info("draft_ready", study=7, seconds=4.1)`."""
    return structlog.get_logger(module=name)
