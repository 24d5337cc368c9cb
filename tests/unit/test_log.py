"""What may stand in a log, and what never does, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from harness import captured_logs

from core.log import FIELDS, describe, log

CANARY = "CANARY^نزار"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with captured_logs() as stream:
        yield stream


def _last(lines: io.StringIO) -> dict[str, object]:
    found: dict[str, object] = json.loads(lines.getvalue().splitlines()[-1])
    return found


def test_a_line_is_one_json_object_with_its_fields(lines: io.StringIO) -> None:
    log("here").info("draft_ready", study=7, seconds=4.1)

    line = _last(lines)
    assert line.pop("time")
    assert line == {
        "event": "draft_ready",
        "level": "info",
        "module": "here",
        "study": 7,
        "seconds": 4.1,
    }


def test_a_field_that_is_not_on_the_list_is_dropped_and_its_name_reported(
    lines: io.StringIO,
) -> None:
    log("here").warning("stored", study=7, patient_name=CANARY, note=CANARY)

    line = _last(lines)
    assert CANARY not in lines.getvalue()
    assert line["reason"] == "fields not allowed in a log: note, patient_name"
    assert line["study"] == 7


def test_no_field_on_the_list_is_one_of_a_patient() -> None:
    forbidden = {"patient", "patient_id", "patient_name", "birth", "accession", "text", "report"}

    assert not FIELDS & forbidden


def _fail() -> None:
    raise ValueError(CANARY)


@pytest.mark.parametrize("how", ["exception", "error, the exception", "error, a tuple"])
def test_of_an_exception_the_type_and_the_place_are_written_and_never_its_words(
    lines: io.StringIO, how: str
) -> None:
    import sys

    try:
        _fail()
    except ValueError as error:
        match how:
            case "exception":
                log("here").exception("it_failed")
            case "error, the exception":
                log("here").error("it_failed", exc_info=error)
            case _:
                log("here").error("it_failed", exc_info=sys.exc_info())

    line = _last(lines)
    assert CANARY not in lines.getvalue()
    assert "\\u0646" not in lines.getvalue()
    words = str(line["exception"])
    assert words.startswith("ValueError at ")
    assert "test_log.py" in words
    assert "_fail" in words


def test_the_causes_of_an_exception_stay_out_too(lines: io.StringIO) -> None:
    try:
        try:
            _fail()
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        log("here").exception("it_failed")

    assert CANARY not in lines.getvalue()


def test_an_exception_that_was_never_raised_is_described() -> None:
    assert describe(KeyError(CANARY)) == "KeyError at "


# Libraries


@pytest.mark.parametrize("library", ["pydicom", "pynetdicom.acse", "hl7apy", "sqlalchemy.engine"])
def test_the_words_of_a_library_that_may_quote_are_withheld(
    lines: io.StringIO, library: str
) -> None:
    logger = logging.getLogger(library)
    logger.log(logging.CRITICAL + 5, "Invalid value " + CANARY)  # noqa: G003  as libraries do
    logger.critical("Invalid value %s", CANARY)

    assert CANARY not in lines.getvalue()
    for line in map(json.loads, lines.getvalue().splitlines()):
        assert line["name"] == library
        assert line["reason"] == "text withheld"


def test_a_library_that_never_quotes_keeps_its_template_and_loses_what_it_fills_in(
    lines: io.StringIO,
) -> None:
    logging.getLogger("celery.worker").error("Task %s raised: %s\nmore", "id", CANARY)

    line = _last(lines)
    assert line["reason"] == "Task %s raised: %s"
    assert CANARY not in lines.getvalue()


@pytest.mark.parametrize("message", [ValueError(CANARY), {"x": CANARY}, 7, None, "", "\n"])
def test_what_a_library_logs_that_is_no_text_is_withheld(
    lines: io.StringIO, message: object
) -> None:
    logging.getLogger("kombu").error(message)

    assert _last(lines)["reason"] == "text withheld"
    assert CANARY not in lines.getvalue()


def test_a_level_of_a_librarys_own_is_no_trouble(lines: io.StringIO) -> None:
    logging.getLogger("celery").log(25, "Between the levels")
    logging.getLogger("celery").log(999, "Above all")

    levels = [json.loads(line)["level"] for line in lines.getvalue().splitlines()]
    assert levels == ["info", "critical"]


def test_a_librarys_exception_keeps_its_type_only(lines: io.StringIO) -> None:
    try:
        _fail()
    except ValueError:
        logging.getLogger("celery").exception("Task failed: %s", CANARY)

    assert str(_last(lines)["exception"]).startswith("ValueError at ")
    assert CANARY not in lines.getvalue()


def test_the_text_of_a_warning_is_withheld(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"Invalid value for VR PN: {CANARY}", UserWarning, stacklevel=1)

    assert CANARY not in lines.getvalue()
    assert _last(lines)["name"] == "py.warnings"
