"""A frame that the model is to see, where it lies, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.report import FrameReference
from dicom_node.eligibility import read_as
from dicom_node.header import InstanceHeader
from dicom_node.orientation import Orientation, Transform, display_transform
from dicom_node.presets import Sides, preset_of

_UNTURNED = Transform.IDENTITY
_LATERALITIES = ("R", "L")


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """A frame that the model is to see.

    Attributes:
        is_spare: It is a tile of a slide: more are chosen than shown, since many hold no tissue.
    """

    header: InstanceHeader
    frame: FrameReference
    orientation: Orientation
    is_spare: bool = False


# The frames, and sentences on what was chosen and what was left.
Choices = tuple[tuple[FrameChoice, ...], tuple[str, ...]]


def choice(
    instance: InstanceHeader,
    orientation: Orientation,
    frame_number: int,
    reason: str,
    *,
    window: str = "",
    is_spare: bool = False,
) -> FrameChoice:
    """Return a frame as it was chosen.

    Args:
        instance: Where it lies.
        orientation: How it lies.
        frame_number: 1-based.
        reason: Why it was chosen, in words for a person.
        window: Name of the window that it is shown through; empty for the object's own.
        is_spare: As in `FrameChoice`.
    """
    return FrameChoice(
        header=instance,
        orientation=orientation,
        is_spare=is_spare,
        frame=FrameReference(
            series_uid=instance.series_uid,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            frame_number=frame_number,
            transform=orientation.transform,
            reason=reason,
            window=window,
        ),
    )


def orientation_of(instance: InstanceHeader) -> Orientation:
    """Return how an image lies and what brings it to display orientation."""
    modality = read_as(instance)
    sides = preset_of(modality).sides
    laterality = instance.laterality.upper()
    if sides is Sides.LATERALITY:
        return _by_laterality(laterality)
    turned = display_transform(
        modality=modality,
        patient_orientation=instance.patient_orientation,
        image_orientation=instance.image_orientation,
        patient_position=instance.patient_position,
        laterality=laterality,
    )
    if sides is Sides.EITHER and not turned.is_known:
        return _by_laterality(laterality)
    return turned


def _by_laterality(laterality: str) -> Orientation:
    is_known = laterality in _LATERALITIES
    why = f"Laterality {laterality}" if is_known else "The object does not say its side."
    return Orientation(transform=_UNTURNED, is_known=is_known, why=why)


def instance_rank(instance: InstanceHeader) -> tuple[object, ...]:
    """Return what sorts the images of a series: by number, those without one last."""
    number = instance.instance_number
    return ((1, 0) if number is None else (0, number), instance.sop_instance_uid)


def series_rank(instance: InstanceHeader) -> tuple[object, ...]:
    """Return what sorts series: by number, those without one last."""
    number = instance.series_number
    return ((1, 0) if number is None else (0, number), instance.series_uid)


def spread(count: int, limit: int) -> list[int]:
    """Return the middles of `limit` equal parts of 0 .. count - 1; all where they are few."""
    if count <= limit:
        return list(range(count))
    return [int((k + 0.5) * count / limit) for k in range(limit)]


def named(instances: Sequence[InstanceHeader]) -> str:
    """Return how many images there are, in words."""
    return f"{len(instances)} image{'s' if len(instances) > 1 else ''}"
