"""Which frames of a study the model sees, and why: a written rule, applied without looking.

Candidates are images that we read (`dicom_node.eligibility`): of the radiography, CT and MR storage
classes, no localizers, screen saves or phantoms, not made by ourselves; secondary captures only
where the site's rules let them in. Of the modalities CR, DX, CT and MR the one with the most frames
is read (first of that list on a tie).

**CR and DX**: one image a view, at most `limit`, frontal views before lateral before others. A view
is body part, laterality and View Position, or the plane by Patient Orientation where View Position
is absent; an image that says neither is a view of its own. Of several images of a view the one is
taken that comes first by: not for processing; not SECONDARY in Image Type; newest;
largest; SOP Instance UID.

**CT and MR**: one stack, that is the slices of one series that have plane, matrix and direction in
common. Stacks with fewer than half as many slices as the largest are out; of the rest the first by:
axial; ORIGINAL; most slices; largest matrix; lowest series number; Series Instance UID. Its slices
are sorted by their place along the patient's axis (head to feet, anterior to posterior, right to
left), one a place, by instance number where the place is unknown; multi-frame objects give their
frames in order. Then `limit` slices are taken from the middles of as many equal parts, so that the
ends, mostly empty, are left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import uid

from core.drafting import DraftContext, ModelImage
from core.errors import NotForUsError, UnsupportedPixelsError
from core.report import FrameReference
from dicom_node.eligibility import READ_MODALITIES, is_secondary_capture, obstacle, read_as
from dicom_node.header import InstanceHeader
from dicom_node.orientation import Orientation, display_transform
from dicom_node.patient_age import age_band
from dicom_node.pixels import render

FRAME_LIMIT = 4
# Direction cosines of slices of one stack; about one degree.
_SAME_DIRECTION = 0.02
_PLANE_ORDER = {"frontal": 0, "lateral": 1}
_VIEW_PLANES = {
    "PA": "frontal",
    "AP": "frontal",
    "LL": "lateral",
    "RL": "lateral",
    "LAT": "lateral",
}
# Along which axis (LPS) a plane is stacked, and the sign that sorts head to feet, front to back,
# right to left.
_STACKING = {"axial": (2, -1.0), "frontal": (1, 1.0), "lateral": (0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """A frame that the model is to see."""

    header: InstanceHeader
    frame: FrameReference
    orientation: Orientation


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was chosen from a study.

    Attributes:
        reasons: Sentences on what was chosen and what was left, for the timeline.
    """

    modality: str
    frames: tuple[FrameChoice, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RenderedSelection:
    """The pictures, and a sentence for each chosen frame that could not be read."""

    images: tuple[ModelImage, ...]
    unreadable: tuple[str, ...]


def select(
    instances: Sequence[InstanceHeader],
    limit: int = FRAME_LIMIT,
    *,
    with_secondary_captures: bool = False,
) -> Selection:
    """Choose the frames of a study by the rule above; the order of instances does not matter.

    Args:
        instances: The study's images.
        limit: At most so many frames.
        with_secondary_captures: The secondary captures among them were let in by a rule.

    Raises:
        NotForUsError: There is nothing that we read.
    """
    candidates = [
        i
        for i in instances
        if not obstacle(i) and (with_secondary_captures or not is_secondary_capture(i))
    ]
    if not candidates:
        raise NotForUsError(_why_nothing(instances))
    frames_of: dict[str, int] = defaultdict(int)
    for instance in candidates:
        frames_of[read_as(instance)] += instance.number_of_frames
    modality = max(READ_MODALITIES, key=lambda m: (frames_of[m], -READ_MODALITIES.index(m)))
    ours = [i for i in candidates if read_as(i) == modality]
    choose = _choose_views if modality in {"CR", "DX"} else _choose_slices
    frames, reasons = choose(ours, limit)
    others = {m for m, count in frames_of.items() if count and m != modality}
    if others:
        reasons = (*reasons, f"Left out: images of {', '.join(sorted(others))}.")
    return Selection(modality=modality, frames=frames, reasons=reasons)


def render_selection(selection: Selection, path_of: Callable[[str], Path]) -> RenderedSelection:
    """Make the pictures of a selection, in display orientation.

    Args:
        selection: What `select` chose.
        path_of: From SOP Instance UID to file.

    Raises:
        NotForUsError: No chosen frame can be read.
    """
    images: list[ModelImage] = []
    unreadable: list[str] = []
    for choice in selection.frames:
        frame = choice.frame
        try:
            pixels = render(path_of(frame.sop_instance_uid), frame.frame_number, frame.transform)
        except UnsupportedPixelsError as error:
            unreadable.append(
                f"Frame {frame.frame_number} of {frame.sop_instance_uid} was skipped: {error}"
            )
            continue
        images.append(
            ModelImage(pixels=pixels, frame=frame, is_orientation_known=choice.orientation.is_known)
        )
    if not images:
        raise NotForUsError(f"No image of the study can be read. {unreadable[0]}")
    return RenderedSelection(images=tuple(images), unreadable=tuple(unreadable))


def draft_context(selection: Selection, indication: str = "") -> DraftContext:
    """Return what a model is told of a study besides its pictures, by its first frame.

    Body part and view come from attributes that somebody may have typed into: only what has the
    form of a DICOM code string without digits passes.
    """
    header = selection.frames[0].header
    return DraftContext(
        modality=selection.modality,
        body_part=_code(header.body_part),
        view=_code(header.view_position),
        sex=header.patient.sex,
        age_band=age_band(header),
        indication=indication,
    )


def _code(text: str) -> str:
    return text if re.fullmatch(r"[A-Z][A-Z _]{0,15}", text) else ""


def _why_nothing(instances: Sequence[InstanceHeader]) -> str:
    read = [i for i in instances if read_as(i) and not is_secondary_capture(i) and not i.is_own]
    if obstacles := {obstacle(i) for i in read}:
        return f"No image of the study is drafted for: each is {' or '.join(sorted(obstacles))}."
    seen = sorted({i.modality or "unknown" for i in instances if not i.is_own})
    instead = f"; it holds: {', '.join(seen)}" if seen else ""
    return f"The study holds no CR, DX, CT or MR image that we read{instead}."


def _orientation(instance: InstanceHeader) -> Orientation:
    return display_transform(
        modality=read_as(instance),
        patient_orientation=instance.patient_orientation,
        image_orientation=instance.image_orientation,
        patient_position=instance.patient_position,
    )


def _choice(
    instance: InstanceHeader, orientation: Orientation, frame_number: int, reason: str
) -> FrameChoice:
    return FrameChoice(
        header=instance,
        orientation=orientation,
        frame=FrameReference(
            series_uid=instance.series_uid,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            frame_number=frame_number,
            transform=orientation.transform,
            reason=reason,
        ),
    )


# Projection images.


def _choose_views(
    instances: Sequence[InstanceHeader], limit: int
) -> tuple[tuple[FrameChoice, ...], tuple[str, ...]]:
    views: dict[tuple[str, ...], list[InstanceHeader]] = defaultdict(list)
    for instance in instances:
        views[_view_key(instance)].append(instance)
    best = [(_best_of_view(images), len(images)) for images in views.values()]
    best.sort(key=lambda pair: _view_rank(pair[0]))
    chosen = tuple(
        _choice(image, _orientation(image), 1, _view_reason(image, count))
        for image, count in best[:limit]
    )
    reason = f"{len(chosen)} of {len(best)} views, from {len(instances)} images."
    return chosen, (reason,)


def _plane(instance: InstanceHeader) -> str:
    if instance.view_position:
        return _VIEW_PLANES.get(instance.view_position, "")
    return _orientation(instance).plane


def _view_key(instance: InstanceHeader) -> tuple[str, ...]:
    view = instance.view_position or _plane(instance) or instance.sop_instance_uid
    return (instance.body_part, instance.laterality, view)


def _view_rank(instance: InstanceHeader) -> tuple[int, str, str]:
    return (
        _PLANE_ORDER.get(_plane(instance), 2),
        instance.acquired_at,
        instance.sop_instance_uid,
    )


def _best_of_view(images: Iterable[InstanceHeader]) -> InstanceHeader:
    return max(
        images,
        key=lambda i: (
            not _is_for_processing(i),
            "SECONDARY" not in i.image_type,
            i.acquired_at,
            i.rows * i.columns,
            i.sop_instance_uid,
        ),
    )


def _is_for_processing(instance: InstanceHeader) -> bool:
    return (
        instance.presentation_intent == "FOR PROCESSING"
        or instance.sop_class_uid == uid.DigitalXRayImageStorageForProcessing
    )


def _view_reason(image: InstanceHeader, count: int) -> str:
    view = image.view_position or _plane(image)
    name = f"view {view}" if view else "a view without a name"
    return f"the only image of {name}" if count == 1 else f"preferred of {count} images of {name}"


# Stacks of slices.


@dataclass(frozen=True, kw_only=True)
class _Slice:
    instance: InstanceHeader
    frame_number: int
    place: float | None  # mm along the stacking axis, signed so that it sorts


def _choose_slices(
    instances: Sequence[InstanceHeader], limit: int
) -> tuple[tuple[FrameChoice, ...], tuple[str, ...]]:
    stacks = _stacks(instances)
    slices_of = [_sort_slices(stack) for stack in stacks]
    largest = max(map(len, slices_of))
    slices = min((s for s in slices_of if len(s) * 2 >= largest), key=_stack_rank)
    first, count = slices[0].instance, len(slices)
    orientation = _orientation(first)
    number = "without a number" if first.series_number is None else str(first.series_number)
    name = f"series {number} ({orientation.plane or 'plane unknown'}, {count} slices)"
    chosen = tuple(
        _choice(
            slices[i].instance,
            orientation,
            slices[i].frame_number,
            f"slice {i + 1} of {count} of {name}, evenly spaced",
        )
        for i in _spread(count, limit)
    )
    reason = f"{len(chosen)} slices of {name}, the stack preferred of {len(stacks)}."
    return chosen, (reason,)


def _stacks(instances: Sequence[InstanceHeader]) -> list[list[InstanceHeader]]:
    stacks: list[list[InstanceHeader]] = []
    for instance in sorted(instances, key=_instance_rank):
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
        _orientation(first).plane != "axial",
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
        for i in sorted(stack, key=_instance_rank)
        for n in range(1, i.number_of_frames + 1)
    ]
    if any(s.place is None for s in slices):
        return slices
    one_a_place: dict[float, _Slice] = {}
    for piece in slices:
        # Archives write coordinates in mm with two digits at least.
        one_a_place.setdefault(round(piece.place or 0.0, 2), piece)
    return [one_a_place[place] for place in sorted(one_a_place)]


def _instance_rank(instance: InstanceHeader) -> tuple[object, ...]:
    number = instance.instance_number
    return ((1, 0) if number is None else (0, number), instance.sop_instance_uid)


def _place(instance: InstanceHeader) -> float | None:
    """Return where a slice lies along its normal in mm, the same way however it was stored."""
    plane = _orientation(instance).plane
    if not instance.image_position or not instance.image_orientation or not plane:
        return None
    row, column = np.asarray(instance.image_orientation, float).reshape(2, 3)
    normal = np.cross(row, column)
    axis, sign = _STACKING[plane]
    if normal[axis] * sign < 0:
        normal = -normal
    return float(normal @ np.asarray(instance.image_position))


def _spread(count: int, limit: int) -> list[int]:
    """Return the middles of `limit` equal parts of 0 .. count - 1; all where they are few."""
    if count <= limit:
        return list(range(count))
    return [int((k + 0.5) * count / limit) for k in range(limit)]
