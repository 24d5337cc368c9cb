"""`taqrir up` as a site runs it: killed at bad moments, with foreign peers on both sides.

Every part is a real process with the shipped demonstration checkpoint; nothing here is faked.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from harness.feed import order
from harness.phantoms import ACCESSION, drafted_film
from installation import Installation, all_sent
from pydicom import dcmread
from servers import free_port, wait_until
from servers.process import is_listening

from dicom_node.demo_pacs import DemoPacs
from dicom_node.header import read_header
from dicom_node.sample import chest_film
from hl7 import mllp
from hl7.demo_ris import DemoRis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drafted_film(tmp_path_factory.mktemp("film"))


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[DemoPacs]:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as running:
        yield running


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[DemoRis]:
    with DemoRis(tmp_path / "ris") as running:
        yield running


@pytest.fixture
def orders_port() -> int:
    return free_port()


def peers(pacs: DemoPacs, ris: DemoRis, orders_port: int) -> str:
    return f"""
[[pacs]]
name = "main"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {pacs.port}
[[ris]]
name = "main"
host = "127.0.0.1"
port = {ris.port}
[orders]
port = {orders_port}
"""


@pytest.fixture
def site(tmp_path: Path, pacs: DemoPacs, ris: DemoRis, orders_port: int) -> Iterator[Installation]:
    with Installation(tmp_path / "site", more=peers(pacs, ris, orders_port)) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation for tests that harm nothing; its one study is the film's."""
    folder = tmp_path_factory.mktemp("up")
    with (
        DemoPacs("ARCHIVE", folder / "pacs") as pacs,
        DemoRis(folder / "ris") as ris,
        Installation(folder / "site", more=peers(pacs, ris, free_port())) as running,
    ):
        yield running


def recorded_drafts(site: Installation) -> int:
    with sqlite3.connect(site.data / "taqrir.db") as database:
        row = database.execute("SELECT count(*) FROM draft WHERE NOT is_withheld").fetchone()
    return int(row[0])


def test_a_worker_killed_while_it_drafts_leaves_one_draft_and_each_object_once(
    site: Installation, pacs: DemoPacs, ris: DemoRis, orders_port: int, film_file: Path
) -> None:
    patient = read_header(film_file).patient
    content = order(patient=patient.id, accession=ACCESSION, priority="S", reason="cough")
    assert mllp.send("127.0.0.1", orders_port, content).code == "AA"
    site.kill("cli", "orders")
    site.storescu(film_file)
    site.await_state(ACCESSION, "DRAFTING")
    site.kill("worker", "draft")

    study = site.await_delivered(ACCESSION, all_sent)

    events = [row["event"] for row in study["timeline"]]
    assert "lease_expired" in events
    assert events.count("drafted") == 1
    assert recorded_drafts(site) == 1
    # The order came before the images, and the listener died behind its yes.
    assert [(row["state"], row["indication"]) for row in study["orders"]] == [("ATTACHED", "cough")]
    assert study["priority"] == "stat"
    wait_until(lambda: is_listening(orders_port), timeout=60)
    assert len(pacs.received) == 2
    assert len(ris.received) == 1


def test_receivers_killed_while_they_receive_keep_what_they_answered_success(
    site: Installation, tmp_path: Path
) -> None:
    films = write_films(tmp_path / "films", 300)
    # Whichever of them the sender is connected to.
    receivers = site.parts("cli.receiving")
    sending = subprocess.Popen(
        site.storescu_command("-v", "+sd", tmp_path / "films"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    wait_until(lambda: any((site.data / "studies").iterdir()), timeout=60, interval=0.01)
    for receiver in receivers:
        receiver.kill()
    output, _ = sending.communicate(timeout=60)
    answered = answered_success(output, films)
    assert 0 < len(answered) < len(films)  # it was in the middle of it

    wait_until(lambda: answered <= indexed(site).keys(), timeout=60)
    wait_until(lambda: is_listening(site.port), timeout=60)
    site.storescu("+sd", tmp_path / "films")  # what a sender does after a broken association
    wait_until(lambda: films.keys() == indexed(site).keys(), timeout=60)

    assert set(indexed(site).values()) == {1}
    assert not list((site.data / "quarantine").iterdir())
    wait_until(lambda: not list((site.data / "inbox").iterdir()), timeout=30)
    assert not list((site.data / "partial").iterdir())


def write_films(folder: Path, count: int) -> dict[str, Path]:
    """Write objects of one study, 256 KiB each; return them by SOP Instance UID."""
    folder.mkdir()
    film = dcmread(chest_film())
    film.Rows = film.Columns = 362
    film.PixelData = film.PixelData[: 362 * 362 * 2]
    files = {}
    for number in range(count):
        uid = f"1.2.3.{number}"
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = uid
        files[uid] = folder / f"{number}.dcm"
        film.save_as(files[uid])
    return files


def answered_success(output: str, films: dict[str, Path]) -> set[str]:
    """Return the objects that DCMTK says were answered Success."""
    by_name = {str(path): uid for uid, path in films.items()}
    found, current = set(), ""
    for line in output.splitlines():
        if "Sending file: " in line:
            current = by_name[line.partition("Sending file: ")[2]]
        elif "Received Store Response (Success)" in line:
            found.add(current)
    return found


def indexed(site: Installation) -> dict[str, int]:
    """Return how often each object stands in the index."""
    with sqlite3.connect(site.data / "taqrir.db") as database:
        counts = database.execute("SELECT sop_instance_uid, count(*) FROM instance GROUP BY 1")
        return dict(counts.fetchall())


def test_a_broker_killed_while_a_job_waits_loses_no_job(
    site: Installation, ris: DemoRis, film_file: Path
) -> None:
    worker = site.part("worker", "draft")
    worker.suspend()
    site.storescu(film_file)
    site.await_state(ACCESSION, "QUEUED")
    site.kill("valkey-server")
    for leftover in (site.data / "broker").rglob("*.aof*"):
        leftover.unlink()  # not even the broker's own memory is needed
    worker.resume()

    study = site.await_delivered(ACCESSION, all_sent)

    assert [row["event"] for row in study["timeline"]].count("drafted") == 1
    assert recorded_drafts(site) == 1
    assert len(ris.received) == 1


def test_everything_killed_at_once_leaves_no_process_and_goes_on_after_a_restart(
    site: Installation, pacs: DemoPacs, ris: DemoRis, film_file: Path
) -> None:
    site.storescu(film_file)
    site.await_state(ACCESSION, "DRAFTING")
    site.kill_everything()  # asserts that none is left
    site.start()
    site.await_delivered(ACCESSION, all_sent)
    assert recorded_drafts(site) == 1
    assert len(pacs.received) == 2
    assert len(ris.received) == 1


def test_status_counts_a_study_once_and_metrics_agree(
    lasting_site: Installation, film_file: Path
) -> None:
    site = lasting_site
    site.storescu(film_file)
    site.storescu(film_file)  # the same object again
    site.await_delivered(ACCESSION, all_sent)

    status = site.status()

    assert status["studies"]["received"] == 1
    assert status["studies"]["IN_REVIEW"] == 1
    assert status["deliveries"]["pacs:main"]["SENT"] == 2
    wait_until(lambda: site.heartbeats() == {"worker:draft", "worker:deliver"}, 40)
    assert site.status()["heartbeats"].keys() == site.heartbeats()
    page = urlopen(f"http://127.0.0.1:{site.metrics_port}/metrics").read().decode()
    assert 'taqrir_studies{state="IN_REVIEW"} 1.0' in page
    assert 'taqrir_deliveries{destination="pacs:main",state="SENT"} 2.0' in page


def test_a_second_up_on_the_same_folder_refuses(lasting_site: Installation) -> None:
    before = lasting_site.status()["studies"]
    done = lasting_site.run("up", code=2)
    assert "already runs on this folder" in done.stderr
    assert lasting_site.status()["studies"] == before


def test_send_names_what_is_not_dicom_and_exits_with_1(
    lasting_site: Installation, tmp_path: Path, film_file: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "film.dcm").write_bytes(film_file.read_bytes())
    done = lasting_site.run("send", str(folder), str(tmp_path / "missing"), "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["accepted"] == 1
    assert any("notes.txt" in problem for problem in answer["problems"])
    assert any("missing" in problem for problem in answer["problems"])


def test_a_pacs_that_comes_up_late_gets_each_object_once(tmp_path: Path, film_file: Path) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "early") as gone:
        port = gone.port  # nobody listens there any more
    more = f'[[pacs]]\nname = "main"\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {port}\n'
    with Installation(tmp_path / "site", more=more) as site:
        site.storescu(film_file)
        site.await_delivered(ACCESSION, lambda rows: rows[0]["attempts"] >= 2)
        waiting = site.status()["troubled_deliveries"]
        assert waiting[0]["state"] == "PENDING"
        assert "no connection" in waiting[0]["reason"].lower()
        received = receive_on(port, tmp_path / "late", site)
    assert len(received) == 2
    assert {read_header(path).is_own for path in received} == {True}


def receive_on(port: int, folder: Path, site: Installation) -> list[Path]:
    """Let a PACS come up on a port, and return what it was sent."""
    from servers import running_storescp

    folder.mkdir()
    with running_storescp(folder, ae_title="ARCHIVE", port=port) as archive:
        site.await_delivered(ACCESSION, all_sent)
        time.sleep(1)  # a second copy would come now
        return list(archive.files())


def test_a_wrong_setting_refuses_the_start_and_names_it(tmp_path: Path) -> None:
    site = Installation(tmp_path, more='[model]\npath = "nowhere"\n')
    done = site.run("up", code=2)
    assert "nowhere" in done.stderr
    site = Installation(tmp_path, more="[nodes]\nport = 1\n")
    done = site.run("up", code=2)
    line = site.config.read_text().splitlines().index("[nodes]") + 1
    assert f"{site.config}:{line}: unknown setting nodes" in done.stderr
