"""kill -9 of the node's processes while instances arrive: what was answered Success is there.

As a program it goes on for as long as wished:
`python -m service.test_node_kill --seeds 50 --instances 5000` with `tests` on the path.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest
from bench.wire import SOP_CLASS, Sender, SmallImages
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian
from servers import dcmtk, free_port, wait_until
from servers.process import is_listening

_TITLES = ("ALPHA", "BRAVO", "STORESCU")
_SIDE = 200
_FILES_OF_STORESCU = 40
_SETTLE_SECONDS = 120.0
_LONGEST_WAIT_SECONDS = 1.5
_SENT = re.compile(r"I: Sending file: (\S+)(.*?)(?=I: Sending file|\Z)", re.DOTALL)


class NodeUnderFire:
    """`taqrir node` in processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self._config = folder / "taqrir.toml"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        senders = "".join(f'[[senders]]\nae_title = "{title}"\n' for title in _TITLES)
        self._config.write_text(
            f'data_dir = "data"\n[node]\nhost = "127.0.0.1"\nport = {self.port}\nprocesses = 2\n'
            f"minimum_free_mb = 0\n[completion]\nquiet_seconds = 600\n{senders}",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start the node and wait until its port is open: its parts are still to come."""
        command = [sys.executable, "-m", "cli", "node", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or is_listening(self.port), timeout=60)

    def keep_alive(self) -> None:
        """Start the node again where we killed it, as a site's service manager does."""
        assert self._process is not None
        if self._process.poll() is not None:
            assert self._process.returncode == -signal.SIGKILL, self._log.read_text()[-2000:]
            self.start()

    def part(self, module: str) -> psutil.Process:
        """Return the first process that runs a module; waits for it."""
        assert self._process is not None
        supervisor = psutil.Process(self._process.pid)
        found: list[psutil.Process] = []

        def is_there() -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.extend(part for part in supervisor.children() if module in part.cmdline())
            return bool(found)

        wait_until(is_there, timeout=30, interval=0.001)
        return found[0]

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def kill_one(self, chance: random.Random) -> None:
        """Kill the supervisor, or one of the parts that it starts again."""
        self.keep_alive()
        assert self._process is not None
        parts = psutil.Process(self._process.pid).children(recursive=True)
        victim = chance.choice([self._process.pid, *(part.pid for part in parts)])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == self._process.pid:
            self._process.wait(10)
            _gone, alive = psutil.wait_procs(parts, timeout=10)
            assert not alive, alive

    def rows(self) -> list[tuple[str, str]]:
        """Return SOP Instance UID and file of every row."""
        path = f"file:{self.data / 'taqrir.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=30)) as database:
            return database.execute("SELECT sop_instance_uid, path FROM instance").fetchall()


class Traffic:
    """Senders that go on whatever happens to the node, and what they were told."""

    def __init__(self, node: NodeUnderFire, folder: Path, instances: int) -> None:
        self.sent: dict[str, bytes] = {}
        self.answered: set[str] = set()
        self._node = node
        self._folder = folder
        self._share = instances // len(_TITLES)
        self._stopping = threading.Event()
        self._threads = [
            *(threading.Thread(target=self._send, args=[title]) for title in _TITLES[:-1]),
            threading.Thread(target=self._storescu),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _new(self, images: SmallImages) -> tuple[str, bytes]:
        uid, data = images.next()
        self.sent[uid] = data
        return uid, data

    def _send(self, title: str) -> None:
        """Send one object after the other; what got no answer is sent again."""
        images = SmallImages(per_study=50, side=_SIDE)
        left, current = self._share, None
        while left > 0 and not self._stopping.is_set():
            try:
                with Sender(self._node.port, title) as sender:
                    while left > 0 and not self._stopping.is_set():
                        current = current or self._new(images)
                        if sender.store(*current) == 0:
                            self.answered.add(current[0])
                            current, left = None, left - 1
            except OSError:
                time.sleep(0.05)

    def _storescu(self) -> None:
        """Send with DCMTK, which gives an association up at the first trouble."""
        images = SmallImages(per_study=50, side=_SIDE)
        left, waiting = self._share, dict[str, str]()
        while left > 0 and not self._stopping.is_set():
            while len(waiting) < min(left, _FILES_OF_STORESCU):
                uid, data = self._new(images)
                waiting[str(_file(self._folder / f"{uid}.dcm", uid, data))] = uid
            stored = self._sent_by_storescu(waiting)
            self.answered |= {waiting.pop(path) for path in stored}
            left -= len(stored)
            if not stored:
                time.sleep(0.05)

    def _sent_by_storescu(self, files: Iterable[str]) -> list[str]:
        """Send files over one association; return those that were answered Success."""
        where = ["-R", "-v", "-aec", "TAQRIR", "127.0.0.1", str(self._node.port)]
        done = subprocess.run(
            [dcmtk("storescu"), *where, *files],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        answers = _SENT.findall(done.stdout + done.stderr)
        return [path for path, said in answers if "Received Store Response (Success)" in said]


def _file(path: Path, uid: str, data: bytes) -> Path:
    """Write a DICOM file around a data set's bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SOP_CLASS, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta)
        file.write(data)
    return path


def _data_set_of(file: Path) -> bytes:
    """Return a file's bytes behind its meta information (PS3.10 7.1)."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def attack(folder: Path, seed: int, *, instances: int, kills: int) -> str:
    """Let instances arrive, kill processes at random moments, then compare; return a summary."""
    chance = random.Random(seed)  # noqa: S311  moments of a test, to be had again by their seed
    node = NodeUnderFire(folder)
    node.start()
    try:
        traffic = Traffic(node, folder, instances)
        try:
            for _ in range(kills):
                time.sleep(chance.uniform(0, _LONGEST_WAIT_SECONDS))
                node.kill_one(chance)
                node.keep_alive()
            _keep_alive_until_over(node, traffic)
        finally:
            traffic.stop()
        inbox = node.data / "inbox"
        wait_until(lambda: not any(inbox.iterdir()), timeout=_SETTLE_SECONDS)
    finally:
        node.stop()
    _compare(node, traffic)
    return f"seed {seed}: {len(traffic.answered)} answered of {len(traffic.sent)}"


def _keep_alive_until_over(node: NodeUnderFire, traffic: Traffic) -> None:
    def is_over() -> bool:
        node.keep_alive()
        return traffic.is_over

    wait_until(is_over, timeout=_SETTLE_SECONDS + len(traffic.sent) / 10)


def _compare(node: NodeUnderFire, traffic: Traffic) -> None:
    rows = node.rows()
    uids = [uid for uid, _ in rows]
    files = {uid: node.data / path for uid, path in rows}

    assert traffic.answered - set(uids) == set()
    # What was sent twice because its answer was lost is one instance all the same.
    assert len(uids) == len(set(uids))
    assert set(uids) <= traffic.sent.keys()
    assert [uid for uid in uids if _data_set_of(files[uid]) != traffic.sent[uid]] == []
    assert list((node.data / "quarantine").iterdir()) == []


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_whatever_process_is_killed_what_was_answered_is_whole_and_indexed_once(
    seed: int, tmp_path: Path
) -> None:
    attack(tmp_path, seed, instances=300, kills=2)


@pytest.mark.service
@pytest.mark.slow
def test_a_part_that_is_killed_in_its_very_first_start_does_not_end_the_node(
    tmp_path: Path,
) -> None:
    node = NodeUnderFire(tmp_path)
    node.start()
    try:
        for module in ("cli.indexing", "cli.receiving"):
            node.part(module).kill()
        uid, data = SmallImages(per_study=1, side=_SIDE).next()
        with Sender(node.port, _TITLES[0]) as sender:
            status = sender.store(uid, data)
        wait_until(lambda: [row[0] for row in node.rows()] == [uid], timeout=30)
    finally:
        code = node.stop()

    assert (status, code) == (0, 0)


def main() -> None:
    """Attack with many seeds; the first that fails ends it with its seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=12)
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.seeds):
        print(f"seed {seed} ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="taqrir-kill-") as folder:
            print(attack(Path(folder), seed, instances=options.instances, kills=options.kills))


if __name__ == "__main__":
    main()
