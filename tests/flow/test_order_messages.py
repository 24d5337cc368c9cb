"""Messages of an order: followed once, kept where they fail, played again without harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import Site, film, one_database
from harness.feed import final_report, hear, keep, message, order, segment
from harness.orders import WHOLE, ordered, outcomes, rows, states
from sqlalchemy import select

from core import messages
from core.database import reading
from core.errors import TransitionError
from core.lifecycle import MessageState, OrderState
from core.order_tables import Hl7Message, OutsideReport
from hl7.orders import read_instructions
from worker.orders import follow_next, forget_old


@one_database
def test_the_same_key_with_other_content_is_followed_and_marked(site: Site) -> None:
    first = order(control_id="SAME")
    hear(site, first, first, order(control_id="SAME", reason="other"))

    with reading(site.engine) as session:
        found = messages.find(session, "SAME")
    assert [row.is_key_repeated for row in found] == [False, True]
    assert [row.attempts for row in found] == [1, 1]
    assert rows(site)[0].indication == "other"


def test_a_message_that_fails_is_kept_and_can_be_played_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug that names Qabbani")

    with monkeypatch.context() as patch:
        patch.setattr("worker.orders.read_instructions", broken)
        hear(site, order())
    hear(site, order(number="2"), message("ORM^O01", "PID|||P1"))

    assert [row[0] for row in outcomes(site)] == ["FAILED", "APPLIED", "FAILED"]
    assert "Qabbani" not in "".join(reason for _, reason in outcomes(site))
    with site.writing() as session:
        for row in session.scalars(select(Hl7Message)).all():
            messages.replay(row)
    hear(site)

    assert [row[0] for row in outcomes(site)] == ["APPLIED", "APPLIED", "FAILED"]
    assert len(rows(site)) == 2


def test_others_write_while_a_message_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    later = [order(number="2")]

    def slow(*args: Any, **kwargs: Any) -> Any:
        if later:
            keep(site, later.pop())
        return read_instructions(*args, **kwargs)

    monkeypatch.setattr("worker.orders.read_instructions", slow)
    hear(site, order(number="1"))

    assert [row[0] for row in outcomes(site)] == ["APPLIED", "APPLIED"]
    assert [row.placer_number for row in rows(site)] == ["1", "2"]


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_message_that_a_quicker_process_followed_is_not_followed_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, is_readable: bool
) -> None:
    is_first = [True]

    def slow(*args: Any, **kwargs: Any) -> Any:
        if is_first:
            is_first.clear()
            assert follow_next(site.parts)
            if not is_readable:
                raise RuntimeError("an older version of the program")
        return read_instructions(*args, **kwargs)

    monkeypatch.setattr("worker.orders.read_instructions", slow)
    hear(site, order(number="1"))

    with reading(site.engine) as session:
        (row,) = messages.listed(session)
    assert (row.state, row.attempts) == ("APPLIED", 1)
    assert len(rows(site)) == 1


@one_database
def test_a_message_that_is_played_again_undoes_nothing_that_came_after_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("worker.orders.read_instructions", broken)
        hear(site, WHOLE)
    hear(site, ordered("CA|O1"))
    with site.writing() as session:
        messages.replay(session.get_one(Hl7Message, 1))
    hear(site)

    assert states(site) == [(OrderState.CANCELLED, None)]
    assert outcomes(site)[0] == ("APPLIED", "order unchanged: a later message has changed it")


@one_database
def test_a_message_is_found_by_its_number_before_any_control_id(site: Site) -> None:
    hear(site, order(control_id="2"), order(control_id="17"))

    with reading(site.engine) as session:
        found = [[row.id for row in messages.find(session, text)] for text in ("2", "17", "3")]
    assert found == [[2], [2], []]


@one_database
def test_what_a_failed_message_began_is_undone(site: Site) -> None:
    site.take_in(film())
    two = message("ADT^A40", "PID|||P9", "MRG|P1", "PID|||P8", "MRG|P8")
    hear(site, two)

    assert [row[0] for row in outcomes(site)] == ["FAILED"]
    assert site.study().patient_id == "P1"


@one_database
def test_letters_that_a_database_cannot_hold_stop_nothing(site: Site) -> None:
    content = message(
        "ORM^O01", "PID|||P1", "ORC|NW|1", segment("OBR", {18: "ACC1", 31: "^a\\X00\\b\x00c"})
    )
    hear(site, content, message("SIU^S12", "PID|||P1"))

    assert rows(site)[0].indication == "a b c"
    assert outcomes(site)[1] == (MessageState.IGNORED, "it asks nothing of us")


@one_database
def test_what_messages_said_goes_when_its_days_are_over(make_site: Callable[..., Site]) -> None:
    site = make_site(rules="[retention]\ndays = 30\n")
    hear(site, order(), order(accession="X"), final_report("Y", impression="Words."))
    hear(site, message("ORM^O01", "PID|||P1"))
    site.take_in(film())
    site.clock.advance(days=31)
    hear(site, order(accession="NEW"))
    forget_old(site.parts)

    with reading(site.engine) as session:
        contents = [row.content for row in session.scalars(select(Hl7Message))]
        assert session.scalars(select(OutsideReport)).all() == []
    # What failed is a person's to look at; what is attached goes with its study.
    assert [bool(content) for content in contents] == [False, False, False, True, True]
    assert [row.accession_number for row in rows(site)] == ["ACC1", "NEW"]
    with site.writing() as session, pytest.raises(TransitionError, match="removed"):
        messages.replay(session.get_one(Hl7Message, 1))
