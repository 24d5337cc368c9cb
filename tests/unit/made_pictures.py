"""Images of any class, made on the spot, and what is chosen and shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dicom_samples import add_pixels, instance, write
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.header import read_header
from dicom_node.selection import RenderedSelection, Selection, render_selection, select

GREY = np.full((40, 60), 90, np.uint8)


def look(folder: Path, *datasets: Dataset, limit: int = 4) -> tuple[Selection, RenderedSelection]:
    """Write objects, choose among them and make the pictures."""
    for dataset in datasets:
        write(dataset, folder / f"{dataset.SOPInstanceUID}.dcm")
    headers = [read_header(folder / f"{d.SOPInstanceUID}.dcm") for d in datasets]
    selection = select(headers, limit)
    return selection, render_selection(selection, lambda name: folder / f"{name}.dcm")


def made(
    sop_class: str, modality: str, pixels: NDArray[Any], number: int = 1, **attributes: Any
) -> Dataset:
    """Return an object of a class; more than one frame where the array has more dimensions."""
    dataset = instance(sop_class, number, Modality=modality, **attributes)
    is_colour = pixels.shape[-1] == 3
    if pixels.ndim - is_colour == 3:
        dataset.NumberOfFrames = len(pixels)
        add_pixels(dataset, pixels[0])
        data = pixels.tobytes()
        dataset.add_new("PixelData", "OW", data + b"\0" * (len(data) % 2))
    else:
        add_pixels(dataset, pixels)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset
