"""Pictures that are too large, too small, or of nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dicom_samples import add_pixels, to_bytes, write
from made_pictures import GREY, look, made
from pydicom import uid
from pydicom.dataset import Dataset

from core.errors import UnsupportedPixelsError
from dicom_node.pixels import to_rgb


@pytest.mark.parametrize(("samples", "side", "small"), [(1, 20_000, 4000), (3, 9000, 3000)])
def test_a_huge_picture_needs_little_memory(
    samples: int, side: int, small: int, tmp_path: Path
) -> None:
    dataset = made(
        uid.DigitalXRayImageStorageForPresentation,
        "DX",
        np.zeros((2, 2) if samples == 1 else (2, 2, 3), np.uint8),
    )
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    content = to_bytes(dataset)
    size = side * side * samples
    dataset.Rows = dataset.Columns = side
    head = to_bytes(dataset)
    at = content.rindex(b"\xe0\x7f\x10\x00OW\x00\x00")
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(head[:at] + b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little"))
        start = file.tell()
        # A white square in the upper left corner, and nothing: most of the file is a hole.
        for row in range(360):
            file.seek(start + row * side * samples)
            file.write(b"\xff" * 360 * samples)
        file.truncate(start + size)
    tracemalloc.start()
    picture = to_rgb(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.shape == (small, small, 3)
    edge = 360 * small // side
    assert picture[:edge, :edge].min() == 255
    assert picture[edge:, edge:].max() == 0
    # The picture that is kept, a float of it, and what is worked on; not the 400 MB of the file.
    assert peak < 300_000_000


def test_a_large_palette_keeps_its_colours(tmp_path: Path) -> None:
    """The mean of two numbers of a palette is a third colour."""
    dataset = made(uid.UltrasoundImageStorage, "US", np.zeros((4, 4), np.uint8))
    indices = np.tile(np.array([0, 255], np.uint8), (4200, 2100))
    add_pixels(dataset, indices, PhotometricInterpretation="PALETTE COLOR")
    for name, low, high in (("Red", 10, 20), ("Green", 30, 40), ("Blue", 50, 60)):
        entries = np.full(256, 99, np.uint8)
        entries[0], entries[255] = low, high
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", entries.tobytes())
    picture = to_rgb(write(dataset, tmp_path / "it.dcm"))
    assert picture.shape == (2100, 2100, 3)
    assert set(np.unique(picture)) <= {10, 20, 30, 40, 50, 60}


def test_a_picture_of_one_pixel_is_a_picture(tmp_path: Path) -> None:
    film = made(uid.ComputedRadiographyImageStorage, "CR", np.full((1, 1), 7, np.uint8))
    _, rendered = look(tmp_path, film)
    assert rendered.images[0].pixels.shape == (1, 1, 3)


def test_a_rescale_that_is_no_number_gives_a_picture_or_a_refusal(tmp_path: Path) -> None:
    for slope in ("nan", "inf", "-inf", "1e308"):
        film = made(uid.ComputedRadiographyImageStorage, "CR", GREY.copy())
        film.RescaleIntercept = 0
        path = write(film, tmp_path / "it.dcm")
        content = path.read_bytes()
        at = content.rindex(b"\x28\x00\x52\x10")
        head = content[:at] + b"\x28\x00\x52\x10DS\x02\x000 "
        value = slope.encode().ljust(6)
        path.write_bytes(
            head + b"\x28\x00\x53\x10DS" + len(value).to_bytes(2, "little") + value
            + content[at + 10 :]
        )  # fmt: skip
        try:
            picture = to_rgb(path)
        except UnsupportedPixelsError:
            continue
        assert picture.shape == (40, 60, 3)


def test_an_enhanced_mr_of_3000_frames_is_chosen_from_quickly(tmp_path: Path) -> None:
    volume = made(uid.EnhancedMRImageStorage, "MR", np.zeros((3000, 4, 4), np.uint8))
    volume.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(3000)]
    _, rendered = look(tmp_path, volume)
    assert [i.frame.frame_number for i in rendered.images] == [376, 1126, 1876, 2626]
