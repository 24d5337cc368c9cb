"""What is painted over before the model sees a picture: text that may name a patient.

A model reads what stands in a picture, and could repeat it. Masked, in this order:

1. **Ultrasound regions** (0018,6011): all but the regions is black, also where the object says that
   no text is burned in: what lies between them is no picture.
2. **Burned In Annotation** (0028,0301) is NO: nothing more.
3. **The usual places**, where the object says YES: the upper and the lower tenth of the picture.
   Of an ultrasound that says nothing, the upper tenth, where the devices write the name.

Overlays (60xx) are never drawn; one that lies in unused bits of the pixels is cut off with them
when they are decoded.

Source: PS3.3 C.8.5.5 (regions), C.7.6.1.1.3 (burned in annotation), C.9.2 (overlays).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.presets import PRESETS

_TENTH = 10
# Regions that leave less than this of a picture are no description of it.
_LEAST_SHOWN = 0.05
_TEXT_ABOVE = frozenset(m for preset in PRESETS if preset.has_text_above for m in preset.modalities)
_CORNERS = (
    "RegionLocationMinY0",
    "RegionLocationMaxY1",
    "RegionLocationMinX0",
    "RegionLocationMaxX1",
)


def masked(
    pixels: NDArray[np.uint8], dataset: Dataset, reduction: int = 1
) -> tuple[NDArray[np.uint8], str]:
    """Return a picture with text painted black, and what was masked in words; empty for nothing.

    Args:
        pixels: Array (H, W, 3), as it lies in the object.
        dataset: The object's attributes.
        reduction: How many of the object's rows are one of the array.
    """
    words = []
    shown = _regions(dataset, pixels.shape, reduction)
    if shown is not None:
        pixels = np.where(shown[:, :, np.newaxis], pixels, 0).astype(np.uint8)
        words.append("all but the ultrasound regions")
    declared = str(dataset.get("BurnedInAnnotation") or "").upper()
    is_usual = dataset.get("Modality") in _TEXT_ABOVE and shown is None
    if declared == "YES" or (is_usual and declared != "NO"):
        rows = -(-pixels.shape[0] // _TENTH)
        pixels = pixels.copy()
        pixels[:rows] = 0
        words.append("the upper tenth")
        if declared == "YES":
            pixels[-rows:] = 0
            words[-1] = "the upper and the lower tenth"
    return pixels, ", ".join(words)


def _regions(dataset: Dataset, shape: tuple[int, ...], reduction: int) -> NDArray[np.bool_] | None:
    """Return where the regions lie, array (H, W); None where there are none that make sense."""
    shown = np.zeros(shape[:2], bool)
    for top, bottom, left, right in _boxes(dataset):
        # Both ends belong to a region.
        rows = slice(top // reduction, -(-(bottom + 1) // reduction))
        shown[rows, left // reduction : -(-(right + 1) // reduction)] = True
    return shown if shown.mean() >= _LEAST_SHOWN else None


def _boxes(dataset: Dataset) -> Iterator[tuple[int, int, int, int]]:
    for item in dataset.get("SequenceOfUltrasoundRegions") or []:
        corners: list[Any] = [item.get(name) for name in _CORNERS]
        if not all(isinstance(corner, int) and corner >= 0 for corner in corners):
            continue
        top, bottom, left, right = corners
        if top < bottom and left < right:
            yield top, bottom, left, right
