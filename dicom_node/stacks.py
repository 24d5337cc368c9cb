"""Evenly spaced slices of one stack: CT and MR.

A stack is the slices of one series that have plane, matrix and direction in common. Stacks with
fewer than half as many slices as the largest are out; of the rest the first by: axial; ORIGINAL;
most slices; largest matrix; lowest series number; Series Instance UID. Its slices are sorted by
their place along the patient's axis (head to feet, anterior to posterior, right to left), one a
place, by instance number where the place is unknown; multi-frame objects give their frames in
order. Then slices are taken from the middles of as many equal parts, so that the ends, mostly
empty, are left out.

A CT's slice is shown through each of several windows (`presets.CT_WINDOWS`), a picture each, as
many as leave room for two slices; an MR's through its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicom_node.eligibility import is_secondary_capture, read_as
from dicom_node.frame_choice import Choices, choice, instance_rank, orientation_of, spread
from dicom_node.header import InstanceHeader
from dicom_node.presets import ct_windows

# Direction cosines of slices of one stack; about one degree.
_SAME_DIRECTION = 0.02
# Along which axis (LPS) a plane is stacked, and the sign that sorts head to feet, front to back,
# right to left.
_STACKING = {"axial": (2, -1.0), "frontal": (1, 1.0), "lateral": (0, 1.0)}
_LEAST_SLICES = 2


@dataclass(frozen=True, kw_only=True)
class _Slice:
    instance: InstanceHeader
    frame_number: int
    place: float | None  # mm along the stacking axis, signed so that it sorts


def choose_slices(instances: Sequence[InstanceHeader], limit: int) -> Choices:
    """Choose slices, and the windows that they are shown through, by the rule above."""
    stacks = _stacks(instances)
    slices_of = [_sort_slices(stack) for stack in stacks]
    largest = max(map(len, slices_of))
    slices = min((s for s in slices_of if len(s) * 2 >= largest), key=_stack_rank)
    first, count = slices[0].instance, len(slices)
    orientation = orientation_of(first)
    number = "without a number" if first.series_number is None else str(first.series_number)
    name = f"series {number} ({orientation.plane or 'plane unknown'}, {count} slices)"
    windows = _windows(first, limit // min(count, _LEAST_SLICES))
    shown = spread(count, limit // len(windows))
    chosen = tuple(
        choice(
            slices[i].instance,
            orientation,
            slices[i].frame_number,
            f"slice {i + 1} of {count} of {name}, evenly spaced"
            + (f", {window} window" if window else ""),
            window=window,
        )
        for i in shown
        for window in windows
    )
    through = f" through {' and '.join(windows)} windows" if windows[0] else ""
    reason = f"{len(shown)} slices of {name}{through}, the stack preferred of {len(stacks)}."
    return chosen, (reason,)


def _windows(instance: InstanceHeader, most: int) -> tuple[str, ...]:
    """Return the names of the windows of a stack; an empty one where the object's own is taken."""
    # Pictures of a screen have no Hounsfield units.
    if read_as(instance) != "CT" or is_secondary_capture(instance):
        return ("",)
    names = tuple(window.name for window in ct_windows(instance.body_part))
    return names[: max(most, 1)]


def _stacks(instances: Sequence[InstanceHeader]) -> list[list[InstanceHeader]]:
    stacks: list[list[InstanceHeader]] = []
    for instance in sorted(instances, key=instance_rank):
        for stack in stacks:
            if _belong_together(stack[0], instance):
                stack.append(instance)
                break
        else:
            stacks.append([instance])
    return stacks


def _belong_together(a: InstanceHeader, b: InstanceHeader) -> bool:
    if (a.series_uid, a.rows, a.columns) != (b.series_uid, b.rows, b.columns):
        return False
    if len(a.image_orientation) != len(b.image_orientation):
        return False
    pairs = zip(a.image_orientation, b.image_orientation, strict=True)
    return all(abs(x - y) < _SAME_DIRECTION for x, y in pairs)


def _stack_rank(slices: Sequence[_Slice]) -> tuple[object, ...]:
    first = slices[0].instance
    number = first.series_number
    return (
        orientation_of(first).plane != "axial",
        "ORIGINAL" not in first.image_type,
        -len(slices),
        -first.rows * first.columns,
        (1, 0) if number is None else (0, number),
        first.series_uid,
    )


def _sort_slices(stack: Sequence[InstanceHeader]) -> list[_Slice]:
    """Return a stack's slices in the patient's order, one for each place.

    Several at one place are phases or echoes; the lowest instance number stands for them.
    """
    slices = [
        _Slice(instance=i, frame_number=n, place=_place(i) if i.number_of_frames == 1 else None)
        for i in sorted(stack, key=instance_rank)
        for n in range(1, i.number_of_frames + 1)
    ]
    if any(s.place is None for s in slices):
        return slices
    one_a_place: dict[float, _Slice] = {}
    for piece in slices:
        # Archives write coordinates in mm with two digits at least.
        one_a_place.setdefault(round(piece.place or 0.0, 2), piece)
    return [one_a_place[place] for place in sorted(one_a_place)]


def _place(instance: InstanceHeader) -> float | None:
    """Return where a slice lies along its normal in mm, the same way however it was stored."""
    plane = orientation_of(instance).plane
    if not instance.image_position or not instance.image_orientation or not plane:
        return None
    row, column = np.asarray(instance.image_orientation, float).reshape(2, 3)
    normal = np.cross(row, column)
    axis, sign = _STACKING[plane]
    if normal[axis] * sign < 0:
        normal = -normal
    return float(normal @ np.asarray(instance.image_position))
