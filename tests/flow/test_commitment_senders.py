"""A sender asks us to commit to what it sent: what is promised, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import MODALITY, Site, film, one_database, report_object, save
from harness.commitment import (
    act,
    commit,
    commitment_states,
    instance_of,
    reasons_of,
    reference,
    report_all,
    report_on,
    report_to,
    request_for,
    service,
    the_commitment,
)
from pydicom import uid
from pydicom.dataset import Dataset
from sqlalchemy import create_engine, delete, update

from core import commitments
from core.clock import utcnow
from core.database import reading
from core.lifecycle import CommitmentState
from core.tables import Instance, Study
from dicom_node import commitment_evaluation
from dicom_node.commitment import CommitmentService
from dicom_node.commitment_dataset import Reference, encode_dataset
from dicom_node.index import Indexer
from dicom_node.receive import Reception, StorePolicy, StoreRequest

EVALUATING, REPORTING = CommitmentState.EVALUATING, CommitmentState.REPORTING
REPORTED, UNREPORTED = CommitmentState.REPORTED, CommitmentState.UNREPORTED


def _path(site: Site, dataset: Dataset) -> Path:
    return site.parts.files.resolve(instance_of(site, dataset).path)


def _put_into_inbox(site: Site, dataset: Dataset) -> Path:
    """Receive an object that the index does not look at yet."""
    path = save(dataset, site.folder)
    body = path.read_bytes()
    reception = Reception(
        site.parts.files,
        StoreRequest(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            calling_ae_title=MODALITY,
            called_ae_title="TAQRIR",
        ),
        StorePolicy(),
        "00aa",
    )
    reception.write([body[144 + int.from_bytes(body[140:144], "little") :]])
    assert reception.finish() == 0
    (waiting,) = site.parts.files.waiting()
    return waiting.path


def test_what_is_stored_is_committed_for_the_days_of_the_setting(site: Site) -> None:
    commit(site, days=30)
    one, two = film(), film()
    site.receive(one, two)

    assert act(site, request_for(reference(one), reference(two))) == 0x0000
    report = report_to(site)

    assert set(report.committed) == {reference(one), reference(two)}
    assert report.failed == ()
    assert report.event_type == 1
    until = site.clock() + timedelta(days=30)
    assert instance_of(site, one).committed_until == until
    assert "storage_committed" in site.events()
    assert commitment_states(site) == {REPORTED: 1}


@one_database
def test_the_transaction_uid_comes_back(site: Site) -> None:
    commit(site)
    asked = request_for(Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3"))
    act(site, asked)

    assert report_to(site).transaction_uid == asked.transaction_uid


@one_database
def test_a_sender_without_the_setting_is_not_authorised(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    image = film()
    site.receive(image)

    assert act(site, request_for(reference(image))) == 0x0124
    commit(site)
    assert act(site, request_for(reference(image)), calling="STRANGER") == 0x0124
    assert commitment_states(site) == {}


@one_database
def test_another_action_instance_or_data_set_has_its_own_status(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    commit(site)
    asked = request_for(Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3"))

    assert act(site, asked, action_type=2) == 0x0123
    assert act(site, asked, instance="1.2.840.10008.1.20.1.2") == 0x0112
    assert act(site, b"\x08\x00") == 0x0115
    assert act(site, request_for()) == 0x0115
    assert commitment_states(site) == {}


@one_database
def test_too_many_references_are_a_resource_limitation(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    commit(site)
    monkeypatch.setattr("dicom_node.commitment_dataset._MOST_REFERENCES", 0)
    image = film()

    assert act(site, request_for(reference(image))) == 0x0213


@one_database
def test_without_a_database_nothing_is_promised(make_site: Callable[..., Site]) -> None:
    site = make_site()
    commit(site)
    engine = create_engine(f"sqlite:///{site.folder / 'none' / 'here.db'}")
    ours = CommitmentService(engine, site.settings, site.clock)
    asked = request_for(Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3"))
    status = ours.on_action(
        calling_ae_title=MODALITY,
        sop_instance_uid="1.2.840.10008.1.20.1.1",
        action_type=1,
        data=encode_dataset(asked.to_dataset(), uid.ExplicitVRLittleEndian),
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
    )

    assert status == 0x0110
    assert ours.report_for("00aa", MODALITY) is None
    engine.dispose()


def test_the_same_request_again_is_the_same_request(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    asked = request_for(reference(image))

    assert [act(site, asked) for _ in range(3)] == [0, 0, 0]
    assert commitment_states(site) == {EVALUATING: 1}
    assert report_to(site).committed == (reference(image),)
    assert report_on(site) is None


@one_database
def test_a_request_that_comes_again_after_its_report_is_reported_again(site: Site) -> None:
    commit(site)
    image = film()
    asked = request_for(reference(image))
    act(site, asked)
    assert reasons_of(report_to(site)) == [0x0112]
    site.receive(image)
    site.clock.advance(minutes=1)

    act(site, asked)

    assert report_to(site).committed == (reference(image),)


@one_database
def test_a_transaction_uid_with_other_objects_is_refused(site: Site) -> None:
    commit(site)
    one, two = film(), film()
    asked = request_for(reference(one))
    act(site, asked)

    assert act(site, request_for(reference(two), transaction_uid=asked.transaction_uid)) == 0x0115


def test_requests_that_come_at_the_same_time_are_one_row(site: Site) -> None:
    commit(site)
    asked = request_for(Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid="1.2.3"))
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(act(site, asked))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [0] * 6
    assert commitment_states(site) == {EVALUATING: 1}


@one_database
def test_what_still_waits_for_the_index_is_neither_there_nor_missing(site: Site) -> None:
    commit(site)
    image = film()
    path = _put_into_inbox(site, image)
    site.clock.now = utcnow()
    act(site, request_for(reference(image)))

    assert report_all(site) == 0
    assert commitment_states(site) == {EVALUATING: 1}

    site._received.add(str(image.StudyInstanceUID))
    Indexer(site.engine, site.parts.files).catch_up()
    assert not path.exists()
    assert report_to(site).committed == (reference(image),)


@one_database
def test_what_came_after_the_request_does_not_hold_its_report_up(site: Site) -> None:
    commit(site)
    image, later = film(), film()
    site.receive(image)
    act(site, request_for(reference(image)))
    # Objects that come without end must not starve a report.
    site.clock.now = utcnow() - timedelta(seconds=5)
    with site.writing() as session:
        session.execute(update(commitments.Commitment).values(requested_at=site.clock()))
    path = _put_into_inbox(site, later)

    assert report_to(site).committed == (reference(image),)
    path.unlink()


def test_each_failure_has_its_reason(site: Site) -> None:
    commit(site)
    whole, gone, cut, changed, other = (film() for _ in range(5))
    site.receive(whole, gone, cut, changed, other)
    never = film()
    _path(site, gone).unlink()
    _path(site, cut).write_bytes(_path(site, cut).read_bytes()[:-2])
    data = bytearray(_path(site, changed).read_bytes())
    data[-1] ^= 0xFF
    _path(site, changed).write_bytes(data)
    as_ct = reference(other, uid.CTImageStorage)

    act(
        site,
        request_for(
            reference(whole), reference(gone), reference(cut), reference(changed),
            reference(never), as_ct,
        ),
    )  # fmt: skip
    report = report_to(site)

    assert report.event_type == 2
    assert report.committed == (reference(whole),)
    assert dict(report.failed) == {
        reference(gone): 0x0112,
        reference(cut): 0x0110,
        reference(changed): 0x0110,
        reference(never): 0x0112,
        as_ct: 0x0119,
    }
    assert instance_of(site, whole).committed_until is not None
    assert instance_of(site, cut).committed_until is None


@one_database
def test_one_object_under_two_classes_is_committed_under_its_own(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    wrong = reference(image, uid.CTImageStorage)

    act(site, request_for(reference(image), wrong))
    report = report_to(site)

    assert report.committed == (reference(image),)
    assert report.failed == ((wrong, 0x0119),)


@one_database
def test_non_images_are_committed_too(site: Site) -> None:
    commit(site)
    document = report_object()
    site.receive(document)

    act(site, request_for(reference(document)))

    assert report_to(site).committed == (reference(document),)


@one_database
def test_an_object_in_quarantine_is_not_committed(site: Site) -> None:
    commit(site)
    image = film()
    path = _put_into_inbox(site, image)
    site.parts.files.set_aside(path)

    act(site, request_for(reference(image)))

    assert reasons_of(report_to(site)) == [0x0112]


def test_a_purged_study_is_not_committed_even_where_a_file_is_left(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    with site.writing() as session:
        session.execute(update(Study).values(purged_at=site.clock()))

    act(site, request_for(reference(image)))

    assert reasons_of(report_to(site)) == [0x0112]
    assert instance_of(site, image).committed_until is None


def test_a_study_that_is_purged_while_its_files_are_looked_at_is_not_committed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(site)
    gone, whole = film(), film()
    site.receive(gone, whole)
    compare = commitment_evaluation._compare

    def purge_in_between(*arguments: Any) -> Any:
        verdicts = compare(*arguments)
        with site.writing() as session:
            session.execute(
                delete(Instance).where(Instance.sop_instance_uid == str(gone.SOPInstanceUID))
            )
        return verdicts

    monkeypatch.setattr(commitment_evaluation, "_compare", purge_in_between)
    act(site, request_for(reference(gone), reference(whole)))
    report = report_to(site)

    assert report.committed == (reference(whole),)
    assert report.failed == ((reference(gone), 0x0112),)


@one_database
def test_a_row_without_a_file_is_not_committed(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    # A path that leads to the data folder itself.
    with site.writing() as session:
        session.execute(update(Instance).values(path="", size_bytes=4096))

    act(site, request_for(reference(image)))

    assert reasons_of(report_to(site)) == [0x0112]


def test_a_promise_is_never_shortened(site: Site) -> None:
    commit(site, days=30)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))
    report_to(site)
    until = instance_of(site, image).committed_until

    commit(site, days=3)
    act(site, request_for(reference(image)))
    report_to(site)

    assert instance_of(site, image).committed_until == until


@one_database
def test_a_setting_that_was_taken_back_promises_nothing(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))

    commit(site, days=0)
    report_all(site)
    commit(site)

    report = report_on(site)
    assert report is not None
    assert reasons_of(report) == [0x0110]
    assert instance_of(site, image).committed_until is None


@pytest.mark.parametrize(
    ("second_sender", "current", "committed"),
    [
        # Both from the one that asks: what came last.
        (MODALITY, 1, 1),
        # Sent again since: the first content is current once more.
        (MODALITY, 0, 0),
        # The second came from somebody else.
        ("OTHER", 1, 0),
    ],
)
@one_database
def test_of_several_contents_of_a_uid_the_one_that_the_sender_sent_last_is_committed(
    site: Site, second_sender: str, current: int, committed: int
) -> None:
    commit(site)
    image = film()
    site.receive(image)
    image.StudyDescription = "again"
    site.receive(image)
    with site.writing() as session:
        rows = session.query(Instance).order_by(Instance.id).all()
        rows[1].sender = second_sender
        for number, row in enumerate(rows):
            row.is_current = number == current

    act(site, request_for(reference(image)))
    assert report_to(site).committed == (reference(image),)

    with reading(site.engine) as session:
        rows = session.query(Instance).order_by(Instance.id).all()
    assert [row.committed_until is not None for row in rows] == [committed == 0, committed == 1]


@one_database
def test_ten_thousand_references_are_evaluated(make_site: Callable[..., Site]) -> None:
    site = make_site()
    commit(site)
    image = film()
    site.receive(image)
    others = [
        Reference(sop_class_uid=uid.CTImageStorage, sop_instance_uid=f"1.2.3.{n}")
        for n in range(9_999)
    ]

    assert act(site, request_for(reference(image), *others)) == 0
    assert report_all(site) == 1

    assert instance_of(site, image).committed_until is not None
    assert len(the_commitment(site).failed) == 9_999
    report = service(site).report_for("00aa", MODALITY)
    assert report is not None
    assert (len(report.content.committed), len(report.content.failed)) == (1, 9_999)
