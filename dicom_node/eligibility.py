"""What an image can be to a draft: the modality it is read as, and what keeps it out for good.

The one source of both for the rules, which decide whether an image starts a draft, and for the
selection, which chooses what the model sees. Attributes of the standard decide alone: names,
numbers and descriptions, which people type, never do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydicom import uid

from dicom_node.header import InstanceHeader
from dicom_node.presets import PRESETS

READ_MODALITIES = tuple(modality for preset in PRESETS for modality in preset.modalities)
# Modalities that may stand in an object of a class, the usual one first.
READ_CLASSES: dict[str, tuple[str, ...]] = {
    sop_class: modalities for preset in PRESETS for sop_class, modalities in preset.classes
}
SECONDARY_CAPTURE_CLASSES: frozenset[str] = frozenset(
    {
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
# A secondary capture may say OT or anything else; a site that names the class says it is a film.
_CAPTURE_MODALITY = "DX"


def read_as(image: InstanceHeader) -> str:
    """Return the modality that we read an image as; empty where it is none of ours."""
    if is_secondary_capture(image):
        return image.modality if image.modality in READ_MODALITIES else _CAPTURE_MODALITY
    family = READ_CLASSES.get(image.sop_class_uid, ())
    if image.modality and image.modality not in family:
        return ""
    return image.modality or next(iter(family), "")


def is_secondary_capture(image: InstanceHeader) -> bool:
    """Say whether an image is a picture of a picture: a scan, a screen, a dose sheet."""
    return image.sop_class_uid in SECONDARY_CAPTURE_CLASSES


def obstacle(image: InstanceHeader) -> str:
    """Return what an object is that keeps it out of every draft, whatever the rules say.

    Empty where nothing does. Secondary captures are not named here: a site's rule may let them in.
    """
    for is_kept_out, words in _OBSTACLES:
        if is_kept_out(image):
            return words
    if read_as(image):
        return ""
    # What stands there goes into reasons: only what looks like a modality.
    modality = image.modality if re.fullmatch(r"[A-Z0-9]{1,16}", image.modality) else "unknown"
    return f"no image that we read (modality {modality})"


def _is_phantom(image: InstanceHeader) -> bool:
    """Source: PS3.3 C.7.1.1 (Quality Control Subject), C.7.6.1 (Quality Control Image)."""
    marks = (image.quality_control_image, image.quality_control_subject)
    return "YES" in marks or image.body_part == "PHANTOM"


def _is_localizer(image: InstanceHeader) -> bool:
    """Source: PS3.3 C.8.2.1.1.1 (CT), C.8.16.1.3 (enhanced); SCOUT is some scanners' word."""
    return not {"LOCALIZER", "SCOUT"}.isdisjoint(image.image_type)


def _is_screen_save(image: InstanceHeader) -> bool:
    """These are no terms of the standard but what scanners write into Image Type.

    It is how a dose sheet shows that was stored as a CT image.
    """
    return any(
        value.startswith(("SCREEN SAVE", "SCREEN_SAVE", "DOSE")) for value in image.image_type
    )


def _is_slide_label(image: InstanceHeader) -> bool:
    """The label of a slide, or the overview that shows it: a name may be written there.

    Source: PS3.3 C.8.12.4.1.1 (Image Type of whole slide images).
    """
    is_slide = image.sop_class_uid == uid.VLWholeSlideMicroscopyImageStorage
    return is_slide and not {"LABEL", "OVERVIEW"}.isdisjoint(image.image_type)


_OBSTACLES: tuple[tuple[Callable[[InstanceHeader], bool], str], ...] = (
    (lambda image: image.is_own, "an object of our own"),
    (lambda image: not image.is_image, "no image"),
    (_is_phantom, "a phantom or quality control image"),
    (_is_localizer, "a localizer"),
    (_is_screen_save, "a screen save or dose sheet"),
    (_is_slide_label, "the label or overview of a slide"),
)
