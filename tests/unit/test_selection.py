from __future__ import annotations

import random

import numpy as np
import pytest
from dicom_samples import (
    CHEST_CT_SLICES,
    STUDY_UID,
    add_pixels,
    ct_slices,
    ct_volume,
    instance,
    radiograph,
    real,
    write,
)
from pydicom import uid

from core.drafting import DraftContext
from core.errors import NotForUsError
from core.report import Patient
from dicom_node.header import InstanceHeader, read_header
from dicom_node.patient_age import age_band
from dicom_node.selection import draft_context, render_selection, select

_NUMBERS = iter(range(1, 10_000))


def film(**values) -> InstanceHeader:
    """Return the header of a chest film."""
    number = next(_NUMBERS)
    defaults = {
        "study_uid": STUDY_UID,
        "series_uid": f"{STUDY_UID}.1",
        "sop_instance_uid": f"{STUDY_UID}.2.{number}",
        "sop_class_uid": uid.DigitalXRayImageStorageForPresentation,
        "transfer_syntax_uid": uid.ExplicitVRLittleEndian,
        "patient": Patient(id="P1"),
        "modality": "DX",
        "body_part": "CHEST",
        "view_position": "PA",
        "patient_orientation": ("L", "F"),
        "rows": 100,
        "columns": 100,
        "instance_number": number,
    }
    return InstanceHeader(**{**defaults, **values})


def piece(series: str, place: float, **values) -> InstanceHeader:
    """Return the header of an axial MR slice at a height; a CT's is shown several times."""
    defaults = {
        "sop_class_uid": uid.MRImageStorage,
        "modality": "MR",
        "view_position": "",
        "patient_orientation": (),
        "series_uid": f"{STUDY_UID}.{series}",
        "series_number": int(series),
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "image_orientation": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        "image_position": (0.0, 0.0, place),
    }
    return film(**{**defaults, **values})


def stack(series: str, count: int, **values) -> list[InstanceHeader]:
    return [piece(series, 10.0 * i, **values) for i in range(count)]


def coronal_stack(series: str, count: int) -> list[InstanceHeader]:
    return [
        piece(series, 0.0, image_orientation=CORONAL, image_position=(0.0, 10.0 * i, 0.0))
        for i in range(count)
    ]


CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def chosen(instances, **options) -> list[InstanceHeader]:
    return [frame.header for frame in select(instances, **options).frames]


# Projection images.


def test_the_real_film_is_chosen_with_a_reason():
    selection = select([read_header(real("RG1_UNCR.dcm"))])
    [frame] = selection.frames
    assert selection.modality == "CR"
    assert frame.orientation.is_known
    assert frame.frame.transform == "identity"
    assert "PA" in frame.frame.reason
    assert selection.reasons


def test_one_image_a_view_frontal_first():
    lateral = film(view_position="LL", patient_orientation=("A", "F"))
    pa, again = film(acquired_at="20240101"), film(acquired_at="20240102")
    oblique = film(view_position="RAO")
    assert chosen([oblique, lateral, pa, again]) == [again, lateral, oblique]


def test_for_presentation_is_preferred_to_newer_for_processing():
    raw = film(
        sop_class_uid=uid.DigitalXRayImageStorageForProcessing,
        presentation_intent="FOR PROCESSING",
        acquired_at="20240109",
    )
    shown = film(presentation_intent="FOR PRESENTATION", acquired_at="20240101")
    assert chosen([raw, shown]) == [shown]
    assert chosen([raw]) == [raw]


def test_of_equals_the_primary_then_the_newest_then_the_largest_is_taken():
    secondary = film(image_type=("DERIVED", "SECONDARY"), acquired_at="20240109", rows=999)
    old = film(acquired_at="20240101", rows=999)
    small, large = film(acquired_at="20240102"), film(acquired_at="20240102", rows=500)
    assert chosen([secondary, old, small, large]) == [large]
    assert chosen([secondary, old, small]) == [small]
    assert chosen([secondary, old]) == [old]


def test_at_most_four_views():
    views = [film(view_position=name) for name in ("PA", "LL", "RAO", "LAO", "RPO", "LPO")]
    assert len(chosen(views)) == 4
    assert len(chosen(views, limit=2)) == 2


def test_films_that_name_no_view_and_no_orientation_are_all_taken():
    films = [film(view_position="", patient_orientation=()) for _ in range(2)]
    selection = select(films)
    assert len(selection.frames) == 2
    assert not any(frame.orientation.is_known for frame in selection.frames)


def test_films_without_view_position_are_told_apart_by_their_orientation():
    frontal = film(view_position="", acquired_at="20240102")
    lateral = film(view_position="", patient_orientation=("A", "F"), acquired_at="20240101")
    assert chosen([lateral, frontal]) == [frontal, lateral]


def test_both_hands_are_two_views():
    hands = [film(body_part="HAND", laterality=side) for side in "RL"]
    assert len(chosen(hands)) == 2


# CT and MR.


def test_slices_are_spread_evenly_and_avoid_the_ends():
    slices = stack("1", 40)
    random.Random(1).shuffle(slices)  # noqa: S311  any order will do
    heights = [header.image_position[2] for header in chosen(slices)]
    # Head to feet.
    assert heights == sorted(heights, reverse=True)
    assert heights == [340.0, 240.0, 140.0, 40.0]


def test_a_short_stack_is_taken_whole():
    assert len(chosen(stack("1", 3))) == 3
    assert len(chosen(stack("1", 1))) == 1


def test_localizers_are_never_chosen():
    scouts = stack("1", 50, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    slices = stack("2", 5)
    assert {h.series_uid for h in chosen(scouts + slices)} == {f"{STUDY_UID}.2"}
    with pytest.raises(NotForUsError, match="localizer"):
        select(scouts)


def test_an_axial_stack_is_preferred_unless_it_is_much_smaller():
    axial, coronal = stack("1", 20), coronal_stack("2", 30)
    assert {h.series_number for h in chosen(axial + coronal)} == {1}
    assert {h.series_number for h in chosen(axial[:10] + coronal)} == {2}


def test_original_most_slices_matrix_and_series_number_decide_in_that_order():
    derived = stack("1", 30, image_type=("DERIVED", "SECONDARY", "MIP"))
    few, many = stack("2", 20), stack("3", 24)
    fine, same = stack("4", 24, rows=512, columns=512), stack("5", 24, rows=512, columns=512)

    def series(*stacks):
        return {h.series_number for h in chosen([h for s in stacks for h in s])}

    assert series(derived, few) == {2}
    assert series(derived, few, many) == {3}
    assert series(derived, few, many, fine) == {4}
    assert series(derived, few, many, same, fine) == {4}


def test_three_planes_in_one_series_are_three_stacks():
    planes = stack("1", 4) + coronal_stack("1", 9)
    assert all(h.image_orientation == CORONAL for h in chosen(planes))


def test_directions_that_differ_in_the_last_digits_are_one_stack():
    slices = [
        piece("1", 10.0 * i, image_orientation=(1.0, (-1) ** i * 5e-3, 0.0, 0.0, 1.0, 0.0))
        for i in range(8)
    ]
    assert "8 slices" in select(slices).reasons[0]


def test_phases_at_one_place_count_once():
    phases = [piece("1", 10.0 * (i // 3)) for i in range(30)]
    assert "10 slices" in select(phases).reasons[0]


def test_slices_without_a_place_go_by_instance_number():
    slices = [piece("1", 0.0, image_position=(), instance_number=n) for n in (4, 2, None, 1, 3)]
    assert [h.instance_number for h in chosen(slices, limit=5)] == [1, 2, 3, 4, None]


def test_frames_of_an_enhanced_object_are_spread_too():
    volume = piece("1", 0.0, sop_class_uid=uid.EnhancedMRImageStorage, number_of_frames=40)
    frames = select([volume]).frames
    assert [f.frame.frame_number for f in frames] == [6, 16, 26, 36]


def test_the_modality_with_most_frames_is_read_and_the_other_is_named():
    selection = select([film(), *stack("2", 10)])
    assert selection.modality == "MR"
    assert "DX" in selection.reasons[-1]


def test_the_order_of_arrival_does_not_matter():
    instances = stack("1", 20) + coronal_stack("2", 20) + [film()]
    first = select(instances)
    random.Random(3).shuffle(instances)  # noqa: S311  any order will do
    assert select(instances) == first


# What is not for us.


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({"sop_class_uid": uid.NuclearMedicineImageStorage, "modality": "NM"}, "NM"),
        ({"sop_class_uid": uid.SecondaryCaptureImageStorage, "modality": "CT"}, "CT"),
        ({"sop_class_uid": uid.ComputedRadiographyImageStorage, "modality": "MG"}, "MG"),
        ({"sop_class_uid": uid.BasicTextSRStorage, "modality": "SR"}, "SR"),
        ({"sop_class_uid": "1.2.3", "modality": ""}, "unknown"),
    ],
)
def test_a_study_of_something_else_is_refused_with_what_was_seen(values, seen):
    with pytest.raises(NotForUsError, match=seen):
        select([film(**values)])


@pytest.mark.parametrize("instances", [[], [film(is_own=True)]])
def test_an_empty_study_and_one_of_our_own_objects_are_refused(instances):
    with pytest.raises(NotForUsError):
        select(instances)


def test_a_missing_modality_is_taken_from_the_class():
    assert select([film(modality="")]).modality == "DX"


# Pictures.


def files(datasets, folder):
    """Write objects; return their headers and where they lie."""
    paths = [write(d, folder / f"{d.SOPInstanceUID}.dcm") for d in datasets]
    return [read_header(p) for p in paths], lambda name: folder / f"{name}.dcm"


WAYS = {
    "HFS": ("L", "P"),
    "HFP": ("R", "A"),
    "FFS": ("R", "P"),
    "FFP": ("L", "A"),
    "HFDR": ("P", "R"),
    "HFDL": ("A", "L"),
    "FFDR": ("A", "R"),
    "FFDL": ("P", "L"),
}


@pytest.mark.parametrize("position", WAYS)
@pytest.mark.parametrize("with_orientation", [True, False])
def test_a_ct_gives_the_same_pictures_however_the_patient_lay(position, with_orientation, tmp_path):
    right, down = WAYS[position]
    datasets = ct_slices(
        right=right,
        down=down,
        with_orientation=with_orientation,
        PatientPosition=position,
        WindowCenter=0,
        WindowWidth=2000,
    )
    headers, path_of = files(datasets, tmp_path)
    rendered = render_selection(select(headers), path_of)
    lung, soft = (
        np.clip((ct_volume() - center + 0.5) / (width - 1) + 0.5, 0, 1) * 255
        for center, width in ((-600, 1500), (40, 400))
    )
    expected = (lung[3], soft[3], lung[9], soft[9])
    assert len(rendered.images) == 4
    for image, levels in zip(rendered.images, expected, strict=True):
        assert image.is_orientation_known
        assert image.pixels.shape[2] == 3
        assert np.abs(image.pixels[..., 0] - levels).max() <= 0.51


def test_a_stack_stored_from_feet_to_head_gives_the_same_pictures(tmp_path):
    datasets = ct_slices()
    headers, path_of = files(datasets, tmp_path)
    standard = select(headers)
    turned = [read_header(path_of(d.SOPInstanceUID)) for d in reversed(datasets)]
    assert select(turned) == standard
    assert CHEST_CT_SLICES == 12
    assert [f.header.instance_number for f in standard.frames] == [4, 4, 10, 10]


def test_a_frame_that_cannot_be_read_is_skipped_and_named(tmp_path):
    good, bad = radiograph(), radiograph(ViewPosition="AP")
    bad.SOPInstanceUID = f"{STUDY_UID}.1.77"
    bad.PixelData = bad.PixelData[:4]
    headers, path_of = files([good, bad], tmp_path)
    rendered = render_selection(select(headers), path_of)
    assert len(rendered.images) == 1
    [why] = rendered.unreadable
    assert bad.SOPInstanceUID in why


def test_a_study_without_a_readable_picture_is_not_for_us(tmp_path):
    bad = radiograph()
    bad.PixelData = bad.PixelData[:4]
    headers, path_of = files([bad], tmp_path)
    with pytest.raises(NotForUsError, match="No image"):
        render_selection(select(headers), path_of)


def test_a_file_that_is_gone_is_a_frame_that_cannot_be_read(tmp_path):
    headers, _ = files([radiograph()], tmp_path)
    with pytest.raises(NotForUsError):
        render_selection(select(headers), lambda name: tmp_path / "gone" / name)


def test_an_unknown_orientation_is_handed_on(tmp_path):
    headers, path_of = files([radiograph(PatientOrientation="")], tmp_path)
    [image] = render_selection(select(headers), path_of).images
    assert not image.is_orientation_known
    assert image.frame.transform == "identity"


def test_an_enhanced_object_gives_its_frames(tmp_path):
    volume = ct_volume()
    dataset = instance(uid.EnhancedCTImageStorage, Modality="CT", NumberOfFrames=CHEST_CT_SLICES)
    add_pixels(dataset, volume, WindowCenter=0, WindowWidth=2000)
    headers, path_of = files([dataset], tmp_path)
    images = render_selection(select(headers), path_of).images
    assert [image.frame.frame_number for image in images] == [4, 4, 10, 10]
    assert not np.array_equal(images[0].pixels, images[2].pixels)


# What the model is told.


def test_the_context_is_the_allow_list():
    header = film(
        patient=Patient(id="P1", name="CANARY^A", birth_date="19600615", sex="F"),
        study_date="20240614",
        study_description="CANARY",
    )
    assert draft_context(select([header]), "cough") == DraftContext(
        modality="DX",
        body_part="CHEST",
        view="PA",
        sex="F",
        age_band="60-69",
        indication="cough",
    )


@pytest.mark.parametrize("text", ["CANARY 0501234567", "نزار", "X" * 17, "CHEST;DROP", ""])
def test_what_is_no_code_does_not_reach_the_model(text):
    context = draft_context(select([film(body_part=text, view_position=text)]))
    assert (context.body_part, context.view) == ("", "")


@pytest.mark.parametrize(
    ("age", "birth", "study", "band"),
    [
        ("063Y", "", "", "60-69"),
        ("063Y", "19000101", "20240101", "60-69"),
        ("011M", "", "", "0-9"),
        ("130M", "", "", "10-19"),
        ("099Y", "", "", "90+"),
        ("003W", "", "", "0-9"),
        ("63", "19600615", "20300614", "60-69"),
        ("", "19600615", "20300615", "70-79"),
        ("", "19600615", "", ""),
        ("", "20240101", "20230101", ""),
        ("", "18000101", "20230101", ""),
        ("", "19600231", "20230101", ""),
        ("old", "", "", ""),
    ],
)
def test_age_is_a_decade(age, birth, study, band):
    header = film(patient_age=age, patient=Patient(birth_date=birth), study_date=study)
    assert age_band(header) == band
