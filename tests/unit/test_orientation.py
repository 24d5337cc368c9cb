from __future__ import annotations

import itertools

import numpy as np
import pytest

from dicom_node.orientation import Transform, apply, display_transform

POSITIVE = "LPH"
AXIS = {"L": 0, "R": 0, "P": 1, "A": 1, "H": 2, "F": 2}
DISPLAY = {"frontal": "LF", "lateral": "PF", "axial": "LP"}
PAIRS = [(r, d) for r, d in itertools.permutations("LRAPHF", 2) if AXIS[r] != AXIS[d]]


def vector(letter: str) -> tuple[int, int, int]:
    sign = 1 if letter in POSITIVE else -1
    return tuple(sign if axis == AXIS[letter] else 0 for axis in range(3))


def coordinates(right: str, down: str) -> np.ndarray:
    """Return a picture whose pixels say where in the patient they lie, (H, W, 3)."""
    y, x = np.mgrid[:3, :5]
    return x[..., None] * np.array(vector(right)) + y[..., None] * np.array(vector(down))


def film(*letters: str):
    return display_transform(modality="CR", patient_orientation=letters)


def ct(*cosines: float, position: str = ""):
    return display_transform(modality="CT", image_orientation=cosines, patient_position=position)


@pytest.mark.parametrize(("right", "down"), PAIRS)
@pytest.mark.parametrize("source", ["letters", "cosines"])
def test_each_of_the_24_ways_to_store_a_plane_is_brought_to_display_orientation(
    right, down, source
):
    found = film(right, down) if source == "letters" else ct(*vector(right), *vector(down))
    turned = apply(found.transform, coordinates(right, down))
    wanted_right, wanted_down = DISPLAY[found.plane]
    assert found.is_known
    assert tuple(turned[0, 1] - turned[0, 0]) == vector(wanted_right)
    assert tuple(turned[1, 0] - turned[0, 0]) == vector(wanted_down)


@pytest.mark.parametrize(
    ("letters", "transform"),
    [
        (("L", "F"), "identity"),
        (("R", "F"), "flip_horizontal"),
        (("L", "H"), "flip_vertical"),
        (("R", "H"), "rotate_180"),
        (("F", "L"), "transpose"),
        (("LA", "F"), "identity"),
        (("L", "FP"), "identity"),
        (("RP", "F"), "flip_horizontal"),
        (("A", "F"), "flip_horizontal"),
    ],
)
def test_films_go_by_patient_orientation(letters, transform):
    assert film(*letters).transform == transform


@pytest.mark.parametrize(
    "letters",
    [
        (),
        ("",),
        ("L",),
        ("L", ""),
        ("L", "F", "H"),
        ("L", "R"),
        ("L", "L"),
        ("X", "F"),
        ("LR", "F"),
        ("LL", "F"),
        ("L F", "F"),
        ("LE", "F"),
        ("1", "2"),
        ("ل", "F"),
    ],
)
def test_a_patient_orientation_that_makes_no_sense_is_unknown_and_turns_nothing(letters):
    found = film(*letters)
    assert not found.is_known
    assert found.transform is Transform.IDENTITY


def test_a_film_does_not_go_by_patient_position():
    found = display_transform(modality="DX", patient_position="HFS")
    assert not found.is_known


@pytest.mark.parametrize(
    ("row", "column", "plane", "transform"),
    [
        ((0.9, 0.1, 0.43), (0, 0.97, -0.23), "axial", "identity"),
        ((1, 0, 0), (0, 0.6, -0.8), "frontal", "identity"),
        ((0.569, 0.822, 0), (0, 0, -1), "lateral", "identity"),
        ((0.05, 0.9987, 0), (0, 0, -1), "lateral", "identity"),
        # Rows of an axial plane turned a little more than half way to the back.
        ((0.6, 0.8, 0), (-0.8, 0.6, 0), "axial", "rotate_90"),
        ((0.8, 0.6, 0), (-0.6, 0.8, 0), "axial", "identity"),
    ],
)
def test_an_oblique_plane_goes_to_the_nearest_main_plane(row, column, plane, transform):
    row, column = np.array(row, float), np.array(column, float)
    column -= row * (row @ column) / (row @ row)
    found = ct(*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column)))
    assert (found.plane, found.transform) == (plane, transform)


@pytest.mark.parametrize(
    "cosines",
    [
        (1, 0, 0, 0, 1),
        (0, 0, 0, 0, 0, 0),
        (1, 0, 0, 1, 0, 0),
        (1, 0, 0, 0.5, 0.5, 0),
        (2, 0, 0, 0, 2, 0),
        (float("nan"), 0, 0, 0, 1, 0),
        (float("inf"), 0, 0, 0, 1, 0),
    ],
)
def test_cosines_that_are_no_directions_are_unknown(cosines):
    assert not ct(*cosines).is_known


# The direction cosines of an unturned slice by Patient Position.
BY_POSITION = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "HFDR": (0, 1, 0, -1, 0, 0),
    "HFDL": (0, -1, 0, 1, 0, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "FFDR": (0, -1, 0, -1, 0, 0),
    "FFDL": (0, 1, 0, 1, 0, 0),
}


@pytest.mark.parametrize("position", BY_POSITION)
def test_a_ct_without_image_orientation_goes_by_patient_position(position):
    by_position, by_cosines = ct(position=position), ct(*BY_POSITION[position])
    assert by_position.is_known
    assert by_position.transform == by_cosines.transform


def test_image_orientation_counts_more_than_patient_position():
    assert ct(1, 0, 0, 0, 1, 0, position="FFP").transform == "identity"


def test_an_mr_without_image_orientation_is_unknown():
    found = display_transform(modality="MR", patient_position="HFS")
    assert not found.is_known


def test_a_ct_with_a_position_that_nobody_knows_is_unknown():
    assert not ct(position="SITTING").is_known


@pytest.mark.parametrize("transform", Transform)
def test_a_transform_keeps_every_pixel_of_a_colour_picture(transform):
    picture = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    turned = apply(transform, picture)
    assert turned.shape[2] == 3
    assert turned.flags.c_contiguous
    assert sorted(map(tuple, turned.reshape(-1, 3))) == sorted(map(tuple, picture.reshape(-1, 3)))


def test_rotations_are_clockwise():
    corner = np.array([[1, 0], [0, 0]])
    assert apply("rotate_90", corner).tolist() == [[0, 1], [0, 0]]
    assert apply("rotate_270", corner).tolist() == [[0, 0], [1, 0]]


def test_an_unknown_transform_is_an_error():
    with pytest.raises(ValueError, match="upside_down"):
        apply("upside_down", np.zeros((2, 2)))
