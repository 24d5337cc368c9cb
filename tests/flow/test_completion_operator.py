"""`taqrir complete`, and what `taqrir show` tells of why a study was taken for whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis
from click.testing import CliRunner, Result
from harness import Site, film, film_of_another_patient, one_database, report_object
from harness.arrivals import begin, open_association
from sqlalchemy import update

from cli.main import taqrir
from core.lifecycle import State
from core.tables import Instance, Study

# The command is one process, and leaves its connections to that process's end.
pytestmark = [one_database, pytest.mark.service]


@pytest.fixture
def site(make_site: Callable[..., Site], fresh_redis_url: str) -> Site:
    """An installation with a real broker; nobody waits for its quiet time."""
    return make_site(broker_url=fresh_redis_url)


def _run(site: Site, *words: str) -> Result:
    return CliRunner().invoke(taqrir, [*words, "--config", str(site.config)])


def _rung(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return sum(client.llen(key) for key in client.keys("draft*") if client.type(key) == b"list")


def test_a_study_that_is_being_received_is_queued_at_once(site: Site, fresh_redis_url: str) -> None:
    site.receive(film())
    uid = site.study().study_uid

    result = _run(site, "complete", uid)

    assert (result.exit_code, result.stdout) == (0, f"{uid} is QUEUED\n")
    row = site.timeline()[-1]
    assert (row.event, site.study().completed_by) == ("went_quiet", "operator")
    assert row.actor.startswith("operator ")
    assert row.detail["evidence"] == "an operator said so"
    assert _rung(fresh_redis_url) == 1


def test_what_still_comes_is_counted_and_does_not_hold_it(site: Site) -> None:
    first = film()
    site.receive(first)
    open_association(site)
    under_way = begin(site, film(first.StudyInstanceUID))

    assert _run(site, "complete", "ACC1").exit_code == 0
    assert site.timeline()[-1].detail["open_associations"] == 1
    under_way.abandon()


def test_the_answer_for_programs_says_all_of_it(site: Site) -> None:
    site.receive(film())

    result = _run(site, "complete", "ACC1", "--json")

    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer == {
        "study_uid": site.study().study_uid,
        "accession_number": "ACC1",
        "state": "QUEUED",
        "version": 1,
        "completed_by": "operator",
        "reason_code": "",
        "reason": "",
        "problem": "",
    }


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (State.WITHHELD, "PATIENT_CONFLICT", "different patients"),
        (State.IGNORED, "NO_IMAGE", "holds no image"),
        (State.IGNORED, "NOT_ADMITTED", "rule phantoms: ignored"),
        (State.IGNORED, "TOO_MANY_VERSIONS", "taqrir retry"),
    ],
)
def test_what_holds_for_every_whole_study_holds_for_an_operators(
    site: Site, fresh_redis_url: str, state: State, code: str, words: str
) -> None:
    first = film() if code != "NO_IMAGE" else report_object()
    site.receive(first)
    if code == "PATIENT_CONFLICT":
        site.receive(film_of_another_patient(first.StudyInstanceUID))
    with site.writing() as session:
        if code == "NOT_ADMITTED":
            refused = {"is_admitted": False, "admission": "rule phantoms: ignored"}
            session.execute(update(Instance).values(**refused))
        if code == "TOO_MANY_VERSIONS":
            session.execute(update(Study).values(version=6))

    result = _run(site, "complete", first.StudyInstanceUID)

    assert result.exit_code == 1
    assert f"is {state}: " in result.stderr
    assert words in result.stderr
    assert (site.state(), site.study().reason_code) == (state, code)
    assert _rung(fresh_redis_url) == 0


def test_a_study_in_another_state_is_left_alone_and_that_is_said(site: Site) -> None:
    site.receive(film())
    site.go_quiet()
    site.draft()
    before = site.events()

    result = _run(site, "complete", "ACC1", "--json")

    assert result.exit_code == 1
    assert "is IN_REVIEW; only a RECEIVING study can be completed" in result.stderr
    assert json.loads(result.stdout)["state"] == "IN_REVIEW"
    assert site.events() == before


def test_a_study_that_nobody_sent_is_said(site: Site) -> None:
    for words in ((), ("--json",)):
        result = _run(site, "complete", "1.2.3", *words)

        assert result.exit_code == 1
        assert "nothing was received under 1.2.3" in result.stderr


def test_of_several_studies_under_one_accession_all_are_listed_and_none_is_touched(
    site: Site,
) -> None:
    site.receive(film(), film())

    result, plain = (_run(site, "complete", "ACC1", *words) for words in (("--json",), ()))

    assert (result.exit_code, plain.exit_code) == (2, 2)
    uids = [site.study(number).study_uid for number in (1, 2)]
    assert [row["study_uid"] for row in json.loads(result.stdout)] == uids
    assert all(f"{uid} is RECEIVING" in plain.stdout for uid in uids)
    assert "2 studies bear ACC1" in result.stderr
    assert site.state(1) is site.state(2) is State.RECEIVING


def test_show_tells_why_a_study_was_taken_for_whole(site: Site) -> None:
    first = film()
    site.receive(first)
    assert "Complete  not yet" in _run(site, "show", "ACC1").stdout

    site.go_quiet()

    assert "Complete  quiet: nothing came for 600 s (completion.quiet_seconds)" in (
        _run(site, "show", "ACC1").stdout
    )
    shown = json.loads(_run(site, "show", "ACC1", "--json").stdout)
    assert shown["completed_by"] == "quiet"
    assert shown["completion"]["quiet_seconds"] == 600
    assert shown["completion"]["instances"] == 1


def test_show_tells_nothing_of_an_earlier_version_while_a_later_one_comes(site: Site) -> None:
    first = film()
    site.receive(first)
    site.go_quiet()
    site.receive(film(first.StudyInstanceUID))

    shown = json.loads(_run(site, "show", "ACC1", "--json").stdout)

    assert (shown["state"], shown["completed_by"], shown["completion"]) == ("RECEIVING", "", {})
