"""Received files: whole or not at all, whatever the disk does and wherever the process dies."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import film, save
from sqlalchemy import select

from core import database
from core.blobs import InstanceFiles, sync_folder
from core.database import reading
from core.tables import Instance, Study
from dicom_node.index import Indexer
from dicom_node.receive import Status, StoreRequest, digest_of, store

HEADER = b"\0" * 128 + b"DICM"


@pytest.fixture
def files(tmp_path: Path) -> InstanceFiles:
    files = InstanceFiles(tmp_path / "data")
    files.prepare()
    return files


def _everything(files: InstanceFiles) -> list[str]:
    return sorted(p.relative_to(files.root).as_posix() for p in files.root.rglob("*.dcm"))


def test_a_received_file_is_whole_and_in_the_inbox(files: InstanceFiles) -> None:
    received = files.receive(header=HEADER, body=[b"abc", memoryview(b"def")], salt="1.2")

    assert received.path.read_bytes() == HEADER + b"abcdef"
    assert received.size_bytes == len(HEADER) + 6
    assert list(files.waiting()) == [received.path]
    assert list(files.partial.iterdir()) == []


def test_the_digest_tells_contents_and_syntaxes_apart_and_not_headers(
    files: InstanceFiles,
) -> None:
    def digest(header: bytes, body: list[bytes], salt: str) -> str:
        return files.receive(header=header, body=body, salt=salt).digest

    first = digest(HEADER, [b"abc", b"def"], "1.2")
    assert digest(HEADER + b"another sender", [b"ab", b"cdef"], "1.2") == first
    assert digest(HEADER, [b"abcdeg"], "1.2") != first
    assert digest(HEADER, [b"abcdef"], "1.3") != first


def test_two_files_that_come_at_once_do_not_meet(files: InstanceFiles) -> None:
    received = [files.receive(header=HEADER, body=[b"x"], salt="") for _ in range(5)]

    assert len({file.path for file in received}) == 5


def test_the_oldest_waiting_file_comes_first(files: InstanceFiles) -> None:
    paths = [files.receive(header=HEADER, body=[b"x"], salt="").path for _ in range(4)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 - age, 1000 - age))

    assert list(files.waiting()) == paths[::-1]


# Failing disks


def test_a_body_that_breaks_off_leaves_nothing(files: InstanceFiles) -> None:
    def body() -> Iterator[bytes]:
        yield b"abc"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        files.receive(header=HEADER, body=body(), salt="")

    assert _everything(files) == []


def test_a_file_that_is_refused_after_it_was_written_leaves_nothing(files: InstanceFiles) -> None:
    seen = []

    def refuse(path: Path) -> None:
        seen.append(path.read_bytes())
        raise ValueError

    with pytest.raises(ValueError):
        files.receive(header=HEADER, body=[b"abc"], salt="", inspect=refuse)

    assert seen == [HEADER + b"abc"]
    assert _everything(files) == []


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse what makes a file larger, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _request(path: Path) -> tuple[StoreRequest, bytes]:
    from pydicom import dcmread

    dataset = dcmread(path)
    data = path.read_bytes()
    request = StoreRequest(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        calling_ae_title="MODALITY",
        called_ae_title="TAQRIR",
    )
    return request, data[144 + int.from_bytes(data[140:144], "little") :]


def test_a_write_that_the_kernel_refuses_is_answered_and_leaves_nothing(
    files: InstanceFiles, tmp_path: Path
) -> None:
    request, body = _request(save(film(), tmp_path))
    with _largest_file(600):
        answer = store(files, request, [body], minimum_free_bytes=0)

    assert answer == (Status.OUT_OF_RESOURCES, None)
    assert _everything(files) == []
    assert store(files, request, [body], minimum_free_bytes=0)[0] is Status.SUCCESS


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


def test_a_full_disk_is_answered_and_leaves_nothing_and_what_came_before_stays(
    small_disk: Path, tmp_path: Path
) -> None:
    files = InstanceFiles(small_disk)
    files.prepare()
    request, body = _request(save(film(), tmp_path))
    stored = 0
    while store(files, request, [body], minimum_free_bytes=0)[0] is Status.SUCCESS:
        stored += 1
        assert stored < 100

    assert store(files, request, [body], minimum_free_bytes=0)[0] is Status.OUT_OF_RESOURCES
    assert stored > 0
    assert len(_everything(files)) == stored
    assert all(path.stat().st_size > len(body) for path in files.inbox.iterdir())


def test_a_disk_that_is_nearly_full_takes_nothing_more(
    files: InstanceFiles, tmp_path: Path
) -> None:
    request, body = _request(save(film(), tmp_path))

    answer = store(files, request, [body], minimum_free_bytes=files.free_bytes() * 2)

    assert answer == (Status.OUT_OF_RESOURCES, None)
    assert _everything(files) == []


# Processes that die


def test_a_process_that_is_killed_while_it_writes_leaves_what_the_next_start_clears(
    files: InstanceFiles,
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from core.blobs import InstanceFiles\n"
        "def body():\n"
        "    yield b'half'\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "InstanceFiles(Path(sys.argv[1])).receive(header=b'', body=body(), salt='')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(files.root)], check=False)
    assert len(list(files.partial.iterdir())) == 1
    assert list(files.waiting()) == []

    files.prepare()

    assert _everything(files) == []


@pytest.fixture
def indexer(files: InstanceFiles) -> Iterator[Indexer]:
    engine = database.open_engine(f"sqlite:///{files.root / 'taqrir.db'}")
    database.migrate(engine)
    yield Indexer(engine, files)
    engine.dispose()


def _rows(indexer: Indexer) -> tuple[int, int]:
    with reading(indexer._engine) as session:
        studies, instances = (session.scalars(select(t)).all() for t in (Study, Instance))
        return len(studies), len(instances)


@pytest.mark.parametrize("method", ["link", "forget"])
def test_a_crash_around_the_commit_is_repaired_by_the_next_look(
    files: InstanceFiles,
    indexer: Indexer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """`link` is the last step before the commit, `forget` the first one behind it."""
    request, body = _request(save(film(), tmp_path))
    store(files, request, [body], minimum_free_bytes=0)
    step = getattr(InstanceFiles, method)

    def die_after(*arguments: object) -> None:
        step(*arguments) if method == "link" else None
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(InstanceFiles, method, die_after)
        with pytest.raises(KeyboardInterrupt):
            indexer.catch_up()
    assert len(list(files.waiting())) == 1
    assert _rows(indexer) == ((0, 0) if method == "link" else (1, 1))

    indexer.catch_up()

    assert _rows(indexer) == (1, 1)
    assert list(files.waiting()) == []
    (kept,) = files.studies.rglob("*.dcm")
    assert kept.read_bytes().endswith(body)


def test_an_index_that_was_lost_is_built_anew_from_what_waits(
    files: InstanceFiles, indexer: Indexer, tmp_path: Path
) -> None:
    request, body = _request(save(film(), tmp_path))
    received = store(files, request, [body], minimum_free_bytes=0)[1]
    assert received is not None

    assert digest_of(received.path) == (received.digest, received.size_bytes)
    assert indexer.catch_up() == 1
    assert indexer.catch_up() == 0


def test_an_indexed_file_may_be_linked_twice(files: InstanceFiles) -> None:
    received = files.receive(header=HEADER, body=[b"x"], salt="")

    first = files.link(received.path, "1.2", "1.2.3", "1.2.3.4", received.digest)
    second = files.link(received.path, "1.2", "1.2.3", "1.2.3.4", received.digest)

    assert first == second == f"studies/1.2/1.2.3/1.2.3.4-{received.digest[:16]}.dcm"
    assert files.resolve(first).read_bytes() == HEADER + b"x"
    files.forget(received.path)
    files.forget(received.path)
    assert files.resolve(first).exists()


def test_what_is_set_aside_is_kept(files: InstanceFiles) -> None:
    received = files.receive(header=HEADER, body=[b"x"], salt="")

    kept = files.set_aside(received.path)

    assert kept.read_bytes() == HEADER + b"x"
    assert list(files.waiting()) == []
    files.prepare()
    assert kept.exists()


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")


def test_a_folder_in_the_inbox_is_no_file_that_waits(files: InstanceFiles) -> None:
    (files.inbox / "folder").mkdir()

    assert list(files.waiting()) == []
