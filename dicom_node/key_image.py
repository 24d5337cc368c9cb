"""A picture that the model saw as Secondary Capture, with the report's state burned in.

Burned in, because a picture is dragged into mails and slides where no header goes along.

Source: PS3.3 A.8.1, C.7.6.1, C.7.6.3, C.8.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from core.drafting import ModelImage
from core.errors import TextIntegrityError
from core.identifiers import DocumentKind
from core.report import Report, standing
from dicom_node import document_writing as writing
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext
from dicom_node.header_text import described
from dicom_node.typesetting import mask

_SERIES_NUMBER = 9905
# Pictures with a shorter side are enlarged by a whole number, so that the mark can be read.
_SHORTEST_SIDE, _LONGEST_SIDE = 256, 4096
_MARK_COLOUR = (255, 214, 10)


def build_key_image(
    *, report: Report, context: DocumentContext, image: ModelImage, number: int
) -> bytes:
    """Return a picture as a whole DICOM file.

    Args:
        report: Whose state is burned in.
        context: Patient and study.
        image: What the model saw, windowed and in display orientation.
        number: 1 for the first picture of the report; decides the UID.

    Raises:
        ValueError: The picture is empty.
    """
    dataset = Dataset()
    with writing.refusing_loss():
        writing.write_beginning(
            dataset,
            context,
            report.model,
            sop_class_uid=uid.SecondaryCaptureImageStorage,
            kind=DocumentKind.KEY_IMAGE,
            language=None,
            number=number,
        )
        dataset.Modality = "OT"
        dataset.SeriesNumber = _SERIES_NUMBER
        dataset.SeriesDescription = _mark(report)
        # Type 2C: required of a body part that may be one of a pair, and nothing here says which.
        dataset.Laterality = ""
        dataset.ConversionType = "WSD"
        dataset.InstanceNumber = number
        # Type 2C: how the picture lies is known of it, but not along which axes of the patient.
        dataset.PatientOrientation = []
        dataset.ImageType = ["DERIVED", "SECONDARY"]
        dataset.BurnedInAnnotation = "YES"
        dataset.DerivationDescription = described(image.frame.reason) or "As the model saw it"
        dataset.SourceImageSequence = [_source(image)]
        _write_pixels(dataset, _marked(report, image.pixels))
        data = writing.to_file(dataset)
    verify_key_image(data, report=report, context=context, image=image)
    return data


def verify_key_image(
    data: bytes, *, report: Report, context: DocumentContext, image: ModelImage
) -> None:
    """Prove that an object shows this picture under the report's state, of the right patient.

    Raises:
        TextIntegrityError: A pixel, the state or the patient is another.
    """
    dataset = writing.from_file(data)
    writing.verify_patient_and_study(dataset, context.header)
    if dataset.get("SeriesDescription") != _mark(report):
        raise TextIntegrityError("The key image does not say the report's state.")
    wanted = _marked(report, image.pixels)
    size = (dataset.get("Rows"), dataset.get("Columns"))
    pixels = wanted.tobytes()
    if size != wanted.shape[:2] or bytes(dataset.get("PixelData", b""))[: len(pixels)] != pixels:
        raise TextIntegrityError("The key image does not show what the model saw.")


def _mark(report: Report) -> str:
    state = standing(report.status)
    return "KEY IMAGE, SELECTED BY AI" if state.is_final else f"{state.mark} - NOT VERIFIED"


def _source(image: ModelImage) -> Dataset:
    [document] = writing.frames_as_references([image.frame])
    item = writing.frame_item(document)
    item.PurposeOfReferenceCodeSequence = [terms.SOURCE_IMAGE.item()]
    return item


def _marked(report: Report, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) with the mark in a black strip on its upper edge."""
    if not pixels.size:
        raise ValueError("a picture without pixels")
    short, long = sorted(pixels.shape[:2])
    factor = max(1, min(-(-_SHORTEST_SIDE // short), _LONGEST_SIDE // long))
    marked = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    height = max(18, marked.shape[0] // 28)
    ink = mask(_mark(report), height)
    if ink.shape[1] > marked.shape[1]:
        ink = mask(_mark(report), max(1, height * marked.shape[1] // ink.shape[1]))
    rows, columns = map(min, ink.shape, marked.shape)
    strength = ink[:rows, :columns, None].astype(np.uint16)
    marked[:rows, :columns] = (strength * np.array(_MARK_COLOUR, np.uint16) // 255).astype(np.uint8)
    return marked


def _write_pixels(dataset: Dataset, pixels: NDArray[np.uint8]) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    data = pixels.tobytes()
    dataset.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
