"""Which study an object belongs to while it is still being written."""

from __future__ import annotations

from os import urandom
from pathlib import Path

import pytest
from harness import film, save
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from core.associations import Associations, OpenAssociation
from core.blobs import InstanceFiles
from dicom_node.carriers import Carriers, study_of

ASSOCIATION = "00aaaaaaaaaa"


def _partial(folder: Path, data: bytes, association: str = ASSOCIATION, serial: int = 0) -> Path:
    path = folder / "partial" / f"{association}-{serial:x}"
    path.write_bytes(data)
    return path


def _bytes(dataset: Dataset, folder: Path, syntax: str = ExplicitVRLittleEndian) -> bytes:
    return save(dataset, folder, syntax).read_bytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with one open association."""
    InstanceFiles(tmp_path).prepare()
    associations = Associations(tmp_path)
    associations.prepare()
    entry = OpenAssociation(id=ASSOCIATION, ae_title="CT", address="127.0.0.1", since=0)
    associations.enter(entry, limit=10, limit_of_sender=10)
    return tmp_path


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_the_head_of_an_object_tells_its_study_whatever_its_encoding(
    root: Path, syntax: str
) -> None:
    # Pixels that do not compress: of a deflated object only as much is inflated as was read.
    image = film(PixelData=urandom(24 * 32))
    if syntax == ExplicitVRBigEndian:
        image["PixelData"].VR = "OB"

    path = _partial(root, _bytes(image, root, syntax))

    assert study_of(path) == image.StudyInstanceUID


def test_every_beginning_of_an_object_tells_its_study_or_nothing(root: Path) -> None:
    image = film()
    data = _bytes(image, root)
    found = [study_of(_partial(root, data[:size])) for size in range(0, len(data), 7)]

    assert set(found) == {"", image.StudyInstanceUID}
    # Once known it stays known.
    assert found == sorted(found)


def test_a_study_uid_behind_a_long_element_is_found(root: Path) -> None:
    image = film(ImageComments="")
    image.add_new(0x00091001, "OB", bytes(300_000))
    image.add_new(0x00090010, "LO", "SOMEBODY")

    assert study_of(_partial(root, _bytes(image, root))) == image.StudyInstanceUID


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 200, b"\xff" * 5000, b"\0" * 128 + b"DICM" + b"\xff" * 99]
)
def test_what_is_no_object_tells_nothing(root: Path, data: bytes) -> None:
    assert study_of(_partial(root, data)) == ""


def test_an_object_that_is_gone_tells_nothing(root: Path) -> None:
    assert study_of(root / "partial" / "gone-0") == ""
    (root / "partial" / "folder-0").mkdir()
    assert study_of(root / "partial" / "folder-0") == ""


def test_an_open_association_carries_what_it_is_bringing(root: Path) -> None:
    first, second = film(), film()
    _partial(root, _bytes(first, root), serial=1)
    _partial(root, _bytes(second, root), serial=2)
    _partial(root, _bytes(film(), root)[:200], serial=3)

    carried = Carriers(InstanceFiles(root)).open_associations()

    assert carried == {ASSOCIATION: {str(first.StudyInstanceUID), str(second.StudyInstanceUID)}}


def test_what_a_dead_association_left_is_carried_by_nobody(root: Path) -> None:
    _partial(root, _bytes(film(), root), association="00bbbbbbbbbb")

    assert Carriers(InstanceFiles(root)).open_associations() == {ASSOCIATION: frozenset()}


def test_an_object_whose_head_comes_later_is_looked_at_again(root: Path) -> None:
    image = film()
    data = _bytes(image, root)
    carriers = Carriers(InstanceFiles(root))
    path = _partial(root, data[:150])
    assert carriers.open_associations() == {ASSOCIATION: frozenset()}

    path.write_bytes(data)
    assert carriers.open_associations() == {ASSOCIATION: {str(image.StudyInstanceUID)}}
    path.unlink()
    assert carriers.open_associations() == {ASSOCIATION: frozenset()}


def test_a_data_folder_that_was_never_used_carries_nothing(tmp_path: Path) -> None:
    assert Carriers(InstanceFiles(tmp_path)).open_associations() == {}
