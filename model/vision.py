"""From a picture to what the vision tower was trained on.

LLaVA with `image_aspect_ratio = pad` pads to a square with the mean colour, then scales. A plain
CLIP processor scales the shortest edge and cuts the middle out, which loses the edges of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import UnsupportedPixelsError

# Mean and standard deviation of CLIP's training pictures, for values 0 to 1 (OpenAI CLIP).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
# The mean colour cut off to whole numbers, as LLaVA's `expand2square` is called: (122, 116, 104).
PAD_COLOUR = tuple(int(mean * 255) for mean in CLIP_MEAN)

_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class ImageGeometry:
    """How the vision tower cuts a picture.

    Attributes:
        size: Edge of the square picture, in pixels.
        patch_size: Edge of one patch, in pixels.
        has_class_token: The tower's class token is kept as an image token (strategy ``full``).
    """

    size: int
    patch_size: int
    has_class_token: bool = False

    @property
    def token_count(self) -> int:
        """How many positions of the prompt one picture takes."""
        return (self.size // self.patch_size) ** 2 + int(self.has_class_token)


def pad_to_square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture in the middle of a square of the mean colour, as wide as its longer edge.

    Args:
        pixels: Array (H, W, 3).

    Returns:
        Array (S, S, 3) with S = max(H, W); the odd row or column goes below or to the right.
    """
    height, width, _ = pixels.shape
    side = max(height, width)
    square = np.empty((side, side, _CHANNELS), dtype=np.uint8)
    square[:] = PAD_COLOUR
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def to_pixel_values(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Return a picture as the tower takes it: padded, scaled (bicubic), normalised.

    Args:
        pixels: Array (H, W, 3), values 0 to 255.
        size: Edge of the tower's picture, in pixels.

    Returns:
        Array (3, size, size).

    Raises:
        UnsupportedPixelsError: The array is not a picture of that shape and type, or is empty.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != _CHANNELS or pixels.shape[2] != _CHANNELS:
        raise UnsupportedPixelsError(
            f"The model takes pictures (height, width, 3) of 8 bits, not {pixels.shape} of "
            f"{pixels.dtype}."
        )
    if not pixels.size:
        raise UnsupportedPixelsError("The picture for the model has no pixels.")
    scaled = Image.fromarray(pad_to_square(pixels)).resize(
        (size, size), resample=Image.Resampling.BICUBIC
    )
    values = np.asarray(scaled, dtype=np.float32) / np.float32(255)
    mean, deviation = (np.array(v, dtype=np.float32) for v in (CLIP_MEAN, CLIP_STD))
    values = (values - mean) / deviation
    return np.ascontiguousarray(values.transpose(2, 0, 1))  # (3, size, size)
