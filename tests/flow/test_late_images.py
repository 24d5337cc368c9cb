"""What comes after a study was complete: late images, repeats, other contents, our own reports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from harness import ScriptedPacs, Site, Timing, film, new_uid, one_database, report_object, save
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from servers import wait_until
from sqlalchemy import select

from core.lifecycle import DeliveryState, Event, State
from core.tables import Instance
from dicom_node.demo_pacs import DemoPacs
from worker.deliver import deliver


def _written(site: Site, artifact: int) -> Dataset:
    """Return an object of ours as it was made for its first attempt."""
    content = site.deliveries()[artifact][1].content
    assert content is not None
    return dcmread(BytesIO(content))


def test_a_late_image_makes_a_version_a_new_draft_and_drops_what_was_not_sent(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    first = film()
    site.take_in(first)
    assert site.state() is State.IN_REVIEW

    site.receive(film(first.StudyInstanceUID))

    assert (site.state(), site.study().version) == (State.RECEIVING, 2)
    assert site.are_all(DeliveryState.DROPPED)
    site.go_quiet()
    assert site.draft()
    assert [(d.study_version, d.report_version) for d in site.drafts()] == [(1, 1), (2, 2)]
    assert [state for _, _, state in site.delivery_states()] == [
        DeliveryState.DROPPED,
        DeliveryState.DROPPED,
        DeliveryState.PENDING,
        DeliveryState.PENDING,
    ]


def test_the_second_report_names_the_first_as_its_predecessor(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs:
        site = make_site(pacs={"main": pacs.port})
        first = film()
        site.take_in(first)
        site.deliver_due()
        site.take_in(film(first.StudyInstanceUID))
        site.deliver_due()

        documents = [dcmread(path) for path in pacs.received]

    assert len({str(d.SOPInstanceUID) for d in documents}) == 4
    for old, new in zip(documents[:2], documents[2:], strict=True):
        (study,) = new.PredecessorDocumentsSequence
        (series,) = study.ReferencedSeriesSequence
        (reference,) = series.ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert series.SeriesInstanceUID == old.SeriesInstanceUID
        assert "PredecessorDocumentsSequence" not in old


@one_database
def test_a_report_that_nobody_got_is_no_predecessor(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs:
        site = make_site(pacs={"main": pacs.port})
        first = film()
        site.take_in(first)
        site.take_in(film(first.StudyInstanceUID))
        site.deliver_due()

        assert len(pacs.received) == 2
        assert all("PredecessorDocumentsSequence" not in dcmread(p) for p in pacs.received)


def test_what_is_being_sent_when_a_late_image_comes_is_known_to_have_arrived(
    make_site: Callable[..., Site],
) -> None:
    is_there, may_answer = threading.Event(), threading.Event()

    def hold(event: evt.Event) -> int:
        del event
        is_there.set()
        assert may_answer.wait(10)
        return 0x0000

    with ScriptedPacs([hold]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        first = film()
        site.take_in(first)
        sender = threading.Thread(target=deliver, args=(site.parts, 1))
        sender.start()
        assert is_there.wait(10)
        site.send(film(first.StudyInstanceUID))
        may_answer.set()
        sender.join()

        # The archive has the English report; to call it dropped would deny its predecessor.
        assert [state for _, _, state in site.delivery_states()] == [
            DeliveryState.SENT,
            DeliveryState.DROPPED,
        ]
        site.go_quiet()
        site.draft()
        site.deliver_due()
        assert "PredecessorDocumentsSequence" in _written(site, 2)


def test_what_failed_while_a_late_image_came_is_not_tried_again(
    make_site: Callable[..., Site],
) -> None:
    is_there, may_answer = threading.Event(), threading.Event()

    def hold_and_fail(event: evt.Event) -> int:
        is_there.set()
        assert may_answer.wait(10)
        event.assoc.abort()
        return 0x0000

    with ScriptedPacs([hold_and_fail]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        first = film()
        site.take_in(first)
        sender = threading.Thread(target=deliver, args=(site.parts, 1))
        sender.start()
        assert is_there.wait(10)
        site.receive(film(first.StudyInstanceUID))
        may_answer.set()
        sender.join()
        site.go_quiet()
        site.draft()
        site.clock.advance(hours=1)
        site.deliver_due()

        states = [state for _, _, state in site.delivery_states()]
        assert states == [DeliveryState.DROPPED] * 2 + [DeliveryState.SENT] * 2
        assert pacs.uids[1:] == [artifact.uid for _, artifact in site.deliveries()[2:]]


def test_the_same_object_again_changes_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": 1})
    image = film()
    site.take_in(image)
    before = (site.events(), site.study().version, site.delivery_states())

    site.send(image)
    site.send(image)
    site.go_quiet()

    assert (site.events(), site.study().version, site.delivery_states()) == before
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 1


def test_another_content_under_the_same_uid_is_said_and_is_late(site: Site) -> None:
    image = film(value=10)
    site.take_in(image)
    changed = film(image.StudyInstanceUID, value=200, SOPInstanceUID=image.SOPInstanceUID)

    site.receive(changed)

    assert site.state() is State.RECEIVING
    assert site.study().version == 2
    assert site.events()[-2:] == ["content_changed", Event.LATE_INSTANCE]
    # Both are kept, the model sees the newer one.
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 2
    site.go_quiet()
    site.draft()
    seen = [request.images[0].pixels.mean() for request in site.drafter.requests]
    assert seen[0] < 50
    assert seen[1] > 150


def test_another_content_before_the_study_is_complete_is_no_version(site: Site) -> None:
    image = film(value=10)
    changed = film(image.StudyInstanceUID, value=200, SOPInstanceUID=image.SOPInstanceUID)

    site.receive(image)
    site.receive(changed)

    assert site.events() == ["instance_stored", "content_changed"]
    assert site.study().version == 1


def test_an_earlier_content_that_comes_again_is_current_again_and_late(site: Site) -> None:
    dark = film(value=10)
    bright = film(dark.StudyInstanceUID, value=200, SOPInstanceUID=dark.SOPInstanceUID)
    site.take_in(dark)
    site.take_in(bright)

    site.take_in(dark)
    site.receive(dark)

    assert site.study().version == 3
    assert site.events().count("content_changed") == 2
    means = [request.images[0].pixels.mean() for request in site.drafter.requests]
    assert means[0] == means[2] < 50
    assert means[1] > 150
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 2


def test_of_contents_that_come_together_the_last_one_is_current(site: Site) -> None:
    dark = film(value=10)
    bright = film(dark.StudyInstanceUID, value=200, SOPInstanceUID=dark.SOPInstanceUID)

    site.receive(dark, bright, dark, dark)
    site.go_quiet()
    site.draft()

    assert site.drafter.requests[0].images[0].pixels.mean() < 50
    assert site.events()[:3] == ["instance_stored", "content_changed", "content_changed"]
    with site.writing() as session:
        assert [row.is_current for row in session.scalars(select(Instance))] == [True, False]


def test_one_uid_in_two_studies_shows_the_model_each_studys_own_picture(site: Site) -> None:
    dark, bright = film(value=10), film(value=200)
    bright.SOPInstanceUID = dark.SOPInstanceUID

    site.take_in(dark, bright)

    means = [request.images[0].pixels.mean() for request in site.drafter.requests]
    assert means[0] < 50
    assert means[1] > 150


def _send_back(site: Site, number: int) -> None:
    """Send an object of ours to the node, as an archive does that routes everything."""
    path = site.folder / f"{new_uid()}.dcm"
    content = site.deliveries()[number][1].content
    assert content is not None
    path.write_bytes(content)
    site.send(path)


def test_our_own_report_sent_back_is_noted_and_makes_no_version(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()
        for number in (0, 1):
            _send_back(site, number)
        site.go_quiet()

        assert (site.state(), site.study().version) == (State.IN_REVIEW, 1)
        assert site.events()[-2:] == ["own_object_noted"] * 2
        assert len(site.drafts()) == 1
        assert len(pacs.received) == 2


@one_database
def test_our_own_report_is_known_by_its_uid_too(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        # An archive that rewrites what it stores has left nothing of ours but the UID.
        site.send(film(image.StudyInstanceUID, SOPInstanceUID=site.deliveries()[0][1].uid))

        assert site.events()[-1] == "own_object_noted"
        assert site.study().version == 1


@one_database
def test_our_own_report_is_known_where_the_database_was_lost(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        before = make_site(pacs={"main": pacs.port})
        before.take_in(film())
        before.deliver_due()
        content = before.deliveries()[0][1].content
    assert content is not None
    after = make_site()
    path = after.folder / "back.dcm"
    path.write_bytes(content)

    after.receive(path)
    after.go_quiet()

    assert after.state() is State.IGNORED
    assert after.study().reason_code == "NO_IMAGE"
    assert after.drafter.requests == []


def test_a_report_of_somebody_else_is_noted_and_makes_no_version(site: Site) -> None:
    image = film()
    site.take_in(image)

    site.receive(report_object(image.StudyInstanceUID))

    assert (site.state(), site.study().version) == (State.IN_REVIEW, 1)
    assert site.events()[-1] == "non_image_noted"


@pytest.mark.parametrize("end", [Event.SIGNED, Event.REJECTED])
def test_a_late_image_leaves_a_finished_report_and_asks_for_an_addendum(
    site: Site, end: Event
) -> None:
    from core import store

    image = film()
    site.take_in(image)
    with site.writing() as session:
        store.advance(session, store.get(session, 1), end, at=site.clock())

    site.receive(film(image.StudyInstanceUID))
    site.go_quiet()

    study = site.study()
    assert (study.state, study.version, study.needs_addendum) == (end.upper(), 1, True)
    assert site.events()[-1] == Event.LATE_INSTANCE


def test_after_too_many_versions_nobody_drafts_unasked(make_site: Callable[..., Site]) -> None:
    site = make_site(timing=Timing(max_versions=2))
    image = film()
    site.take_in(image)
    site.take_in(film(image.StudyInstanceUID))
    assert len(site.drafts()) == 2

    site.take_in(film(image.StudyInstanceUID))

    assert site.state() is State.IGNORED
    assert site.study().reason_code == "TOO_MANY_VERSIONS"
    assert "max_versions = 2" in site.study().reason
    assert len(site.drafter.requests) == 2


@one_database
def test_images_that_come_during_the_quiet_time_prolong_it(make_site: Callable[..., Site]) -> None:
    site = make_site(timing=Timing(quiet_seconds=5))
    image = film()
    site.send(image)
    sent = site.study().last_instance_at
    threading.Event().wait(1)

    site.send(film(image.StudyInstanceUID))

    later = site.study().last_instance_at
    assert (later - sent).total_seconds() >= 1
    wait_until(lambda: site.state() is State.QUEUED, timeout=30)
    assert site.study().version == 1
    (completed,) = [row for row in site.timeline() if row.event == Event.WENT_QUIET]
    assert (completed.at - later).total_seconds() >= 5
    assert completed.detail["instances"] == 2


@one_database
def test_a_study_sent_twice_at_once_is_indexed_once(site: Site) -> None:
    image = film()
    path = save(image, site.folder)
    site.start_node()
    threads = [threading.Thread(target=site.send, args=(path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert site.events() == ["instance_stored"]
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 1
