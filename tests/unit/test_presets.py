"""Each kind of image, made on the spot: what is chosen, which way up, and what is painted over."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_samples import to_bytes, write
from made_pictures import GREY, look, made
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

from core.errors import NotForUsError, UnsupportedPixelsError
from dicom_node.contexts import IMAGE_SOP_CLASSES
from dicom_node.eligibility import obstacle
from dicom_node.header import read_header
from dicom_node.pixels import render, to_rgb
from dicom_node.presets import CT_WINDOWS, PRESETS, preset_of
from dicom_node.selection import RenderedSelection, select

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def shown(rendered: RenderedSelection) -> list[tuple[str, int]]:
    return [(i.frame.sop_instance_uid[-2:], i.frame.frame_number) for i in rendered.images]


def test_every_class_of_a_preset_is_an_image_and_belongs_to_one_preset() -> None:
    classes = [sop_class for preset in PRESETS for sop_class, _ in preset.classes]
    assert len(set(classes)) == len(classes)
    assert set(classes) <= IMAGE_SOP_CLASSES
    for preset in PRESETS:
        named = {m for _, modalities in preset.classes for m in modalities}
        assert named == set(preset.modalities)
        assert all(preset_of(modality) is preset for modality in preset.modalities)


def test_the_page_has_a_row_for_every_preset_and_window() -> None:
    page = (_DOCS / "presets.md").read_text(encoding="utf-8")
    rows = [
        f"| {preset.name} | {', '.join(preset.modalities)} | {preset.frames} | {preset.sides} |"
        for preset in PRESETS
    ]
    assert [row for row in rows if row not in page] == []
    for _, windows in CT_WINDOWS:
        for window in windows:
            assert re.search(rf"\| {window.name} \| {window.center:g} \| {window.width:g} \|", page)


# CT.


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1, ["lung"]),
        (2, ["lung", "lung"]),
        (4, ["lung", "soft tissue"] * 2),
        (6, ["lung", "soft tissue", "bone"] * 2),
        (9, ["lung", "soft tissue", "bone"] * 3),
    ],
)
def test_a_slice_of_a_chest_ct_is_shown_through_each_window(
    limit: int, expected: list[str], tmp_path: Path
) -> None:
    slices = [
        made(
            uid.CTImageStorage,
            "CT",
            np.full((8, 8), value, np.int16),
            number,
            BodyPartExamined="CHEST",
            RescaleSlope=1,
            RescaleIntercept=0,
            WindowCenter=5000,
            WindowWidth=10,
        )
        for number, value in enumerate(range(-800, 0, 100), start=1)
    ]
    selection, rendered = look(tmp_path, *slices, limit=limit)
    assert [image.frame.window for image in rendered.images] == expected
    assert all(image.frame.window in image.frame.reason for image in rendered.images)
    if limit > 2:
        lung, soft = (int(rendered.images[n].pixels[0, 0, 0]) for n in (0, 1))
        assert lung > 50
        assert soft == 0
        assert "lung and soft tissue" in selection.reasons[0]


def test_a_ct_without_hounsfield_units_keeps_its_own_window(tmp_path: Path) -> None:
    dataset = made(uid.CTImageStorage, "CT", np.full((8, 8), 700, np.uint16))
    dataset.WindowCenter, dataset.WindowWidth = 700, 1000
    _, rendered = look(tmp_path, dataset)
    assert {int(image.pixels[0, 0, 0]) for image in rendered.images} == {128}


# Mammograms.


def breast(side: str, view: str, letters: list[str], number: int, **attributes: Any) -> Dataset:
    """Return a mammogram whose chest wall is a white column, and whose marker a white dot."""
    pixels = np.zeros((20, 12), np.uint8)
    right, _ = letters
    pixels[:, -1 if right[0] == "P" else 0] = 255
    given = {"ImageLaterality": side, "ViewPosition": view, "PatientOrientation": letters}
    return made(
        uid.DigitalMammographyXRayImageStorageForPresentation,
        "MG",
        pixels,
        number,
        BodyPartExamined="BREAST",
        **(given | attributes),
    )


def test_four_mammograms_are_hung_with_the_chest_wall_in_the_middle(tmp_path: Path) -> None:
    datasets = [
        breast("L", "MLO", ["A", "FR"], 1),
        breast("R", "MLO", ["P", "FL"], 2),
        # Stored mirrored: anterior to the right.
        breast("R", "CC", ["A", "L"], 3),
        breast("L", "CC", ["A", "R"], 4),
    ]
    selection, rendered = look(tmp_path, *datasets)
    assert selection.modality == "MG"
    assert [i.frame.sop_instance_uid[-1] for i in rendered.images] == ["3", "4", "2", "1"]
    for image, is_right in zip(rendered.images, (True, False, True, False), strict=True):
        assert image.is_orientation_known
        wall = image.pixels[:, -1 if is_right else 0]
        assert wall.min() == 255
        assert image.pixels.mean() < 30
    assert "R CC" in rendered.images[0].frame.reason


@pytest.mark.parametrize(
    "attributes", [{"ImageLaterality": ""}, {"PatientOrientation": ""}, {"ImageLaterality": "B"}]
)
def test_a_mammogram_that_does_not_say_its_side_and_orientation_is_unknown(
    attributes: dict[str, Any], tmp_path: Path
) -> None:
    _, rendered = look(tmp_path, breast("R", "CC", ["P", "L"], 1, **attributes))
    assert not rendered.images[0].is_orientation_known


def test_the_view_of_a_mammogram_is_read_from_its_code(tmp_path: Path) -> None:
    datasets = [breast("R", "", ["P", "FL"], 1), breast("R", "", ["P", "L"], 2)]
    for dataset, code in zip(datasets, ("R-10226", "399162004"), strict=True):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
        dataset.ViewCodeSequence = [item]
    _, rendered = look(tmp_path, *datasets)
    assert [i.frame.sop_instance_uid[-1] for i in rendered.images] == ["2", "1"]
    assert "R MLO" in rendered.images[1].frame.reason


# Ultrasound.


def region(left: int, top: int, right: int, bottom: int) -> Dataset:
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    return item


def echo(number: int = 1, pixels: NDArray[Any] | None = None, **attributes: Any) -> Dataset:
    colours = np.full((40, 60, 3), (200, 90, 30), np.uint8) if pixels is None else pixels
    sop_class = uid.UltrasoundImageStorage
    if colours.ndim == 4:
        sop_class = uid.UltrasoundMultiFrameImageStorage
    return made(sop_class, "US", colours, number, **attributes)


def test_an_ultrasound_keeps_its_colours_inside_its_regions_and_nothing_else(
    tmp_path: Path,
) -> None:
    regions = [region(10, 5, 39, 24), region(10, 30, 39, 34)]
    dataset = echo(SequenceOfUltrasoundRegions=regions, BurnedInAnnotation="NO")
    _, rendered = look(tmp_path, dataset)
    [image] = rendered.images
    lit = image.pixels[..., 0] > 0
    assert lit.sum() == 30 * 20 + 30 * 5
    assert lit[5:25, 10:40].all()
    assert lit[30:35, 10:40].all()
    assert tuple(image.pixels[10, 20]) == (200, 90, 30)
    assert "masked: all but the ultrasound regions" in image.frame.reason


@pytest.mark.parametrize(
    ("attributes", "black"),
    [
        ({}, [0, 1, 2, 3]),
        ({"BurnedInAnnotation": "NO"}, []),
        ({"BurnedInAnnotation": "YES"}, [0, 1, 2, 3, 36, 37, 38, 39]),
        # Regions that cannot be meant: outside, upside down, of nothing.
        ({"SequenceOfUltrasoundRegions": [region(500, 500, 900, 900)]}, [0, 1, 2, 3]),
        ({"SequenceOfUltrasoundRegions": [region(30, 30, 10, 10)]}, [0, 1, 2, 3]),
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 1, 1)]}, [0, 1, 2, 3]),
        ({"SequenceOfUltrasoundRegions": [Dataset()]}, [0, 1, 2, 3]),
    ],
)
def test_without_regions_the_usual_places_of_text_are_masked(
    attributes: dict[str, Any], black: list[int], tmp_path: Path
) -> None:
    _, rendered = look(tmp_path, echo(**attributes))
    [image] = rendered.images
    dark = [row for row in range(40) if not image.pixels[row].any()]
    assert dark == black


def test_text_is_masked_before_the_picture_is_turned(tmp_path: Path) -> None:
    film = made(
        uid.DigitalXRayImageStorageForPresentation,
        "DX",
        np.full((40, 60), 200, np.uint8),
        BurnedInAnnotation="YES",
        PatientOrientation=["F", "R"],
        WindowCenter=128,
        WindowWidth=256,
    )
    _, rendered = look(tmp_path, film)
    [image] = rendered.images
    assert image.pixels.shape == (60, 40, 3)
    dark = [column for column in range(40) if not image.pixels[:, column].any()]
    assert dark == [0, 1, 2, 3, 36, 37, 38, 39]


def test_a_film_that_says_nothing_of_text_is_not_masked(tmp_path: Path) -> None:
    film = made(uid.DigitalXRayImageStorageForPresentation, "DX", GREY)
    _, rendered = look(tmp_path, film)
    assert rendered.images[0].pixels.min() > 0
    assert "masked" not in rendered.images[0].frame.reason


def test_an_overlay_in_unused_bits_is_not_seen(tmp_path: Path) -> None:
    values = np.full((8, 8), 1000, np.uint16)
    plain = made(uid.DigitalXRayImageStorageForPresentation, "DX", values, WindowCenter=1000)
    plain.WindowWidth, plain.BitsStored, plain.HighBit = 2000, 12, 11
    marked = made(
        uid.DigitalXRayImageStorageForPresentation, "DX", values | (np.eye(8) > 0) * 0x8000
    )
    marked.WindowCenter, marked.WindowWidth = 1000, 2000
    marked.BitsStored, marked.HighBit = 12, 11
    marked.add_new((0x6000, 0x0102), "US", 15)
    pictures = [to_rgb(write(d, tmp_path / f"{n}.dcm")) for n, d in enumerate((plain, marked))]
    assert np.array_equal(*pictures)


def test_clips_give_evenly_spaced_key_frames_and_stills_one_each(tmp_path: Path) -> None:
    clip = np.zeros((30, 6, 8, 3), np.uint8)
    clip[..., 0] = np.arange(30, dtype=np.uint8)[:, None, None] * 8
    datasets = [echo(1), echo(2, clip)]
    selection, rendered = look(tmp_path, *datasets)
    assert shown(rendered) == [(".1", 1), (".2", 6), (".2", 16), (".2", 26)]
    assert selection.reasons[0].startswith("4 frames of 2 of 2 images")
    assert rendered.images[1].pixels[3, 0, 0] == 5 * 8


def test_many_stills_are_taken_evenly_and_a_clip_of_3000_frames_counts_once(
    tmp_path: Path,
) -> None:
    stills = [echo(number, BurnedInAnnotation="NO") for number in range(1, 41)]
    _, rendered = look(tmp_path, *stills)
    assert [i.frame.sop_instance_uid[-2:] for i in rendered.images] == [".6", "16", "26", "36"]
    clip = echo(99, np.zeros((3000, 4, 4, 3), np.uint8))
    film = made(uid.ComputedRadiographyImageStorage, "CR", GREY, 98)
    selection, rendered = look(tmp_path, clip, film, film, limit=2)
    assert selection.modality == "CR"
    _, rendered = look(tmp_path, clip, limit=3)
    assert [i.frame.frame_number for i in rendered.images] == [501, 1501, 2501]


def test_a_side_of_an_ultrasound_is_known_by_its_laterality_alone(tmp_path: Path) -> None:
    def known(*datasets: Dataset) -> set[bool]:
        _, rendered = look(tmp_path, *datasets)
        assert {i.frame.transform for i in rendered.images} == {"identity"}
        return {i.is_orientation_known for i in rendered.images}

    assert known(echo()) == {False}
    assert known(echo(PatientOrientation=["R", "F"])) == {False}
    assert known(echo(Laterality="L", PatientOrientation=["R", "F"])) == {True}
    assert known(echo(1, Laterality="L"), echo(2, Laterality="R")) == {False}


# The eye, the skin.


def test_both_eyes_are_seen_right_first(tmp_path: Path) -> None:
    photographs = [
        made(
            uid.OphthalmicPhotography8BitImageStorage,
            "OP",
            np.full((6, 6, 3), 90, np.uint8),
            number,
            ImageLaterality="L" if number < 8 else "R",
        )
        for number in range(1, 15)
    ]
    _, rendered = look(tmp_path, *photographs, limit=2)
    assert [i.frame.sop_instance_uid[-2:] for i in rendered.images] == ["11", ".4"]
    assert not any(i.is_orientation_known for i in rendered.images)


def test_a_tomogram_of_the_eye_gives_slices_of_its_volume(tmp_path: Path) -> None:
    volume = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 6, 8), np.uint8)
    dataset = made(uid.OphthalmicTomographyImageStorage, "OPT", volume, ImageLaterality="R")
    _, rendered = look(tmp_path, dataset)
    assert [i.frame.frame_number for i in rendered.images] == [13, 38, 63, 88]
    assert all(i.is_orientation_known for i in rendered.images)


def test_a_photograph_of_the_skin_is_turned_where_it_says_how_it_lies(tmp_path: Path) -> None:
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:, 0, 1] = 200
    mirrored = made(uid.VLPhotographicImageStorage, "XC", pixels, PatientOrientation=["R", "F"])
    _, rendered = look(tmp_path, mirrored)
    assert rendered.images[0].pixels[0, -1, 1] == 200
    assert rendered.images[0].is_orientation_known
    plain = made(uid.DermoscopicPhotographyImageStorage, "DMS", pixels)
    _, rendered = look(tmp_path, plain)
    assert np.array_equal(rendered.images[0].pixels, pixels)
    assert not rendered.images[0].is_orientation_known


# Slides.


def slide(number: int, tiles: NDArray[Any], kind: str) -> Dataset:
    dataset = made(uid.VLWholeSlideMicroscopyImageStorage, "SM", tiles, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    return dataset


def tiles(count: int, tissue: set[int]) -> NDArray[np.uint8]:
    """Return tiles of glass; those of tissue are a pattern of violet."""
    made_of = np.full((count, 8, 8, 3), 245, np.uint8)
    for tile in tissue:
        made_of[tile, ::2] = (150, 60, 140)
    return made_of


def test_a_slide_is_shown_by_its_thumbnail_and_tiles_with_tissue(tmp_path: Path) -> None:
    thumbnail = tiles(1, {0})[0]
    tissue = {n for n in range(80) if n % 7 == 3}
    level = slide(2, tiles(80, tissue), "VOLUME")
    fine = slide(3, tiles(320, set()), "VOLUME")
    coarse = slide(4, tiles(20, set()), "VOLUME")
    selection, rendered = look(tmp_path, fine, level, slide(1, thumbnail, "THUMBNAIL"), coarse)

    first, *others = rendered.images
    assert np.array_equal(first.pixels, thumbnail)
    assert len(others) == 3
    assert {i.frame.sop_instance_uid[-1] for i in others} == {"2"}
    assert {i.frame.frame_number - 1 for i in others} <= tissue
    assert "3 tiles" in selection.reasons[-1]
    assert rendered.unreadable == ()


def test_the_label_and_the_overview_of_a_slide_are_never_seen(tmp_path: Path) -> None:
    for kind in ("LABEL", "OVERVIEW"):
        dataset = slide(1, tiles(1, {0})[0], kind)
        header = read_header(write(dataset, tmp_path / "label.dcm"))
        assert obstacle(header) == "the label or overview of a slide"
        with pytest.raises(NotForUsError):
            select([header])


def test_a_slide_of_nothing_but_glass_shows_its_thumbnail_alone(tmp_path: Path) -> None:
    thumbnail = slide(1, tiles(1, set())[0], "THUMBNAIL")
    _, rendered = look(tmp_path, thumbnail, slide(2, tiles(80, set()), "VOLUME"))
    assert len(rendered.images) == 1


def test_a_slide_of_nothing_but_glass_without_a_thumbnail_shows_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotForUsError, match="All 32 tiles that were looked at show glass"):
        look(tmp_path, slide(1, tiles(80, set()), "VOLUME"))


def test_a_tile_is_decoded_without_the_slide(tmp_path: Path) -> None:
    """Every other tile's bytes are no picture: whoever decoded them would fail."""
    tile = np.full((8, 8, 3), (150, 60, 140), np.uint8)
    tile[::2] = 30
    dataset = slide(1, tile, "VOLUME")
    dataset.NumberOfFrames = 100
    single = dcmread(BytesIO(to_bytes(slide(9, tile, "VOLUME"))))
    single.compress(uid.RLELossless, generate_instance_uid=False)
    good = get_frame(single.PixelData, 0, number_of_frames=1)
    frames = [good if n == 50 else b"\xff" * len(good) for n in range(100)]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    path = tmp_path / "it.dcm"
    path.write_bytes(to_bytes(dataset, uid.RLELossless))
    assert np.array_equal(render(path, 51).pixels, tile)
    with pytest.raises(UnsupportedPixelsError):
        render(path, 50)
