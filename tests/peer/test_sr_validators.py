"""Our structured reports before programs that are not ours: validators, readers, receivers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from servers import dcmtk, program
from servers.process import wait_until
from unit.dicom_samples import (
    STUDY_UID,
    a_context,
    a_report,
    a_study_header,
    frames_of,
    radiograph,
    write,
)

from core.clock import local_now
from core.errors import PeerRefusedError, PeerUnreachableError
from core.report import Language, Patient, StudyHeader
from dicom_node.client import Peer, echo, send_files, store
from dicom_node.documents import DocumentReference, Predecessor
from dicom_node.report_sr import build_sr, read_back

pytestmark = pytest.mark.peer

HEADERS = {
    "ordinary": a_study_header(),
    "empty": StudyHeader(study_uid=STUDY_UID, patient=Patient()),
    "overlong": StudyHeader(
        study_uid=STUDY_UID,
        patient=Patient(
            id="A" * 100, issuer="B" * 100, name="C" * 100, birth_date="19991399", sex="unknown"
        ),
        study_id="D" * 40,
        accession_number="E" * 40,
        accession_issuer="F" * 200,
        study_date="2024-01-01",
        study_time="10:11",
        description="وصف طويل 😀 " * 20,
        referring_physician="G^" * 40,
    ),
    "delimiters": StudyHeader(
        study_uid=STUDY_UID,
        patient=Patient(id="A\\B", issuer="A\\B", name="^^A\\B^\n^^^^=\0=x=y", sex="M\\F"),
        study_id="1\\2",
        accession_number="A\tB",
        accession_issuer="|^~\\&",
        study_date="19700230",
        study_time="256199",
        description="a\\b\x1b[2J^c=d",
        referring_physician="=",
    ),
    "letters": a_study_header(
        patient=Patient(id="٣٤٥", name="نزار^أحمد 😀", birth_date="19700101", sex="F"),
        description="أشعة الصدر 😀",
        accession_number="رقم-١",
        referring_physician="طبيب^أول",
    ),
}


def built(language: Language, header: StudyHeader | None = None, **options) -> bytes:
    frames = (*frames_of(f"{STUDY_UID}.8", f"{STUDY_UID}.9"),)
    earlier = DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4")
    context = a_context(
        header=header or a_study_header(),
        report_version=2,
        created_at=local_now(),
        predecessors=(Predecessor(document=earlier),),
        **options,
    )
    return build_sr(report=a_report(frames=frames), context=context, language=language)


def body_of(data: bytes, folder: Path) -> bytes:
    """Return the data set of a file as its bytes."""
    path = folder / "body.dcm"
    path.write_bytes(data)
    return data[132 + 12 + read_file_meta_info(path).FileMetaInformationGroupLength :]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("language", Language)
def test_dciodvfy_finds_no_error(name, language, tmp_path):
    path = tmp_path / "sr.dcm"
    path.write_bytes(built(language, HEADERS[name]))
    command = [program("/usr/bin/dciodvfy", "dciodvfy"), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert "BasicTextSR" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_dciodvfy_would_have_found_an_error(tmp_path):
    path = tmp_path / "sr.dcm"
    path.write_bytes(built(Language.EN))
    dataset = dcmread(path)
    del dataset.CompletionFlag
    dataset.save_as(path)
    command = [program("/usr/bin/dciodvfy", "dciodvfy"), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert b"Error" in done.stdout + done.stderr


@pytest.mark.parametrize("language", Language)
def test_dsrdump_shows_every_sentence(language, tmp_path):
    path = tmp_path / "sr.dcm"
    data = built(language)
    path.write_bytes(data)
    command = [dcmtk("dsrdump"), "+Pl", str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    shown = done.stdout.decode()
    for text in read_back(data).values():
        for line in text.split("\n"):
            assert line in shown
    for flag in ("PARTIAL", "UNVERIFIED", "PRELIMINARY"):
        assert re.search(rf"\b{flag}\b", shown)
    assert shown.index("AI DRAFT") < shown.index("<CONTAINER")


@pytest.mark.parametrize("language", Language)
def test_storescp_receives_the_very_bytes(language, storescp, tmp_path):
    receiver = storescp()
    peer = Peer(ae_title=receiver.ae_title, host=receiver.host, port=receiver.port)
    data = built(language)
    echo(peer)
    assert store(peer, data).status == 0
    [path] = wait_until(receiver.files)
    assert body_of(path.read_bytes(), tmp_path) == body_of(data, tmp_path)


def test_a_storescp_that_refuses_is_a_refusal(storescp):
    receiver = storescp("--refuse")
    peer = Peer(ae_title=receiver.ae_title, host=receiver.host, port=receiver.port)
    with pytest.raises(PeerRefusedError):
        store(peer, built(Language.EN))


def test_a_storescp_that_aborts_is_unreachable(storescp):
    receiver = storescp("--abort-during")
    peer = Peer(ae_title=receiver.ae_title, host=receiver.host, port=receiver.port)
    with pytest.raises(PeerUnreachableError):
        store(peer, built(Language.EN))


def test_orthanc_gives_both_languages_back_byte_for_byte(fresh_orthanc, tmp_path):
    peer = Peer(
        ae_title=fresh_orthanc.ae_title, host=fresh_orthanc.host, port=fresh_orthanc.dicom_port
    )
    sent = {language: built(language) for language in Language}
    for data in sent.values():
        # Twice: a resend is not a second object.
        store(peer, data)
        store(peer, data)
    files = fresh_orthanc.files("SR")
    assert len(files) == 2
    assert len(fresh_orthanc.get("/studies")) == 1
    assert len(fresh_orthanc.get("/series")) == 2
    kept = sorted(body_of(data, tmp_path) for data in files.values())
    assert kept == sorted(body_of(data, tmp_path) for data in sent.values())


def test_orthanc_receives_files_of_several_kinds_in_one_association(fresh_orthanc, tmp_path):
    peer = Peer(
        ae_title=fresh_orthanc.ae_title, host=fresh_orthanc.host, port=fresh_orthanc.dicom_port
    )
    film = write(radiograph(), tmp_path / "film.dcm")
    report = tmp_path / "sr.dcm"
    report.write_bytes(built(Language.AR))
    results = send_files(peer, [film, report])
    assert [r.problem for r in results] == ["", ""]
    assert len(fresh_orthanc.instances()) == 2
