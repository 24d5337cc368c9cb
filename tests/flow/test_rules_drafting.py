"""What a rule says counts while a study is drafted: lane, options, the images that it lets in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from harness import RecordingBell, Site, film, new_uid, one_database
from pydicom import uid
from sqlalchemy import update

from cli.main import taqrir
from cli.show import describe_study, study_text
from core import store
from core.database import reading
from core.lifecycle import State
from core.tables import Instance, Study
from worker.pipeline import draft_next
from worker.sweep import sweep_once


def _set(site: Site, study: int, **columns: Any) -> None:
    """Write what the rules decided when a study came in."""
    with site.writing() as session:
        session.execute(update(Study).where(Study.id == study).values(**columns))


def _refuse(site: Site, sop_instance_uid: str) -> None:
    """Write that the rules do not let an image in."""
    with site.writing() as session:
        named = Instance.sop_instance_uid == sop_instance_uid
        session.execute(update(Instance).where(named).values(is_admitted=False))


def _queue(site: Site, count: int, *, stat: tuple[int, ...] = ()) -> None:
    site.receive(*(film() for _ in range(count)))
    for study in stat:
        _set(site, study, priority="stat")
    site.go_quiet()


def _due(site: Site) -> list[int]:
    with reading(site.engine) as session:
        return list(store.due_studies(session, at=site.clock()))


# The lane


def test_stat_studies_come_first_each_lane_oldest_first(site: Site) -> None:
    _queue(site, 5, stat=(3, 5))

    assert _due(site) == [3, 5, 1, 2, 4]


def test_a_ring_drafts_the_most_urgent_study_whichever_was_rung_for(site: Site) -> None:
    _queue(site, 3, stat=(3,))

    assert draft_next(site.parts)
    assert [site.state(study) for study in (1, 2, 3)] == [
        State.QUEUED,
        State.QUEUED,
        State.IN_REVIEW,
    ]
    assert [draft_next(site.parts) for _ in range(3)] == [True, True, False]
    assert len(site.drafter.requests) == 3


def test_a_stat_study_that_waits_for_its_next_attempt_holds_nobody_up(site: Site) -> None:
    _queue(site, 2, stat=(2,))
    _set(site, 2, next_attempt_at=site.clock().replace(year=2100))

    assert _due(site) == [1]
    assert [draft_next(site.parts), draft_next(site.parts)] == [True, False]
    assert site.state(2) is State.QUEUED


def test_two_workers_rung_at_once_draft_two_studies(site: Site) -> None:
    _queue(site, 2, stat=(2,))
    other = site.new_parts("worker@there:2")
    both = threading.Barrier(2)
    site.drafter.during = both.wait
    answers: list[bool] = []

    threads = [
        threading.Thread(target=lambda parts=parts: answers.append(draft_next(parts)))
        for parts in (site.parts, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Each was in the middle of a draft while the other was.
    assert answers == [True, True]
    assert (site.state(1), site.state(2)) == (State.IN_REVIEW, State.IN_REVIEW)
    other.engine.dispose()


def test_after_the_broker_forgot_everything_the_sweep_rings_for_stat_first(site: Site) -> None:
    _queue(site, 4, stat=(4,))
    bell = RecordingBell()
    site.parts.doorbell = bell

    sweep_once(site.parts)

    assert bell.studies == [4, 1, 2, 3]


@one_database
def test_status_and_show_name_rule_and_lane(site: Site) -> None:
    _queue(site, 3, stat=(2,))
    _set(site, 2, rule="icu", options={"max_images": 2})

    status = CliRunner().invoke(taqrir, ["status", "--config", str(site.config)])
    with reading(site.engine) as session:
        reports = [describe_study(session, store.get(session, study)) for study in (1, 2)]

    assert "To draft    stat 1  routine 2" in status.stdout
    assert (reports[1]["rule"], reports[1]["priority"]) == ("icu", "stat")
    assert "Rule      icu: stat, max_images 2" in study_text(reports[1])
    assert "Rule      none of the site: routine" in study_text(reports[0])


# The options


@one_database
def test_options_of_a_rule_reach_the_model_and_are_kept_with_the_draft(site: Site) -> None:
    study = new_uid()
    site.receive(*(film(study, ViewPosition=view) for view in ("PA", "LL", "AP")))
    options = {"max_images": 2, "max_new_tokens": 64}
    _set(site, 1, rule="icu", options=options)
    site.go_quiet()

    site.draft()

    (request,) = site.drafter.requests
    assert (len(request.images), request.max_new_tokens) == (2, 64)
    (draft,) = site.drafts()
    assert (draft.selection["rule"], draft.selection["options"]) == ("icu", options)
    drafted = next(row for row in site.timeline() if row.event == "drafted")
    assert drafted.detail["rule"] == "icu"


@one_database
def test_without_options_the_settings_of_the_model_hold(site: Site) -> None:
    study = new_uid()
    views = ("PA", "LL", "AP", "RL", "LAO")
    site.take_in(*(film(study, ViewPosition=view) for view in views))

    (request,) = site.drafter.requests
    assert (len(request.images), request.max_new_tokens) == (4, site.settings.model.max_new_tokens)


# The images


@one_database
def test_images_that_no_rule_lets_in_are_not_seen_and_counted(site: Site) -> None:
    study = new_uid()
    chest, hand = film(study), film(study, ViewPosition="LL")
    site.receive(chest, hand)
    _refuse(site, str(hand.SOPInstanceUID))
    site.go_quiet()

    site.draft()

    (draft,) = site.drafts()
    (frame,) = draft.selection["frames"]
    assert frame["sop_instance_uid"] == chest.SOPInstanceUID
    assert "Left out: 1 images that are not drafted for by the rules." in draft.selection["reasons"]


@one_database
def test_a_study_that_a_person_asked_for_is_seen_whole_where_no_rule_lets_it_in(
    site: Site,
) -> None:
    chest = film()
    site.receive(chest)
    site.go_quiet()
    _refuse(site, str(chest.SOPInstanceUID))

    assert site.draft()
    assert site.state() is State.IN_REVIEW


# From the wire on


_RULES = """
[[rules]]
name = "icu"
body_part = ["CHEST"]
sender = ["modality"]
priority = "stat"
max_images = 1
[[rules]]
name = "hands"
body_part = ["HAND"]
action = "ignore"
[[rules]]
name = "scans"
sop_class = ["SecondaryCaptureImageStorage"]
max_new_tokens = 64
"""


@pytest.fixture
def ruled(make_site: Callable[..., Site]) -> Site:
    """An installation with rules."""
    return make_site(rules=_RULES)


def test_a_rule_decides_lane_and_options_of_what_comes_in(ruled: Site) -> None:
    study = new_uid()
    ruled.take_in(film(study), film(study, ViewPosition="LL"))

    row = ruled.study()
    assert (row.state, row.rule, row.priority) == (State.IN_REVIEW, "icu", "stat")
    assert row.options == {"max_images": 1}
    assert len(ruled.drafter.requests[0].images) == 1


@one_database
@pytest.mark.parametrize(
    "attributes",
    [
        {"BodyPartExamined": "HAND"},
        {"BodyPartExamined": "FOOT"},
        {"QualityControlImage": "YES"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
    ],
    ids=["a rule ignores it", "no rule fits", "a phantom", "a screen save"],
)
def test_what_the_rules_do_not_let_in_is_kept_and_not_drafted_for(
    ruled: Site, attributes: dict[str, Any]
) -> None:
    ruled.take_in(film(**attributes))

    study = ruled.study()
    assert (study.state, study.reason_code) == (State.IGNORED, "NOT_ADMITTED")
    assert ruled.drafter.requests == []
    with reading(ruled.engine) as session:
        assert len(store.instances_of(session, 1)) == 1


@one_database
def test_an_image_that_is_not_let_in_makes_no_new_version(ruled: Site) -> None:
    chest = film()
    ruled.take_in(chest)

    ruled.take_in(film(chest.StudyInstanceUID, BodyPartExamined="HAND"))

    assert (ruled.state(), ruled.study().version) == (State.IN_REVIEW, 1)


@one_database
def test_the_model_sees_of_a_study_only_what_is_let_in(ruled: Site) -> None:
    chest = film()
    hand = film(chest.StudyInstanceUID, BodyPartExamined="HAND", ViewPosition="AP")
    ruled.take_in(hand, chest)

    (draft,) = ruled.drafts()
    assert [f["sop_instance_uid"] for f in draft.selection["frames"]] == [chest.SOPInstanceUID]


@one_database
def test_a_scanned_film_is_drafted_for_where_a_rule_names_its_class(
    ruled: Site, make_site: Callable[..., Site]
) -> None:
    scan = {"SOPClassUID": uid.SecondaryCaptureImageStorage, "BodyPartExamined": "LUNG"}
    without_rules = make_site()
    for site in (ruled, without_rules):
        site.take_in(film(Modality="OT", **scan))

    assert (ruled.state(), ruled.study().rule) == (State.IN_REVIEW, "scans")
    (request,) = ruled.drafter.requests
    assert (request.context.modality, request.max_new_tokens) == ("DX", 64)
    assert without_rules.state() is State.IGNORED
