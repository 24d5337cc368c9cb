"""The quick walk finds what pydicom finds, and leaves to it what is not plain."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from dicom_samples import instance, radiograph, real, to_bytes
from pydicom import dcmread, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from core.errors import UnreadableInstanceError
from dicom_node import header as header_module
from dicom_node.file_meta import read_meta
from dicom_node.header import read_header
from dicom_node.raw_elements import read_plain

REAL = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "JPEG2000.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "reportsi.dcm",
    "nested_priv_SQ.dcm",
    "UN_sequence.dcm",
    "meta_missing_tsyntax.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",
    "no_meta_group_length.dcm",
    "badVR.dcm",
    "explicit_VR-UN.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
)


def _sequences(*, is_undefined: bool, syntax: str) -> bytes:
    dataset = radiograph()
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning, inner.CodeValue, inner.CodingSchemeDesignator = "Chest", "1", "X"
    outer.AnatomicRegionModifierSequence = [inner]
    outer.CodeMeaning = "thorax"
    dataset.AnatomicRegionSequence = [outer, inner]
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "HOSPITAL"
    dataset.IssuerOfAccessionNumberSequence = [issuer]
    for element in dataset.iterall():
        element.is_undefined_length = is_undefined and element.VR == "SQ"
    for item in (inner, outer, issuer):
        item.is_undefined_length_sequence_item = is_undefined
    return to_bytes(dataset, syntax)


MADE = {
    "radiograph": to_bytes(radiograph()),
    "implicit": to_bytes(radiograph(), uid.ImplicitVRLittleEndian),
    **{
        f"{'undefined' if undefined else 'defined'} lengths {syntax.name}": _sequences(
            is_undefined=undefined, syntax=syntax
        )
        for undefined in (False, True)
        for syntax in (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
    },
}


def _samples() -> dict[str, bytes]:
    found = dict(MADE)
    for name in REAL:
        try:
            found[name] = real(name).read_bytes()
        except FileNotFoundError:
            continue
    return found


SAMPLES = _samples()


def _by_pydicom(data: bytes, monkeypatch: pytest.MonkeyPatch) -> object:
    with monkeypatch.context() as patch:
        patch.setattr(header_module, "read_plain", lambda _: None)
        return _header(data)


def _header(data: bytes) -> object:
    try:
        return read_header(BytesIO(data))
    except UnreadableInstanceError as error:
        return str(error)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_header_is_the_same_whoever_reads_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SAMPLES[name]

    assert _header(data) == _by_pydicom(data, monkeypatch)


@pytest.mark.parametrize("name", MADE)
def test_what_is_plain_is_read_by_us_to_the_same_elements(name: str) -> None:
    plain = read_plain(MADE[name])
    theirs = dcmread(BytesIO(MADE[name]), stop_before_pixels=True)

    assert plain is not None
    assert plain == theirs
    assert plain.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("keep", range(0, 1200, 7))
@pytest.mark.parametrize("name", ["undefined lengths Explicit VR Little Endian", "implicit"])
def test_a_file_that_is_cut_off_is_judged_as_pydicom_judges_it(
    name: str, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MADE[name][:keep]

    assert _header(data) == _by_pydicom(data, monkeypatch)


def test_damaged_bytes_are_judged_as_pydicom_judges_them_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = np.random.default_rng(7)
    whole = MADE["undefined lengths Explicit VR Little Endian"]
    start = whole.index(b"\x08\x00\x05\x00") if b"\x08\x00\x05\x00" in whole else 300
    for _ in range(300):
        data = bytearray(whole)
        for at in chance.integers(start, min(len(whole), start + 700), 3):
            data[at] = chance.integers(256)
        ours, theirs = _header(bytes(data)), _by_pydicom(bytes(data), monkeypatch)
        assert ours == theirs


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian, "1.2.840.113619.5.2"]
)
def test_what_is_not_plain_is_left_to_pydicom(syntax: str) -> None:
    data = MADE["radiograph"]
    at = data.index(b"\x02\0\x10\0UI")
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = data[at : at + 6] + len(value).to_bytes(2, "little") + value

    assert read_plain(data) is not None
    assert read_plain(data[:at] + element + data[at + 8 + length :]) is None


def test_data_that_are_said_to_be_implicit_and_are_not_are_left_to_pydicom() -> None:
    explicit, implicit = MADE["radiograph"], MADE["implicit"]
    meta_end = read_meta(implicit).end

    assert read_plain(implicit[:meta_end] + explicit[read_meta(explicit).end :]) is None


def test_the_pixels_stay_where_they_are() -> None:
    plain = read_plain(MADE["radiograph"])

    assert plain is not None
    assert "PixelData" not in plain
    assert all(isinstance(element, RawDataElement) for element in plain._dict.values())


@pytest.mark.parametrize(
    "content",
    [b"", b"DICM", b"\0" * 128, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x02\0\x10\0UI\xff\xff"],
    ids=["empty", "no preamble", "preamble", "no elements", "cut off"],
)
def test_a_file_without_meta_information_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableInstanceError):
        read_meta(content)


def test_the_sender_stands_in_the_meta_information() -> None:
    dataset = instance(uid.CTImageStorage)
    data = to_bytes(dataset)

    meta = read_meta(data)

    assert meta.transfer_syntax_uid == uid.ExplicitVRLittleEndian
    assert data[meta.end : meta.end + 4] == b"\x08\0\x16\0"
