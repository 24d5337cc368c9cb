"""The node and the worker between foreign programs: DCMTK sends, Orthanc receives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from harness import MODALITY, Site, Timing, film, save
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from servers import Orthanc, dcmtk, running_orthanc, wait_until

from core import migration
from core.lifecycle import DeliveryState, State
from dicom_node.report_sr import read_back
from dicom_node.sample import chest_film

pytestmark = pytest.mark.peer


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make an installation whose node runs."""
    sites: list[Site] = []

    def make(**options: object) -> Site:
        site = Site(tmp_path / "site", **options)  # type: ignore[arg-type]
        migration.migrate(site.engine)
        site.start_node()
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.close()


def _run(
    program: str, site: Site, *rest: str | Path, calling: str = MODALITY
) -> subprocess.CompletedProcess[str]:
    node = site.settings.node
    command = [dcmtk(program), "-v", "-aet", calling, "-aec", node.ae_title]
    options = [str(r) for r in rest if str(r).startswith("-")]
    files = [str(r) for r in rest if not str(r).startswith("-")]
    return subprocess.run(
        [*command, *options, node.host, str(node.port), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# DCMTK as sender


def test_echoscu_of_a_sender_and_of_an_archive_is_answered(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})

    assert _run("echoscu", site).returncode == 0
    assert _run("echoscu", site, calling="ARCHIVE").returncode == 0


def test_echoscu_of_a_stranger_is_told_why(make_site: Callable[..., Site]) -> None:
    answer = _run("echoscu", make_site(), calling="STRANGER")

    assert answer.returncode != 0
    words = answer.stdout + answer.stderr
    assert "Rejected Permanent" in words
    assert "Calling AE Title Not Recognized" in words


def test_echoscu_to_another_title_is_told_why(make_site: Callable[..., Site]) -> None:
    site = make_site()
    node = site.settings.node
    command = [dcmtk("echoscu"), "-v", "-aet", MODALITY, "-aec", "NOBODY"]
    answer = subprocess.run(
        [*command, node.host, str(node.port)], capture_output=True, text=True, check=False
    )

    assert "Called AE Title Not Recognized" in answer.stdout + answer.stderr


def test_storescu_of_an_archive_is_refused_with_a_status(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": 1})

    answer = _run("storescu", site, save(film(), site.folder), calling="ARCHIVE")

    assert answer.returncode != 0
    assert "0x124" in answer.stdout + answer.stderr
    assert list(site.parts.files.inbox.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "option", "syntax"),
    [
        ("RG1_UNCR.dcm", "-xe", uid.ExplicitVRLittleEndian),
        ("RG1_J2KR.dcm", "-xv", uid.JPEG2000Lossless),
        ("RG1_J2KI.dcm", "-xw", uid.JPEG2000),
    ],
)
def test_storescu_sends_a_film_that_keeps_its_syntax_and_is_drafted(
    make_site: Callable[..., Site], name: str, option: str, syntax: str
) -> None:
    site = make_site()
    path = chest_film().with_name(name)

    answer = _run("storescu", site, option, path)
    site.wait_for_index()

    assert answer.returncode == 0, answer.stderr
    (stored,) = site.parts.files.studies.rglob("*.dcm")
    kept, sent = dcmread(stored), dcmread(path)
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert kept.file_meta.SourceApplicationEntityTitle == MODALITY
    assert kept.PixelData == sent.PixelData
    site.go_quiet()
    site.draft()
    assert site.state() is State.IN_REVIEW
    (image,) = site.drafter.requests[0].images
    assert image.pixels.shape == (1955, 1841, 3)


def test_storescu_sends_many_files_in_one_association(make_site: Callable[..., Site]) -> None:
    site = make_site()
    first = film()
    paths = [save(film(first.StudyInstanceUID), site.folder) for _ in range(20)]
    paths.append(Path(str(get_testdata_file("CT_small.dcm", download=False))))

    answer = _run("storescu", site, *paths)
    site.wait_for_index()

    assert answer.returncode == 0, answer.stderr
    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 21


# Orthanc as archive


def _deliver_until_sent(site: Site) -> None:
    site.deliver_due()
    assert site.are_all(DeliveryState.SENT), [d.reason for d, _ in site.deliveries()]


def test_orthanc_gives_the_arabic_report_back_byte_for_byte(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site(pacs={"main": fresh_orthanc.dicom_port}, pacs_ae_title="ORTHANC")
    site.take_in(film(PatientName="Nizar^Ahmad=نزار^أحمد", StudyDescription="صورة الصدر"))
    _deliver_until_sent(site)

    files = fresh_orthanc.files("SR")
    assert set(files) == {artifact.uid for _, artifact in site.deliveries()}
    for _, artifact in site.deliveries():
        assert artifact.content is not None
        returned = files[artifact.uid]
        assert read_back(returned) == read_back(artifact.content)
        ours, theirs = dcmread(BytesIO(artifact.content)), dcmread(BytesIO(returned))
        assert theirs == ours
        assert str(theirs.PatientName) == "Nizar^Ahmad=نزار^أحمد"
        # Orthanc writes a file header of its own; the data set behind it is untouched.
        assert returned.endswith(artifact.content[_end_of_header(artifact.content) :])
    assert "الرئتان صافيتان".encode() in files[site.deliveries()[1][1].uid]


def _end_of_header(data: bytes) -> int:
    """Return where the data set begins (PS3.10 7.1: the group length says it)."""
    return 144 + int.from_bytes(data[140:144], "little")


def test_orthanc_shows_the_reports_in_the_study_of_the_film(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site(pacs={"main": fresh_orthanc.dicom_port}, pacs_ae_title="ORTHANC")
    image = save(film(), site.folder)
    command = [dcmtk("storescu"), "-aec", "ORTHANC", fresh_orthanc.host]
    subprocess.run([*command, str(fresh_orthanc.dicom_port), str(image)], check=True)
    site.take_in(image)
    _deliver_until_sent(site)

    (study,) = fresh_orthanc.get("/studies")
    tags = [
        fresh_orthanc.get(f"/series/{series}")["MainDicomTags"]["Modality"]
        for series in fresh_orthanc.get(f"/studies/{study}")["Series"]
    ]
    assert sorted(tags) == ["CR", "SR", "SR"]


def test_a_resend_leaves_one_object_in_orthanc(
    make_site: Callable[..., Site], fresh_orthanc: Orthanc
) -> None:
    site = make_site(pacs={"main": fresh_orthanc.dicom_port}, pacs_ae_title="ORTHANC")
    site.take_in(film())
    _deliver_until_sent(site)
    before = fresh_orthanc.files("SR")
    # As after a lost answer.
    with site.writing() as session:
        for delivery, _ in site.deliveries():
            session.merge(delivery).state = DeliveryState.PENDING
    _deliver_until_sent(site)

    assert fresh_orthanc.files("SR") == before
    assert len(before) == 2


def test_an_archive_that_routes_everything_back_starts_no_loop(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder, route_to="taqrir", ae_title=MODALITY) as orthanc:
        site = make_site(
            pacs={"main": orthanc.dicom_port},
            pacs_ae_title=MODALITY,
            timing=Timing(quiet_seconds=1),
        )
        orthanc.add_modality("taqrir", site.settings.node.ae_title, site.settings.node.port)
        # The film comes by way of the archive, as on a site.
        command = [dcmtk("storescu"), "-aec", MODALITY, orthanc.host, str(orthanc.dicom_port)]
        subprocess.run([*command, str(chest_film())], check=True)
        wait_until(lambda: site.bell.studies == [1], timeout=20)
        site.draft()
        _deliver_until_sent(site)

        wait_until(lambda: site.events().count("own_object_noted") == 2, timeout=20)
        # Longer than the quiet time: a new version would be complete by now.
        with pytest.raises(AssertionError):
            wait_until(lambda: len(site.bell.studies) > 1, timeout=2.5)

        assert (site.state(), site.study().version) == (State.IN_REVIEW, 1)
        assert len(site.drafts()) == 1
        assert len(orthanc.instances()) == 3
        assert not site.draft()


# Foreign senders at their limits


@pytest.mark.parametrize("pdu_bytes", [4096, 131_072])
def test_storescu_is_answered_in_the_largest_pdu_that_it_takes(
    make_site: Callable[..., Site], pdu_bytes: int
) -> None:
    site = make_site()
    node = site.settings.node
    paths = [save(film(), site.folder) for _ in range(5)]

    command = [dcmtk("storescu"), "-aet", MODALITY, "-aec", node.ae_title]
    options = ["--max-pdu", str(pdu_bytes), "--max-send-pdu", str(pdu_bytes)]
    subprocess.run([*command, *options, node.host, str(node.port), *paths], check=True)
    site.wait_for_index()

    assert len(list(site.parts.files.studies.rglob("*.dcm"))) == 5


def test_storescu_is_told_of_a_bad_object_and_goes_on(make_site: Callable[..., Site]) -> None:
    site = make_site()
    homeless = film()
    del homeless.SeriesInstanceUID
    bad = save(homeless, site.folder)
    good = save(film(), site.folder)

    answer = _run("storescu", site, "--no-halt", bad, good)
    site.wait_for_index()

    said = answer.stdout + answer.stderr
    assert said.count("Received Store Response") == 2
    assert said.count("Received Store Response (Success)") == 1
    assert "CannotUnderstand" in said
    (stored,) = site.parts.files.studies.rglob("*.dcm")
    assert dcmread(stored).SOPInstanceUID == dcmread(good).SOPInstanceUID


def test_a_storescu_that_is_killed_while_it_sends_leaves_nothing_half(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    node = site.settings.node
    paths = [save(film(PixelData=bytes(20 << 20)), site.folder) for _ in range(3)]
    command = [dcmtk("storescu"), "-aet", MODALITY, "-aec", node.ae_title, node.host]
    sending = subprocess.Popen([*command, str(node.port), *paths])
    partial = site.parts.files.partial
    wait_until(lambda: any(partial.iterdir()), interval=0.001)
    sending.kill()
    sending.wait()

    wait_until(lambda: not any(partial.iterdir()), interval=0.01)
    site.wait_for_index()
    for stored in site.parts.files.studies.rglob("*.dcm"):
        assert len(dcmread(stored).PixelData) == 20 << 20
    assert _run("echoscu", site).returncode == 0


def test_orthanc_sends_a_study_object_by_object_as_it_holds_it(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder, ae_title=MODALITY) as orthanc:
        site = make_site()
        node = site.settings.node
        orthanc.add_modality("taqrir", node.ae_title, node.port)
        first = film()
        films = [first, *(film(first.StudyInstanceUID) for _ in range(4))]
        paths = [save(dataset, tmp_path) for dataset in films]
        command = [dcmtk("storescu"), "-aec", MODALITY, orthanc.host, str(orthanc.dicom_port)]
        subprocess.run([*command, *paths], check=True)

        answer = json.loads(
            orthanc.request("/modalities/taqrir/store", "POST", orthanc.instances())
        )
        site.wait_for_index()

        assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (5, 0)
        stored = {dcmread(p).SOPInstanceUID: p for p in site.parts.files.studies.rglob("*.dcm")}
        assert set(stored) == {dataset.SOPInstanceUID for dataset in films}
        for dataset in films:
            assert dcmread(stored[dataset.SOPInstanceUID]).PixelData == dataset.PixelData
