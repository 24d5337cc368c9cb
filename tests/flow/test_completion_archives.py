"""How many images a study has, as an archive says: early where nothing is missing, else patient."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from harness import MODALITY, Site, Timing, film, new_uid, one_database, report_object, save
from harness.arrivals import Watch, begin, changed, come, open_association
from harness.scripted_archive import Answers, ScriptedArchive
from pydicom.dataset import Dataset
from servers import Orthanc, free_port, wait_until

from core.lifecycle import State
from dicom_node.client import Peer, send_files

pytestmark = one_database
COUNTED = {"ae_title": MODALITY, "count_at": "main"}


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    with ScriptedArchive() as archive:
        yield archive


@pytest.fixture
def make_watch(make_site: Callable[..., Site]) -> Iterator[Callable[..., Watch]]:
    """Watch an installation whose sender's archives are on the given ports."""
    watches: list[Watch] = []

    def make(senders: list[dict[str, object]] | None = None, **ports: int) -> Watch:
        site = make_site(pacs=ports, timing=Timing(quiet_seconds=60))
        changed(site, senders=senders or [COUNTED])
        watches.append(Watch(site))
        return watches[-1]

    yield make
    for watch in watches:
        watch.completion.close()


@pytest.fixture
def watch(make_watch: Callable[..., Watch], archive: ScriptedArchive) -> Watch:
    return make_watch(main=archive.port)


def test_a_study_that_came_as_a_whole_is_complete_after_a_short_silence(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    images = [first, film(first.StudyInstanceUID)]
    archive.keep(*images)
    come(watch.site, *images, at=watch.at(0))

    assert watch.look(1.9) == 0
    assert archive.asked == []
    assert watch.ask(2.1) == 1

    row = watch.site.timeline()[-1]
    assert watch.site.study().completed_by == "counted"
    assert row.detail["evidence"] == "nothing came for 2 s; main holds 2 objects, 2 came"
    assert (row.detail["archive"], row.detail["archive_says"]) == ("main", "whole")
    assert (row.detail["expected"], row.detail["instances"]) == (2, 2)


def test_as_long_as_images_are_missing_the_study_waits_and_says_once_for_what(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    second = film(first.StudyInstanceUID)
    archive.keep(first, second)
    come(watch.site, first, at=watch.at(0))

    assert watch.ask(3) == 0
    assert watch.site.events() == ["instance_stored"]
    assert watch.ask(61) == watch.ask(3600) == watch.ask(7000) == 0
    assert watch.site.events() == ["instance_stored", "completion_held"]
    assert watch.site.timeline()[-1].detail["reason"] == "main holds 2 images, 1 came"

    come(watch.site, second, at=watch.at(7010))
    assert watch.ask(7013) == 1
    assert watch.site.study().completed_by == "counted"


def test_what_comes_last_and_is_no_image_is_counted_too(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    report = report_object(first.StudyInstanceUID)
    archive.lists = {"STUDY"}
    archive.keep(first, report)
    come(watch.site, first, at=watch.at(0))
    assert watch.ask(61) == 0

    come(watch.site, report, at=watch.at(62))

    assert watch.ask(70) == 1
    assert watch.site.study().completed_by == "counted"


def test_what_never_comes_is_waited_for_up_to_the_hard_limit(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    archive.keep(first, film(first.StudyInstanceUID))
    come(watch.site, first, at=watch.at(0))

    assert watch.ask(240 * 60 - 1) == 0
    assert watch.ask(240 * 60 + 1) == 1
    assert watch.site.study().completed_by == "hard_limit"
    assert watch.site.timeline()[-1].detail["expected"] == 2


def test_reports_that_only_the_archive_has_are_not_missing(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    archive.keep(first, report_object(first.StudyInstanceUID))
    come(watch.site, first, at=watch.at(0))

    assert watch.ask(3) == 1
    assert watch.site.study().completed_by == "counted"


def test_our_own_reports_there_do_not_count(watch: Watch, archive: ScriptedArchive) -> None:
    first = film()
    study = first.StudyInstanceUID
    late, missing = film(study), film(study)
    come(watch.site, first, at=watch.at(0))
    assert watch.ask(61) == 1
    watch.site.draft()
    ours = [artifact.uid for _, artifact in watch.site.deliveries()]
    assert len(ours) == 2
    archive.gives_classes = False
    archive.keep(first, late, *(report_object(study, SOPInstanceUID=uid) for uid in ours))
    come(watch.site, late, at=watch.at(100))

    # Four objects there, two images here: the two reports are ours.
    assert watch.ask(103) == 1
    assert watch.site.study().completed_by == "counted"

    archive.keep(missing)
    come(watch.site, film(study), at=watch.at(200))
    assert watch.ask(203) == watch.ask(300) == 0


def test_an_open_association_outweighs_the_archives_word(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    archive.keep(first)
    open_association(watch.site, "00bbbbbbbbbb")
    come(watch.site, first, at=watch.at(0))
    under_way = begin(watch.site, film(first.StudyInstanceUID), association="00bbbbbbbbbb")

    assert watch.ask(3) == 0
    under_way.abandon()
    assert watch.look(4) == 1


def test_a_word_that_is_older_than_the_newest_image_ends_nothing(
    watch: Watch, archive: ScriptedArchive
) -> None:
    first = film()
    second, third = film(first.StudyInstanceUID), film(first.StudyInstanceUID)
    archive.keep(first, second)
    come(watch.site, first, at=watch.at(0))
    assert watch.ask(3) == 0
    come(watch.site, second, at=watch.at(3.5))
    archive.keep(third)

    # All that was missing at 3 s is here; whether that is all now, must be asked first.
    assert watch.look(5.6) == 0
    assert watch.ask(8.1) == 0
    come(watch.site, third, at=watch.at(9))
    assert watch.ask(20) == 1


def test_an_archive_is_asked_sparingly(watch: Watch, archive: ScriptedArchive) -> None:
    first = film()
    archive.gives_count = True
    archive.lists = {"STUDY"}
    archive.keep(first, film(first.StudyInstanceUID))
    come(watch.site, first, at=watch.at(0))

    for seconds in range(0, 1800, 2):
        watch.site.clock.now = watch.at(seconds)
        watch.completion.look()
        if watch.completion.archives.is_asked(MODALITY, 1):
            wait_until(lambda: not watch.completion.archives.is_asked(MODALITY, 1))

    # At 2, 8, 18, 38, 78, 158 and 318 seconds, then every five minutes.
    assert archive.levels.count("STUDY") == 11


def test_an_archive_that_is_not_there_is_named_and_silence_decides(
    make_watch: Callable[..., Watch],
) -> None:
    watch = make_watch(main=free_port())
    come(watch.site, film(), at=watch.at(0))

    assert watch.ask(3) == 0
    assert watch.ask(59) == 0
    assert watch.ask(61) == 1
    study, row = watch.site.study(), watch.site.timeline()[-1]
    assert study.completed_by == "quiet"
    assert row.detail["archive_says"] == "unanswered"
    assert "main was asked for the number of images and did not tell" in row.detail["evidence"]
    assert "no connection" in row.detail["evidence"]


def test_an_archive_that_knows_nothing_of_the_study_leaves_silence_to_decide(
    watch: Watch, archive: ScriptedArchive
) -> None:
    come(watch.site, film(), at=watch.at(0))

    assert watch.ask(59) == 0
    assert watch.ask(61) == 1
    assert "main holds 0 objects, 1 came" in watch.site.timeline()[-1].detail["evidence"]
    assert watch.site.study().completed_by == "quiet"
    assert archive.asked


def test_a_silent_archive_delays_no_other_study_and_its_own_for_a_bounded_time(
    make_watch: Callable[..., Watch], archive: ScriptedArchive
) -> None:
    may_answer = threading.Event()

    def hang(identifier: Dataset) -> Answers:
        del identifier
        may_answer.wait(20)
        yield 0xC001, None

    archive.script = hang
    with ScriptedArchive() as good:
        senders = [COUNTED, {"ae_title": "GOOD", "count_at": "good"}, {"ae_title": "NONE"}]
        watch = make_watch(senders, main=archive.port, good=good.port)
        site = watch.site
        known = film()
        good.keep(known)
        come(site, film(), film(), at=watch.at(0))
        come(site, known, at=watch.at(0), sender="GOOD")
        come(site, film(), at=watch.at(0), sender="NONE")
        try:
            assert watch.ask(3, 3, sender="GOOD") == 1
            assert site.state(3) is State.QUEUED
            # Its own studies wait for the answer, but not for ever.
            come(site, film(), at=watch.at(3))
            assert watch.look(60.5) == 3
            assert site.state(4) is State.QUEUED
            assert watch.look(62.9) == 0
            assert watch.look(63.1) == 0
            assert watch.look(83) == 1
        finally:
            may_answer.set()
        assert "has not answered yet" in site.timeline(1)[-1].detail["evidence"]


def test_a_silent_archive_is_not_tried_anew_for_every_study(
    watch: Watch, archive: ScriptedArchive
) -> None:
    def refuse(identifier: Dataset) -> Answers:
        del identifier
        yield 0xC001, None

    archive.script = refuse
    come(watch.site, *(film() for _ in range(6)), at=watch.at(0))

    watch.ask(3, *range(1, 7))

    assert len(archive.asked) == 1
    assert watch.look(61) == 6
    for study in range(1, 7):
        assert "C001" in watch.site.timeline(study)[-1].detail["evidence"]


def test_a_sender_that_pauses_is_waited_for_whatever_the_archive_holds(
    watch: Watch, archive: ScriptedArchive
) -> None:
    # The archive passes on what it gets: between two series both hold the same.
    for number in range(2):
        start = number * 1000.0
        first = film()
        late = film(first.StudyInstanceUID)
        archive.keep(first)
        come(watch.site, first, at=watch.at(start))
        assert watch.ask(start + 3, number + 1) == 1
        archive.keep(late)
        come(watch.site, late, at=watch.at(start + 20))
        watch.ask(start + 23, number + 1)
        watch.ask(start + 60, number + 1)
    assert [watch.site.study(n).version for n in (1, 2)] == [2, 2]

    third = film()
    archive.keep(third)
    come(watch.site, third, at=watch.at(5000))

    assert watch.ask(5029, 3) == 0
    assert watch.ask(5031, 3) == 1
    assert watch.site.study(3).completed_by == "counted"


@pytest.mark.peer
def test_orthancs_count_completes_a_study_also_when_it_holds_our_reports(
    make_watch: Callable[..., Watch], fresh_orthanc: Orthanc
) -> None:
    watch = make_watch(main=fresh_orthanc.dicom_port)
    site, study = watch.site, new_uid()
    fresh_orthanc.add_modality("taqrir", "TAQRIR", free_port())
    peer = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=fresh_orthanc.dicom_port)
    films = [film(study), film(study), film(study)]
    send_files(peer, [save(f, site.folder) for f in films[:2]])

    come(site, films[0], at=watch.at(0))
    assert watch.ask(3) == watch.ask(70) == 0
    come(site, films[1], at=watch.at(80))
    assert watch.ask(83) == 1
    assert site.study().completed_by == "counted"

    site.draft()
    assert len(site.deliver_due()) == 2
    assert len(fresh_orthanc.files("SR")) == 2
    send_files(peer, [save(films[2], site.folder)])
    come(site, films[2], at=watch.at(200))
    assert watch.ask(203) == 1
    assert (site.study().version, site.study().completed_by) == (2, "counted")
    assert site.timeline()[-1].detail["expected"] == 3
