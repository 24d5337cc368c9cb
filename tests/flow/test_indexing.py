"""What becomes of objects in the index: admitted or not, told of, and by two processes at once."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from harness import MODALITY, Site, film, film_of_another_patient, new_uid, one_database, save
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import intake, store
from core.blobs import InstanceFiles, WaitingFile
from core.clock import utcnow
from core.database import reading
from core.intake import Admission, Outcome, ReceivedInstance
from core.lifecycle import State
from core.tables import Instance
from dicom_node import index
from dicom_node.header import InstanceHeader
from dicom_node.incoming_studies import horizon
from dicom_node.index import Indexer
from dicom_node.receive import Reception, Status, StorePolicy, StoreRequest

STAT = Admission(rule="trauma", reason="r", priority="stat", options={"max_images": 2})


def _by_description(header: InstanceHeader, sender: str) -> Admission:
    """Refuse what is a scout, hurry for what is a trauma; `sender` must be the calling AE title."""
    assert sender == MODALITY
    match header.series_description:
        case "SCOUT" | "DOSE":
            return Admission(
                is_admitted=False,
                rule="no-scouts",
                reason=f"rule no-scouts ignores {header.series_description}",
            )
        case "TRAUMA":
            return STAT
        case _:
            return Admission(rule="chest", reason="rule chest drafts for such images")


def _index(site: Site, *objects: Dataset, name: bytes = b"XXXX", **options: Any) -> Indexer:
    """Put objects into the inbox as a receiver does, and index them by the rules above.

    `name` takes the place of the letters XXXX in them.
    """
    files = site.parts.files
    files.prepare()
    for item in objects:
        request = StoreRequest(
            sop_class_uid=str(item.SOPClassUID),
            sop_instance_uid=str(item.SOPInstanceUID),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            calling_ae_title=MODALITY,
            called_ae_title="TAQRIR",
        )
        content = save(item, site.folder).read_bytes().replace(b"XXXX", name)
        reception = Reception(files, request, StorePolicy(), "00index")
        reception.write([content[144 + int.from_bytes(content[140:144], "little") :]])
        assert reception.finish() is Status.SUCCESS
    indexer = Indexer(site.engine, files, admit=_by_description, **options)
    indexer.catch_up()
    site.check()
    return indexer


def _put(site: Site, *objects: Dataset) -> None:
    """Leave objects in the inbox, indexed by nobody."""
    files = site.parts.files
    files.prepare()
    for item in objects:
        incoming = files.incoming("00put")
        os.write(incoming.descriptor, save(item, site.folder).read_bytes())
        incoming.keep()


def _rows(site: Site) -> Sequence[Instance]:
    with reading(site.engine) as session:
        return session.scalars(select(Instance).order_by(Instance.id)).all()


def _admitted(site: Site) -> int:
    with reading(site.engine) as session:
        return intake.count_admitted_images(session, 1)


def test_an_image_that_is_not_admitted_is_stored_and_told_of_once_a_series(site: Site) -> None:
    image, series = film(), new_uid()
    scouts = [
        film(image.StudyInstanceUID, SeriesDescription="SCOUT", SeriesInstanceUID=series)
        for _ in range(5)
    ]

    _index(site, *scouts[:3])
    _index(site, *scouts[3:])
    _index(site, film(image.StudyInstanceUID, SeriesDescription="DOSE"))

    assert site.events() == ["instance_stored", "image_not_admitted", "image_not_admitted"]
    assert site.timeline()[1].detail == {
        "uid": scouts[0].SOPInstanceUID,
        "sop_class": scouts[0].SOPClassUID,
        "series": series,
        "rule": "no-scouts",
        "reason": "rule no-scouts ignores SCOUT",
    }
    assert [row.is_admitted for row in _rows(site)] == [False] * 6
    assert {row.admission for row in _rows(site)} == {
        "rule no-scouts ignores SCOUT",
        "rule no-scouts ignores DOSE",
    }
    assert (_admitted(site), site.study().rule) == (0, "")


@pytest.mark.parametrize("state", [State.QUEUED, State.IN_REVIEW])
def test_an_image_that_is_not_admitted_and_comes_late_changes_neither_state_nor_version(
    site: Site, state: State
) -> None:
    image = film()
    _index(site, image)
    site.go_quiet()
    if state is State.IN_REVIEW:
        site.draft()
    assert site.state() is state

    _index(site, film(image.StudyInstanceUID, SeriesDescription="SCOUT"))

    assert (site.state(), site.study().version) == (state, 1)
    assert site.events()[-1] == "image_not_admitted"
    assert _admitted(site) == 1


@one_database
def test_an_image_that_is_not_admitted_and_names_another_patient_withholds_the_study(
    site: Site,
) -> None:
    image = film()
    _index(site, image)
    site.go_quiet()

    scout = {"SeriesDescription": "SCOUT"}
    _index(site, film(image.StudyInstanceUID, **scout), film(image.StudyInstanceUID, **scout))
    assert site.state() is State.QUEUED
    _index(site, film_of_another_patient(image.StudyInstanceUID, **scout))

    assert site.state() is State.WITHHELD


@one_database
def test_an_image_that_is_not_admitted_prolongs_the_quiet_time(site: Site) -> None:
    image = film()
    _index(site, image)
    before = site.study().last_instance_at

    _index(site, film(image.StudyInstanceUID, SeriesDescription="SCOUT"))

    assert site.study().last_instance_at > before


def test_the_first_admitted_image_says_the_lane_and_a_later_one_may_only_hasten(
    site: Site,
) -> None:
    image = film(SeriesDescription="SCOUT")
    uid = image.StudyInstanceUID
    _index(site, image)
    assert (site.study().rule, site.study().priority) == ("", "routine")

    _index(site, film(uid))
    assert (site.study().rule, site.study().priority) == ("chest", "routine")
    _index(site, film(uid, SeriesDescription="TRAUMA"))
    study = site.study()
    assert (study.rule, study.priority, study.options) == ("chest", "stat", {})
    _index(site, film(uid))

    assert site.study().priority == "stat"


@one_database
def test_options_are_those_of_the_first_admitted_image(site: Site) -> None:
    _index(site, film(SeriesDescription="TRAUMA"))

    study = site.study()
    assert (study.rule, study.priority, study.options) == ("trauma", "stat", {"max_images": 2})


@one_database
def test_another_content_that_is_not_admitted_takes_the_place_and_makes_no_version(
    site: Site,
) -> None:
    image = film()
    _index(site, image)
    site.go_quiet()

    changed = film(image.StudyInstanceUID, SeriesDescription="SCOUT")
    changed.SOPInstanceUID = image.SOPInstanceUID
    changed.SeriesInstanceUID = image.SeriesInstanceUID
    _index(site, changed)

    assert site.events()[-2:] == ["content_changed", "image_not_admitted"]
    assert (site.state(), _admitted(site)) == (State.QUEUED, 0)


# What else the index tells


@one_database
def test_who_listens_is_told_what_is_new_after_it_was_committed(site: Site) -> None:
    told: list[list[str]] = []

    def listen(received: Sequence[ReceivedInstance]) -> None:
        assert len(_rows(site)) == 2
        told.append([item.sop_instance_uid for item in received])

    first, second = film(), film()
    _index(site, first, second, on_indexed=listen)
    _index(site, first, on_indexed=listen)

    assert told == [[first.SOPInstanceUID, second.SOPInstanceUID]]


@one_database
def test_a_listener_that_fails_stops_nothing(site: Site) -> None:
    def fail(received: Sequence[ReceivedInstance]) -> None:
        raise RuntimeError(len(received))

    _index(site, film(), on_indexed=fail)
    _index(site, film(), on_indexed=fail)

    assert len(_rows(site)) == 2
    assert site.parts.files.waiting() == []


@one_database
def test_a_senders_text_is_read_in_the_character_set_that_is_set_for_it(site: Site) -> None:
    name = "نزار".encode("cp1256")

    _index(site, film(PatientName="XXXX"), name=name, character_sets={MODALITY: "cp1256"})

    assert site.study().patient_name == "نزار"
    assert site.study().patient_name_bytes.rstrip() == name


@one_database
def test_text_that_belies_its_character_set_is_told_of_once(site: Site) -> None:
    image = film(PatientName="XXXX")
    same = film(image.StudyInstanceUID, PatientName="XXXX")

    _index(site, image, same, name=b"\xff\xff\xff\xff")
    _index(site, film(image.StudyInstanceUID, PatientName="XXXX"), name=b"\xff\xff\xff\xff")

    assert site.events() == ["instance_stored", "text_problem"]
    assert site.timeline()[-1].detail["reason"]


@one_database
def test_a_purged_study_that_gets_an_object_holds_something_again(site: Site) -> None:
    image = film()
    _index(site, image)
    with site.writing() as session:
        store.get(session, 1).purged_at = utcnow()

    _index(site, film(image.StudyInstanceUID))

    assert site.study().purged_at is None


def test_the_horizon_is_the_arrival_of_what_waits_longest(site: Site) -> None:
    _index(site, film())
    files = site.parts.files
    assert horizon(files, utcnow()) > _rows(site)[0].received_at
    waiting = [files.incoming("00h") for _ in range(2)]
    paths = [incoming.keep() for incoming in waiting]
    arrived = files.waiting()[0].arrived_ns

    assert files.waiting()[0].path == paths[0]
    assert horizon(files, utcnow()).timestamp() == pytest.approx(arrived / 1e9, abs=1e-5)


@one_database
def test_of_a_long_queue_so_many_files_are_known_at_a_time_and_all_are_indexed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    files = site.parts.files
    files.prepare()
    paths = [files.incoming("00h").keep() for _ in range(3)]
    assert [file.path for file in files.waiting(2)] == paths[:2]
    for path in paths:
        path.unlink()

    real = InstanceFiles.waiting

    def waiting(self: InstanceFiles, most: int | None = None) -> list[WaitingFile]:
        found = real(self, most)
        asked.append(len(found))
        return found

    monkeypatch.setattr(index, "_LISTED", 2)
    monkeypatch.setattr(InstanceFiles, "waiting", waiting)
    _index(site, *(film() for _ in range(5)))

    assert asked == [2, 2, 1]
    assert len(_rows(site)) == 5


# Two index processes


def test_two_that_index_one_inbox_at_once_make_each_row_once(site: Site) -> None:
    studies = [new_uid() for _ in range(3)]
    objects = [film(study) for _ in range(12) for study in studies]
    _put(site, *objects)
    barrier = threading.Barrier(2)
    indexers = [Indexer(site.engine, site.parts.files) for _ in range(2)]

    def index(indexer: Indexer) -> None:
        barrier.wait()
        indexer.catch_up()

    threads = [threading.Thread(target=index, args=(indexer,)) for indexer in indexers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One of them may have been refused by the other's rows, and left the rest for later.
    indexers[0].catch_up()

    uids = [row.sop_instance_uid for row in _rows(site)]
    assert sorted(uids) == sorted(item.SOPInstanceUID for item in objects)
    assert [site.events(study) for study in (1, 2, 3)] == [["instance_stored"]] * 3
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == len(objects)
    assert list(site.parts.files.quarantine.iterdir()) == []
    site.check()


@one_database
def test_a_batch_that_another_process_was_faster_with_is_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = film()
    _put(site, image, film(image.StudyInstanceUID))
    record_all, calls = intake.record_all, []

    def fail_once(session: Session, objects: Sequence[ReceivedInstance]) -> list[Outcome]:
        calls.append(len(objects))
        if len(calls) == 1:
            raise IntegrityError("INSERT", {}, Exception("the same study"))
        return record_all(session, objects)

    monkeypatch.setattr(intake, "record_all", fail_once)
    Indexer(site.engine, site.parts.files).catch_up()

    assert calls == [2, 2]
    assert len(_rows(site)) == 2


@one_database
def test_an_object_that_the_database_refuses_for_ever_is_set_aside(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = film(), film()
    _put(site, good, bad)
    record_all = intake.record_all

    def fail(session: Session, objects: Sequence[ReceivedInstance]) -> list[Outcome]:
        if any(item.sop_instance_uid == bad.SOPInstanceUID for item in objects):
            raise IntegrityError("INSERT", {}, Exception("a column must not be null"))
        return record_all(session, objects)

    monkeypatch.setattr(intake, "record_all", fail)
    Indexer(site.engine, site.parts.files).catch_up()

    assert [row.sop_instance_uid for row in _rows(site)] == [good.SOPInstanceUID]
    assert len(list(site.parts.files.quarantine.iterdir())) == 1


@one_database
def test_a_place_that_a_purge_took_away_is_made_again_before_the_rows_stand(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(site, film())
    record_all = intake.record_all

    def purge_first(session: Session, objects: Sequence[ReceivedInstance]) -> list[Outcome]:
        shutil.rmtree(site.parts.files.studies / objects[0].study.study_uid)
        return record_all(session, objects)

    monkeypatch.setattr(intake, "record_all", purge_first)
    Indexer(site.engine, site.parts.files).catch_up()

    (row,) = _rows(site)
    assert site.parts.files.resolve(row.path).exists()
