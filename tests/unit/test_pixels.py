from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from dicom_samples import add_pixels, ct_slices, instance, radiograph, real, to_bytes, write
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.utils import compress

from core.errors import UnsupportedPixelsError
from dicom_node.header import read_header
from dicom_node.orientation import display_transform
from dicom_node.pixels import MAX_SIDE, render, to_rgb

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16


@pytest.fixture
def picture(tmp_path):
    """Return what is made of a data set, one channel (H, W)."""

    def make(dataset: Dataset, frame_number: int = 1) -> np.ndarray:
        rgb = to_rgb(write(dataset, tmp_path / "it.dcm"), frame_number)
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3
        return rgb[..., 0]

    return make


def shown(path: Path) -> np.ndarray:
    """Return a projection image as the model sees it."""
    header = read_header(path)
    found = display_transform(
        modality=header.modality, patient_orientation=header.patient_orientation
    )
    return render(path, 1, found.transform).pixels


def lut(first: int, values: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", values)
    return item


# Decoding: each syntax against the same picture in another one.


@pytest.mark.parametrize(
    ("compressed", "plain", "tolerance"),
    [
        ("RG1_J2KR.dcm", "RG1_UNCR.dcm", 0),
        ("693_J2KR.dcm", "693_UNCR.dcm", 0),
        ("JPEG2000.dcm", "JPEG2000_UNC.dcm", 3),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm", 0),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm", 0),
        ("MR_small_RLE.dcm", "MR_small.dcm", 0),
        ("MR_small_bigendian.dcm", "MR_small.dcm", 0),
        ("MR_small_implicit.dcm", "MR_small.dcm", 0),
        ("emri_small_RLE.dcm", "emri_small.dcm", 0),
        ("SC_rgb_rle.dcm", "SC_rgb.dcm", 0),
        ("SC_rgb_rle_16bit.dcm", "SC_rgb_16bit.dcm", 0),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm", 0),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb.dcm", 4),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_dcmtk_ebcys4_dcmd.dcm", 4),
        ("SC_rgb_jpeg.dcm", "SC_rgb_jpeg_dcmd.dcm", 1),
        ("US1_J2KR.dcm", "US1_UNCR.dcm", 0),
        ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm", 0),
        ("OBXXXX1A_expb.dcm", "OBXXXX1A.dcm", 1),
        ("SC_ybr_full_uncompressed.dcm", "SC_rgb_dcmtk_ebcyn2_dcmd.dcm", 4),
        ("SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_ebcys2_dcmd.dcm", 4),
        ("gdcm-US-ALOKA-16_big.dcm", "gdcm-US-ALOKA-16.dcm", 0),
        ("color-pl.dcm", "color-px.dcm", 0),
    ],
)
def test_the_same_picture_in_another_encoding_looks_the_same(compressed, plain, tolerance):
    a, b = to_rgb(real(compressed)).astype(int), to_rgb(real(plain)).astype(int)
    assert a.std() > 0
    assert np.abs(a - b).max() <= tolerance


def test_jpeg_of_twelve_bits_has_the_values_that_dcmtk_gives():
    rgb = to_rgb(real("JPGExtended.dcm"))[..., 0]
    # dcmdjpeg gives 244 and 95 at these places, in a range of 0 to some 120 percent of the first.
    assert rgb.shape == (1024, 256)
    assert rgb[420, 140] > rgb[230, 120] > 0
    assert np.abs(rgb.astype(int) - to_rgb(real("JPEG-lossy.dcm"))[..., 0]).max() == 0


@pytest.mark.parametrize("name", ["JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "image_dfl.dcm"])
def test_lossless_jpeg_and_deflated_objects_give_a_picture(name):
    assert to_rgb(real(name)).std() > 10


def test_high_throughput_jpeg_2000_is_decoded(tmp_path):
    # No encoder at hand: only that the syntax reaches its decoder, which then finds no codestream.
    dataset = radiograph(RAMP)
    path = write(dataset, tmp_path / "plain.dcm")
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.201\0")
    (tmp_path / "it.dcm").write_bytes(data)
    with pytest.raises(UnsupportedPixelsError):
        to_rgb(tmp_path / "it.dcm")


def test_only_the_asked_frame_is_given():
    first, second = (to_rgb(real("SC_rgb_rle_2frame.dcm"), n) for n in (1, 2))
    plain = to_rgb(real("SC_rgb_2frame.dcm"), 2)
    assert not np.array_equal(first, second)
    assert np.array_equal(second, plain)


# Grey.


def test_the_window_spreads_its_values_over_the_scale(picture):
    grey = picture(radiograph(RAMP, WindowCenter=2048, WindowWidth=1024, VOILUTFunction="LINEAR"))
    assert grey[RAMP <= 1536].max() == 0
    assert grey[RAMP >= 2560].min() == 255
    assert abs(int(grey[RAMP == 2048][0]) - 128) <= 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_each_window_function_agrees_with_the_standard_at_its_centre_and_slope(picture, function):
    grey = picture(radiograph(RAMP, WindowCenter=2048, WindowWidth=1024, VOILUTFunction=function))
    x = RAMP.astype(float)
    expected = {
        "LINEAR": np.clip((x - 2047.5) / 1023 + 0.5, 0, 1),
        "LINEAR_EXACT": np.clip((x - 2048) / 1024 + 0.5, 0, 1),
        "SIGMOID": 1 / (1 + np.exp(-4 * (x - 2048) / 1024)),
    }[function]
    assert np.abs(grey - expected * 255).max() <= 0.51


def test_the_first_of_several_windows_is_used(picture):
    several = picture(radiograph(RAMP, WindowCenter=[2048, 100], WindowWidth=[1024, 10]))
    one = picture(radiograph(RAMP, WindowCenter=2048, WindowWidth=1024))
    assert np.array_equal(several, one)


@pytest.mark.parametrize(
    ("center", "width"),
    [(2048, 0), (2048, -5), (2048, 0.5), (None, 100), (100, None), (None, None)],
)
def test_a_window_that_cannot_be_used_gives_way_to_the_range_of_the_picture(picture, center, width):
    grey = picture(radiograph(RAMP, WindowCenter=center, WindowWidth=width))
    assert (grey.min(), grey.max()) == (0, 255)
    assert 100 < grey.mean() < 155


def test_monochrome1_is_inverted_exactly_once(picture):
    plain = picture(radiograph(RAMP, WindowCenter=2048, WindowWidth=4096)).astype(int)
    for attributes in (
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
    ):
        grey = picture(radiograph(RAMP, WindowCenter=2048, WindowWidth=4096, **attributes))
        assert np.abs(255 - plain - grey).max() <= 1, attributes


def test_the_real_film_shows_bone_bright_and_air_dark():
    rgb = to_rgb(real("RG1_UNCR.dcm"))[..., 0].astype(float)
    mediastinum, right_lung = rgb[900:1300, 850:950].mean(), rgb[500:800, 400:600].mean()
    assert mediastinum > right_lung + 20


def test_a_voi_lut_comes_before_a_window(picture):
    values = [0] * 128 + [255] * 128
    dataset = radiograph(RAMP // 16, WindowCenter=10, WindowWidth=10)
    dataset.VOILUTSequence = [lut(0, values, 8)]
    grey = picture(dataset)
    assert (grey[RAMP < 128 * 16] == 0).all()
    assert (grey[RAMP >= 128 * 16] == 255).all()


def test_a_voi_lut_that_announces_more_bits_than_it_uses_still_fills_the_scale(picture):
    dataset = radiograph(RAMP // 16)
    dataset.VOILUTSequence = [lut(0, [v * 16 for v in range(256)], 16)]
    assert picture(dataset).max() >= 253


def test_a_modality_lut_comes_before_the_window(picture):
    dataset = radiograph(RAMP // 16, WindowCenter=500, WindowWidth=1000)
    item = lut(0, [1000] * 128 + [0] * 128, 16)
    item.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = [item]
    grey = picture(dataset)
    assert (grey[RAMP < 128 * 16] == 255).all()
    assert (grey[RAMP >= 128 * 16] == 0).all()


def test_the_sample_modality_and_voi_luts_agree():
    a, b = to_rgb(real("mlut_18.dcm")), to_rgb(real("vlut_04.dcm"))
    assert abs(a.mean() - b.mean()) < 1


@pytest.mark.parametrize(
    ("body_part", "air_is_black"), [("CHEST", False), ("ABDOMEN", True), ("HEAD", True), ("", True)]
)
def test_a_ct_without_a_window_gets_one_for_its_body_part(picture, body_part, air_is_black):
    dataset = ct_slices()[0]
    dataset.BodyPartExamined = body_part
    lungs = np.full((16, 16), -800, np.int16)
    lungs[8:] = 300
    add_pixels(dataset, lungs)
    grey = picture(dataset)
    assert (grey[0, 0] == 0) == air_is_black
    assert grey[8, 0] > 200


def test_a_ct_without_hounsfield_units_gets_the_range_of_its_values(picture):
    dataset = ct_slices()[0]
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.BodyPartExamined = "HEAD"
    add_pixels(dataset, RAMP)
    grey = picture(dataset)
    assert 100 < grey.mean() < 155


@pytest.mark.parametrize("limit", [None, -1990])
def test_padding_does_not_widen_the_automatic_range(picture, limit):
    dataset = ct_slices()[0]
    del dataset.RescaleSlope, dataset.RescaleIntercept
    values = (RAMP // 16).astype(np.int16)
    padded = np.vstack([values, np.full((16, 16), -2000, np.int16)])
    if limit is not None:
        padded[20:] = -1995
        dataset.add_new("PixelPaddingRangeLimit", "SS", limit)
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    add_pixels(dataset, padded)
    grey = picture(dataset)
    assert abs(int(np.median(grey[:16])) - 128) < 5
    assert (grey[16:] == 0).all()


def test_padding_is_understood_in_implicit_vr_too(tmp_path):
    dataset = ct_slices()[0]
    del dataset.RescaleSlope, dataset.RescaleIntercept
    values = (RAMP // 16).astype(np.int16)
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    add_pixels(dataset, np.vstack([values, np.full((16, 16), -2000, np.int16)]))
    explicit = to_rgb(write(dataset, tmp_path / "e.dcm"))
    implicit = to_rgb(write(dataset, tmp_path / "i.dcm", uid.ImplicitVRLittleEndian))
    assert np.array_equal(explicit, implicit)


@pytest.mark.parametrize("value", [0, 1, 4095])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_picture_of_one_value_is_mid_grey(picture, value, photometric):
    pixels = np.full((8, 8), value, np.uint16)
    grey = picture(radiograph(pixels, PhotometricInterpretation=photometric))
    assert set(np.unique(grey)) <= {127, 128}


def test_a_picture_of_padding_only_is_no_crash(picture):
    dataset = radiograph(np.zeros((8, 8), np.uint16))
    dataset.add_new("PixelPaddingValue", "US", 0)
    assert picture(dataset).shape == (8, 8)


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("is_signed", [False, True])
def test_every_depth_from_2_to_16_bits_fills_the_scale(picture, bits, is_signed):
    low = -(2 ** (bits - 1)) if is_signed else 0
    values = np.linspace(low, low + 2**bits - 1, 64).round().reshape(8, 8)
    dtype = np.int16 if is_signed else np.uint16
    grey = picture(radiograph(values.astype(dtype), BitsStored=bits, HighBit=bits - 1))
    assert (grey.min(), grey.max()) == (0, 255)
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


def test_a_mask_of_one_bit_is_black_and_white():
    rgb = to_rgb(real("liver_1frame.dcm"))
    assert set(np.unique(rgb)) == {0, 255}


def test_values_of_32_bits_are_shown():
    rgb = to_rgb(real("rtdose_1frame.dcm"))
    assert (rgb.min(), rgb.max()) == (0, 255)


@pytest.mark.parametrize("with_nan", [False, True])
def test_floating_point_pixels_are_shown_and_nan_is_black(tmp_path, with_nan):
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    if with_nan:
        values[0, 0], values[0, 1] = np.nan, np.inf
    dataset = instance(uid.ParametricMapStorage)
    add_pixels(dataset, np.zeros((8, 8), np.uint32))
    del dataset.PixelData, dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit
    dataset.add_new("FloatPixelData", "OF", values.tobytes())
    grey = to_rgb(write(dataset, tmp_path / "it.dcm"))[..., 0]
    assert grey[0, 0] == 0
    assert grey[7, 7] == 255


# Colour.


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_is_kept_in_either_planar_configuration(tmp_path, planar):
    colours = np.random.default_rng(1).integers(0, 256, (6, 4, 3)).astype(np.uint8)
    dataset = instance(uid.SecondaryCaptureImageStorage)
    add_pixels(dataset, colours, PlanarConfiguration=planar)
    if planar:
        dataset.PixelData = colours.transpose(2, 0, 1).tobytes()
    assert np.array_equal(to_rgb(write(dataset, tmp_path / "it.dcm")), colours)


@pytest.mark.parametrize("entry_bits", [8, 16])
def test_a_palette_gives_its_colours(tmp_path, entry_bits):
    pixels = np.array([[0, 1], [2, 3]], np.uint8)
    dataset = instance(uid.UltrasoundImageStorage)
    add_pixels(dataset, pixels, PhotometricInterpretation="PALETTE COLOR")
    scale = 257 if entry_bits == 16 else 1
    dtype = np.uint16 if entry_bits == 16 else np.uint8
    tables = {"Red": [0, 255, 0, 10], "Green": [0, 0, 255, 20], "Blue": [0, 0, 0, 30]}
    for name, entries in tables.items():
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [4, 0, entry_bits])
        data = (np.array(entries) * scale).astype(dtype).tobytes()
        setattr(dataset, f"{name}PaletteColorLookupTableData", data)
    rgb = to_rgb(write(dataset, tmp_path / "it.dcm"))
    assert rgb.tolist() == [[[0, 0, 0], [255, 0, 0]], [[0, 255, 0], [10, 20, 30]]]


# Orientation.


def test_the_film_stored_mirrored_is_the_same_picture(tmp_path):
    from pydicom import dcmread

    film = dcmread(real("RG1_UNCR.dcm"))
    pixels = film.pixel_array
    film.PatientOrientation = ["R", "F"]
    film.PixelData = np.ascontiguousarray(pixels[:, ::-1]).tobytes()
    film.save_as(tmp_path / "mirrored.dcm")
    standard = shown(real("RG1_UNCR.dcm"))
    assert np.array_equal(shown(tmp_path / "mirrored.dcm"), standard)
    assert not np.array_equal(to_rgb(tmp_path / "mirrored.dcm"), standard)


@pytest.mark.parametrize(
    ("letters", "turn"),
    [
        (("L", "H"), lambda a: a[::-1]),
        (("R", "H"), lambda a: a[::-1, ::-1]),
        (("F", "L"), lambda a: a.T),
        (("H", "L"), lambda a: a.T[:, ::-1]),
        (("F", "R"), lambda a: a.T[::-1]),
    ],
)
def test_a_film_stored_in_any_way_is_the_same_picture(tmp_path, letters, turn):
    standard = shown(write(radiograph(RAMP[:12]), tmp_path / "standard.dcm"))
    turned = radiograph(np.ascontiguousarray(turn(RAMP[:12])), PatientOrientation=list(letters))
    assert np.array_equal(shown(write(turned, tmp_path / "turned.dcm")), standard)


# What cannot be shown.


def damaged(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "damaged.dcm"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "RG3_UNCR.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "JPGExtended.dcm",
        "JPEG-LL.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
    ],
)
def test_a_picture_cut_off_at_its_beginning_is_refused_by_name_of_its_syntax(name, tmp_path):
    data = real(name).read_bytes()
    start = data.rindex(b"\xe0\x7f\x10\x00")
    path = damaged(data[: start + 60], tmp_path)
    syntax = read_header(real(name)).transfer_syntax_uid
    with pytest.raises(UnsupportedPixelsError) as caught:
        to_rgb(path)
    assert uid.UID(syntax).name in str(caught.value)
    assert caught.value.__cause__ is None


def test_truncated_native_pixels_are_refused():
    with pytest.raises(UnsupportedPixelsError):
        to_rgb(real("MR_truncated.dcm"))


def test_a_report_has_no_picture():
    with pytest.raises(UnsupportedPixelsError):
        to_rgb(real("reportsi.dcm"))


@pytest.mark.parametrize("frame_number", [0, -1, 2])
def test_a_frame_that_is_not_there_is_refused(tmp_path, frame_number):
    path = write(radiograph(RAMP), tmp_path / "it.dcm")
    with pytest.raises(UnsupportedPixelsError, match="no frame"):
        to_rgb(path, frame_number)


@pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (1, MAX_SIDE + 1)])
def test_an_absurd_size_is_refused_before_anything_is_decoded(tmp_path, rows, columns):
    dataset = radiograph(RAMP)
    dataset.Rows, dataset.Columns = rows, columns
    with pytest.raises(UnsupportedPixelsError, match="limit"):
        to_rgb(write(dataset, tmp_path / "it.dcm"))


@pytest.mark.parametrize(("rows", "columns"), [(0, 10), (10, 0)])
def test_a_picture_without_extent_is_refused(tmp_path, rows, columns):
    dataset = radiograph(RAMP)
    dataset.Rows, dataset.Columns = rows, columns
    with pytest.raises(UnsupportedPixelsError):
        to_rgb(write(dataset, tmp_path / "it.dcm"))


def test_a_syntax_without_a_decoder_is_named(tmp_path):
    data = to_bytes(radiograph(RAMP))
    meta, body = data[:400], data[400:]
    assert b"1.2.840.10008.1.2.1\0" in meta
    changed = meta.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0") + body
    with pytest.raises(UnsupportedPixelsError, match=r"1\.2\.840\.10008\.1\.2\.9"):
        to_rgb(damaged(changed, tmp_path))


def test_refusals_do_not_quote_the_object(tmp_path, caplog, capfd):
    dataset = radiograph(RAMP, PatientName="CANARY^A", BodyPartExamined="CANARY")
    dataset.PixelData = dataset.PixelData[:10]
    path = write(dataset, tmp_path / "it.dcm")
    with pytest.raises(UnsupportedPixelsError) as caught:
        to_rgb(path)
    assert "CANARY" not in str(caught.value) + caplog.text + "".join(capfd.readouterr())


def changed(name: str, old: bytes, new: bytes, tmp_path: Path) -> Path:
    """Return a copy of a real file whose compressed picture has other bytes in one place."""
    head, body = real(name).read_bytes().split(b"\xe0\x7f\x10\x00", 1)
    assert old in body
    return damaged(head + b"\xe0\x7f\x10\x00" + body.replace(old, new, 1), tmp_path)


def test_a_jpeg_that_kills_its_decoder_is_refused(tmp_path):
    # The precision in the frame header says 76 bits instead of 12: GDCM ends by a signal.
    path = changed("JPGExtended.dcm", b"\xff\xc1\x00\x0b\x0c", b"\xff\xc1\x00\x0b\x4c", tmp_path)
    with pytest.raises(UnsupportedPixelsError, match="JPEG Extended"):
        to_rgb(path)


def test_a_jpeg_2000_that_claims_a_huge_picture_is_refused(tmp_path):
    # SIZ: 64 x 64 in one tile becomes 40000 x 40000 in one tile, which takes 6 GB to decode.
    small, huge = (64).to_bytes(4, "big"), (40_000).to_bytes(4, "big")
    old, new = (
        b"\xff\x51\x00\x29\x00\x00" + side * 2 + bytes(8) + side * 2 for side in (small, huge)
    )
    path = changed("MR_small_jp2klossless.dcm", old, new, tmp_path)
    with pytest.raises(UnsupportedPixelsError, match="JPEG 2000"):
        to_rgb(path)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jp2klossless.dcm",
        "MR_small_RLE.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
    ],
)
def test_wrong_bytes_in_a_compressed_picture_give_a_picture_or_a_refusal(name, tmp_path):
    data = real(name).read_bytes()
    start = data.rindex(b"\xe0\x7f\x10\x00") + 12
    chance = random.Random(name)  # noqa: S311  any bytes will do
    for _ in range(3):
        broken = bytearray(data)
        for _ in range(30):
            broken[chance.randrange(start, len(data))] = chance.randrange(256)
        with suppress(UnsupportedPixelsError):
            assert to_rgb(damaged(bytes(broken), tmp_path)).ndim == 3


def test_our_samples_can_be_compressed_as_a_check_of_the_samples(tmp_path):
    dataset = radiograph(RAMP)
    plain = to_rgb(write(dataset, tmp_path / "plain.dcm"))
    compress(dataset, uid.RLELossless, encoding_plugin="pydicom")
    dataset.save_as(tmp_path / "rle.dcm", enforce_file_format=True)
    assert np.array_equal(to_rgb(tmp_path / "rle.dcm"), plain)
