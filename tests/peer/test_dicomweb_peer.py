"""STOW-RS and QIDO-RS with a foreign archive: Orthanc with its DICOMweb plug-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Orthanc, dicom_web, running_orthanc
from unit.dicom_samples import a_context, a_report, a_study_header

from core.errors import PeerRefusedError
from core.report import Language
from dicom_node.dicomweb import WebPeer, holds, probe, store
from dicom_node.report_sr import build_sr, verify_sr

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("dicomweb"), **dicom_web()) as orthanc:
        yield orthanc


def test_orthanc_keeps_a_document_that_was_stored_by_stow_and_lists_it_afterwards(
    service: Orthanc,
) -> None:
    peer = WebPeer(url=f"{service.http_url}/dicom-web", answer_seconds=20)
    probe(peer)
    report, header = a_report(), a_study_header()
    document = build_sr(report=report, context=a_context(), language=Language.AR)
    assert not holds(peer, header.study_uid, "1.2.3.4")

    first, second = store(peer, document), store(peer, document)

    assert first.is_success
    # A resend after an unknown outcome.
    assert second.is_success
    [(uid, kept)] = service.files("SR").items()
    verify_sr(kept, report=report, context=a_context(), language=Language.AR)
    assert holds(peer, header.study_uid, uid)
    assert not holds(peer, header.study_uid, uid + "1")
    assert not holds(peer, "1.2.3", uid)


def test_a_wrong_address_is_found_by_the_go_live_check(service: Orthanc) -> None:
    with pytest.raises(PeerRefusedError, match="404"):
        probe(WebPeer(url=f"{service.http_url}/elsewhere", answer_seconds=20))
