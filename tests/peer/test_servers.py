"""The servers that other tests use: they start, answer, hold nothing of before, and stop."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from pydicom.data import get_testdata_file
from servers import (
    Orthanc,
    StoreScp,
    dcmtk,
    free_port,
    program,
    running,
    running_orthanc,
    running_redis,
    wait_until,
)
from servers.postgres import plain

# Starting and stopping


def test_waiting_ends_with_the_answer_and_gives_up_in_time() -> None:
    answers = iter([0, 0, 7])

    assert wait_until(lambda: next(answers), interval=0.001) == 7
    with pytest.raises(AssertionError, match=r"within 0\.05 s; last answer: 0"):
        wait_until(lambda: 0, timeout=0.05)


def test_a_program_that_dies_is_quoted_at_once(tmp_path: Path) -> None:
    code = "import sys; print('no room'); sys.exit(3)"
    began = time.monotonic()

    with (
        pytest.raises(AssertionError, match=r"ended with 3:\nno room"),
        running([sys.executable, "-c", code], log=tmp_path / "log", is_ready=lambda: False),
    ):
        pass

    assert time.monotonic() - began < 10


def test_a_program_is_gone_after_its_block_even_where_the_test_failed(tmp_path: Path) -> None:
    processes = []

    def fail() -> None:
        command = ["/bin/sleep", "60"]
        with running(command, log=tmp_path / "log", is_ready=lambda: True) as process:
            processes.append(process)
            assert process.poll() is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert processes[0].returncode is not None


def test_a_missing_peer_is_a_skip_on_a_laptop_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such-peer here"):
        program("/nowhere/such-peer")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no such-peer here"):
        program("/nowhere/such-peer")


def test_a_free_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_a_port_in_use_is_not_given() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken = server.getsockname()[1]
        # More than a process has.
        assert taken not in {free_port() for _ in range(200)}


def test_processes_that_run_together_are_given_different_ports() -> None:
    code = "from servers import free_port\nprint(*(free_port() for _ in range(200)))\ninput()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(4)
    ]
    # Each lives until all have answered.
    answers = [set(process.stdout.readline().split()) for process in processes if process.stdout]
    for process in processes:
        process.communicate("\n", timeout=60)

    assert all(answers)
    assert len(set.union(*answers)) == sum(map(len, answers))


# Redis and PostgreSQL


@pytest.mark.service
def test_redis_answers(fresh_redis_url: str) -> None:
    with redis.Redis.from_url(fresh_redis_url, decode_responses=True) as client:
        assert client.ping()
        assert client.dbsize() == 0
        client.set("key", "تقرير")
        assert client.get("key") == "تقرير"


@pytest.mark.service
def test_redis_finds_its_data_again_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with running_redis(tmp_path, port) as process:
        with redis.Redis(port=port) as client:
            client.set("key", 1)
        process.kill()
        process.wait()

    with running_redis(tmp_path, port), redis.Redis(port=port) as client:
        wait_until(client.ping)
        assert client.get("key") == b"1"


@pytest.mark.service
def test_postgres_selects_and_keeps_arabic(fresh_postgres_url: str) -> None:
    with psycopg.connect(plain(fresh_postgres_url)) as connection:
        assert connection.execute("SELECT %s::text", ["تقرير"]).fetchone() == ("تقرير",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


@pytest.mark.service
@pytest.mark.parametrize("turn", [1, 2])
def test_a_fresh_postgres_database_holds_nothing(fresh_postgres_url: str, turn: int) -> None:
    del turn
    with psycopg.connect(plain(fresh_postgres_url)) as connection:
        connection.execute("CREATE TABLE study (id integer)")


# DICOM peers


def _storescu(peer: Orthanc | StoreScp, *files: str | Path) -> int:
    port = peer.dicom_port if isinstance(peer, Orthanc) else peer.port
    command = [dcmtk("storescu"), "-aec", peer.ae_title, peer.host, str(port), *files]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


@pytest.fixture
def ct() -> str:
    """A CT image of pydicom's own test data."""
    return str(get_testdata_file("CT_small.dcm", download=False))


CT_UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


@pytest.mark.peer
def test_orthanc_answers_an_echo_of_dcmtk(orthanc: Orthanc) -> None:
    command = [dcmtk("echoscu"), "-aec", orthanc.ae_title, orthanc.host, str(orthanc.dicom_port)]

    assert subprocess.run(command, check=False, timeout=30).returncode == 0


@pytest.mark.peer
def test_orthanc_gives_back_what_it_was_sent(fresh_orthanc: Orthanc, ct: str) -> None:
    assert fresh_orthanc.instances() == []

    assert _storescu(fresh_orthanc, ct) == 0

    assert list(fresh_orthanc.files("CT")) == [CT_UID]
    assert fresh_orthanc.files("SR") == {}
    assert fresh_orthanc.files()[CT_UID][128:132] == b"DICM"


@pytest.mark.peer
def test_orthanc_routes_what_it_receives(
    tmp_path: Path, storescp: Callable[..., StoreScp], ct: str
) -> None:
    receiver = storescp(ae_title="ARCHIVE")
    with running_orthanc(tmp_path, route_to="archive") as server:
        server.add_modality("archive", receiver.ae_title, receiver.port)
        assert _storescu(server, ct) == 0
        (received,) = wait_until(receiver.files)
        wait_until(lambda: CT_UID.encode() in received.read_bytes())


@pytest.mark.peer
def test_orthanc_sends_on_request(
    fresh_orthanc: Orthanc, storescp: Callable[..., StoreScp], ct: str
) -> None:
    receiver = storescp()
    fresh_orthanc.add_modality("receiver", receiver.ae_title, receiver.port)
    _storescu(fresh_orthanc, ct)

    (instance,) = fresh_orthanc.instances()
    fresh_orthanc.send(instance, "receiver")

    assert len(receiver.files()) == 1
    with pytest.raises(RuntimeError, match="404"):
        fresh_orthanc.get("/instances/nobody")


@pytest.mark.peer
def test_a_storescp_receives_or_refuses(storescp: Callable[..., StoreScp], ct: str) -> None:
    willing, unwilling = storescp(), storescp("--refuse")

    assert _storescu(willing, ct) == 0
    assert _storescu(unwilling, ct) != 0
    assert len(willing.files()) == 1
    assert unwilling.files() == []


@pytest.mark.peer
def test_programs_of_dcmtk_are_dcmtks_own() -> None:
    answer = subprocess.run([dcmtk("storescu"), "--version"], capture_output=True, check=True)

    assert b"dcmtk" in answer.stdout
