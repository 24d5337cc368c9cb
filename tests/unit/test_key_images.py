"""Key images and key object selections: what they show, what they name, and what is refused."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from dicom_samples import STUDY_UID, a_context, a_report, a_study_header, frames_of
from document_forms import form
from pydicom import dcmread, uid
from unit.report_strategies import picture

from core.drafting import ModelImage
from core.errors import TextIntegrityError
from core.report import FrameReference, Language, Patient, ReportStatus
from dicom_node.document_writing import frames_as_references
from dicom_node.documents import DocumentReference, KeyObjectTitle
from dicom_node.key_image import build_key_image, verify_key_image
from dicom_node.key_objects import build_key_objects, verify_key_objects

[FRAME] = frames_of("1.2.3")
OTHER_PATIENT = a_context(header=a_study_header(patient=Patient(id="MRN2")))
SLICE = FrameReference(
    series_uid=f"{STUDY_UID}.8",
    sop_class_uid=uid.EnhancedCTImageStorage,
    sop_instance_uid=f"{STUDY_UID}.8.1",
    frame_number=7,
)


def key_image(image: ModelImage, report=None, number: int = 1) -> bytes:
    return build_key_image(
        report=report or a_report(), context=a_context(), image=image, number=number
    )


def test_a_key_image_shows_what_the_model_saw_under_a_burned_in_mark():
    image = picture(FRAME, 600, 500)
    dataset = dcmread(BytesIO(key_image(image)))
    pixels = dataset.pixel_array
    assert pixels.shape == (600, 500, 3)
    np.testing.assert_array_equal(pixels[40:], image.pixels[40:])
    strip = pixels[:21, :200]
    assert (strip[..., 0].astype(int) - strip[..., 2] > 100).sum() > 200
    assert dataset.BurnedInAnnotation == "YES"
    assert dataset.SeriesDescription == "AI DRAFT - NOT VERIFIED"
    [source] = dataset.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == FRAME.sop_instance_uid
    assert dataset.DeviceUID
    # The picture handed in stays as it was.
    assert (image.pixels == picture(FRAME, 600, 500).pixels).all()


def test_a_key_image_of_a_multi_frame_object_names_the_frame():
    [source] = dcmread(BytesIO(key_image(picture(SLICE)))).SourceImageSequence
    assert source.ReferencedFrameNumber == 7


def test_a_key_image_of_a_signed_report_is_no_draft():
    signed = dcmread(BytesIO(key_image(picture(FRAME), form(ReportStatus.SIGNED))))
    assert "DRAFT" not in signed.SeriesDescription


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (1, 5000), (5000, 1), (301, 299)])
def test_a_mark_fits_into_a_picture_of_every_size(size):
    dataset = dcmread(BytesIO(key_image(picture(FRAME, *size))))
    rows, columns = dataset.pixel_array.shape[:2]
    assert rows % size[0] == columns % size[1] == 0
    assert max(rows, columns) <= 5000


def test_a_picture_without_pixels_is_refused():
    empty = ModelImage(pixels=np.zeros((0, 4, 3), np.uint8), frame=FRAME, is_orientation_known=True)
    with pytest.raises(ValueError):
        key_image(empty)


def test_key_images_of_a_report_share_a_series_and_differ_in_uid():
    first, second = (dcmread(BytesIO(key_image(picture(FRAME), number=n))) for n in (1, 2))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_a_key_image_that_shows_something_else_is_refused():
    image = picture(FRAME)
    data = key_image(image)
    changed = bytearray(data)
    changed[-1000] ^= 1
    turned = ModelImage(pixels=image.pixels[:, ::-1].copy(), frame=FRAME, is_orientation_known=True)
    draft = {"report": a_report(), "context": a_context()}
    verify_key_image(data, image=image, **draft)
    for arguments in (
        {"data": bytes(changed), "image": image, **draft},
        {"data": data, "image": turned, **draft},
        {"data": data, "image": image, "report": a_report(), "context": OTHER_PATIENT},
        {"data": data, "image": image, **draft, "report": form(ReportStatus.SIGNED)},
    ):
        with pytest.raises(TextIntegrityError):
            verify_key_image(**arguments)


# Key object selections.

DRAFTS = [
    DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4"),
    DocumentReference(
        sop_instance_uid="1.2.5", series_uid="1.2.6", sop_class_uid=uid.EncapsulatedPDFStorage
    ),
    DocumentReference(
        sop_instance_uid="1.2.7", series_uid="1.2.8", sop_class_uid=uid.SecondaryCaptureImageStorage
    ),
]


def selection(title: KeyObjectTitle, references=DRAFTS, **options) -> bytes:
    return build_key_objects(
        title=title,
        references=references,
        model=a_report().model,
        context=a_context(),
        **options,
    )


@pytest.mark.parametrize("title", KeyObjectTitle)
def test_a_selection_names_each_object_by_its_kind_and_as_evidence(title):
    dataset = dcmread(BytesIO(selection(title)))
    assert dataset.SOPClassUID == uid.KeyObjectSelectionDocumentStorage
    assert dataset.ConceptNameCodeSequence[0].CodeValue == title
    named = [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in dataset.ContentSequence
        if "ReferencedSOPSequence" in item
    ]
    assert named == [("COMPOSITE", "1.2.3"), ("COMPOSITE", "1.2.5"), ("IMAGE", "1.2.7")]
    [study] = dataset.CurrentRequestedProcedureEvidenceSequence
    assert [s.SeriesInstanceUID for s in study.ReferencedSeriesSequence] == [
        "1.2.4",
        "1.2.6",
        "1.2.8",
    ]
    modifiers = [
        item.ConceptCodeSequence[0].CodeValue
        for item in dataset.ContentSequence
        if item.get("ConceptNameCodeSequence")
        and item.ConceptNameCodeSequence[0].CodeValue == "113011"
    ]
    # TID 2010: a title modifier goes with this title, and with no other that we write.
    assert bool(modifiers) is (title is KeyObjectTitle.REJECTED_FOR_QUALITY)


def test_selections_of_one_version_have_uids_of_their_own():
    uids = {dcmread(BytesIO(selection(title))).SOPInstanceUID for title in KeyObjectTitle}
    assert len(uids) == len(KeyObjectTitle)


def test_a_frame_is_selected_by_its_number():
    data = selection(KeyObjectTitle.OF_INTEREST, frames_as_references([SLICE]))
    item = dcmread(BytesIO(data)).ContentSequence[-1]
    assert item.ReferencedSOPSequence[0].ReferencedFrameNumber == 7


def test_nothing_cannot_be_selected():
    with pytest.raises(ValueError):
        selection(KeyObjectTitle.OF_INTEREST, [])


def test_a_selection_that_says_something_else_is_refused():
    title = KeyObjectTitle.REJECTED_FOR_QUALITY
    text = "رفضها طبيب الأشعة.\nالسبب: 10 mm"
    data = selection(title, text=text, language=Language.AR)
    right = {"title": title, "references": DRAFTS, "context": a_context(), "text": text}
    verify_key_objects(data, **right)
    for wrong in (
        {"title": KeyObjectTitle.REJECTED_FOR_SAFETY},
        {"references": DRAFTS[:2]},
        {"context": OTHER_PATIENT},
        {"text": text[:-1]},
    ):
        with pytest.raises(TextIntegrityError):
            verify_key_objects(data, **{**right, **wrong})
    with pytest.raises(TextIntegrityError):
        verify_key_objects(b"nothing", **right)


@pytest.mark.parametrize("text", ["\x01", "a\ufffd"])
def test_a_damaged_description_is_refused(text):
    with pytest.raises(TextIntegrityError):
        selection(KeyObjectTitle.OF_INTEREST, text=text)
