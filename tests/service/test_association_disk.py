"""A disk that fills up: A700, nothing half written, and service again once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.films import film
from harness.raw_peer import RawPeer, echo_message, encoded, request, store_message
from harness.receiving import Receiving, receiving
from pydicom.dataset import Dataset
from servers import wait_until

from dicom_node.receive import Status

MEGABYTE = 1 << 20
CONGESTED = (2, 3, 1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(folder: Path, *, leave: int) -> Path:
    """Fill a disk but for some bytes."""
    filler = folder / "filler"
    state = os.statvfs(folder)
    filler.write_bytes(bytes(state.f_bavail * state.f_frsize - leave))
    return filler


def _large() -> Dataset:
    return film(PixelData=bytes(MEGABYTE))


def _store(peer: RawPeer, dataset: Dataset) -> int:
    peer.send(store_message(str(dataset.SOPInstanceUID), encoded(dataset)))
    return peer.status()


def _echo(peer: RawPeer) -> int:
    peer.send(echo_message())
    return peer.status()


def _refusal(node: Receiving) -> tuple[int, int, int]:
    with node.peer() as peer:
        peer.send(request())
        answer = peer.receive()
        assert answer is not None
        return answer.rejection


def test_an_object_that_no_longer_fits_is_refused_and_leaves_nothing(disk: Path) -> None:
    with receiving(disk, minimum_free_percent=0.0) as node, node.peer() as peer:
        peer.associate()
        filler = _fill(disk, leave=MEGABYTE // 2)

        assert _store(peer, _large()) == Status.OUT_OF_RESOURCES
        # A file may stand ready for the next object, but nothing of this one.
        assert not any(path.stat().st_size for path in node.files.partial.iterdir())
        assert node.stored() == []
        # The association goes on, and what is small enough still fits.
        assert _echo(peer) == Status.SUCCESS
        small = film()
        assert _store(peer, small) == Status.SUCCESS
        assert node.stored() == [encoded(small)]
        assert _store(peer, _large()) == Status.OUT_OF_RESOURCES

        filler.unlink()
        assert _store(peer, _large()) == Status.SUCCESS
        peer.release()
        node.assert_unharmed()


def test_below_the_watermark_nothing_is_taken_until_there_is_room_again(disk: Path) -> None:
    with receiving(disk, minimum_free_percent=0.0, minimum_free_mb=2) as node, node.peer() as peer:
        peer.associate()
        filler = _fill(disk, leave=2 * MEGABYTE - 8192)

        assert _store(peer, film()) == Status.OUT_OF_RESOURCES
        assert _refusal(node) == CONGESTED
        assert _echo(peer) == Status.SUCCESS
        assert node.stored() == []

        filler.unlink()
        assert _store(peer, film()) == Status.SUCCESS
        peer.release()
        node.forget()
        node.assert_unharmed()


def test_the_watermark_may_be_a_share_of_the_disk(disk: Path) -> None:
    with receiving(disk, minimum_free_percent=50.0) as node, node.peer() as peer:
        peer.associate()
        filler = _fill(disk, leave=3 * MEGABYTE)

        assert _store(peer, film()) == Status.OUT_OF_RESOURCES

        filler.unlink()
        assert _store(peer, film()) == Status.SUCCESS


def test_a_disk_without_a_single_byte_refuses_everything_and_comes_back(disk: Path) -> None:
    with receiving(disk, minimum_free_percent=0.0) as node, node.peer() as peer:
        peer.associate()
        filler = _fill(disk, leave=0)

        assert _store(peer, film()) == Status.OUT_OF_RESOURCES
        assert _echo(peer) == Status.SUCCESS
        # The register has no room for another.
        assert _refusal(node) == CONGESTED
        assert len(list(node.associations.all())) == 1
        filler.unlink()
        # Nor is anything left of who was refused.
        folder = node.settings.data_dir / "associations"
        assert len([path for path in folder.iterdir() if len(path.name) > 3]) == 1
        peer.release()
        wait_until(node.is_empty_handed, interval=0.005)
        node.assert_unharmed()
