"""Text of objects that say what it is in, that lie about it, and that say nothing."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from dicom_samples import radiograph, to_bytes
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset

from core.character_sets import DEFINED_TERMS, check_character_set
from core.errors import SettingsError
from core.settings_file import load
from dicom_node.header import InstanceHeader, from_plain, read_header, to_plain

ARABIC = "نزار^أحمد"
THREE_GROUPS = "Nizar^Ahmad=نزار^أحمد=ن^أ"


def labelled(term: str | None, raw: bytes, keyword: str = "PatientName") -> bytes:
    """Return a film that names a character set and holds these bytes, whatever they are."""
    dataset = radiograph()
    marker = b"7" * (len(raw) + len(raw) % 2)
    # A UT takes anything and has four bytes of length.
    dataset.add_new(keyword, "UT", marker.decode())
    data = to_bytes(dataset)
    assert data.count(marker) == 1
    data = data.replace(marker, raw.ljust(len(marker)))
    if term is None:
        return data
    value = term.encode().ljust(len(term) + len(term) % 2)
    start = 144 + int.from_bytes(data[140:144], "little")
    element = b"\x08\0\x05\0CS" + len(value).to_bytes(2, "little") + value
    return data[:start] + element + data[start:]


def read(data: bytes, character_set: str = "") -> InstanceHeader:
    return read_header(BytesIO(data), character_set)


# With the override.


@pytest.mark.parametrize("label", ["ISO_IR 127", "ISO_IR 100", "ISO_IR 192", "ISO_IR 999", None])
@pytest.mark.parametrize("text", [ARABIC, THREE_GROUPS, "چگونه^پژمان"])
def test_cp1256_is_read_by_the_override_whatever_the_object_says(
    label: str | None, text: str
) -> None:
    header = read(labelled(label, text.encode("cp1256", "replace")), "cp1256")
    assert header.patient.name == text.encode("cp1256", "replace").decode("cp1256")
    assert header.text_problem == ""


@pytest.mark.parametrize(
    ("keyword", "field"),
    [
        ("StudyDescription", "study_description"),
        ("AccessionNumber", "accession_number"),
        ("StudyID", "study_id"),
        ("ReferringPhysicianName", "referring_physician"),
        ("SeriesDescription", "series_description"),
        ("Manufacturer", "manufacturer"),
    ],
)
def test_every_text_is_read_by_the_override(keyword: str, field: str) -> None:
    header = read(labelled("ISO_IR 100", "صدر".encode("cp1256"), keyword), "windows-1256")
    assert getattr(header, field) == "صدر"


def test_the_override_holds_in_sequences_too() -> None:
    issuer = Dataset()
    issuer.SpecificCharacterSet = "ISO_IR 100"
    issuer.LocalNamespaceEntityID = "7777"
    data = to_bytes(radiograph(IssuerOfAccessionNumberSequence=[issuer]))
    data = data.replace(b"7777", "صدر ".encode("cp1256"))
    assert read(data, "cp1256").accession_issuer == "صدر"


@pytest.mark.parametrize(
    ("setting", "text", "codec"),
    [
        ("ISO_IR 192", ARABIC, "utf-8"),
        ("ISO_IR 127", ARABIC, "iso8859-6"),
        ("shift_jis", "ソノ", "shift_jis"),
        ("big5", "許功蓋", "big5"),
        ("ISO 2022 IR 6\\ISO 2022 IR 127", ARABIC, "iso8859-6"),
    ],
)
def test_the_override_may_be_a_codec_or_a_defined_term(setting: str, text: str, codec: str) -> None:
    raw = text.encode(codec)
    if "\\" in setting:
        # Code extensions: each component begins in ASCII again (PS3.5 6.1.2.5.3).
        raw = b"^".join(b"\x1b-G" + part for part in raw.split(b"^"))
    assert read(labelled("ISO_IR 100", raw), setting).patient.name == text


def test_bytes_that_the_override_does_not_know_are_replaced_and_told() -> None:
    header = read(labelled("ISO_IR 100", b"A\xff\xfe^B"), "ISO_IR 192")
    assert header.patient.name == "A\ufffd\ufffd^B"
    assert header.text_problem == (
        "text is not in ISO_IR 192, which [[senders]] character_set names"
    )


# Without it.


@pytest.mark.parametrize(("label", "codec"), [("ISO_IR 127", "iso8859-6"), ("ISO_IR 192", "utf-8")])
def test_a_true_label_is_believed(label: str, codec: str) -> None:
    header = read(labelled(label, THREE_GROUPS.encode(codec)))
    assert header.patient.name == THREE_GROUPS
    assert header.text_problem == ""


@pytest.mark.parametrize("label", ["ISO-IR 127", "ISO IR 127", "ISO_IR127", "ISO_IR_127"])
def test_a_label_that_is_only_spelled_otherwise_is_believed(label: str) -> None:
    assert read(labelled(label, ARABIC.encode("iso8859-6"))).patient.name == ARABIC


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (["ISO 2022 IR 6", "ISO 2022 IR 127"], "Nizar^Ahmad=نزار^أحمد"),
        (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "Yamada^Tarou=山田^太郎=やまだ^鷗"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 127"], "Müller^Люк^نزار"),
    ],
)
def test_code_extensions_are_followed_in_every_component_group(terms: list[str], text: str) -> None:
    header = read(to_bytes(radiograph(SpecificCharacterSet=terms, PatientName=text)))
    assert header.patient.name == text
    assert header.text_problem == ""


def test_simplified_chinese_loses_its_escape_sequences() -> None:
    # PS3.5 K.2: every component is designated anew.
    name = b"Wang^XiaoDong=\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab"
    header = read(labelled("\\ISO 2022 IR 58", name))
    assert header.patient.name == "Wang^XiaoDong=王^小东"
    assert header.text_problem == ""


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    issuer = Dataset()
    issuer.SpecificCharacterSet = "ISO_IR 127"
    issuer.LocalNamespaceEntityID = "صدر"
    dataset = radiograph(SpecificCharacterSet="ISO_IR 192", PatientName=ARABIC)
    dataset.IssuerOfAccessionNumberSequence = [issuer]
    header = read(to_bytes(dataset))
    assert (header.patient.name, header.accession_issuer) == (ARABIC, "صدر")


@pytest.mark.parametrize(
    ("label", "raw", "problem"),
    [
        (None, ARABIC.encode("cp1256"), "text beyond ASCII without a character set"),
        (
            None,
            ARABIC.encode(),
            "text beyond ASCII without a character set; it looks like UTF-8",
        ),
        ("ISO_IR 999", ARABIC.encode("cp1256"), "text beyond ASCII in an unknown character set"),
        (
            "ISO_IR 192",
            ARABIC.encode("cp1256"),
            "text is not in ISO_IR 192, which the object names",
        ),
        (
            "ISO_IR 127",
            "چگونه".encode("cp1256"),
            "text is not in ISO_IR 127, which the object names",
        ),
        (
            "ISO_IR 100",
            ARABIC.encode(),
            "text is not in ISO_IR 100, which the object names; it looks like UTF-8",
        ),
        ("ISO_IR 100", b"A\x81B", "text is not in ISO_IR 100, which the object names"),
    ],
)
def test_a_lie_is_told_of_and_its_letters_are_not_guessed(
    label: str | None, raw: bytes, problem: str
) -> None:
    header = read(labelled(label, raw))
    assert header.text_problem == problem
    assert "\ufffd" in header.patient.name
    assert ARABIC not in header.patient.name


def test_plain_ascii_needs_no_character_set() -> None:
    assert read(labelled(None, b"A^B")).text_problem == ""
    assert read(labelled("ISO_IR 999", b"A^B")).text_problem == ""


def test_a_lie_in_a_sequence_is_told_of_too() -> None:
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "7777"
    data = to_bytes(radiograph(IssuerOfAccessionNumberSequence=[issuer]))
    header = read(data.replace(b"7777", "صدر ".encode("cp1256")))
    assert header.text_problem == "text beyond ASCII without a character set"


# The bytes.


@pytest.mark.parametrize("character_set", ["", "cp1256"])
def test_the_name_is_kept_as_its_bytes_came(character_set: str) -> None:
    raw = THREE_GROUPS.encode("cp1256") + b"\\" + b"\xff\x1b$B^= "
    header = read(labelled("ISO_IR 127", raw), character_set)
    assert bytes.fromhex(header.patient_name_bytes).rstrip() == raw.rstrip()
    assert from_plain(json.loads(json.dumps(to_plain(header)))) == header


def test_a_name_without_end_is_not_kept_whole() -> None:
    header = read(labelled("ISO_IR 100", b"A" * 60_000))
    assert len(header.patient_name_bytes) == 2 * 4096


def test_neither_bytes_nor_problem_show_the_name() -> None:
    raw = "CANARY^نزار".encode("cp1256")
    header = read(labelled("ISO_IR 192", raw))
    assert header.text_problem
    assert raw.hex() not in repr(header)
    assert "CANARY" not in repr(header)


# The setting.


def test_the_defined_terms_are_those_that_can_be_decoded() -> None:
    assert set(python_encoding) >= DEFINED_TERMS
    assert set(python_encoding) - DEFINED_TERMS == {"", "ISO 2022 GBK", "ISO 2022 58"}


@pytest.mark.parametrize(
    "value",
    ["", "cp1256", " windows-1256 ", "UTF-8", "ISO_IR 127", "ISO 2022 IR 6\\ISO 2022 IR 87"],
)
def test_a_character_set_is_a_codec_or_defined_terms(value: str) -> None:
    assert check_character_set(value) == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        "cp12560",
        "ISO_IR 999",
        "ISO_IR 127\\ISO_IR 100",
        "ISO_IR 192\\ISO 2022 IR 87",
        "utf-16",
        "utf-7",
        "utf-8-sig",
        "rot13",
        "hex",
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "cp037",
        "a\0b",
        "é",
    ],
)
def test_what_is_no_character_set_of_dicom_text_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are a codec of Python|mixes what cannot"):
        check_character_set(value)


def test_the_start_is_refused_with_the_forms_that_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "taqrir.toml"
    path.write_text('[[senders]]\nae_title = "OLD"\ncharacter_set = "arabic1256"\n')
    with pytest.raises(SettingsError, match='"arabic1256" is no character set: allowed are'):
        load(path, {})
