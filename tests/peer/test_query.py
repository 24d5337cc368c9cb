"""Our C-FIND at Orthanc, at DCMTK-like archives that say less, and at ones that say nonsense."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from harness import film, new_uid, report_object, save
from harness.scripted_archive import PENDING, Answers, ScriptedArchive, image
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import BasicTextSRStorage
from pynetdicom import AE
from pynetdicom.dimse import DIMSEServiceProvider
from servers import Orthanc, free_port

from core.audit_messages import QueryObject
from core.errors import PeerRefusedError, PeerUnreachableError, TransientError
from dicom_node.client import Peer, send_files
from dicom_node.query import ArchivedStudy, ask_archive

STUDY = "1.2.840.1"


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    with ScriptedArchive() as archive:
        yield archive


def _ask(
    archive: ScriptedArchive, *, enough: int | None = None, seconds: float = 10
) -> ArchivedStudy:
    peer = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=archive.port, answer_seconds=seconds)
    return ask_archive(peer, STUDY, enough=enough)


# Orthanc


@pytest.mark.peer
def test_orthanc_tells_its_count_and_lists_its_images(
    fresh_orthanc: Orthanc, tmp_path: Path
) -> None:
    study = new_uid()
    films = [film(study), film(study)]
    objects = [*films, report_object(study), film()]
    peer = Peer(ae_title="ORTHANC", host="127.0.0.1", port=fresh_orthanc.dicom_port)
    # Orthanc answers queries of those only that it knows.
    fresh_orthanc.add_modality("taqrir", "TAQRIR", free_port())
    sent = send_files(peer, [save(o, tmp_path) for o in objects])
    assert all(s.is_stored for s in sent)

    assert ask_archive(peer, study, enough=3) == ArchivedStudy(count=3)
    assert ask_archive(peer, study) == ArchivedStudy(
        count=3, images=frozenset(str(f.SOPInstanceUID) for f in films)
    )
    assert ask_archive(peer, new_uid()) == ArchivedStudy(count=0)


def test_the_audit_trail_hears_of_each_query_as_it_is_sent(archive: ScriptedArchive) -> None:
    told: list[QueryObject] = []
    peer = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)

    ask_archive(peer, STUDY, on_query=told.append)

    first = read_dataset(BytesIO(told[0].identifier), is_implicit_VR=False, is_little_endian=True)
    assert (first.QueryRetrieveLevel, first.StudyInstanceUID) == ("STUDY", STUDY)


# What archives may leave out


def test_the_archives_own_count_is_enough_where_it_is_the_hoped_for(
    archive: ScriptedArchive,
) -> None:
    archive.keep(image(STUDY, "1.1"), image(STUDY, "1.2"), image("9.9", "1.3"))

    assert _ask(archive, enough=2) == ArchivedStudy(count=2)
    assert archive.levels == ["STUDY"]


def test_another_count_is_looked_into_series_by_series(archive: ScriptedArchive) -> None:
    report = image(STUDY, "1.9", "5.5")
    report.SOPClassUID = BasicTextSRStorage
    archive.keep(image(STUDY, "1.1"), image(STUDY, "1.2", "4.4"), report)

    found = _ask(archive, enough=2)

    assert found == ArchivedStudy(count=3, images=frozenset({"1.1", "1.2"}))
    assert archive.levels == ["STUDY", "SERIES", "IMAGE", "IMAGE", "IMAGE"]


def test_an_archive_that_gives_no_count_is_counted_image_by_image(
    archive: ScriptedArchive,
) -> None:
    archive.gives_count = False
    archive.keep(image(STUDY, "1.1"), image(STUDY, "1.2"))

    assert _ask(archive, enough=2) == ArchivedStudy(images=frozenset({"1.1", "1.2"}))


def test_no_answer_is_lost_to_a_thread_that_wakes_up_late(
    archive: ScriptedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = DIMSEServiceProvider.get_msg

    def late(self: DIMSEServiceProvider, block: bool = False) -> Any:
        # pynetdicom's reactor looks without waiting; on a busy machine it does so some time after
        # it was woken up, when the answer to the next request is already there.
        if not block and self.assoc.is_requestor:
            threading.Event().wait(0.05)
        return take(self, block)

    monkeypatch.setattr(DIMSEServiceProvider, "get_msg", late)
    archive.keep(*(image(STUDY, f"1.{n}", f"4.{n}") for n in range(4)))

    assert _ask(archive, seconds=2) == ArchivedStudy(
        count=4, images=frozenset({"1.0", "1.1", "1.2", "1.3"})
    )


def test_an_object_of_a_class_that_is_not_told_is_taken_for_an_image(
    archive: ScriptedArchive,
) -> None:
    archive.gives_classes = False
    archive.keep(image(STUDY, "1.1"))

    assert _ask(archive).images == {"1.1"}


def test_an_archive_that_answers_for_studies_only_still_has_its_count(
    archive: ScriptedArchive,
) -> None:
    archive.lists = {"STUDY"}
    archive.keep(image(STUDY, "1.1"))

    assert _ask(archive, enough=5) == ArchivedStudy(count=1)


def test_an_archive_that_neither_counts_nor_lists_is_no_help(archive: ScriptedArchive) -> None:
    archive.lists, archive.gives_count = {"STUDY"}, False
    archive.keep(image(STUDY, "1.1"))

    with pytest.raises(PeerRefusedError, match="A900"):
        _ask(archive)


# What is asked, and what is not


def test_only_uids_are_keys_and_nobody_is_asked_for_by_name(archive: ScriptedArchive) -> None:
    archive.keep(image(STUDY, "1.1"))

    _ask(archive)

    keys = {e.keyword for identifier in archive.asked for e in identifier if not e.is_empty}
    assert keys == {"QueryRetrieveLevel", "StudyInstanceUID", "SeriesInstanceUID"}
    assert not any("PatientName" in identifier for identifier in archive.asked)


# What archives get wrong


def _answer(**attributes: object) -> Dataset:
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


def test_an_archive_that_ignores_the_key_is_not_believed(archive: ScriptedArchive) -> None:
    def everything(identifier: Dataset) -> Answers:
        for uid in ("7.7", STUDY, "8.8"):
            yield PENDING, _answer(StudyInstanceUID=uid, NumberOfStudyRelatedInstances=4)
        yield PENDING, _answer(NumberOfStudyRelatedInstances=4)
        del identifier

    archive.script = everything

    assert _ask(archive, enough=4) == ArchivedStudy(count=4)


def test_a_study_that_stands_there_twice_is_counted_once_in_all(archive: ScriptedArchive) -> None:
    def twice(identifier: Dataset) -> Answers:
        for number in (1, 2):
            yield (
                PENDING,
                _answer(
                    StudyInstanceUID=identifier.StudyInstanceUID,
                    NumberOfStudyRelatedInstances=number,
                ),
            )

    archive.script = twice

    assert _ask(archive, enough=3).count == 3


def test_an_archive_without_end_is_stopped(
    archive: ScriptedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.query._MAX_MATCHES", 5)
    archive.keep(*(image(STUDY, f"1.{n}") for n in range(3)))

    archive.script = lambda identifier: iter(
        [(PENDING, match) for match in archive.matches(identifier)] * 20
    )

    with pytest.raises(PeerRefusedError, match="more than was asked"):
        _ask(archive)


@pytest.mark.parametrize("count", ["", "-3", "many", "99999999999999"])
def test_a_count_that_is_none_counts_for_nothing(archive: ScriptedArchive, count: str) -> None:
    def odd(identifier: Dataset) -> Answers:
        if identifier.QueryRetrieveLevel != "STUDY":
            yield from archive._answers(identifier)
            return
        found = _answer(StudyInstanceUID=STUDY)
        # As it may stand on the wire: pydicom itself would refuse to write some of these.
        found.add_new("NumberOfStudyRelatedInstances", "LO", count)
        yield PENDING, found

    archive.keep(image(STUDY, "1.1"))
    archive.script = odd

    assert _ask(archive) == ArchivedStudy(images=frozenset({"1.1"}))


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xA700, TransientError), (0xA900, PeerRefusedError), (0xC001, PeerRefusedError)],
)
def test_a_refusal_says_its_status(
    archive: ScriptedArchive, status: int, error: type[Exception]
) -> None:
    def refuse(identifier: Dataset) -> Answers:
        del identifier
        yield status, None

    archive.script = refuse

    with pytest.raises(error, match=f"{status:04X}"):
        _ask(archive)


def test_an_archive_that_falls_silent_is_left_in_time(archive: ScriptedArchive) -> None:
    may_go_on = threading.Event()

    def hang(identifier: Dataset) -> Answers:
        del identifier
        may_go_on.wait(20)
        yield 0x0000, None

    archive.script = hang
    try:
        with pytest.raises(PeerUnreachableError, match="no answer"):
            _ask(archive, seconds=0.3)
    finally:
        may_go_on.set()


def test_an_archive_that_takes_no_queries_is_said() -> None:
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context("1.2.840.10008.1.1")
    port = free_port()
    server = entity.start_server(("127.0.0.1", port), block=False)
    try:
        with pytest.raises(PeerRefusedError, match="takes none"):
            ask_archive(Peer(ae_title="ARCHIVE", host="127.0.0.1", port=port), STUDY)
    finally:
        assert server is not None
        server.shutdown()


def test_an_archive_that_is_not_there_is_unreachable() -> None:
    peer = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=free_port())

    with pytest.raises(PeerUnreachableError, match="no connection"):
        ask_archive(peer, STUDY)
