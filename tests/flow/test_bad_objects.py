"""Objects that cannot be drafted for: each ends in a state with a reason, and harms nobody else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from harness import MODALITY, Site, film, new_uid, one_database, report_object, save
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from servers import wait_until
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import intake, store
from core.database import reading
from core.intake import Admission, Outcome, ReceivedInstance
from core.lifecycle import State
from core.tables import AuditEvent, Instance, Study
from dicom_node.client import send_files
from dicom_node.header import InstanceHeader
from dicom_node.index import Indexer

# Rows times columns, the element's header, and two bytes of the element before it.
_PIXELS_AND_MORE = 24 * 32 + 12 + 2


def test_a_study_without_an_image_is_ignored_with_the_reason(site: Site) -> None:
    site.send(report_object())
    site.go_quiet()

    study = site.study()
    assert (study.state, study.reason_code) == (State.IGNORED, "NO_IMAGE")
    assert study.reason == "the study holds no image"
    assert site.bell.studies == []


def test_the_modality_is_the_images_where_a_report_came_first(site: Site) -> None:
    report = report_object()
    site.take_in(report, film(report.StudyInstanceUID))

    with reading(site.engine) as session:
        header = store.header_of(session, site.study())
    assert (header.modality, header.body_part) == ("CR", "CHEST")


@one_database
def test_a_readable_film_takes_the_place_of_a_damaged_one_of_the_same_view(site: Site) -> None:
    good = film(SeriesInstanceUID=new_uid())
    # Newer, so that it is chosen first; half of its pixels are missing.
    bad = film(good.StudyInstanceUID, AcquisitionDate="20991231", AcquisitionTime="235959")
    bad.PixelData = bad.PixelData[: len(bad.PixelData) // 2]

    site.take_in(good, bad)

    assert site.state() is State.IN_REVIEW
    (draft,) = site.drafts()
    assert [f["sop_instance_uid"] for f in draft.selection["frames"]] == [good.SOPInstanceUID]
    assert any(bad.SOPInstanceUID in reason for reason in draft.selection["reasons"])


@one_database
def test_an_image_of_a_kind_that_we_do_not_read_is_ignored_with_the_reason(site: Site) -> None:
    scintigram = film(SOPClassUID=uid.NuclearMedicineImageStorage, Modality="NM")

    site.take_in(scintigram)

    study = site.study()
    assert (study.state, study.reason_code) == (State.IGNORED, "NOT_ADMITTED")
    assert "NM" in study.reason


@one_database
@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelData": b"\x01\x02"},
        {"Rows": 0},
        {"BitsAllocated": 13},
        {"PhotometricInterpretation": "NONSENSE"},
    ],
    ids=["cut off", "no rows", "impossible depth", "unknown colours"],
)
def test_an_image_that_cannot_be_decoded_is_ignored_with_the_reason(
    site: Site, attributes: dict[str, Any]
) -> None:
    site.take_in(film(**attributes))

    study = site.study()
    assert (study.state, study.reason_code) == (State.IGNORED, "NO_READABLE_IMAGE")
    assert "No image of the study can be read" in study.reason
    assert site.events()[-1] == "not_for_us"
    assert site.timeline()[-1].detail["reason"] == study.reason
    assert site.drafter.requests == []


@one_database
def test_a_slide_of_nothing_but_glass_is_ignored_with_the_reason(site: Site) -> None:
    glass = film(
        SOPClassUID=uid.VLWholeSlideMicroscopyImageStorage,
        Modality="SM",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        NumberOfFrames=64,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        PixelData=b"\xf5" * (64 * 24 * 32 * 3),
    )

    site.take_in(glass)

    study = site.study()
    assert (study.state, study.reason_code) == (State.IGNORED, "NO_READABLE_IMAGE")
    assert "show glass and no tissue" in study.reason
    assert site.drafter.requests == []


@one_database
def test_a_compressed_image_that_is_noise_is_ignored_with_the_reason(site: Site) -> None:
    noise = film()
    noise.PixelData = encapsulate([b"NOTAJ2K!"])
    noise["PixelData"].is_undefined_length = True
    noise["PixelData"].VR = "OB"

    site.take_in(save(noise, site.folder, uid.JPEG2000Lossless))

    assert (site.state(), site.study().reason_code) == (State.IGNORED, "NO_READABLE_IMAGE")


@one_database
def test_one_unreadable_image_beside_a_readable_one_is_a_line_of_the_draft(site: Site) -> None:
    good = film()
    bad = film(good.StudyInstanceUID, ViewPosition="LL", PixelData=b"\x01\x02")

    site.take_in(good, bad)

    assert site.state() is State.IN_REVIEW
    reasons = site.drafts()[0].selection["reasons"]
    assert any(bad.SOPInstanceUID in reason for reason in reasons)
    assert [f["sop_instance_uid"] for f in site.drafts()[0].selection["frames"]] == [
        good.SOPInstanceUID
    ]


@one_database
def test_an_operator_may_have_an_ignored_study_drafted(site: Site) -> None:
    site.take_in(film(PixelData=b"\x01\x02"))
    assert site.state() is State.IGNORED

    with site.writing() as session:
        store.retry(session, store.get(session, 1), at=site.clock(), actor="operator")
    site.draft()

    # Nothing has changed, so the answer is the same, and the timeline says who asked.
    assert site.state() is State.IGNORED
    assert site.path() == [
        "RECEIVING",
        "QUEUED",
        "DRAFTING",
        "IGNORED",
        "QUEUED",
        "DRAFTING",
        "IGNORED",
    ]
    assert "operator" in {row.actor for row in site.timeline()}


def test_an_ignored_study_that_gets_a_readable_image_is_drafted(site: Site) -> None:
    bad = film(PixelData=b"\x01\x02", ViewPosition="LL")
    site.take_in(bad)

    site.take_in(film(bad.StudyInstanceUID))

    assert (site.state(), site.study().version) == (State.IN_REVIEW, 2)
    assert site.study().reason == ""


@one_database
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not DICOM at all",
        b"\0" * 128 + b"DICM",
        b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xff\xff\xff\xff",
        b"\0" * 4096,
    ],
    ids=["empty", "text", "preamble only", "header announces more", "zeros"],
)
def test_a_file_in_the_inbox_that_is_no_object_is_set_aside_and_stops_nothing(
    site: Site, content: bytes
) -> None:
    files = site.parts.files
    files.prepare()
    (files.inbox / "stray.dcm").write_bytes(content)

    site.send(film())

    assert site.state() is State.RECEIVING
    assert [path.name for path in files.quarantine.iterdir()] == ["stray.dcm"]
    assert (files.quarantine / "stray.dcm").read_bytes() == content


@one_database
@pytest.mark.parametrize("keep", [200, 400, 1000])
def test_an_object_that_was_cut_off_in_the_inbox_is_set_aside_or_indexed_and_stops_nothing(
    site: Site, keep: int
) -> None:
    files = site.parts.files
    files.prepare()
    whole = save(film(), site.folder).read_bytes()
    (files.inbox / "cut.dcm").write_bytes(whole[:keep])
    site.send(film())

    assert list(files.inbox.iterdir()) == []
    kept = [*files.quarantine.iterdir(), *files.studies.rglob("*.dcm")]
    assert len(kept) == 2


@one_database
def test_a_file_that_appears_in_the_inbox_while_the_node_runs_does_not_kill_the_index(
    site: Site,
) -> None:
    site.send(film())
    files = site.parts.files
    (files.inbox / "stray.dcm").write_bytes(b"not DICOM at all")
    assert site.node is not None
    site.send(film())
    wait_until((files.quarantine / "stray.dcm").exists)
    site.send(film())

    assert site.state(3) is State.RECEIVING


def test_an_object_that_the_index_fails_on_is_set_aside_and_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = film()
    poison = film(good.StudyInstanceUID)
    record_all = intake.record_all

    def fail_on_one(session: Session, objects: Sequence[ReceivedInstance]) -> list[Outcome]:
        if any(received.sop_instance_uid == poison.SOPInstanceUID for received in objects):
            raise RuntimeError("a bug, or a value that the database does not take")
        return record_all(session, objects)

    monkeypatch.setattr(intake, "record_all", fail_on_one)

    site.receive(film(), poison, good)
    site.receive(poison)

    (study,) = _found(site, good)
    assert site.events(study.id) == ["instance_stored", "instance_set_aside"]
    assert site.timeline(study.id)[-1].detail["reason"] == "unexpected RuntimeError"
    assert len(list(site.parts.files.quarantine.iterdir())) == 2


def _found(site: Site, image: Dataset) -> Sequence[Study]:
    with reading(site.engine) as session:
        return store.find(session, image.StudyInstanceUID)


def test_an_object_with_a_value_that_the_database_does_not_take_is_set_aside(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    good = film()
    files = site.parts.files

    def spoil(header: InstanceHeader, sender: str) -> Admission:
        del sender
        is_bad = header.sop_instance_uid == bad.SOPInstanceUID
        return Admission(reason=refused if is_bad else "")

    is_sqlite = site.engine.dialect.name == "sqlite"
    # PostgreSQL takes no NUL in a text, SQLite no list for one.
    refused = cast("str", ["x"]) if is_sqlite else "\0"

    bad = film(good.StudyInstanceUID)
    _put(site, good, bad, film())
    Indexer(site.engine, files, admit=spoil).catch_up()

    (study,) = _found(site, good)
    assert site.events(study.id) == ["instance_stored", "instance_set_aside"]
    assert len(_all_studies(site)) == 2


def test_an_object_that_is_damaged_behind_its_head_is_told_of_in_its_study(site: Site) -> None:
    good = film()
    site.receive(good)
    _put(site, film(good.StudyInstanceUID), cut=_PIXELS_AND_MORE)

    Indexer(site.engine, site.parts.files).catch_up()

    assert site.events() == ["instance_stored", "instance_set_aside"]
    detail = site.timeline()[-1].detail
    assert detail["reason"] == "The DICOM file is cut off; send it again."
    assert (site.parts.files.quarantine / detail["file"]).exists()
    assert (site.state(), site.study().version) == (State.RECEIVING, 1)


@one_database
def test_a_damaged_object_whose_study_is_unknown_is_told_of_in_the_installations_timeline(
    site: Site,
) -> None:
    _put(site, film(), cut=_PIXELS_AND_MORE)

    Indexer(site.engine, site.parts.files).catch_up()

    with reading(site.engine) as session:
        (row,) = session.scalars(select(AuditEvent)).all()
    assert (row.study_id, row.event) == (None, "instance_set_aside")


@one_database
@pytest.mark.parametrize("keep", [0, 200, 700])
def test_a_file_that_a_power_cut_has_torn_is_set_aside_and_its_resend_is_new(
    site: Site, keep: int
) -> None:
    image = film()
    _put(site, image)
    (waiting,) = site.parts.files.waiting()
    os.truncate(waiting.path, keep)

    Indexer(site.engine, site.parts.files).catch_up()

    (torn,) = site.parts.files.quarantine.iterdir()
    assert torn.stat().st_size == keep
    with reading(site.engine) as session:
        (row,) = session.scalars(select(AuditEvent)).all()
    assert row.detail["reason"].startswith(f"The file is torn: it has {keep} of ")
    _put(site, image)
    Indexer(site.engine, site.parts.files).catch_up()
    assert site.events() == ["instance_stored"]
    (kept,) = site.parts.files.studies.rglob("*.dcm")
    assert kept.stat().st_size == waiting.size_bytes


@one_database
def test_a_file_that_the_disk_cannot_read_is_set_aside_and_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(site, film(), film())
    first = site.parts.files.waiting()[0].path
    opened = os.open

    def fail_on_first(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == first:
            raise OSError(errno.EIO, "a bad sector")
        return opened(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail_on_first)
        Indexer(site.engine, site.parts.files).catch_up()

    assert [path.name for path in site.parts.files.quarantine.iterdir()] == [first.name]
    assert len(_all_studies(site)) == 1


@one_database
def test_a_disk_that_fails_for_a_while_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(site, film())
    indexer = Indexer(site.engine, site.parts.files)

    def fail(source: Path, target: Path) -> None:
        del source, target
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail)
        with pytest.raises(OSError, match="full"):
            indexer.catch_up()
    assert _all_studies(site) == []
    indexer.catch_up()

    assert len(_all_studies(site)) == 1
    assert site.parts.files.waiting() == []


def _all_studies(site: Site) -> Sequence[Study]:
    with reading(site.engine) as session:
        return session.scalars(select(Study)).all()


def _put(site: Site, *objects: Dataset, cut: int = 0) -> None:
    """Leave objects in the inbox as a receiver does, and index nothing; `cut` so many bytes."""
    files = site.parts.files
    files.prepare()
    for item in objects:
        incoming = files.incoming("00put")
        content = save(item, site.folder).read_bytes()
        os.write(incoming.descriptor, content[: len(content) - cut])
        incoming.keep()


def test_an_object_of_three_gigabytes_has_its_place_in_the_index(site: Site) -> None:
    site.receive(film())
    with site.writing() as session:
        session.execute(update(Instance).values(size_bytes=3 << 30))
    with site.writing() as session:
        assert session.scalar(select(Instance.size_bytes)) == 3 << 30


@one_database
def test_a_sender_that_breaks_off_leaves_nothing_and_harms_nobody(site: Site) -> None:
    import socket

    site.start_node()
    node = site.settings.node
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\xffhalf a request"):
        with socket.create_connection((node.host, node.port)) as connection:
            connection.sendall(words)

    site.send(film())

    assert site.state() is State.RECEIVING
    assert list(site.parts.files.partial.iterdir()) == []


@one_database
def test_an_object_whose_data_name_another_than_its_command_is_refused(
    site: Site, tmp_path: Path
) -> None:
    image = film()
    path = save(image, tmp_path)
    other = new_uid().ljust(len(image.SOPInstanceUID), "0")[: len(image.SOPInstanceUID)]
    data = path.read_bytes()
    at = data.rindex(image.SOPInstanceUID.encode())
    path.write_bytes(data[:at] + other.encode() + data[at + len(other) :])
    site.start_node()

    (sent,) = send_files(site.peer(MODALITY), [path])

    assert sent.answer is not None
    assert sent.answer.status == 0xA900
    assert list(site.parts.files.inbox.iterdir()) == []
    assert list(site.parts.files.partial.iterdir()) == []


def test_hostile_text_in_every_field_is_stored_and_drafted(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    from dicom_node.demo_pacs import DemoPacs
    from hl7.demo_ris import DemoRis

    hostile = "a|b^c~d\\&e\u202e'; DROP TABLE study;--"
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs, DemoRis(tmp_path / "ris") as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        site.take_in(
            film(
                StudyDescription=hostile + "\0\x1b$B",
                AccessionNumber="A|1",
                PatientID="../../P&1",
                ReferringPhysicianName="نزار^O'Hara|MSH",
            )
        )
        site.deliver_due()

        states = site.delivery_states()
        assert all(state == "SENT" for _, _, state in states), [
            d.reason for d, _ in site.deliveries()
        ]
        assert len(ris.received) == 1


@one_database
def test_many_bad_studies_do_not_hold_a_good_one(site: Site) -> None:
    good = film()
    site.take_in(
        *(film(PixelData=b"\x01\x02") for _ in range(3)),
        *(film(Rows=0) for _ in range(2)),
        good,
    )

    with site.writing() as session:
        counts = store.count_states(session)
        (found,) = store.find(session, good.StudyInstanceUID)
    assert found.state == State.IN_REVIEW
    assert counts[State.IGNORED] == 5
