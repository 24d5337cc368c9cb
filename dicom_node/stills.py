"""Images that stand for themselves, clips and small volumes, and slides.

**Stills** (ultrasound, photographs, tomograms of the eye): objects are sorted by laterality (right
first), series number, instance number, SOP Instance UID. Where there are more than `limit`, one
frame is taken from the middle object of as many equal parts, so that both eyes are seen. Where
there are fewer, the places that are left go round the clips and volumes, longest first; each gives
the middles of as many equal parts as it has places.

**Slides**: the label and the overview, on which a name may be written, are never taken
(`dicom_node.eligibility`). First comes the thumbnail: the largest image of one frame, THUMBNAIL in
Image Type preferred. Then tiles of one level of the pyramid, the coarsest with at least 64 tiles
(the one with most tiles where none has): eight times as many as are wanted, evenly spaced, of which
those without tissue are passed over when they are looked at. A tile is decoded by itself, the slide
never as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dicom_node.frame_choice import (
    Choices,
    FrameChoice,
    choice,
    instance_rank,
    orientation_of,
    series_rank,
    spread,
)
from dicom_node.header import InstanceHeader

_LEAST_TILES = 64
_TILES_LOOKED_AT = 8
_SIDE_ORDER = {"R": 0, "L": 1}


def choose_stills(instances: Sequence[InstanceHeader], limit: int) -> Choices:
    """Choose images and key frames of clips by the rule above."""
    objects = sorted(instances, key=_still_rank)
    taken = [objects[i] for i in spread(len(objects), limit)]
    places = _places(taken, limit)
    chosen = [
        choice(image, orientation_of(image), frame + 1, _still_reason(image, frame))
        for image in taken
        for frame in spread(image.number_of_frames, places[image.sop_instance_uid])
    ]
    reason = f"{len(chosen)} frames of {len(taken)} of {len(objects)} images and clips."
    return _with_one_side(chosen), (reason,)


def choose_tiles(instances: Sequence[InstanceHeader], limit: int) -> Choices:
    """Choose a slide's thumbnail and tiles by the rule above."""
    whole = [i for i in instances if i.number_of_frames == 1]
    levels = [i for i in instances if i.number_of_frames > 1]
    chosen: list[FrameChoice] = []
    reasons = []
    if whole:
        thumbnail = max(whole, key=_thumbnail_rank)
        orientation = orientation_of(thumbnail)
        chosen.append(choice(thumbnail, orientation, 1, "the whole slide, made small"))
    else:
        reasons.append("The slide has no thumbnail in one frame; tiles alone are shown.")
    places = limit - len(chosen)
    if levels and places:
        level = min(levels, key=_level_rank)
        count = level.number_of_frames
        chosen += [
            choice(
                level,
                orientation_of(level),
                tile + 1,
                f"tile {tile + 1} of {count} of a level of the slide, with tissue",
                is_spare=True,
            )
            for tile in spread(count, places * _TILES_LOOKED_AT)
        ]
        reasons.append(f"Up to {places} tiles of one of {len(levels)} levels.")
    return tuple(chosen), tuple(reasons)


def _still_rank(image: InstanceHeader) -> tuple[object, ...]:
    return (
        _SIDE_ORDER.get(image.laterality.upper(), len(_SIDE_ORDER)),
        series_rank(image),
        instance_rank(image),
    )


def _places(taken: Sequence[InstanceHeader], limit: int) -> Counter[str]:
    """Return how many frames each object gives."""
    places = Counter(image.sop_instance_uid for image in taken)
    clips = sorted(taken, key=lambda image: -image.number_of_frames)
    while (left := limit - places.total()) > 0:
        more = [i for i in clips if places[i.sop_instance_uid] < i.number_of_frames][:left]
        if not more:
            break
        places.update(image.sop_instance_uid for image in more)
    return places


def _with_one_side(chosen: Sequence[FrameChoice]) -> tuple[FrameChoice, ...]:
    """Return the choices; where they are of both sides nothing tells the model which is which."""
    sides = {c.header.laterality.upper() for c in chosen}
    if len(sides) <= 1:
        return tuple(chosen)
    return tuple(
        c
        if c.orientation.plane
        else replace(c, orientation=replace(c.orientation, is_known=False, why="Of two sides."))
        for c in chosen
    )


def _still_reason(image: InstanceHeader, frame: int) -> str:
    if image.number_of_frames == 1:
        return "an image by itself"
    return f"frame {frame + 1} of {image.number_of_frames}, evenly spaced"


def _thumbnail_rank(image: InstanceHeader) -> tuple[object, ...]:
    return (
        "THUMBNAIL" in image.image_type,
        image.rows * image.columns,
        image.sop_instance_uid,
    )


def _level_rank(image: InstanceHeader) -> tuple[object, ...]:
    count = image.number_of_frames
    is_large = count >= _LEAST_TILES
    return (not is_large, count if is_large else -count, image.sop_instance_uid)
