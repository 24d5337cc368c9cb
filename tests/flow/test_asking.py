"""`taqrir ask`: a question about a study goes to the model, and both are kept with the study."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from harness import Site, film, one_database
from harness.fake_drafter import a_finding
from harness.retained import age, purge
from sqlalchemy import select

from cli.main import taqrir
from core.database import reading
from core.errors import NotForUsError, PermanentError
from core.lifecycle import State
from core.report import Language
from core.tables import Turn
from worker.asking import AskedTurn, ask, turns_of


def _ask(site: Site, question: str, language: Language = Language.EN) -> AskedTurn:
    return ask(site.parts, 1, question, language, actor="operator test")


def _asked(site: Site) -> list[Turn]:
    with reading(site.engine) as session:
        return list(turns_of(session, 1))


def test_each_question_is_asked_with_those_before_it_on_the_drafts_own_frames(site: Site) -> None:
    site.take_in(film())
    _ask(site, "Any nodule?")
    turn = _ask(site, "أين؟", Language.AR)

    first, second = site.drafter.questions
    assert first.history == ()
    assert second.history == (("Any nodule?", "Answer 1."),)
    assert turn.number == 2
    drafted = site.drafts()[0].selection["frames"]
    assert [frame.sop_instance_uid for frame in turn.frames] == [
        frame["sop_instance_uid"] for frame in drafted
    ]
    assert [(row.number, row.language, row.answer) for row in _asked(site)] == [
        (1, "en", "Answer 1."),
        (2, "ar", "Answer 2."),
    ]
    assert site.state() is State.IN_REVIEW


@one_database
def test_the_timeline_says_that_somebody_asked_and_not_what(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film(PatientName="Canary^Florence"))
    _ask(site, "Has Canary a nodule?")

    line = next(row for row in site.timeline() if row.event == "asked")
    assert line.actor == "operator test"
    assert line.detail["turn"] == 1
    said = json.dumps(line.detail)
    assert "anary" not in said
    assert "nodule" not in said
    assert "Answer" not in said


@one_database
def test_a_withheld_answer_is_kept_and_never_told_again(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film())
    site.drafter.script.append((a_finding("REFUSAL"),))
    assert _ask(site, "Any nodule?").answer.is_withheld
    _ask(site, "Any mass?")
    assert site.drafter.questions[-1].history == ()
    assert [row.is_withheld for row in _asked(site)] == [True, False]

    shown = CliRunner().invoke(taqrir, ["show", "ACC1", "--config", str(site.config)]).stdout
    assert "1. Any nodule?\n     withheld\n  2. Any mass?\n     Answer 2." in shown
    assert "Answer 1." not in shown


@one_database
def test_what_was_said_of_other_images_is_not_told(make_site: Callable[..., Site]) -> None:
    site = make_site()
    image = film()
    site.take_in(image)
    _ask(site, "Any nodule?")
    later = film(image.StudyInstanceUID, ViewPosition="LL", PatientOrientation=["A", "F"])
    site.take_in(later)
    assert site.study().version == 2
    _ask(site, "Any mass?")
    assert site.drafter.questions[-1].history == ()


def test_a_purge_takes_the_conversation_along(site: Site) -> None:
    site.take_in(film())
    site.take_in(film())
    for study in (1, 2):
        ask(site.parts, study, "Any nodule?", Language.EN, actor="operator test")
    assert len(_asked(site)) == 1

    age(site)
    assert purge(site).studies == 2
    with reading(site.engine) as session:
        assert session.scalars(select(Turn)).all() == []
    with pytest.raises(PermanentError, match="purged"):
        _ask(site, "Any nodule?")


@one_database
def test_no_question_and_no_image_are_refused(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film(Rows=0))
    with pytest.raises(PermanentError, match="no question"):
        _ask(site, " \n")
    with pytest.raises(NotForUsError):
        _ask(site, "Any nodule?")
    assert _asked(site) == []


@one_database
def test_the_command_answers_from_the_demonstration_model(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film())
    options = ["--config", str(site.config), "--json"]
    result = CliRunner().invoke(taqrir, ["ask", "ACC1", "Any nodule?", *options])

    said = json.loads(result.stdout)
    assert said["turn"] == 1
    assert said["question"] == "Any nodule?"
    assert "NOT VERIFIED" in said["notices"][0]
    assert "no clinical meaning" in said["notices"][-1]
    assert said["frames"]
    assert (result.exit_code == 1) is said["is_withheld"] is (said["answer"] == "")
    nobody = CliRunner().invoke(taqrir, ["ask", "NOBODY", "Any nodule?", *options])
    assert nobody.exit_code == 1
    site.take_in(film())
    both = CliRunner().invoke(taqrir, ["ask", "ACC1", "Any nodule?", *options])
    assert both.exit_code == 2
