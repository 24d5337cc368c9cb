"""Received files: whole or not at all, whatever the disk does and wherever the process dies."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import film, save
from harness.full_disk import largest_file
from sqlalchemy import select

from core import database, migration
from core.blobs import InstanceFiles, describe, sync_folder
from core.database import reading
from core.tables import Instance, Study
from dicom_node.index import Indexer
from dicom_node.receive import digest_of

ASSOCIATION = "00abc"


@pytest.fixture
def files(tmp_path: Path) -> InstanceFiles:
    files = InstanceFiles(tmp_path / "data")
    files.prepare()
    return files


def _keep(files: InstanceFiles, content: bytes = b"abc", association: str = ASSOCIATION) -> Path:
    incoming = files.incoming(association)
    os.write(incoming.descriptor, content)
    return incoming.keep()


def _everything(files: InstanceFiles) -> list[str]:
    return sorted(p.relative_to(files.root).as_posix() for p in files.root.rglob("*.dcm"))


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  names only


def test_a_kept_file_is_whole_and_in_the_inbox_under_a_name_that_describes_it(
    files: InstanceFiles,
) -> None:
    path = _keep(files, b"abcdef")

    (waiting,) = files.waiting()
    assert path.read_bytes() == b"abcdef"
    assert (waiting.path, waiting.association, waiting.size_bytes) == (path, ASSOCIATION, 6)
    assert abs(waiting.arrived_ns - path.stat().st_mtime_ns) < 60e9
    assert list(files.partial.iterdir()) == []


def test_a_file_that_is_discarded_leaves_nothing(files: InstanceFiles) -> None:
    before = _open_descriptors()
    incoming = files.incoming(ASSOCIATION)
    os.write(incoming.descriptor, b"half")

    incoming.discard()
    incoming.discard()

    assert list(files.partial.iterdir()) == []
    assert files.waiting() == []
    assert _open_descriptors() == before


def test_files_that_come_at_once_do_not_meet(files: InstanceFiles) -> None:
    kept: list[Path] = []
    threads = [
        threading.Thread(target=lambda n=n: kept.append(_keep(files, bytes([n]) * 100)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(kept)) == 8
    assert {path.read_bytes()[:1] for path in kept} == {bytes([n]) for n in range(8)}


def test_the_file_that_was_whole_first_comes_first(files: InstanceFiles) -> None:
    first, second = files.incoming(ASSOCIATION), files.incoming(ASSOCIATION)
    paths = [second.keep(), first.keep(), _keep(files, association="01zzz")]

    assert [file.path for file in files.waiting()] == paths
    assert files.oldest_arrival_ns() == files.waiting()[0].arrived_ns


def test_the_oldest_file_may_bear_anothers_name(files: InstanceFiles) -> None:
    stray = files.inbox / "stray.dcm"
    stray.write_bytes(b"1")
    os.utime(stray, ns=(7_000, 7_000))
    _keep(files)

    assert files.oldest_arrival_ns() == 7_000
    stray.unlink()
    assert files.oldest_arrival_ns() == files.waiting()[0].arrived_ns


def test_an_empty_inbox_has_no_oldest_file(files: InstanceFiles) -> None:
    assert files.waiting() == []
    assert files.oldest_arrival_ns() is None


@pytest.mark.parametrize("name", ["stray.dcm", "w-x-y-z.dcm", "1-2-3.dcm", "1-2-3-4-5.dcm", ".x"])
def test_a_file_with_anothers_name_is_described_by_the_folder(
    files: InstanceFiles, name: str
) -> None:
    path = files.inbox / name
    path.write_bytes(b"12345")
    os.utime(path, ns=(7_000, 7_000))

    file = describe(path)

    assert file is not None
    assert (file.size_bytes, file.arrived_ns, file.association) == (5, 7_000, "")


def test_what_is_no_file_does_not_wait(files: InstanceFiles) -> None:
    (files.inbox / "folder").mkdir()
    (files.inbox / "nowhere").symlink_to(files.root / "missing")

    assert files.waiting() == []
    assert files.oldest_arrival_ns() is None
    assert describe(files.inbox / "gone.dcm") is None


# Failing disks


def test_a_file_that_cannot_be_synced_leaves_nothing(
    files: InstanceFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _open_descriptors()

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, str(descriptor))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError):
            _keep(files)

    assert _everything(files) == []
    assert list(files.partial.iterdir()) == []
    assert _open_descriptors() == before


def test_a_file_that_cannot_be_renamed_leaves_nothing(files: InstanceFiles) -> None:
    incoming = files.incoming(ASSOCIATION)
    files.inbox.rmdir()

    with pytest.raises(FileNotFoundError):
        incoming.keep()

    assert list(files.partial.iterdir()) == []


def test_what_need_not_survive_a_power_cut_is_not_synced(
    files: InstanceFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)

    files.incoming(ASSOCIATION).keep(is_synced=False)

    assert synced == []
    assert len(files.waiting()) == 1


def test_file_and_folder_are_synced_once_the_name_stands(
    files: InstanceFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []

    def note(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((target.name, len(list(files.inbox.iterdir()))))

    monkeypatch.setattr(os, "fsync", note)

    path = _keep(files)

    assert synced == [(path.name, 1), ("inbox", 1)]


def test_a_write_that_the_kernel_refuses_leaves_nothing_once_it_is_discarded(
    files: InstanceFiles,
) -> None:
    incoming = files.incoming(ASSOCIATION)
    with largest_file(600):
        assert os.write(incoming.descriptor, b"x" * 1000) == 600
        with pytest.raises(OSError, match="File too large"):
            os.write(incoming.descriptor, b"x")
    incoming.discard()

    assert list(files.partial.iterdir()) == []
    assert _keep(files).exists()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 64 KiB; only root may mount one."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("a file system can be mounted by root only")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def _write_whole(files: InstanceFiles, content: bytes) -> bool:
    """Receive an object as a receiver does; False where the disk is full."""
    incoming = files.incoming(ASSOCIATION)
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[os.write(incoming.descriptor, rest) :]
        incoming.keep()
    except OSError as error:
        incoming.discard()
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def test_a_full_disk_leaves_nothing_partial_and_what_came_before_and_is_free_again(
    small_disk: Path,
) -> None:
    files = InstanceFiles(small_disk)
    files.prepare()
    content = b"x" * 9_000
    stored = 0
    while _write_whole(files, content):
        stored += 1
        assert stored < 100

    assert stored > 0
    assert not _write_whole(files, content)
    assert list(files.partial.iterdir()) == []
    assert [path.stat().st_size for path in files.inbox.iterdir()] == [9_000] * stored
    free, total = files.free_and_total_bytes()
    assert free < len(content) < total == 64 << 10
    files.forget(files.waiting()[0].path)
    assert _write_whole(files, content)


# Processes that die

_DYING = """
import os, signal, sys
from pathlib import Path
from core import blobs
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
step = sys.argv[2]
files = blobs.InstanceFiles(Path(sys.argv[1]))
incoming = files.incoming("00dying")
os.write(incoming.descriptor, b"half")
if step == "write": die()
if step == "rename": os.rename = die
if step == "sync": os.fsync = die
if step == "sync folder": blobs.sync_folder = die
incoming.keep()
print("Success", flush=True)
die()
"""


@pytest.mark.parametrize("step", ["write", "rename", "sync", "sync folder", "answer"])
def test_a_process_that_is_killed_leaves_a_whole_file_or_what_the_next_start_clears(
    files: InstanceFiles, step: str
) -> None:
    command = [sys.executable, "-c", _DYING, str(files.root), step]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    is_in_the_inbox = step in {"sync", "sync folder", "answer"}
    assert (done.stdout == "Success\n") == (step == "answer")
    assert len(list(files.partial.iterdir())) == (not is_in_the_inbox)

    files.prepare(leftovers_of="00")

    assert list(files.partial.iterdir()) == []
    assert [file.size_bytes for file in files.waiting()] == [4] * is_in_the_inbox
    assert [file.path.read_bytes() for file in files.waiting()] == [b"half"] * is_in_the_inbox


def test_a_process_that_starts_again_leaves_what_others_are_writing(files: InstanceFiles) -> None:
    mine, others = files.incoming("00mine"), files.incoming("01other")

    files.prepare(leftovers_of=None)
    assert len(list(files.partial.iterdir())) == 2
    files.prepare(leftovers_of="00")

    assert others.keep().exists()
    with pytest.raises(FileNotFoundError):
        mine.keep()


@pytest.fixture
def indexer(files: InstanceFiles) -> Iterator[Indexer]:
    engine = database.open_engine(f"sqlite:///{files.root / 'taqrir.db'}")
    migration.migrate(engine)
    yield Indexer(engine, files)
    engine.dispose()


def _rows(indexer: Indexer) -> tuple[int, int]:
    with reading(indexer._engine) as session:
        studies, instances = (session.scalars(select(t)).all() for t in (Study, Instance))
        return len(studies), len(instances)


@pytest.mark.parametrize("method", ["link", "sync_places", "forget"])
def test_a_crash_around_the_commit_is_repaired_by_the_next_look(
    files: InstanceFiles,
    indexer: Indexer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """`link` and `sync_places` come before the commit, `forget` is the first step behind it."""
    content = save(film(), tmp_path).read_bytes()
    _keep(files, content)
    step = getattr(InstanceFiles, method)

    def die_after(*arguments: object) -> None:
        step(*arguments) if method != "forget" else None
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(InstanceFiles, method, die_after)
        with pytest.raises(KeyboardInterrupt):
            indexer.catch_up()
    assert len(files.waiting()) == 1
    assert _rows(indexer) == ((1, 1) if method == "forget" else (0, 0))

    indexer.catch_up()

    assert _rows(indexer) == (1, 1)
    assert files.waiting() == []
    (kept,) = files.studies.rglob("*.dcm")
    assert kept.read_bytes() == content


def test_before_rows_are_committed_file_and_folders_are_synced(
    files: InstanceFiles, indexer: Indexer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = film()
    paths = [_keep(files, save(dataset, tmp_path).read_bytes())]
    dataset.SOPInstanceUID += "1"
    paths.append(_keep(files, save(dataset, tmp_path).read_bytes()))
    synced: list[str] = []

    def note(descriptor: int) -> None:
        assert _rows(indexer) == (0, 0)
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", note)
        patch.setattr(os, "fdatasync", note)
        indexer.catch_up()

    study = files.studies / dataset.StudyInstanceUID
    folders = [study / dataset.SeriesInstanceUID, study, files.studies]
    assert sorted(synced[:2]) == [str(path) for path in paths]
    assert synced[2:] == [str(path) for path in folders]


def test_a_file_whose_receiver_takes_it_back_is_no_trouble(
    files: InstanceFiles, indexer: Indexer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(film(), tmp_path).read_bytes()
    first, second = _keep(files, content), _keep(files, content)
    link = InstanceFiles.link

    def take_back(self: InstanceFiles, path: Path, *names: str) -> str:
        path.unlink()
        return link(self, path, *names)

    with monkeypatch.context() as patch:
        patch.setattr(InstanceFiles, "link", take_back)
        assert indexer.catch_up() == 2

    assert _rows(indexer) == (0, 0)
    assert not first.exists()
    assert not second.exists()
    assert list(files.quarantine.iterdir()) == []


def test_what_was_indexed_waits_no_more(
    files: InstanceFiles, indexer: Indexer, tmp_path: Path
) -> None:
    _keep(files, save(film(), tmp_path).read_bytes())

    assert indexer.catch_up() == 1
    assert indexer.catch_up() == 0
    with reading(indexer._engine) as session:
        (row,) = session.scalars(select(Instance)).all()
    assert digest_of(files.resolve(row.path)) == (row.digest, row.size_bytes)


def test_a_large_object_is_read_in_pieces_to_the_same_rows(
    files: InstanceFiles, indexer: Indexer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(film(), tmp_path).read_bytes()
    _keep(files, content)
    monkeypatch.setattr("dicom_node.inbox_object._PIECE_BYTES", 100)
    monkeypatch.setattr("dicom_node.inbox_object._IN_MEMORY_BYTES", 700)
    indexer.catch_up()
    monkeypatch.undo()

    # The whole of it in memory has the same digest, or this would be a second content.
    _keep(files, content)
    indexer.catch_up()

    assert _rows(indexer) == (1, 1)


# Places


def test_an_indexed_file_may_be_linked_twice(files: InstanceFiles) -> None:
    path, digest = _keep(files), "0123456789abcdef" * 4

    first = files.link(path, "1.2", "1.2.3", "1.2.3.4", digest)
    second = files.link(path, "1.2", "1.2.3", "1.2.3.4", digest)
    files.sync_places([first, second])

    assert first == second == "studies/1.2/1.2.3/1.2.3.4-0123456789abcdef.dcm"
    assert files.resolve(first).read_bytes() == b"abc"
    files.forget(path)
    files.forget(path)
    assert files.resolve(first).exists()
    with pytest.raises(FileNotFoundError):
        files.link(path, "1.2", "1.2.9", "1.2.3.4", digest)


def test_nothing_to_sync_is_nothing_to_do(files: InstanceFiles) -> None:
    files.studies.rmdir()

    files.sync_places([])


def test_what_is_set_aside_is_kept_beside_what_has_the_same_name(files: InstanceFiles) -> None:
    kept = []
    for number in range(3):
        (files.inbox / "stray.dcm").write_bytes(bytes([number]))
        kept.append(files.set_aside(files.inbox / "stray.dcm"))

    files.prepare()

    assert [path.name for path in kept] == ["stray.dcm", "stray.dcm.1", "stray.dcm.2"]
    assert [path.read_bytes() for path in kept] == [b"\0", b"\1", b"\2"]
    assert files.waiting() == []
    with pytest.raises(FileNotFoundError):
        files.set_aside(files.inbox / "stray.dcm")


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")
