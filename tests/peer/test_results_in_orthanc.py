"""What a foreign archive holds after a flow, a signature and a rejection: exactly that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from harness import Site, film
from pydicom import dcmread
from pydicom.dataset import Dataset
from servers import Orthanc

from core.lifecycle import DeliveryState, State
from core.migration import migrate
from core.report import Language
from core.settings_documents import PdfSettings
from worker.confirm import finish_confirming, start_confirming
from worker.signing import Reader, reject, sign

pytestmark = pytest.mark.peer
READER = Reader(name="Darwish^Mona=درويش^منى", id="R7", account="mona")
SR, PDF = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.104.1"
DRAFT, FINAL = ("PARTIAL", "UNVERIFIED", "PRELIMINARY"), ("COMPLETE", "VERIFIED", "FINAL")


@pytest.fixture
def make_site(tmp_path: Path, fresh_orthanc: Orthanc) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(**changes: Any) -> Site:
        site = Site(
            tmp_path / "site",
            pacs={"main": fresh_orthanc.dicom_port},
            pacs_ae_title=fresh_orthanc.ae_title,
        )
        migrate(site.engine)
        site.settings = site.settings.model_copy(update=changes)
        site.parts.settings = site.settings
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.close()


def _held(orthanc: Orthanc) -> dict[str, Dataset]:
    return {uid: dcmread(BytesIO(data)) for uid, data in orthanc.files().items()}


def _version(site: Site, held: dict[str, Dataset], version: int) -> dict[str, Dataset]:
    """Return what Orthanc holds of a report version, by kind and language."""
    [draft] = [d.id for d in site.drafts() if d.report_version == version]
    return {
        artifact.kind + artifact.language: held[artifact.uid]
        for delivery, artifact in site.deliveries()
        if delivery.draft_id == draft
    }


def _flags(document: Dataset) -> tuple[str, ...]:
    return (document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag)


def _predecessor(document: Dataset) -> str:
    [study] = document.PredecessorDocumentsSequence
    [series] = study.ReferencedSeriesSequence
    return str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def test_after_a_flow_a_late_image_and_a_signature_it_holds_these_documents_and_no_others(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site(pdf=PdfSettings(enabled=True))
    image = film()
    site.take_in(image)
    site.deliver_due()
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()
    sign(site.parts, 1, version=2, languages=(Language.EN, Language.AR), reader=READER)
    site.deliver_due()

    assert site.are_all(DeliveryState.SENT)
    held = _held(fresh_orthanc)
    assert set(held) == {artifact.uid for _, artifact in site.deliveries()}
    assert len(held) == 9
    by_version = {version: _version(site, held, version) for version in (1, 2, 3)}
    for version, documents in by_version.items():
        assert set(documents) == {"sren", "srar", "pdf"}
        assert {d.SOPClassUID for d in documents.values()} == {SR, PDF}
        assert {d.StudyInstanceUID for d in documents.values()} == {image.StudyInstanceUID}
        assert {str(d.PatientID) for d in documents.values()} == {image.PatientID}
        for name in ("sren", "srar"):
            assert _flags(documents[name]) == (FINAL if version == 3 else DRAFT)
            if version > 1:
                earlier = by_version[version - 1][name]
                assert _predecessor(documents[name]) == earlier.SOPInstanceUID
        series = [d.SeriesInstanceUID for d in documents.values()]
        assert len(set(series)) == 3
    assert by_version[3]["sren"].VerifyingObserverSequence[0].VerifyingObserverName == READER.name


def test_a_rejected_draft_is_followed_by_documents_that_take_it_back(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site()
    site.take_in(film())
    site.deliver_due()
    reject(site.parts, 1, version=1, reader=READER, reason="wrong view")
    site.deliver_due()

    assert site.state() is State.REJECTED
    held = _held(fresh_orthanc)
    assert len(held) == 4
    for name, document in _version(site, held, 2).items():
        assert "WITHDRAWN" in document.SeriesDescription
        assert _flags(document) == DRAFT
        assert _predecessor(document) == _version(site, held, 1)[name].SOPInstanceUID


def test_what_it_holds_is_confirmed_by_c_find_and_what_it_lost_is_sent_again(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site()
    # It answers queries of nodes that it knows.
    fresh_orthanc.add_modality("taqrir", site.settings.node.ae_title, site.settings.node.port)
    pacs = site.settings.pacs[0].model_copy(update={"confirm": "find"})
    site.settings = site.settings.model_copy(update={"pacs": (pacs,)})
    site.parts.settings = site.settings
    site.take_in(film())
    site.deliver_due()
    fresh_orthanc.request(f"/instances/{fresh_orthanc.instances()[0]}", "DELETE")
    for _ in range(3):
        start_confirming(site.parts)
        finish_confirming()
        site.clock.advance(minutes=5)

    states = sorted(d.state for d, _ in site.deliveries())
    assert states == [DeliveryState.CONFIRMED, DeliveryState.PENDING]
    site.deliver_due()
    start_confirming(site.parts)
    finish_confirming()
    assert site.are_all(DeliveryState.CONFIRMED)
    assert len(_held(fresh_orthanc)) == 2
