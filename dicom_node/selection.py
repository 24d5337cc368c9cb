"""Which frames of a study the model sees, and why: a written rule, applied without looking.

Candidates are images that we read (`dicom_node.eligibility`): of the storage classes of a preset
(`dicom_node.presets`), no localizers, screen saves or phantoms, not made by ourselves; secondary
captures only where the site's rules let them in. Of the modalities the one with the most frames is
read, a clip or a slide's level counting once (first in the presets' order on a tie). Its frames are
chosen by its preset's rule: `views`, `stacks`, `stills`.

What is shown is in display orientation, and text that may name a patient is masked
(`dicom_node.masks`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.drafting import DraftContext, ModelImage
from core.errors import NotForUsError, UnsupportedPixelsError
from dicom_node.eligibility import READ_MODALITIES, is_secondary_capture, obstacle, read_as
from dicom_node.frame_choice import Choices, FrameChoice
from dicom_node.header import InstanceHeader
from dicom_node.patient_age import age_band
from dicom_node.pixels import render
from dicom_node.presets import FrameRule, preset_of
from dicom_node.stacks import choose_slices
from dicom_node.stills import choose_stills, choose_tiles
from dicom_node.views import choose_views

FRAME_LIMIT = 4
_CHOOSE: dict[FrameRule, Callable[[Sequence[InstanceHeader], int], Choices]] = {
    FrameRule.VIEWS: choose_views,
    FrameRule.SLICES: choose_slices,
    FrameRule.STILLS: choose_stills,
    FrameRule.SLIDE: choose_tiles,
}
# A tile is empty where hardly a pixel is darker than glass, or all are alike.
_GLASS, _LEAST_TISSUE, _LEAST_CONTRAST = 220, 0.05, 4.0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was chosen from a study.

    Attributes:
        reasons: Sentences on what was chosen and what was left, for the timeline.
        limit: So many of the frames are shown at most; a slide has more tiles to choose from.
    """

    modality: str
    frames: tuple[FrameChoice, ...]
    reasons: tuple[str, ...]
    limit: int = FRAME_LIMIT


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
        frames_of[read_as(instance)] += _weight(instance)
    modality = max(READ_MODALITIES, key=lambda m: (frames_of[m], -READ_MODALITIES.index(m)))
    ours = [i for i in candidates if read_as(i) == modality]
    frames, reasons = _CHOOSE[preset_of(modality).frames](ours, limit)
    others = {m for m, count in frames_of.items() if count and m != modality}
    if others:
        reasons = (*reasons, f"Left out: images of {', '.join(sorted(others))}.")
    return Selection(modality=modality, frames=frames, reasons=reasons, limit=limit)


def _weight(instance: InstanceHeader) -> int:
    """Return what an image counts where modalities are weighed: a clip is one look."""
    is_stack = preset_of(read_as(instance)).frames is FrameRule.SLICES
    return instance.number_of_frames if is_stack else 1


def render_selection(selection: Selection, path_of: Callable[[str], Path]) -> RenderedSelection:
    """Make the pictures of a selection, in display orientation.

    Args:
        selection: What `select` chose.
        path_of: From SOP Instance UID to file.

    Raises:
        NotForUsError: No chosen frame can be read, or the tiles of a slide are all empty.
    """
    images: list[ModelImage] = []
    unreadable: list[str] = []
    for choice in selection.frames:
        if len(images) == selection.limit:
            break
        frame = choice.frame
        try:
            path = path_of(frame.sop_instance_uid)
            picture = render(path, frame.frame_number, frame.transform, frame.window)
        except UnsupportedPixelsError as error:
            unreadable.append(
                f"Frame {frame.frame_number} of {frame.sop_instance_uid} was skipped: {error}"
            )
            continue
        if choice.is_spare and _is_empty(picture.pixels):
            continue
        if picture.masked:
            frame = replace(frame, reason=f"{frame.reason}; masked: {picture.masked}")
        images.append(
            ModelImage(
                pixels=picture.pixels,
                frame=frame,
                is_orientation_known=choice.orientation.is_known,
            )
        )
    if not images:
        if not unreadable:
            count = len(selection.frames)
            raise NotForUsError(f"All {count} tiles that were looked at show glass and no tissue.")
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
    ours = ", ".join(READ_MODALITIES)
    return f"The study holds no image that we read ({ours}){instead}."


def _is_empty(pixels: NDArray[np.uint8]) -> bool:
    """Say whether a tile shows glass and no tissue."""
    darkest = pixels.min(axis=2)
    has_tissue = float((darkest < _GLASS).mean()) >= _LEAST_TISSUE
    return not has_tissue or float(darkest.std()) < _LEAST_CONTRAST
