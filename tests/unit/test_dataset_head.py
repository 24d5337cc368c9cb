"""The data set's head: the same UIDs as a whole decoder finds, and no lengths believed."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from core.errors import UnreadableInstanceError
from dicom_node.dataset_head import HeadTooShortError, find_head, read_head

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def _encode(dataset: Dataset, syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def _dataset() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4"
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "x"
    inner.StudyInstanceUID = "9.9.9"
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, Dataset()])
    dataset.SourceImageSequence = Sequence([outer, outer])
    dataset.PatientID = "1"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.5"
    dataset.PixelData = b"\0" * 64
    dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("is_undefined", [False, True])
def test_sequences_of_either_length_are_stepped_over(syntax: str, is_undefined: bool) -> None:
    dataset = _dataset()
    dataset["SourceImageSequence"].is_undefined_length = is_undefined
    for item in dataset.SourceImageSequence:
        item.is_undefined_length_sequence_item = is_undefined
        item["PurposeOfReferenceCodeSequence"].is_undefined_length = is_undefined

    head = read_head(_encode(dataset, syntax), syntax)

    assert (head.study_uid, head.series_uid) == ("1.2.3", "1.2.3.5")
    assert head.sop_instance_uid == "1.2.3.4"


def _files() -> list[Path]:
    """Return the samples that come with the library; others would be fetched."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return sorted(folder.glob("*.dcm"))


def test_the_head_says_what_a_whole_decoder_says_of_every_sample() -> None:
    compared = found = 0
    for name in _files():
        try:
            dataset = dcmread(name, stop_before_pixels=True)
            start = 144 + int(dataset.file_meta.FileMetaInformationGroupLength)
            syntax = dataset.file_meta.TransferSyntaxUID
            if "SeriesInstanceUID" not in dataset or "SOPInstanceUID" not in dataset:
                continue
        except Exception:  # noqa: BLE001, S112  a damaged sample: no decoder has a say in it
            continue
        data = name.read_bytes()[start:]
        head = read_head(data, syntax)
        assert find_head(data, syntax) in {head, None}, name
        found += find_head(data, syntax) is not None
        assert head.series_uid == str(dataset.SeriesInstanceUID), name
        assert head.study_uid == str(dataset.StudyInstanceUID), name
        assert head.sop_instance_uid == str(dataset.SOPInstanceUID), name
        compared += 1
    assert compared > 40
    assert found > 30


def test_an_unknown_sequence_inside_explicit_data_is_implicit() -> None:
    inner = _encode(_dataset(), ImplicitVRLittleEndian)[:34]
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
    unknown = b"\x09\0\x10\x10UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    explicit = _encode(_dataset(), ExplicitVRLittleEndian)
    position = explicit.index(b"\x10\x00\x20\x00LO")

    head = read_head(explicit[:position] + unknown + explicit[position:], ExplicitVRLittleEndian)

    assert head.series_uid == "1.2.3.5"


def test_a_deflated_head_is_read_and_a_bomb_is_not_blown_up() -> None:
    data = _encode(_dataset(), ExplicitVRLittleEndian)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = packer.compress(data + b"\0" * 8192) + packer.flush()
    padded = deflated + b"\0" * 4096
    assert read_head(padded, DeflatedExplicitVRLittleEndian).series_uid == "1.2.3.5"

    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(b"\x08\0\x01\0UN\0\0\0\0\0\x40" + b"\0" * (64 << 20)) + packer.flush()
    with pytest.raises(HeadTooShortError):
        read_head(bomb, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_head_that_breaks_off_asks_for_more(syntax: str) -> None:
    data = _encode(_dataset(), syntax)
    for length in range(0, data.index(b"1.2.3.5"), 3):
        with pytest.raises(HeadTooShortError):
            read_head(data[:length], syntax)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 4,
        _encode(_dataset(), ExplicitVRLittleEndian)[8:] * 2,
        b"\x08\0\x05\0SQ\0\0\xff\xff\xff\xff" + b"\x08\0\x05\0CS\x02\0AB",
    ],
    ids=["another protocol", "elements twice", "a sequence of no items"],
)
def test_what_is_no_data_set_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableInstanceError):
        read_head(data, ExplicitVRLittleEndian)


def test_sequences_nested_without_end_are_refused() -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\0\x05\0SQ\0\0\xff\xff\xff\xff"
    with pytest.raises(UnreadableInstanceError):
        read_head((sequence + item) * 5000, ExplicitVRLittleEndian)


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from([*SYNTAXES, DeflatedExplicitVRLittleEndian]))
def test_no_bytes_bring_the_walk_down(data: bytes, syntax: str) -> None:
    with suppress(UnreadableInstanceError, HeadTooShortError):
        read_head(data, syntax)
    find_head(data, syntax)


@pytest.mark.parametrize("missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_what_is_not_there_is_not_found(missing: str) -> None:
    dataset = _dataset()
    del dataset["SourceImageSequence"]
    del dataset[missing]
    data = _encode(dataset, ExplicitVRLittleEndian)

    assert find_head(data, ExplicitVRLittleEndian) is None
    assert find_head(data[: data.index(b"1.2.3") + 3], ExplicitVRLittleEndian) is None
