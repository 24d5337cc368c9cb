"""Storage commitment between the running node and foreign programs, in both directions."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from harness import MODALITY, Site, film, save
from harness.commitment import (
    ARCHIVE,
    ListeningSender,
    ScriptedArchive,
    all_of,
    commit,
    commitment_states,
    confirm,
    instance_of,
    reference,
    request_for,
    send_report,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from servers import Orthanc, dcmtk, wait_until

from core import migration
from core.audit_events import Alert
from core.errors import PeerRefusedError
from core.lifecycle import CommitmentState, DeliveryState
from dicom_node.commitment_dataset import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    CommitmentReport,
    read_report,
)
from dicom_node.connecting import associate
from worker.confirm import ask, finish_confirming
from worker.sweep import sweep_once

pytestmark = pytest.mark.peer
SENT, CONFIRMED = DeliveryState.SENT, DeliveryState.CONFIRMED


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make an installation; the test starts its node once the settings are its own."""
    sites: list[Site] = []

    def make(**options: object) -> Site:
        site = Site(tmp_path / "site", **options)  # type: ignore[arg-type]
        migration.migrate(site.engine)
        sites.append(site)
        return site

    yield make
    finish_confirming(20)
    for site in sites:
        site.close()


# Orthanc asks us


def _as_sender(site: Site, orthanc: Orthanc) -> None:
    """Let Orthanc be the site's sender, and know the node."""
    sender = site.settings.senders[0].model_copy(
        update={
            "ae_title": orthanc.ae_title,
            "host": orthanc.host,
            "port": orthanc.dicom_port,
            "commitment_days": 7,
        }
    )
    site.settings = site.settings.model_copy(update={"senders": (sender,)})
    site.parts.settings = site.settings
    site.start_node()
    node = site.settings.node
    orthanc.add_modality("taqrir", node.ae_title, node.port)


def _store_in(orthanc: Orthanc, path: Path) -> None:
    command = [dcmtk("storescu"), "-aec", orthanc.ae_title, orthanc.host]
    subprocess.run([*command, str(orthanc.dicom_port), str(path)], check=True, timeout=60)


def _asked_by(orthanc: Orthanc, *images: Dataset) -> dict[str, Any]:
    """Have Orthanc ask for commitment; return its report."""
    body = {
        "DicomInstances": [
            {"SOPClassUID": i.SOPClassUID, "SOPInstanceUID": i.SOPInstanceUID} for i in images
        ]
    }
    answer = json.loads(orthanc.request("/modalities/taqrir/storage-commitment", "POST", body))

    def report() -> dict[str, Any] | None:
        found = orthanc.get(answer["Path"])
        return found if found["Status"] != "Pending" else None

    result: dict[str, Any] = wait_until(report, timeout=20)
    return result


def test_orthanc_is_told_what_is_committed_and_what_is_not(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site()
    _as_sender(site, fresh_orthanc)
    image, missing = film(), film()
    _store_in(fresh_orthanc, save(image, site.folder))
    fresh_orthanc.send(fresh_orthanc.instances()[0], "taqrir")

    whole = _asked_by(fresh_orthanc, image)
    assert whole["Status"] == "Success"
    assert [i["SOPInstanceUID"] for i in whole["Success"]] == [image.SOPInstanceUID]
    assert instance_of(site, image).committed_until is not None

    partly = _asked_by(fresh_orthanc, image, missing)
    assert partly["Status"] == "Failure"
    assert [i["SOPInstanceUID"] for i in partly["Success"]] == [image.SOPInstanceUID]
    (failure,) = partly["Failures"]
    assert failure["SOPInstanceUID"] == missing.SOPInstanceUID
    assert failure["FailureReason"] == 0x0112
    wait_until(lambda: commitment_states(site) == {CommitmentState.REPORTED: 2})


# We ask Orthanc


def test_orthanc_confirms_what_it_was_sent_and_gets_again_what_it_lost(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site(pacs={"main": fresh_orthanc.dicom_port}, pacs_ae_title="ORTHANC")
    confirm(site)
    site.start_node()
    node = site.settings.node
    fresh_orthanc.add_modality("taqrir", node.ae_title, node.port)
    site.take_in(film())
    site.deliver_due()
    assert site.states() == [SENT, SENT]
    (lost, _) = fresh_orthanc.instances()
    lost_uid = str(dcmread(BytesIO(fresh_orthanc.file(lost))).SOPInstanceUID)
    fresh_orthanc.request(f"/instances/{lost}", "DELETE")

    sweep_once(site.parts)
    wait_until(lambda: SENT not in site.states(), timeout=20)
    denied = {a.uid: d.state for d, a in site.deliveries()}
    assert denied.pop(lost_uid) == DeliveryState.PENDING
    assert list(denied.values()) == [CONFIRMED]

    finish_confirming(20)
    # The node has a clock of its own.
    site.clock.advance(minutes=1)
    site.deliver_due()
    sweep_once(site.parts)
    wait_until(lambda: site.states() == [CONFIRMED, CONFIRMED], timeout=20)
    assert len(fresh_orthanc.instances()) == 2


# Senders and archives of pynetdicom, at the node itself


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_sender_that_does_not_listen_has_its_report_on_its_association(
    make_site: Callable[..., Site], syntax: str
) -> None:
    site = make_site()
    commit(site)
    site.start_node()
    image, missing = film(), film()
    site.send(image)
    reports: list[CommitmentReport] = []
    is_told = threading.Event()

    def take(event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        reports.append(read_report(request.EventInformation.getvalue(), syntax))
        is_told.set()
        return 0x0000, None

    with associate(
        site.peer(),
        [build_context(SOP_CLASS_UID, syntax)],
        handlers=[(evt.EVT_N_EVENT_REPORT, take)],
    ) as association:
        asked = request_for(reference(image), reference(missing))
        status, _ = association.send_n_action(
            asked.to_dataset(), 1, SOP_CLASS_UID, SOP_INSTANCE_UID
        )
        assert status.Status == 0x0000
        assert is_told.wait(15)
        wait_until(lambda: commitment_states(site) == {CommitmentState.REPORTED: 1})

    (report,) = reports
    assert report.transaction_uid == asked.transaction_uid
    assert report.committed == (reference(image),)
    assert report.failed == ((reference(missing), 0x0112),)


def test_a_sender_that_hung_up_is_told_when_it_listens(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with ListeningSender() as sender:
        commit(site, host="127.0.0.1", port=sender.port)
        site.start_node()
        image = film()
        site.send(image)
        with associate(site.peer(), [build_context(SOP_CLASS_UID)]) as association:
            asked = request_for(reference(image))
            status, _ = association.send_n_action(
                asked.to_dataset(), 1, SOP_CLASS_UID, SOP_INSTANCE_UID
            )
            assert status.Status == 0x0000

        wait_until(lambda: sender.reports == [all_of(asked)], timeout=15)


def test_a_sender_without_the_setting_gets_no_commitment(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.start_node()
    statuses = []
    try:
        with associate(site.peer(), [build_context(SOP_CLASS_UID)]) as association:
            status, _ = association.send_n_action(
                request_for(reference(film())).to_dataset(), 1, SOP_CLASS_UID, SOP_INSTANCE_UID
            )
            statuses.append(int(status.Status))
    except PeerRefusedError:
        # Not even the presentation context.
        statuses.append(0x0124)

    assert statuses == [0x0124]
    assert commitment_states(site) == {}


def test_a_report_at_the_node_confirms_and_a_forged_one_does_not(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedArchive() as archive:
        site = make_site(pacs={"main": archive.port})
        confirm(site)
        other = site.settings.pacs[0].model_copy(update={"name": "b", "ae_title": "SECOND"})
        site.settings = site.settings.model_copy(update={"pacs": (*site.settings.pacs, other)})
        site.start_node()
        site.take_in(film())
        site.deliver_due()
        ask(site.parts, site.settings.pacs[0], listen_seconds=0)
        report = all_of(archive.requests[0])

        with pytest.raises(PeerRefusedError):
            send_report(site, report, calling="STRANGER")
        assert send_report(site, report, calling=MODALITY) == 0x0124
        assert send_report(site, report, calling="SECOND") == 0x0115
        assert site.audit_trail().decode().count(Alert.FORGED_REPORT) == 1
        assert [d.state for d, _ in site.deliveries() if d.destination == "pacs:main"] == [SENT] * 2

        assert send_report(site, report, calling=ARCHIVE) == 0x0000
        assert [d.state for d, _ in site.deliveries() if d.destination == "pacs:main"] == [
            CONFIRMED,
            CONFIRMED,
        ]
