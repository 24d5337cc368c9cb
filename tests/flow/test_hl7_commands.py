"""What an operator sees of messages and orders, and how one is played again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Site, film, one_database
from harness.feed import hear, keep, message, order

from cli.main import taqrir
from core.errors import TaqrirError

# The commands are one process each, and leave their connections to that process's end.
pytestmark = one_database


def run(site: Site, *words: str) -> Result:
    return CliRunner().invoke(taqrir, [*words, "--config", str(site.config)])


def read(site: Site, *words: str) -> Any:
    result = run(site, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def busy(site: Site) -> Site:
    """An installation with an order, one of another patient, a broken message and one in wait."""
    site.take_in(film())
    hear(
        site,
        order(control_id="GOOD"),
        order(control_id="FOREIGN", patient="P2", reason="secret"),
        message("ORM^O01", "PID|||P1||Qabbani", control_id="BAD"),
        message("SIU^S12", "PID|||P1", control_id="OTHER"),
    )
    keep(site, order(control_id="GOOD", reason="again"))
    return site


def test_the_list_says_of_each_message_what_became_of_it(busy: Site) -> None:
    rows = read(busy, "hl7", "list")

    assert [(row["control_id"], row["state"]) for row in rows] == [
        ("GOOD", "APPLIED"),
        ("FOREIGN", "APPLIED"),
        ("BAD", "FAILED"),
        ("OTHER", "IGNORED"),
        ("GOOD", "RECEIVED"),
    ]
    text = run(busy, "hl7", "list").stdout
    assert "RECEIVED 1  APPLIED 2  IGNORED 1  FAILED 1" in text
    assert "It holds no OBR or ORC segment." in text
    assert "came before with other content" in text
    # The list names no patient; `show` does.
    assert "Qabbani" not in text


def test_the_list_is_cut_by_state_and_number(busy: Site) -> None:
    assert [row["control_id"] for row in read(busy, "hl7", "list", "--state", "FAILED")] == ["BAD"]
    assert [row["number"] for row in read(busy, "hl7", "list", "--limit", "2")] == [4, 5]
    assert run(busy, "hl7", "list", "--state", "LOST").exit_code != 0


@pytest.mark.parametrize(("name", "numbers"), [("GOOD", [1, 5]), ("3", [3]), ("BAD", [3])])
def test_a_message_is_shown_by_number_or_control_id(
    busy: Site, name: str, numbers: list[int]
) -> None:
    rows = read(busy, "hl7", "show", name)

    assert [row["number"] for row in rows] == numbers
    assert rows[0]["content"].startswith("MSH|^~\\&|RIS|HOSP|")
    assert "PID|||P1||Qabbani" in run(busy, "hl7", "show", name).stdout


def test_bytes_that_are_no_text_are_shown_as_far_as_they_can_be(site: Site) -> None:
    keep(site, order(control_id="1").replace(b"cough", b"\xff\xfe\x1bX\x07"))

    assert "\xff" in read(site, "hl7", "show", "1")[0]["content"]
    # A terminal must not obey what a message says.
    assert not {"\x1b", "\x07"} & set(run(site, "hl7", "show", "1").stdout)


@pytest.mark.parametrize("command", ["show", "replay"])
def test_what_never_came_is_an_error(site: Site, command: str) -> None:
    result = run(site, "hl7", command, "NOBODY")
    assert isinstance(result.exception, TaqrirError)
    assert "NOBODY" in str(result.exception)


@pytest.mark.parametrize("which", ["BAD", "3", "--failed"])
def test_a_message_is_played_again(busy: Site, which: str) -> None:
    assert read(busy, "hl7", "replay", which) == {"replayed": [3]}
    hear(busy)

    (row,) = read(busy, "hl7", "show", "BAD")
    assert (row["state"], row["attempts"]) == ("FAILED", 2)


def test_replay_wants_to_know_what(site: Site) -> None:
    assert run(site, "hl7", "replay").exit_code != 0
    assert run(site, "hl7", "replay", "1", "--failed").exit_code != 0


def test_status_and_show_name_orders_that_are_another_patients(busy: Site) -> None:
    status = read(busy, "status")
    assert status["orders"] == {"WAITING": 0, "ATTACHED": 1, "CONFLICT": 1, "CANCELLED": 0}
    assert [row["control_id"] for row in status["failed_messages"]] == ["BAD"]
    (conflict,) = status["conflicting_orders"]
    assert "another patient" in conflict["reason"]
    text = run(busy, "status").stdout
    assert "CONFLICT    order 2 (ACC1)" in text
    assert "FAILED      message 3 ORM^O01 BAD" in text

    orders = read(busy, "show", "ACC1")["orders"]
    assert [(row["state"], row["indication"]) for row in orders] == [
        ("ATTACHED", "cough"),
        ("CONFLICT", ""),
    ]
    shown = run(busy, "show", "ACC1").stdout
    assert "ATTACHED order 1, routine: cough" in shown
    assert "secret" not in shown
