"""One frame's stored values, whatever the transfer syntax.

Compressed frames are decoded in a process of their own. The decoders are C and C++ on foreign
bytes: a JPEG with one wrong byte makes GDCM end its whole process, and a JPEG 2000 header that
claims a huge picture costs minutes and gigabytes. In a child that is a refusal; in a worker it
would be a study that kills whoever takes it up. It costs about half a second a frame.

Native pixels and RLE are read here, by NumPy. A large picture is made smaller on the way, by means
of blocks of its values: native pixels a few rows at a time, so that the whole is never in memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array, pixel_dtype
from pydicom.uid import UID

from dicom_node import PYDICOM_ERRORS, pydicom_warnings

# Chosen by name, so that the same file gives the same picture wherever it is decoded.
DECODERS: dict[str, str] = {
    uid.JPEGBaseline8Bit: "gdcm",
    uid.JPEGExtended12Bit: "gdcm",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    # NumPy; pylibjpeg's decoder panics on damaged segments.
    uid.RLELossless: "pydicom",
}
# The largest frame that we take, as JPEG 2000, needs some 40 s.
_DECODING_SECONDS = 120
# What a decoder may take beyond what is mapped when it starts: a base, and so many frames.
_BASE_BYTES, _FRAMES_IN_MEMORY = 512 << 20, 8
# Rows of the small picture that are made at a time.
_ROWS_AT_A_TIME = 64
_WHOLE_BYTES = (8, 16)
_PLAIN_INTERPRETATIONS = ("MONOCHROME1", "MONOCHROME2", "RGB")


def decode(
    path: Path,
    frame_number: int,
    syntax: UID,
    frame_bytes: int,
    reduction: int = 1,
) -> NDArray[Any]:
    """Return a frame's stored values, (H, W) or (H, W, samples); YBR has become RGB.

    Args:
        path: A DICOM file.
        frame_number: 1-based.
        syntax: Its transfer syntax.
        frame_bytes: How large the decoded frame is to be; limits the decoder's memory.
        reduction: So many rows and columns become one, by their mean; negative where the values are
            numbers of a palette's colours, which have none. What is left over at the right and
            lower edge, fewer than that, is dropped.

    Raises:
        One of `PYDICOM_ERRORS`, OSError or MemoryError: It cannot be decoded.
    """
    if syntax in DECODERS and syntax != uid.RLELossless:
        return _decode_apart(path, frame_number, frame_bytes, reduction)
    if reduction > 1 and (native := _native_rows(path, frame_number, syntax)) is not None:
        return _reduced(native, reduction)
    return _reduced(_decode_here(path, frame_number, syntax), reduction)


def _reduced(values: NDArray[Any], reduction: int) -> NDArray[Any]:
    """Return the means of blocks of values; of numbers of a palette's colours every n-th.

    Args:
        values: Array (H, W) or (H, W, samples), possibly on disk.
        reduction: Edge of a block; negative for a palette's numbers, which have no mean.
    """
    if abs(reduction) == 1:
        return values
    if reduction < 0:
        return values[::-reduction, ::-reduction]
    rows, columns = values.shape[0] // reduction, values.shape[1] // reduction
    small = np.empty((rows, columns, *values.shape[2:]), values.dtype)
    for first in range(0, rows, _ROWS_AT_A_TIME):
        last = min(first + _ROWS_AT_A_TIME, rows)
        block = values[first * reduction : last * reduction, : columns * reduction]
        # Down, then across: the first sum runs over memory as it lies, and leaves little to do.
        down = block.reshape(last - first, reduction, -1).sum(axis=1, dtype=np.float32)
        across = down.reshape(last - first, columns, reduction, *values.shape[2:]).sum(axis=2)
        means = across / reduction**2
        small[first:last] = np.rint(means) if values.dtype.kind in "iu" else means
    return small


def _native_rows(path: Path, frame_number: int, syntax: UID) -> NDArray[Any] | None:
    """Return a frame's values where they lie in the file; None where that is not possible."""
    if syntax not in (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian):
        return None
    with path.open("rb") as file:
        dataset = dcmread(file, stop_before_pixels=True)
        # Two bytes of VR, two of nothing, four of length; implicit has no VR.
        head = file.read(8 if syntax == uid.ImplicitVRLittleEndian else 12)
        offset = file.tell()
    samples = int(dataset.get("SamplesPerPixel", 1))
    is_plain = (
        head[:4] == b"\xe0\x7f\x10\x00"
        and dataset.BitsAllocated in _WHOLE_BYTES
        and dataset.BitsStored == dataset.BitsAllocated
        and dataset.PhotometricInterpretation in _PLAIN_INTERPRETATIONS
        and (samples == 1 or int(dataset.get("PlanarConfiguration") or 0) == 0)
    )
    if not is_plain:
        return None
    shape: tuple[int, ...] = (int(dataset.Rows), int(dataset.Columns))
    shape = (*shape, samples) if samples > 1 else shape
    dtype = pixel_dtype(dataset)
    offset += (frame_number - 1) * int(np.prod(shape)) * dtype.itemsize
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def _decode_apart(path: Path, frame_number: int, frame_bytes: int, reduction: int) -> NDArray[Any]:
    allowance = _BASE_BYTES + _FRAMES_IN_MEMORY * frame_bytes
    numbers = map(str, (frame_number, allowance, reduction))
    command = [sys.executable, "-m", __name__, str(path), *numbers]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_DECODING_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError("decoding takes too long") from None
    if done.returncode != 0:
        raise ValueError(f"the decoder ended with {done.returncode}")
    values: NDArray[Any] = np.load(BytesIO(done.stdout), allow_pickle=False)
    return values


def _decode_here(path: Path, frame_number: int, syntax: UID) -> NDArray[Any]:
    plugin = DECODERS.get(syntax, "")
    if syntax == uid.JPEGExtended12Bit:
        dataset = dcmread(path)
        if dataset.BitsStored > 8:  # noqa: PLR2004 -- bits
            return _decode_jpeg_12_bit(dataset, frame_number)
    try:
        return pixel_array(path, index=frame_number - 1, decoding_plugin=plugin)
    except RuntimeError:
        # The decoder itself said no, and would again.
        raise
    except (*PYDICOM_ERRORS, OSError):
        # A deflated data set, or one that pydicom only finds its way through as a whole.
        return pixel_array(dcmread(path), index=frame_number - 1, decoding_plugin=plugin)


def _decode_jpeg_12_bit(dataset: Dataset, frame_number: int) -> NDArray[Any]:
    """Decode JPEG Extended of 12 bits with GDCM, array (H, W).

    pydicom 3.0 refuses to hand these to GDCM, whose result is nevertheless the same, pixel by
    pixel, as that of DCMTK's dcmdjpeg.
    """
    import gdcm

    frames = int(dataset.get("NumberOfFrames") or 1)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(
        get_frame(dataset.PixelData, frame_number - 1, number_of_frames=frames)
    )
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    syntax = gdcm.TransferSyntax.GetTSType(str(uid.JPEGExtended12Bit))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    stored = dataset.BitsStored
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, dataset.PixelRepresentation))
    # GDCM hands bytes over as text.
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(data, pixel_dtype(dataset)).reshape(dataset.Rows, dataset.Columns)


def _main(path: str, frame_number: str, allowance: str, reduction: str) -> None:
    """Decode one frame in this process and write it to standard output in NumPy's format."""
    with suppress(OSError):
        # Linux only: elsewhere the time limit is the only one.
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + int(allowance)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # A decoder that dies leaves no picture of a patient behind in a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with pydicom_warnings("ignore"):
        syntax = UID(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
        values = _decode_here(Path(path), int(frame_number), syntax)
        np.save(sys.stdout.buffer, _reduced(values, int(reduction)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
