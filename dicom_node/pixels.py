"""A stored frame as the radiologist would see it: uint8 (H, W, 3).

Order: decode, modality LUT, VOI LUT or window, inversion, then (in `render`) masks and display
orientation. A picture of more than 4096 pixels a side comes as means of 2 x 2 or more of its
pixels: what the model sees of it is smaller by far, and memory stays bounded.

Which window: the one that is asked for by name, where the object is a CT with rescaled values; else
a VOI LUT where the object has one, else its first window, else one of ours. For CT with rescaled
values that is a Hounsfield window by body part (`presets.CT_WINDOWS`); for everything else, and for
a CT without rescaling, the range between the 0.5th and 99.5th percentile of all pixels that are not
padding. A picture of one single value becomes mid-grey.

Source: DICOM PS3.3 C.7.6.3, C.7.5.1.1.2 (padding), C.11.1, C.11.2, C.11.6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.uid import UID

from core.errors import UnsupportedPixelsError
from dicom_node import PYDICOM_ERRORS, pydicom_warnings
from dicom_node.decoding import decode
from dicom_node.masks import masked
from dicom_node.orientation import apply
from dicom_node.presets import WINDOWS, ct_windows

MAX_SIDE = 20_000
MAX_FRAME_BYTES = 1_500_000_000
# The model sees some hundred pixels a side.
_WORKING_SIDE = 4096
_PERCENTILES = (0.5, 99.5)
_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
# Elements of the functional groups that concern grey values (PS3.3 C.7.6.16.2.9, C.7.6.16.2.10).
_GREY_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A frame as the model is to see it.

    Attributes:
        pixels: Array (H, W, 3), values 0 to 255, in display orientation.
        masked: What was painted over, in words; empty for nothing.
    """

    pixels: NDArray[np.uint8]
    masked: str = ""


def to_rgb(path: Path, frame_number: int = 1) -> NDArray[np.uint8]:
    """Return a frame as it is to be looked at, but as it lies in the object.

    Only the asked frame is decoded.

    Args:
        path: A DICOM file.
        frame_number: 1-based.

    Returns:
        Array (H, W, 3), values 0 to 255.

    Raises:
        UnsupportedPixelsError: No such frame, none of our decoders reads it, it is damaged, or it
            is beyond the limits of size.
    """
    return _read(path, frame_number, "")[0]


def render(
    path: Path, frame_number: int = 1, transform: str = "identity", window: str = ""
) -> Picture:
    """Return a frame in display orientation, text masked (`dicom_node.masks`).

    Args:
        path: A DICOM file.
        frame_number: 1-based.
        transform: What brings it to display orientation.
        window: A name of `presets.WINDOWS`, for a CT; empty for the object's own.

    Raises:
        UnsupportedPixelsError: As `to_rgb`.
    """
    rgb, dataset, reduction = _read(path, frame_number, window)
    pixels, words = masked(rgb, dataset, reduction)
    return Picture(pixels=apply(transform, pixels), masked=words)


def _read(path: Path, frame_number: int, window: str) -> tuple[NDArray[np.uint8], Dataset, int]:
    """Return a frame, its attributes, and how many of its rows are one of the array."""
    with pydicom_warnings("ignore"):
        syntax, size, reduction = _check_size(path, frame_number)
        try:
            dataset = _attributes(path, frame_number)
            is_palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
            by_means = -reduction if is_palette else reduction
            stored = decode(path, frame_number, syntax, size, by_means)
            if dataset.PhotometricInterpretation in _MONOCHROME:
                return _grey_to_rgb(stored, dataset, window), dataset, reduction
            return _colour_to_rgb(stored, dataset), dataset, reduction
        except (*PYDICOM_ERRORS, OSError, MemoryError):
            raise UnsupportedPixelsError(
                f"The picture cannot be decoded (transfer syntax {syntax.name}): it is damaged, or "
                "its kind is not supported."
            ) from None


def _check_size(path: Path, frame_number: int) -> tuple[UID, int, int]:
    """Return transfer syntax, bytes and reduction of a frame: what decides on memory."""
    try:
        dataset = dcmread(path, stop_before_pixels=True)
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        samples, bits = int(dataset.get("SamplesPerPixel", 1)), int(dataset.BitsAllocated)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except (*PYDICOM_ERRORS, OSError):
        raise UnsupportedPixelsError("The object does not describe a picture.") from None
    if not 1 <= frame_number <= frames:
        raise UnsupportedPixelsError(f"There is no frame {frame_number}; the object has {frames}.")
    size = rows * columns * samples * max(bits // 8, 1)
    if max(rows, columns) > MAX_SIDE or size > MAX_FRAME_BYTES:
        raise UnsupportedPixelsError(f"A picture of {columns} x {rows} pixels is beyond our limit.")
    return syntax, size, max(-(-max(rows, columns) // _WORKING_SIDE), 1)


def _attributes(path: Path, frame_number: int) -> Dataset:
    """Return the attributes that hold for a frame, those of its functional groups at the root."""
    dataset = dcmread(path, stop_before_pixels=True)
    for group in _functional_groups(dataset, frame_number):
        for name in _GREY_GROUPS:
            for item in group.get(name) or []:
                dataset.update(item)
    return dataset


def _functional_groups(dataset: Dataset, frame_number: int) -> Iterator[Dataset]:
    """Give the groups that hold for a frame: the shared ones, then its own."""
    yield from (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    yield from own[frame_number - 1 : frame_number]


def _grey_to_rgb(stored: NDArray[Any], dataset: Dataset, name: str) -> NDArray[np.uint8]:
    values = apply_modality_lut(stored, dataset)
    named = _named_window(name, dataset)
    grey = None if named else _through_voi_lut(values, dataset)
    if grey is None:
        values = values.astype(np.float32)
        window = named or _window_of(dataset) or _default_window(values, stored, dataset)
        grey = window.apply(values)  # (H, W), 0.0 to 1.0
    if _is_inverted(dataset):
        grey = 1.0 - grey
    levels = np.rint(np.nan_to_num(grey) * 255.0).astype(np.uint8)
    return np.repeat(levels[:, :, np.newaxis], 3, axis=2)  # (H, W, 3)


def _is_inverted(dataset: Dataset) -> bool:
    """Say whether low values are bright.

    Photometric Interpretation MONOCHROME1 and Presentation LUT Shape INVERSE are two ways of saying
    it; an object that says both is still inverted once.
    """
    return (
        dataset.PhotometricInterpretation == "MONOCHROME1"
        or dataset.get("PresentationLUTShape") == "INVERSE"
    )


def _through_voi_lut(values: NDArray[Any], dataset: Dataset) -> NDArray[np.float32] | None:
    """Return values through the first VOI LUT, scaled to 0.0 to 1.0; None where there is none.

    The nominal depth of a LUT is often larger than what it holds (16 bits announced, 12 used), so
    the deepest entry decides on the scale.
    """
    if not dataset.get("VOILUTSequence"):
        return None
    shown = apply_voi(values, dataset)
    entries = np.asarray(dataset.VOILUTSequence[0].LUTData, np.int64)
    depth = max(int(entries.max()).bit_length(), 8)
    return (shown / float(2**depth - 1)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which values are spread over the grey scale (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    center: float
    width: float
    function: str = "LINEAR"

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return grey levels 0.0 to 1.0."""
        center, width = self.center, self.width
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
        if self.function == "LINEAR":
            # The standard's LINEAR counts integer levels, so a width of 1 is a threshold.
            center, width = center - 0.5, max(width - 1.0, 1e-6)
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def _named_window(name: str, dataset: Dataset) -> Window | None:
    """Return a window of ours; None where none is asked for or its units mean nothing here."""
    if not name or not _is_in_hounsfield(dataset):
        return None
    return Window(center=WINDOWS[name].center, width=WINDOWS[name].width)


def _is_in_hounsfield(dataset: Dataset) -> bool:
    return dataset.get("Modality") == "CT" and dataset.get("RescaleIntercept") is not None


def _window_of(dataset: Dataset) -> Window | None:
    """Return the object's first window; None where it has none that can be used."""
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        return None
    if center is None or width is None or width < (1.0 if function == "LINEAR" else 1e-6):
        return None
    return Window(center=center, width=width, function=function)


def _first(value: Any) -> float | None:
    try:
        number = float(value[0] if isinstance(value, list | tuple) or _is_multi(value) else value)
    except (TypeError, ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None


def _is_multi(value: Any) -> bool:
    return hasattr(value, "__getitem__") and not isinstance(value, str)


def _default_window(values: NDArray[np.float32], stored: NDArray[Any], dataset: Dataset) -> Window:
    if _is_in_hounsfield(dataset):
        first = ct_windows(str(dataset.get("BodyPartExamined") or ""))[0]
        return Window(center=first.center, width=first.width)
    if dataset.get("BitsStored") == 1:
        return Window(center=0.5, width=1.0, function="LINEAR_EXACT")
    used = values[np.isfinite(values) & ~_padding(stored, dataset)]
    if not used.size:
        used = np.zeros(1, np.float32)
    low, high = (float(v) for v in np.percentile(used, _PERCENTILES))
    if high <= low:
        # The bulk is one value (a mask, an empty film): take all there is.
        low, high = float(used.min()), float(used.max())
    return Window(center=(low + high) / 2, width=max(high - low, 1e-6), function="LINEAR_EXACT")


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Return where pixels were filled in, by Pixel Padding Value and Range Limit."""
    first = _stored_value(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, bool)
    limit = _stored_value(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((first, first if limit is None else limit))
    return (stored >= low) & (stored <= high)


def _stored_value(dataset: Dataset, keyword: str) -> int | None:
    """Return a "US or SS" value as the pixels mean it; None where absent."""
    value = dataset.get(keyword)
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little")
    if not isinstance(value, int):
        return None
    if dataset.get("PixelRepresentation") == 1 and value > 0x7FFF:  # noqa: PLR2004 -- largest SS
        return value - 0x10000
    return value


def _colour_to_rgb(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Return colour as 8 bits; YBR has become RGB while it was decoded."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        # Entries of 16 bits that only ever use the low byte are a known mistake.
        depth = 16 if stored.dtype.itemsize > 1 and int(stored.max()) > 255 else 8  # noqa: PLR2004
    else:
        depth = int(dataset.BitsStored)
    if stored.ndim != 3 or stored.shape[2] != 3:  # noqa: PLR2004 -- (H, W, 3)
        raise ValueError("not three samples a pixel")
    if depth == 8:  # noqa: PLR2004 -- bits
        return np.ascontiguousarray(stored.astype(np.uint8))
    scaled = np.rint(stored.astype(np.float32) * (255.0 / float(2**depth - 1)))
    return np.clip(scaled, 0.0, 255.0).astype(np.uint8)
