"""From the way a frame is stored to the way a radiologist looks at it.

A picture has a direction towards its right and one downwards, each named by the letter of the
patient's side that it points to (L, R, A, P, H, F; PS3.3 C.7.6.1.1.1). Display orientation is:

=============================  ===============  =====================================
Plane                          right, down      in words
=============================  ===============  =====================================
frontal, coronal               L, F             patient's right on the left, head up
lateral, sagittal              P, F             anterior on the left, head up
axial                          L, P             patient's right on the left, front up
mammogram, from above          P, L or A, R     chest wall right (right breast), left (left)
mammogram, oblique             P, F or A, F     the same, head up
=============================  ===============  =====================================

One of the eight symmetries of the rectangle brings any stored pair there. Oblique planes go to the
nearest of the three. A lateral film is turned the same way whichever side it was taken from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Transform(StrEnum):
    """The eight symmetries of a rectangle; rotations are clockwise, as seen."""

    IDENTITY = "identity"
    FLIP_HORIZONTAL = "flip_horizontal"
    FLIP_VERTICAL = "flip_vertical"
    ROTATE_90 = "rotate_90"
    ROTATE_180 = "rotate_180"
    ROTATE_270 = "rotate_270"
    TRANSPOSE = "transpose"
    ANTI_TRANSPOSE = "anti_transpose"


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """What brings a frame to display orientation, and how that is known.

    Attributes:
        is_known: False: nothing (usable) says how the frame lies, and left and right in the picture
            mean nothing; the transform is then the identity.
        why: What it was taken from, in words for a person.
        plane: ``frontal``, ``lateral``, ``axial``; empty where unknown.
    """

    transform: Transform
    is_known: bool
    why: str
    plane: str = ""


_T = Transform
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
# Axes of the patient coordinate system (LPS, PS3.3 C.7.6.2.1.1): positive, negative direction.
_AXES = ("LR", "PA", "HF")
_AXIS = {letter: axis for axis, letters in enumerate(_AXES) for letter in letters}
# Plane and (right, down) of its display, by the axes that lie in it.
_PLANES = {
    frozenset({0, 2}): ("frontal", ("L", "F")),
    frozenset({1, 2}): ("lateral", ("P", "F")),
    frozenset({0, 1}): ("axial", ("L", "P")),
}
# How a patient lies in a CT scanner, as (right, down) of the unturned axial slice, seen from the
# foot of the table: PS3.3 C.7.3.1.1.2. For objects that predate Image Orientation (Patient).
_POSITIONS = {
    "HFS": ("L", "P"),
    "HFP": ("R", "A"),
    "HFDR": ("P", "R"),
    "HFDL": ("A", "L"),
    "FFS": ("R", "P"),
    "FFP": ("L", "A"),
    "FFDR": ("A", "R"),
    "FFDL": ("P", "L"),
}
_PROJECTION_MODALITIES = frozenset({"CR", "DX", "MG"})
# A breast is hung by its side: laterality, plane, and (right, down).
_BREASTS = {
    ("R", "axial"): ("P", "L"),
    ("L", "axial"): ("A", "R"),
    ("R", "lateral"): ("P", "F"),
    ("L", "lateral"): ("A", "F"),
}
# Direction cosines are unit vectors at right angles; archives round them.
_COSINE_TOLERANCE = 0.05

_APPLY: dict[Transform, Callable[[NDArray[Any]], NDArray[Any]]] = {
    _T.IDENTITY: lambda a: a,
    _T.FLIP_HORIZONTAL: lambda a: a[:, ::-1],
    _T.FLIP_VERTICAL: lambda a: a[::-1],
    _T.ROTATE_90: lambda a: np.rot90(a, -1),
    _T.ROTATE_180: lambda a: a[::-1, ::-1],
    _T.ROTATE_270: lambda a: np.rot90(a, 1),
    _T.TRANSPOSE: lambda a: a.swapaxes(0, 1),
    _T.ANTI_TRANSPOSE: lambda a: a[::-1, ::-1].swapaxes(0, 1),
}


def apply(transform: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Turn a picture of shape (H, W) or (H, W, C); the result is contiguous.

    Raises:
        ValueError: There is no such transform.
    """
    return np.ascontiguousarray(_APPLY[Transform(transform)](pixels))


def display_transform(
    *,
    modality: str,
    patient_orientation: Sequence[str] = (),
    image_orientation: Sequence[float] = (),
    patient_position: str = "",
    laterality: str = "",
) -> Orientation:
    """Return what brings a frame to display orientation.

    Projection images (CR, DX, MG) go by Patient Orientation, a mammogram by its laterality too: it
    is unknown where either is, or where the plane is none of a breast's. All others go by Image
    Orientation (Patient), then Patient Orientation, and a CT then by Patient Position, as an
    unturned axial slice.

    Args:
        modality: DICOM modality.
        patient_orientation: (0020,0020), letters of rows' and columns' direction.
        image_orientation: (0020,0037), direction cosines of rows and columns.
        patient_position: (0018,5100), e.g. ``HFS``.
        laterality: (0020,0062), ``R`` or ``L``; of mammograms only.
    """
    by_letters = _by_letters(patient_orientation)
    candidates = [(by_letters, "Patient Orientation")]
    if modality not in _PROJECTION_MODALITIES:
        cosines = _by_cosines(image_orientation)
        candidates.insert(0, (cosines, "Image Orientation (Patient)"))
    if modality == "CT":
        candidates.append(
            (_POSITIONS.get(patient_position), f"Patient Position {patient_position}")
        )
    for directions, source in candidates:
        if not directions:
            continue
        plane, wanted = _PLANES[frozenset(_AXIS[letter] for letter in directions)]
        why = f"{source}: rows to {'/'.join(directions)}"
        if modality != "MG":
            return _orientation(*directions, wanted, plane, why)
        if hung := _BREASTS.get((laterality, plane)):
            return _orientation(*directions, hung, plane, f"{why}, breast {laterality}")
    return Orientation(
        transform=Transform.IDENTITY,
        is_known=False,
        why="The object does not say (usably) how the picture lies.",
    )


def _orientation(
    right: str, down: str, wanted: tuple[str, str], plane: str, why: str
) -> Orientation:
    left, up = _OPPOSITE[right], _OPPOSITE[down]
    # What points right and down once the picture was turned.
    turned = {
        (right, down): _T.IDENTITY,
        (left, down): _T.FLIP_HORIZONTAL,
        (right, up): _T.FLIP_VERTICAL,
        (left, up): _T.ROTATE_180,
        (up, right): _T.ROTATE_90,
        (down, left): _T.ROTATE_270,
        (down, right): _T.TRANSPOSE,
        (up, left): _T.ANTI_TRANSPOSE,
    }
    return Orientation(transform=turned[wanted], is_known=True, why=why, plane=plane)


def _by_letters(values: Sequence[str]) -> tuple[str, str] | None:
    """Return the main directions of Patient Orientation; None where it makes no sense.

    In a compound such as ``LA`` the first letter is the main one. Both values must name one
    direction each along two different axes, and no letter may contradict another.
    """
    if len(values) != 2 or not all(values):  # noqa: PLR2004 -- rows and columns
        return None
    if any(not _is_direction(value) for value in values):
        return None
    right, down = values[0][0], values[1][0]
    return None if _AXIS[right] == _AXIS[down] else (right, down)


def _is_direction(value: str) -> bool:
    axes = [_AXIS.get(letter) for letter in value]
    return None not in axes and len(set(axes)) == len(axes)


def _by_cosines(values: Sequence[float]) -> tuple[str, str] | None:
    """Return the main directions of six direction cosines; None where they are none.

    The normal decides which plane is nearest; within it, rows take the axis that fits better
    together with the columns' other one.
    """
    if len(values) != 6 or not all(math.isfinite(v) for v in values):  # noqa: PLR2004 -- two vectors
        return None
    row, column = np.asarray(values[:3], float), np.asarray(values[3:], float)
    lengths = np.array([row @ row, column @ column])
    if np.abs(lengths - 1).max() > _COSINE_TOLERANCE or abs(row @ column) > _COSINE_TOLERANCE:
        return None
    normal = np.abs(np.cross(row, column))
    first, second = (axis for axis in range(3) if axis != int(normal.argmax()))
    straight = abs(row[first]) + abs(column[second])
    crossed = abs(row[second]) + abs(column[first])
    if crossed > straight:
        first, second = second, first
    return _letter(first, row), _letter(second, column)


def _letter(axis: int, vector: NDArray[np.float64]) -> str:
    return _AXES[axis][0 if vector[axis] > 0 else 1]
