from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise

import pytest
from dicom_samples import (
    a_context,
    a_report,
    instance,
    radiograph,
    real,
    write,
)
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import Verification
from servers import free_port

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnreadableInstanceError,
)
from core.report import Language
from dicom_node.client import Peer, echo, send_files, store
from dicom_node.contexts import STORAGE_SOP_CLASSES, supported_contexts
from dicom_node.demo_pacs import DemoPacs
from dicom_node.report_sr import build_sr, verify_sr


@contextmanager
def acceptor(*handlers, contexts=None, **attributes) -> Iterator[Peer]:
    """Run a peer with handlers of the test's own."""
    entity = AE(ae_title="PACS")
    entity.supported_contexts = supported_contexts() if contexts is None else contexts
    for name, value in attributes.items():
        setattr(entity, name, value)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield peer_at(server.socket.getsockname()[1])
    finally:
        entity.shutdown()


def peer_at(port: int, **values) -> Peer:
    # More than a busy machine needs: a test of a peer that does not answer sets its own.
    defaults = {"ae_title": "PACS", "host": "127.0.0.1", "connect_seconds": 20}
    return Peer(**{"answer_seconds": 20, **defaults, **values}, port=port)


@contextmanager
def listener(answer) -> Iterator[Peer]:
    """Run a bare TCP server that treats each connection as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield peer_at(server.getsockname()[1], answer_seconds=1)
        thread.join(5)


def answering(status: int, comment: str = ""):
    def handler(_event):
        answer = Dataset()
        answer.Status = status
        answer.ErrorComment = comment
        return answer

    return (evt.EVT_C_STORE, handler)


@pytest.fixture(scope="module")
def answers() -> Iterator[tuple[Peer, list[int]]]:
    """Return a peer and its answers to come; each has a comment that may not be repeated."""
    statuses: list[int] = []

    def handler(_event):
        return answering(statuses.pop(), "CANARY said something")[1](_event)

    with acceptor((evt.EVT_C_STORE, handler)) as peer:
        yield peer, statuses


def sr(language: Language = Language.AR) -> bytes:
    return build_sr(report=a_report(), context=a_context(), language=language)


def body_of(path) -> bytes:
    """Return the data set of a file as its bytes."""
    with path.open("rb") as file:
        file.seek(132 + 12 + read_file_meta_info(path).FileMetaInformationGroupLength)
        return file.read()


# Success.


def test_echo_is_answered(tmp_path):
    with DemoPacs("PACS", tmp_path) as pacs:
        echo(peer_at(pacs.port))


@pytest.mark.parametrize("language", Language)
def test_a_report_arrives_byte_for_byte(language, tmp_path):
    data = sr(language)
    sent = write_bytes(tmp_path / "sent.dcm", data)
    with DemoPacs("PACS", tmp_path / "pacs") as pacs:
        answer = store(peer_at(pacs.port), data)
        [path] = pacs.received
    assert (answer.status, answer.is_success, answer.meaning) == (0, True, "")
    assert body_of(path) == body_of(sent)
    assert path.name == f"{dcmread(path).SOPInstanceUID}.dcm"


def write_bytes(path, data):
    path.write_bytes(data)
    return path


def test_a_resend_is_one_object_at_the_peer(tmp_path):
    with DemoPacs("PACS", tmp_path) as pacs:
        for _ in range(2):
            store(peer_at(pacs.port), sr())
        assert len(pacs.received) == 1


def test_the_connection_waits_for_no_delayed_acknowledgement(tmp_path):
    paths = []
    for number in range(1, 41):
        dataset = radiograph()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        paths.append(write(dataset, tmp_path / f"{number}.dcm"))
    arrivals = []

    def look(event):
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(_event):
        arrivals.append(time.monotonic())
        return 0

    with acceptor((evt.EVT_C_STORE, note), (evt.EVT_CONN_OPEN, look)) as peer:
        assert all(result.is_stored for result in send_files(peer, paths))
    gaps = sorted(later - earlier for earlier, later in pairwise(arrivals))
    # With Nagle's algorithm each waits for 40 ms and more; on a busy machine some do in any case.
    assert len(gaps) == 39
    assert gaps[10] < 0.04


def test_only_the_contexts_that_are_needed_are_proposed():
    proposed = []

    def look(event):
        proposed.extend(event.assoc.requestor.requested_contexts)

    with acceptor(answering(0x0000), (evt.EVT_REQUESTED, look)) as peer:
        store(peer, sr())
    assert [(c.abstract_syntax, c.transfer_syntax) for c in proposed] == [
        (uid.BasicTextSRStorage, [uid.ExplicitVRLittleEndian]),
        (uid.BasicTextSRStorage, [uid.ImplicitVRLittleEndian]),
    ]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0xB123, 0x0001, 0x0107])
def test_a_warning_counts_as_stored_with_a_note(status, answers):
    peer, statuses = answers
    statuses.append(status)
    answer = store(peer, sr())
    assert answer.is_success
    assert answer.meaning
    assert answer.comment == "CANARY said something"
    assert "CANARY" not in repr(answer) + answer.meaning


# Refusals.


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xA900, "A900 the data set does not match"),
        (0xC000, "C000 the peer cannot understand"),
        (0xC123, "C123 the peer cannot understand"),
        (0x0110, "0110 processing failure"),
        (0x0122, "0122 SOP class not supported"),
        (0x0124, "0124 not authorised"),
        (0x0999, "0999 failure"),
    ],
)
def test_a_failure_is_refused_in_words(status, words, answers):
    peer, statuses = answers
    statuses.append(status)
    with pytest.raises(PeerRefusedError, match=words) as caught:
        store(peer, sr())
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("status", [0xA700, 0xA701])
def test_out_of_resources_may_be_tried_again(status, answers):
    peer, statuses = answers
    statuses.append(status)
    with pytest.raises(TransientError, match="resources"):
        store(peer, sr())


def test_a_peer_of_another_name_refuses_for_good(tmp_path):
    with (
        DemoPacs("OTHER", tmp_path) as pacs,
        pytest.raises(PeerRefusedError, match="Called AE"),
    ):
        echo(peer_at(pacs.port))


def test_a_peer_that_does_not_know_us_refuses_for_good():
    with (
        acceptor(require_calling_aet=["SOMEBODY"]) as peer,
        pytest.raises(PeerRefusedError, match="Calling AE"),
    ):
        store(peer, sr())


def test_a_peer_that_is_full_may_be_asked_again():
    def busy(event):
        event.assoc.acse.send_reject(0x02, 0x03, 0x02)
        event.assoc.kill()

    with acceptor((evt.EVT_REQUESTED, busy)) as peer, pytest.raises(TransientError) as caught:
        echo(peer)
    assert not isinstance(caught.value, PeerRefusedError)


def test_a_peer_that_takes_no_reports_refuses_for_good():
    contexts = [c for c in supported_contexts() if c.abstract_syntax == Verification]
    with (
        acceptor(contexts=contexts) as peer,
        pytest.raises(PeerRefusedError, match="Basic Text SR"),
    ):
        store(peer, sr())


def test_a_failed_echo_is_a_refusal():
    with (
        acceptor((evt.EVT_C_ECHO, lambda _event: 0x0122)) as peer,
        pytest.raises(PeerRefusedError, match="0122"),
    ):
        echo(peer)


# Nobody there.


@pytest.mark.parametrize("call", [echo, lambda peer: store(peer, sr())])
def test_no_listener_is_unreachable(call):
    with pytest.raises(PeerUnreachableError):
        call(peer_at(free_port()))


def test_a_name_that_does_not_resolve_is_unreachable():
    with pytest.raises(PeerUnreachableError, match="resolved"):
        echo(peer_at(104, host="pacs.invalid"))


def test_a_peer_that_hangs_up_is_unreachable():
    with (
        listener(lambda connection: connection.recv(10)) as peer,
        pytest.raises(PeerUnreachableError),
    ):
        store(peer, sr())


def test_a_peer_that_says_nothing_is_unreachable():
    with (
        listener(lambda c: (c.recv(100_000), threading.Event().wait(2))) as peer,
        pytest.raises(PeerUnreachableError),
    ):
        store(peer, sr())


def test_a_peer_that_talks_http_is_unreachable():
    answer = b"HTTP/1.1 400 Bad\r\n\r\n"
    with (
        listener(lambda c: (c.recv(100), c.sendall(answer))) as peer,
        pytest.raises(PeerUnreachableError),
    ):
        store(peer, sr())


def test_a_peer_that_falls_silent_within_a_pdu_is_unreachable():
    # The head of an acceptance of 200 bytes, and one byte of it.
    half = bytes.fromhex("0200000000c800")
    over, ended_first = threading.Event(), []

    def fall_silent(connection):
        connection.recv(100_000)
        connection.sendall(half)
        ended_first.append(over.wait(10))

    with listener(fall_silent) as peer:
        with pytest.raises(PeerUnreachableError):
            store(peer, sr())
        over.set()
    # pynetdicom by itself would wait for the rest until the peer hangs up.
    assert ended_first == [True]


def test_an_abort_instead_of_an_answer_is_unreachable():
    def abort(event):
        event.assoc.abort()
        return 0x0000

    with acceptor((evt.EVT_C_STORE, abort)) as peer, pytest.raises(PeerUnreachableError):
        store(peer, sr())


def test_an_answer_that_comes_too_late_is_unreachable():
    def sleep(_event):
        threading.Event().wait(2)
        return 0x0000

    with acceptor((evt.EVT_C_STORE, sleep)) as peer:
        impatient = peer_at(peer.port, answer_seconds=0.3)
        with pytest.raises(PeerUnreachableError):
            store(impatient, sr())


def test_what_is_not_dicom_is_not_sent(tmp_path):
    with DemoPacs("PACS", tmp_path) as pacs, pytest.raises(UnreadableInstanceError):
        store(peer_at(pacs.port), b"hello")


# Many files.


def test_files_leave_in_their_own_transfer_syntax_in_one_association(tmp_path):
    names = ["RG1_J2KR.dcm", "MR_small_RLE.dcm", "MR_small.dcm", "MR_small_implicit.dcm"]
    names += ["JPGExtended.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm"]
    progress = []
    with DemoPacs("PACS", tmp_path) as pacs:
        results = send_files(peer_at(pacs.port), [real(name) for name in names], progress.append)
        stored = {path.name for path in pacs.received}
    assert [r.problem for r in results] == [""] * len(names)
    assert all(r.is_stored for r in results)
    assert progress == results
    for result in results:
        path = tmp_path / f"{result.sop_instance_uid}.dcm"
        assert path.name in stored
    last_of = {r.sop_instance_uid: r.path for r in results}
    for name, source in last_of.items():
        arrived = tmp_path / f"{name}.dcm"
        assert dcmread(arrived).file_meta.TransferSyntaxUID == (
            dcmread(source).file_meta.TransferSyntaxUID
        )
        assert body_of(arrived) == body_of(source)


def test_one_association_serves_many_files(tmp_path):
    count = []
    paths = []
    for number in range(1, 21):
        dataset = radiograph()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        paths.append(write(dataset, tmp_path / f"{number}.dcm"))
    with acceptor(answering(0), (evt.EVT_ACCEPTED, count.append)) as peer:
        results = send_files(peer, paths)
    assert len(results) == 20
    assert len(count) == 1


def test_more_kinds_than_128_need_a_second_association(tmp_path):
    paths = []
    for number, sop_class in enumerate(STORAGE_SOP_CLASSES[:130], start=1):
        paths.append(write(instance(sop_class, number), tmp_path / f"{number}.dcm"))
    count = []
    with acceptor(answering(0), (evt.EVT_ACCEPTED, count.append)) as peer:
        results = send_files(peer, paths)
    assert [r.path for r in results if r.is_stored] == paths
    assert len(count) == 2


def test_a_file_that_is_no_dicom_or_gone_is_named_and_the_others_arrive(tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    good = write(radiograph(), tmp_path / "good.dcm")
    paths = [tmp_path / "note.txt", good, tmp_path / "gone.dcm", tmp_path]
    with DemoPacs("PACS", tmp_path / "pacs") as pacs:
        results = {r.path: r for r in send_files(peer_at(pacs.port), paths)}
    assert results[good].is_stored
    assert "not a DICOM file" in results[tmp_path / "note.txt"].problem
    assert not results[tmp_path / "gone.dcm"].is_stored
    assert not results[tmp_path].is_stored


def test_a_refused_file_does_not_stop_the_others(tmp_path):
    def handler(event):
        return 0xC000 if event.request.AffectedSOPInstanceUID.endswith(".2") else 0x0000

    paths = []
    for number in (1, 2, 3):
        dataset = radiograph()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        paths.append(write(dataset, tmp_path / f"{number}.dcm"))
    with acceptor((evt.EVT_C_STORE, handler)) as peer:
        results = send_files(peer, paths)
    assert [r.is_stored for r in results] == [True, False, True]
    assert "C000" in results[1].problem


def test_a_class_that_the_peer_does_not_take_is_a_problem_of_its_files_only(tmp_path):
    paths = [
        write(radiograph(), tmp_path / "film.dcm"),
        write(instance(uid.MRImageStorage, 2), tmp_path / "mr.dcm"),
    ]
    contexts = [c for c in supported_contexts() if c.abstract_syntax != uid.MRImageStorage]
    with acceptor(answering(0), contexts=contexts) as peer:
        results = send_files(peer, paths)
    assert [r.is_stored for r in results] == [True, False]
    assert "SOP class" in results[1].problem


def test_files_after_a_broken_connection_are_reported_as_not_sent(tmp_path):
    def break_at_the_second(event):
        if event.request.AffectedSOPInstanceUID.endswith(".2"):
            event.assoc.abort()
        return 0x0000

    paths = []
    for number in (1, 2, 3):
        dataset = radiograph()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        paths.append(write(dataset, tmp_path / f"{number}.dcm"))
    with acceptor((evt.EVT_C_STORE, break_at_the_second)) as peer:
        results = send_files(peer, paths)
    assert [r.path for r in results] == paths
    assert [r.is_stored for r in results] == [True, False, False]


def test_no_connection_at_all_is_an_error(tmp_path):
    path = write(radiograph(), tmp_path / "film.dcm")
    with pytest.raises(PeerUnreachableError):
        send_files(peer_at(free_port()), [path])


def test_nothing_to_send_needs_no_connection():
    assert send_files(peer_at(free_port()), []) == []


# An archive of one transfer syntax.


def test_an_archive_that_takes_implicit_vr_only_is_sent_the_same_document_in_that() -> None:
    report = a_report()
    document = build_sr(report=report, context=a_context(), language=Language.AR)
    came: list[bytes] = []

    def keep(event: evt.Event) -> int:
        came.append(event.encoded_dataset())
        return 0

    contexts = [build_context(uid.BasicTextSRStorage, uid.ImplicitVRLittleEndian)]
    with acceptor((evt.EVT_C_STORE, keep), contexts=contexts) as peer:
        store(peer, document)
        store(peer, document)

    assert came[0] == came[1]
    assert dcmread(BytesIO(came[0])).file_meta.TransferSyntaxUID == uid.ImplicitVRLittleEndian
    assert dcmread(BytesIO(came[0])) == dcmread(BytesIO(document))
    verify_sr(came[0], report=report, context=a_context(), language=Language.AR)
