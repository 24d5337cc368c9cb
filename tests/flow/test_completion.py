"""When a study is taken for whole: silence, associations, backlog, the hard limit, what is learned.

Time is the test's: objects bear the moment at which they came, and the loop looks when it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from harness import MODALITY, Site, Timing, film, film_of_another_patient, one_database, save
from harness import report_object as report
from harness.arrivals import (
    ASSOCIATION,
    Watch,
    begin,
    changed,
    come,
    index,
    open_association,
)
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from servers import wait_until
from sqlalchemy import delete, event, insert, select, update

from core.database import reading
from core.lifecycle import State
from core.tables import Instance, SenderPace, Study

OTHER = "00bbbbbbbbbb"
HOUR = 3600.0


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """An installation that waits for a minute."""
    return make_site(timing=Timing(quiet_seconds=60))


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    watch = Watch(site)
    yield watch
    watch.completion.close()


# Silence


def test_a_study_is_whole_after_its_quiet_time_and_the_evidence_is_kept(
    site: Site, watch: Watch
) -> None:
    image = film()
    come(site, image, film(image.StudyInstanceUID), at=watch.at(0))

    assert watch.look(59.9) == 0
    assert site.state() is State.RECEIVING
    assert watch.look(60.1) == 1

    study, row = site.study(), site.timeline()[-1]
    assert (study.state, study.completed_by) == (State.QUEUED, "quiet")
    assert (row.event, row.actor, row.at) == ("went_quiet", "node", site.clock.now)
    assert row.detail == {
        "completed_by": "quiet",
        "evidence": "nothing came for 60 s (completion.quiet_seconds)",
        "instances": 2,
        "images": 2,
        "quiet_seconds": 60,
        "quiet_source": "completion.quiet_seconds",
        "silent_seconds": 60.1,
        "open_associations": 0,
    }
    assert site.bell.studies == [1]
    assert watch.look(200) == 0


def test_a_study_split_over_associations_senders_and_hours_is_one_study(
    site: Site, watch: Watch
) -> None:
    changed(site, senders=[{"ae_title": MODALITY}, {"ae_title": "WORKSTATION"}])
    first = film()
    uid = first.StudyInstanceUID
    come(site, first, at=watch.at(0), association=ASSOCIATION)
    come(site, film(uid), at=watch.at(50), association=OTHER)
    come(site, film(uid), at=watch.at(100), association="00cccccccccc", sender="WORKSTATION")
    assert watch.look(110) == 0
    assert watch.look(161) == 1
    site.draft()

    come(site, film(uid), at=watch.at(3 * HOUR), association="00dddddddddd", sender="WORKSTATION")
    assert watch.look(3 * HOUR + 61) == 1
    site.draft()

    study = site.study()
    assert (study.state, study.version) == (State.IN_REVIEW, 2)
    assert [draft.study_version for draft in site.drafts()] == [1, 2]
    with reading(site.engine) as session:
        assert len(session.scalars(select(Study)).all()) == 1
        assert len(session.scalars(select(Instance)).all()) == 4


@one_database
def test_of_several_senders_the_slowest_is_waited_for(site: Site) -> None:
    senders = [
        {"ae_title": MODALITY, "quiet_seconds": 5},
        {"ae_title": "SLOW", "quiet_seconds": 300},
        {"ae_title": "GONE"},
    ]
    changed(site, senders=senders)
    watch = Watch(site)
    fast, shared, gone = film(), film(), film()
    come(site, fast, shared, at=watch.at(0))
    come(site, film(shared.StudyInstanceUID), at=watch.at(1), sender="SLOW")
    come(site, gone, at=watch.at(1), sender="GONE")

    assert watch.look(6) == 1
    assert site.state(1) is State.QUEUED
    assert site.timeline(1)[-1].detail["quiet_source"] == f"quiet_seconds of {MODALITY}"
    assert watch.look(62) == 1
    assert site.state(3) is State.QUEUED
    assert watch.look(300) == 0
    assert watch.look(302) == 1
    assert site.timeline(2)[-1].detail["quiet_source"] == "quiet_seconds of SLOW"


@one_database
def test_non_images_neither_prolong_the_silence_nor_make_a_study(site: Site, watch: Watch) -> None:
    image = film()
    come(site, image, at=watch.at(0))
    come(site, report(image.StudyInstanceUID), at=watch.at(59))
    come(site, report(), at=watch.at(59))

    assert watch.look(61) == 1
    assert watch.look(120) == 1
    study = site.study(2)
    assert (study.state, study.reason_code) == (State.IGNORED, "NO_IMAGE")
    assert study.completed_by == "quiet"


# Associations


@one_database
def test_an_open_association_that_brought_the_study_holds_it(site: Site, watch: Watch) -> None:
    associations = open_association(site)
    come(site, film(), at=watch.at(0))

    assert watch.look(HOUR) == 0
    associations.leave(ASSOCIATION)
    assert watch.look(HOUR + 1) == 1


@one_database
def test_a_sender_that_keeps_its_association_open_is_waited_for_until_it_ends_it(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(timing=Timing(quiet_seconds=0.5))
    site.start_node()
    image, other = film(), film()
    entity = AE(ae_title=MODALITY)
    entity.add_requested_context(image.SOPClassUID, ExplicitVRLittleEndian)
    node = site.settings.node
    association = entity.associate(node.host, node.port, ae_title=node.ae_title)
    assert association.is_established

    assert association.send_c_store(save(image, site.folder)).Status == 0
    site.send(other)
    # The other study, over an association of its own, goes through in the meantime.
    wait_until(lambda: State.QUEUED in {site.state(1), site.state(2)})
    assert {site.state(1), site.state(2)} == {State.QUEUED, State.RECEIVING}
    association.release()

    wait_until(lambda: site.state(1) is site.state(2) is State.QUEUED)
    assert all(site.study(number).completed_by == "quiet" for number in (1, 2))


@one_database
def test_an_association_that_brought_nothing_of_the_study_is_not_waited_for(
    site: Site, watch: Watch
) -> None:
    open_association(site, OTHER)
    come(site, film(), at=watch.at(0), association=ASSOCIATION)
    come(site, film(), at=watch.at(0), association=OTHER)

    assert watch.look(61) == 1
    assert (site.state(1), site.state(2)) == (State.QUEUED, State.RECEIVING)


@one_database
def test_one_of_several_associations_is_enough_to_hold(site: Site, watch: Watch) -> None:
    first = film()
    come(site, first, at=watch.at(0), association=ASSOCIATION)
    come(site, film(first.StudyInstanceUID), at=watch.at(1), association=OTHER)
    associations = open_association(site, ASSOCIATION)

    assert watch.look(62) == 0
    associations.leave(ASSOCIATION)
    assert watch.look(62) == 1


@one_database
def test_an_object_that_is_still_being_written_holds_its_study_and_no_other(
    site: Site, watch: Watch
) -> None:
    held, free = film(), film()
    come(site, held, free, at=watch.at(0), association=ASSOCIATION)
    associations = open_association(site, OTHER)
    under_way = begin(site, film(held.StudyInstanceUID), association=OTHER)

    assert watch.look(61) == 1
    assert (site.state(1), site.state(2)) == (State.RECEIVING, State.QUEUED)
    under_way.abandon()
    assert watch.look(62) == 1
    associations.leave(OTHER)


@one_database
def test_what_a_dead_association_left_half_written_holds_nothing(site: Site, watch: Watch) -> None:
    first = film()
    come(site, first, at=watch.at(0))
    under_way = begin(site, film(first.StudyInstanceUID), association=OTHER)

    assert watch.look(61) == 1
    under_way.abandon()


# Backlog


@one_database
def test_a_backlog_never_makes_a_study_look_quiet(site: Site, watch: Watch) -> None:
    first = film()
    come(site, first, at=watch.at(0))
    come(site, film(first.StudyInstanceUID), at=watch.at(50), is_indexed=False)

    assert watch.look(600) == 0
    index(site)
    assert watch.look(600) == 1
    assert site.timeline()[-1].detail["instances"] == 2


@one_database
def test_time_stands_still_for_every_study_while_something_waits(site: Site, watch: Watch) -> None:
    come(site, film(), at=watch.at(0))
    come(site, film(), at=watch.at(40), is_indexed=False)

    # What waits may be of any study.
    assert watch.look(600) == 0
    index(site)
    assert watch.look(600) == 2


@one_database
def test_a_stranger_in_the_inbox_stops_nobody_for_good(site: Site, watch: Watch) -> None:
    come(site, film(), at=watch.at(0))
    (site.parts.files.inbox / "folder").mkdir()

    assert watch.look(61) == 1


# The hard limit


@one_database
def test_after_the_hard_limit_a_study_is_taken_as_it_is(site: Site) -> None:
    changed(site, completion={"hard_limit_minutes": 10})
    watch = Watch(site)
    open_association(site)
    first = film()
    for seconds in range(0, 600, 30):
        come(site, film(first.StudyInstanceUID), at=watch.at(seconds))
        assert watch.look(seconds + 1) == 0

    assert watch.look(601) == 1
    detail = site.timeline()[-1].detail
    assert site.study().completed_by == detail["completed_by"] == "hard_limit"
    assert detail["open_associations"] == 1
    assert "10 minutes ago" in detail["evidence"]


@one_database
def test_the_hard_limit_counts_from_each_versions_first_image(site: Site) -> None:
    changed(site, completion={"hard_limit_minutes": 10})
    watch = Watch(site)
    first = film()
    come(site, first, at=watch.at(0))
    assert watch.look(61) == 1
    open_association(site)

    come(site, film(first.StudyInstanceUID), at=watch.at(2000))

    assert watch.look(2599) == 0
    assert watch.look(2601) == 1
    assert (site.study().version, site.study().completed_by) == (2, "hard_limit")


# What is learned


def _pauses(site: Site) -> dict[str, list[float]]:
    with reading(site.engine) as session:
        return {row.ae_title: row.pauses for row in session.scalars(select(SenderPace))}


def _paused_study(site: Site, watch: Watch, start: float, pause: float) -> None:
    """Let a study come whose second image is late, and complete both versions."""
    first = film()
    come(site, first, at=watch.at(start))
    watch.look(start + 61)
    come(site, film(first.StudyInstanceUID), at=watch.at(start + pause))
    watch.look(start + pause + 1000)


def test_a_sender_that_was_cut_off_too_early_is_waited_for_longer(site: Site, watch: Watch) -> None:
    _paused_study(site, watch, 0, 80)
    _paused_study(site, watch, 5000, 90)
    assert site.study(2).version == 2
    assert _pauses(site) == {MODALITY: [80, 90]}

    _paused_study(site, watch, 10_000, 85)

    assert site.study(3).version == 1
    assert watch.look(20_000) == 0
    detail = site.timeline(3)[-1].detail
    assert detail["quiet_seconds"] == 120
    assert detail["quiet_source"] == f"learned from 2 studies of {MODALITY}"
    assert _pauses(site) == {MODALITY: [80, 90, 85]}


@one_database
def test_a_resend_next_week_is_not_learned(site: Site, watch: Watch) -> None:
    for number in range(3):
        _paused_study(site, watch, number * 10_000, 7000)

    assert _pauses(site) == {}
    assert site.study(3).version == 2


@one_database
def test_only_the_last_studies_are_remembered(site: Site, watch: Watch) -> None:
    with site.writing() as session:
        session.add(SenderPace(ae_title=MODALITY, pauses=[500.0] * 40, updated_at=site.clock.now))
    first = film()
    come(site, first, at=watch.at(0))
    come(site, film(first.StudyInstanceUID), at=watch.at(3))
    assert watch.look(750) == 0

    assert watch.look(754) == 1
    assert _pauses(site) == {MODALITY: [500.0] * 39 + [3]}


@one_database
def test_nothing_is_learned_where_that_is_off(site: Site) -> None:
    changed(site, completion={"learn": False})
    watch = Watch(site)
    for number in range(3):
        _paused_study(site, watch, number * 10_000, 80)

    assert _pauses(site) == {}
    assert site.study(3).version == 2


# What becomes of it


@one_database
def test_a_study_of_which_no_image_is_admitted_is_ignored_with_the_reason(
    site: Site, watch: Watch
) -> None:
    first, second = film(), film()
    come(site, first, film(first.StudyInstanceUID), second, at=watch.at(0))
    come(site, film(second.StudyInstanceUID), at=watch.at(0))
    with site.writing() as session:
        refused = {"is_admitted": False, "admission": "rule phantoms: ignored"}
        session.execute(update(Instance).where(Instance.study_id == 1).values(**refused))
        session.execute(update(Instance).where(Instance.id == 3).values(**refused))

    assert watch.look(61) == 2

    study = site.study(1)
    assert (study.state, study.reason_code) == (State.IGNORED, "NOT_ADMITTED")
    assert study.reason == "no image of it starts a draft: rule phantoms: ignored"
    assert site.timeline(1)[-1].detail["evidence"].startswith("nothing came for 60 s")
    # One admitted image is enough for the whole study.
    assert site.state(2) is State.QUEUED
    assert site.timeline(2)[-1].detail["images"] == 1


@one_database
def test_a_conflict_is_withheld_and_still_tells_why_it_was_looked_at(
    site: Site, watch: Watch
) -> None:
    first = film()
    come(site, first, film_of_another_patient(first.StudyInstanceUID), at=watch.at(0))

    assert watch.look(61) == 1
    assert (site.state(), site.study().completed_by) == (State.WITHHELD, "quiet")
    assert site.events()[-2:] == ["completed", "identity_conflict"]
    assert site.bell.studies == []


# Cost


@one_database
def test_a_look_costs_the_same_however_many_studies_there_are(site: Site, watch: Watch) -> None:
    def row(number: int, state: State) -> dict[str, object]:
        return {
            "study_uid": f"1.2.{number}",
            "state": state,
            "sender": MODALITY,
            "created_at": watch.at(0),
            "state_changed_at": watch.at(0),
            "last_instance_at": watch.at(0),
        }

    with site.writing() as session:
        rows = [row(n, State.IN_REVIEW) for n in range(10_000)]
        rows += [row(10_000 + n, State.RECEIVING) for n in range(200)]
        session.execute(insert(Study), rows)
    statements: list[str] = []
    event.listen(
        site.engine, "before_cursor_execute", lambda *args: statements.append(str(args[2]))
    )

    site.clock.now = watch.at(30)
    assert watch.completion.look() == 0
    assert len([s for s in statements if s.startswith("SELECT")]) == 2
    plan = "EXPLAIN QUERY PLAN SELECT id FROM study WHERE state = 'RECEIVING'"
    with site.engine.connect() as connection:
        assert "ix_study_state_last" in str(connection.exec_driver_sql(plan).all())
    with site.writing() as session:
        # They never came: no timeline tells of them.
        session.execute(delete(Study))


@one_database
def test_what_is_held_is_not_read_anew_at_every_look(site: Site, watch: Watch) -> None:
    open_association(site)
    come(site, *(film() for _ in range(5)), at=watch.at(0))
    assert watch.look(61) == 0
    statements: list[str] = []
    event.listen(
        site.engine, "before_cursor_execute", lambda *args: statements.append(str(args[2]))
    )

    assert watch.completion.look() == 0
    assert len([s for s in statements if s.startswith("SELECT")]) == 3
