from __future__ import annotations

import json
import logging
from io import BytesIO

import pytest
from dicom_samples import (
    STUDY_UID,
    a_context,
    a_report,
    instance,
    radiograph,
    real,
    to_bytes,
)
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset

from core.errors import UnreadableInstanceError
from core.identifiers import DEVICE_UID
from core.report import Language
from dicom_node.header import from_plain, is_valid_uid, read_header, to_plain
from dicom_node.report_sr import build_sr


def read(dataset: Dataset, syntax: str = uid.ExplicitVRLittleEndian):
    return read_header(BytesIO(to_bytes(dataset, syntax)))


def with_raw(dataset: Dataset, keyword: str, value: bytes) -> bytes:
    """Return a file whose attribute holds exactly these bytes, whatever pydicom thinks of them."""
    marker = b"0123456789012345678901234567890123456789012345678901234567890123"[: len(value)]
    setattr(dataset, keyword, marker.decode())
    data = to_bytes(dataset)
    assert data.count(marker) == 1
    return data.replace(marker, value)


def test_the_real_film_is_read():
    header = read_header(real("RG1_UNCR.dcm"))
    assert (header.modality, header.body_part, header.view_position) == ("CR", "CHEST", "PA")
    assert header.patient_orientation == ("L", "F")
    assert (header.rows, header.columns, header.number_of_frames) == (1955, 1841, 1)
    assert header.photometric_interpretation == "MONOCHROME1"
    assert header.study.study_date == "20040826"
    assert header.study.patient.sex == "F"
    assert header.is_image
    assert not header.is_own


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_encoding_of_a_data_set_says_the_same(syntax):
    dataset = radiograph(SeriesNumber=7)
    if syntax == uid.ExplicitVRBigEndian:
        dataset.PixelData = bytes(len(dataset.PixelData))
    a, b = to_plain(read(dataset)), to_plain(read(dataset, syntax))
    assert b.pop("transfer_syntax_uid") == syntax
    a.pop("transfer_syntax_uid")
    assert a == b


def test_a_header_survives_json():
    header = read_header(real("693_UNCR.dcm"))
    assert len(header.image_orientation) == 6
    assert from_plain(json.loads(json.dumps(to_plain(header)))) == header


def test_names_and_descriptions_do_not_stand_in_the_repr():
    header = read(radiograph(PatientName="CANARY^A", StudyDescription="CANARY film"))
    assert header.patient.name == "CANARY^A"
    assert header.study.description == "CANARY film"
    assert "CANARY" not in repr(header)


# Text.


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 192", "نزار^أحمد=Δ^ü😀"),
        ("ISO_IR 127", "نزار^أحمد"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 100", "ISO 2022 IR 127"], "Müller^أحمد"),
    ],
)
def test_text_is_decoded_by_its_character_set(charset, text):
    assert read(radiograph(SpecificCharacterSet=charset, PatientName=text)).patient.name == text


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 6", "ISO_IR 999", "", None])
def test_bytes_that_cannot_be_decoded_become_replacement_characters_in_silence(
    charset, caplog, capfd
):
    dataset = radiograph()
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    with caplog.at_level(logging.DEBUG):
        try:
            data = with_raw(dataset, "PatientID", b"CANARY\xff\xfe ")
        except UserWarning:
            dataset.SpecificCharacterSet = "ISO_IR 100"
            data = with_raw(dataset, "PatientID", b"CANARY\xff\xfe ")
            data = data.replace(b"ISO_IR 100", b"ISO_IR 999")
        caplog.clear()
        header = read_header(BytesIO(data))
    assert header.patient.id == "CANARY\ufffd\ufffd"
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_without_a_character_set_letters_beyond_ascii_are_not_guessed():
    data = with_raw(radiograph(), "PatientName", b"M\xfcller")
    assert read_header(BytesIO(data)).patient.name == "M\ufffdller"


def test_control_characters_are_dropped():
    data = with_raw(radiograph(), "StudyDescription", b"CHEST\x00\x01\x1b[2J\r\nPA\x7f")
    assert read_header(BytesIO(data)).study_description == "CHEST[2JPA"


def test_two_patient_ids_stay_two_and_a_code_keeps_its_first_value():
    header = read(radiograph(PatientID=["A", "B"], BodyPartExamined=["CHEST", "ABDOMEN"]))
    assert header.patient.id == "A\\B"
    assert header.body_part == "CHEST"


def test_overlong_text_is_read_whole():
    data = with_raw(radiograph(), "PatientID", b"A" * 64)
    # The same element as another one, of a VR that grants 16 letters: (0008,0050) SH.
    data = data.replace(b"\x10\x00\x20\x00LO", b"\x08\x00\x50\x00SH")
    assert read_header(BytesIO(data)).accession_number == "A" * 64


# Codes, numbers, dates.


@pytest.mark.parametrize(
    ("keyword", "raw", "field", "value"),
    [
        ("PatientBirthDate", b"1970.01.02", "patient", "19700102"),
        ("PatientBirthDate", b"unknown ", "patient", ""),
        ("PatientSex", b"m ", "patient", "M"),
        ("PatientSex", b"X ", "patient", ""),
        ("StudyDate", b"20240230", "study_date", "20240230"),
        ("StudyTime", b"10:15:00", "study_time", "101500"),
        ("StudyTime", b"noon", "study_time", ""),
        ("InstanceNumber", b"1.5 ", "instance_number", None),
        ("InstanceNumber", b"99999999999999999999", "instance_number", None),
        ("SeriesNumber", b"-3", "series_number", -3),
        ("NumberOfFrames", b"many", "number_of_frames", 1),
        ("NumberOfFrames", b"-5", "number_of_frames", 1),
        ("PatientOrientation", b"l\\f ", "patient_orientation", ("L", "F")),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\nan\\0 ", "image_orientation", ()),
        ("ImageOrientationPatient", b"1\\0\\0", "image_orientation", ()),
        ("ImageOrientationPatient", b"a\\b\\c\\d\\e\\f ", "image_orientation", ()),
    ],
)
def test_values_that_break_their_rules_are_mended_or_absent(keyword, raw, field, value):
    dataset = radiograph()
    marker = b"0" * 64
    dataset.add_new("ImageComments", "LT", marker.decode())
    if keyword in dataset:
        del dataset[keyword]
    # Written under another tag, since pydicom refuses to write such values.
    tag = Dataset()
    setattr(tag, keyword, None)
    [element] = tag
    data = to_bytes(dataset)
    head, rest = data.split(marker)
    length = len(raw).to_bytes(2, "little")
    group, number = (
        element.tag.group.to_bytes(2, "little"),
        element.tag.element.to_bytes(2, "little"),
    )
    broken = head[:-8] + group + number + element.VR.encode() + length + raw + rest
    header = read_header(BytesIO(broken))
    found = getattr(header, field)
    if field == "patient":
        found = found.birth_date if keyword == "PatientBirthDate" else found.sex
    assert found == value


def test_the_acquisition_comes_before_content_and_study():
    dates = {"StudyDate": "20240101", "ContentDate": "20240102", "ContentTime": "101112"}
    assert read(radiograph(**dates)).acquired_at == "20240102101112"
    dates["AcquisitionDateTime"] = "20240103010203.5+0300"
    assert read(radiograph(**dates)).acquired_at == "20240103010203.5"


def test_the_accession_issuer_and_the_anatomic_region_are_taken_from_their_sequences():
    issuer, region = Dataset(), Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    region.CodeMeaning = "Chest"
    dataset = radiograph(IssuerOfAccessionNumberSequence=[issuer], AnatomicRegionSequence=[region])
    del dataset.BodyPartExamined
    header = read(dataset)
    assert (header.accession_issuer, header.body_part) == ("RIS", "CHEST")


def test_enhanced_objects_say_their_geometry_in_functional_groups():
    header = read_header(real("eCT_Supplemental.dcm"))
    assert header.number_of_frames == 2
    assert len(header.image_orientation) == 6
    assert len(header.image_position) == 3


def test_frames_in_different_directions_have_no_orientation_in_common():
    def group(*cosines):
        item, plane = Dataset(), Dataset()
        plane.ImageOrientationPatient = list(cosines)
        item.PlaneOrientationSequence = [plane]
        return item

    axial, coronal = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1)
    dataset = instance(uid.EnhancedMRImageStorage, Modality="MR", NumberOfFrames=2)
    dataset.PerFrameFunctionalGroupsSequence = [group(*axial), group(*axial)]
    assert read(dataset).image_orientation == axial
    dataset.PerFrameFunctionalGroupsSequence = [group(*axial), group(*coronal)]
    assert read(dataset).image_orientation == ()


# What cannot be read.


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\0" * 128 + b"DICM", b"\0" * 200, b"%PDF-1.7\n" + b"x" * 500, b"PK\x03\x04"],
)
def test_what_is_not_dicom_is_unreadable(data):
    with pytest.raises(UnreadableInstanceError):
        read_header(BytesIO(data))


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize("value", [None, "../../etc/passwd", "1..2", "", "1.2 3", "1.2\\1.3"])
def test_an_object_without_usable_uids_is_unreadable(keyword, value):
    dataset = radiograph()
    marker = "1.2.3.4.5.6.7.8.9.10.11.12.13"
    setattr(dataset, keyword, marker)
    # The file meta group repeats two of them, and comes first: only the data set's are changed.
    data = to_bytes(dataset)
    head, tail = data.rsplit(marker.encode(), 1)
    if value == "1.2\\1.3":
        # The first of two is used: a sender that writes two of the same is harmless.
        broken = head + b"1.2\\1.3".ljust(len(marker), b" ") + tail
        assert read_header(BytesIO(broken))
        return
    broken = head + (value or "").encode().ljust(len(marker), b"\0") + tail
    with pytest.raises(UnreadableInstanceError, match="no valid") as caught:
        read_header(BytesIO(broken))
    assert "passwd" not in str(caught.value)


def test_a_file_cut_off_anywhere_is_unreadable_or_still_knows_its_identity():
    data = to_bytes(radiograph(PatientName="A^B"))
    whole = read_header(BytesIO(data))
    refused = 0
    for length in range(0, len(data), 3):
        try:
            header = read_header(BytesIO(data[:length]))
        except UnreadableInstanceError:
            refused += 1
        else:
            assert header.study_uid == whole.study_uid
            assert header.sop_instance_uid == whole.sop_instance_uid
    assert refused > len(data) / 3 / 2


def test_a_report_that_is_cut_off_is_unreadable():
    data = own_sr()
    with pytest.raises(UnreadableInstanceError):
        read_header(BytesIO(data[:-100]))


@given(position=st.integers(132, 1400), value=st.integers(0, 255))
def test_one_wrong_byte_never_crashes_the_reader(position, value):
    data = bytearray(to_bytes(radiograph(SpecificCharacterSet="ISO_IR 192", PatientName="A^B")))
    data[position % len(data)] = value
    try:
        header = read_header(BytesIO(bytes(data)))
    except UnreadableInstanceError:
        return
    assert is_valid_uid(header.study_uid)
    json.dumps(to_plain(header), allow_nan=False)


def test_a_missing_file_is_an_error_of_the_system_and_not_of_the_object(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "nowhere.dcm")


# UIDs.


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "2.25." + "9" * 59, "1.02.3", "0.0"])
def test_valid_uids(text):
    assert is_valid_uid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "1.",
        ".1",
        "1..2",
        "1.2/3",
        "../1",
        "1.2\n",
        "1.2 ",
        "1.2\0",
        "1.a",
        "-1",
        "1,2",
        "٣.١",
        "²",
        "1" * 65,
    ],
)
def test_invalid_uids(text):
    assert not is_valid_uid(text)


# Ours.


def own_sr(language: Language = Language.EN) -> bytes:
    return build_sr(report=a_report(), context=a_context(), language=language)


@pytest.mark.parametrize("language", Language)
def test_our_own_report_is_known_as_ours_without_any_database(language):
    header = read_header(BytesIO(own_sr(language)))
    assert header.is_own
    assert not header.is_image
    assert header.study_uid == STUDY_UID


@pytest.mark.parametrize("kept", ["DeviceUID", "AuthorObserverSequence", "ContentSequence"])
def test_one_trace_of_our_device_is_enough(kept):
    from pydicom import dcmread

    dataset = dcmread(BytesIO(own_sr()))
    for keyword in {"DeviceUID", "AuthorObserverSequence", "ContentSequence"} - {kept}:
        del dataset[keyword]
    assert read(dataset).is_own


def test_another_maker_is_not_us():
    assert not read(radiograph(Manufacturer="Taqrir")).is_own
    assert not read(radiograph(DeviceUID="1.2.3")).is_own
    assert read(radiograph(DeviceUID=DEVICE_UID)).is_own
