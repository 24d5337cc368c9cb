"""The guarded way into and out of hl7apy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UnreadableMessageError
from hl7.er7 import Er7Message, Er7Writer, parse
from hl7.escape import normalise_lines

texts = st.text() | st.text(alphabet="|^~\\&\r\n\x0b\x1c\"'XFSTREHN.br0D م\ue000\u2067")


def _written(fields: dict[int, object], name: str = "OBX") -> Er7Message:
    writer = Er7Writer("ORU_R01")
    writer.add("MSH", {10: "1", 12: "2.5.1", 18: "UNICODE UTF-8"})
    writer.add(name, fields)  # type: ignore[arg-type]
    return parse(writer.encode())


@settings(deadline=None)
@given(texts, st.sampled_from(["TX", "FT", "ST", "NM", "CE", "DT"]))
def test_any_text_comes_back_from_a_field_of_any_type(text: str, value_type: str) -> None:
    message = _written({2: value_type, 5: text, 11: "R"})
    assert len(message.segments) == 2
    assert message.text("OBX", 5) == normalise_lines(text)
    assert message.text("OBX", 11) == "R"


@settings(deadline=None)
@given(texts, texts, texts, texts)
def test_components_subcomponents_and_repetitions_stay_apart(
    a: str, b: str, c: str, d: str
) -> None:
    message = _written({5: [(("x", a), b), ("y", c, d)]}, "PID")
    segment = next(message.named("PID"))
    got = (
        segment.text(5, 1, subcomponent=2),
        segment.text(5, 2),
        segment.text(5, 2, rep=2),
        segment.text(5, 3, rep=2),
    )
    assert got == tuple(map(normalise_lines, (a, b, c, d)))


def test_a_field_that_is_not_there_is_empty() -> None:
    message = _written({5: "x"})
    segment = next(message.named("OBX"))
    assert segment.text(3) == segment.text(5, 9) == segment.text(5, rep=2) == ""
    assert message.text("PID", 3) == ""


def test_the_same_calls_give_the_same_bytes() -> None:
    def written() -> bytes:
        writer = Er7Writer("ORU_R01")
        writer.add("MSH", {10: "1"})
        writer.add("OBX", {5: "نص | text"})
        return writer.encode()

    assert written() == written()
    assert b"|20" not in written(), "hl7apy's own time of day"


def test_a_field_that_the_version_does_not_have_is_a_bug() -> None:
    writer = Er7Writer("ORU_R01", version="2.3.1")
    for name, number in (("OBX", 18), ("OBX", 0), ("MSA", 1), ("ZZZ", 1)):
        with pytest.raises(ValueError, match=name):
            writer.add(name, {number: "x"})


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2\.99"):
        Er7Writer("ORU_R01", version="2.99")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n"])
def test_any_line_end_parts_segments(end: str) -> None:
    message = parse(end.join(["MSH|^~\\&|A", "PID|1||7", "OBX|1|TX|||x", ""]).encode())
    assert [s.name for s in message.segments] == ["MSH", "PID", "OBX"]
    assert message.text("PID", 3) == "7"


@pytest.mark.parametrize("end", ["\r", "\n"])
def test_a_line_feed_that_no_segment_follows_is_a_line_break(end: str) -> None:
    data = end.join(["MSH|^~\\&|A", "OBX|1|TX|||No nodule.\nMRI advised.\n  Soon.|||", "NTE|1"])
    message = parse(data.encode())
    assert message.text("OBX", 5) == "No nodule.\nMRI advised.\n  Soon."
    assert len(message.segments) == 3


def test_unknown_segments_and_z_segments_survive() -> None:
    message = parse(b"MSH|^~\\&|A\rZDS|1.2.3^A^Application^DICOM\rXYZ|a~b|c&d\r")
    assert message.text("ZDS", 1) == "1.2.3"
    assert [s.line for s in message.segments][1:] == [
        "ZDS|1.2.3^A^Application^DICOM",
        "XYZ|a~b|c&d",
    ]
    xyz = next(message.named("XYZ"))
    assert xyz.repetitions(1) == ["a", "b"]
    assert xyz.text(2, 1, subcomponent=2) == "d"


def test_other_delimiters_than_the_usual_are_followed() -> None:
    message = parse(b"MSH#*!?@#A*B\rPID#1##x##a?S?b*c!d\r")
    pid = next(message.named("PID"))
    assert (pid.text(5), pid.text(5, 2), pid.text(5, rep=2)) == ("a*b", "c", "d")
    assert message.text("MSH", 3, 2) == "B"


def test_delimiters_that_msh_2_leaves_out_are_no_delimiters() -> None:
    message = parse("MSH|^~|A\rNTE|1||a\\F\\b & \ue000\r".encode())
    assert message.text("NTE", 3) == "a\\F\\b & \ue000"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("utf-8", "utf-8"),
        ("UNICODE UTF-8~8859/6", "utf-8"),
        ("", "utf-8"),
        ("8859/6", "iso8859-6"),
        ("ISO 8859-6", "iso8859-6"),
        ("WINDOWS-1256", "cp1256"),
        ("cp1256", "cp1256"),
        ("1256", "cp1256"),
    ],
)
def test_arabic_is_read_in_the_character_set_of_msh_18(declared: str, codec: str) -> None:
    header = "MSH|^~\\&|A|||||||1|P|2.5.1||||||" + declared
    message = parse(f"{header}\rNTE|1||ألم في الصدر\r".encode(codec))
    assert message.text("NTE", 3) == "ألم في الصدر"


def test_a_western_character_set_is_read() -> None:
    data = "MSH|^~\\&|A|||||||1|P|2.5.1||||||8859/1\rNTE|1||Höhe\r".encode("latin-1")
    assert parse(data).text("NTE", 3) == "Höhe"


def test_a_sender_without_msh_18_is_read_as_the_site_says() -> None:
    data = "MSH|^~\\&|A\rNTE|1||ألم\r".encode("cp1256")
    assert parse(data, default_charset="cp1256").text("NTE", 3) == "ألم"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"PID|1",
        b"MSH",
        b"MSH|",
        b"MSHA^~\\&|",
        b"MSH||||",
        b"MSH|||^~",
        b"MSH|^^^^|A",
        b"MSH|^~\\&#!!|A",
        b"MSH|ab|A",
        "MSH|^~\\&|م".encode("cp1256"),
        b"MSH|^~\\&|A|||||||1|P|2.5.1||||||UNICODE UTF-8\rNTE|1||\xe3\xff",
        b"MSH|^~\\&|A|||||||1|P|2.5.1||||||KLINGON",
        b"\xff\xfeM\x00S\x00H\x00|\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableMessageError):
        parse(data)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read_never_anything_else(tail: bytes) -> None:
    try:
        message = parse(b"MSH|^~\\&|A|" + tail)
        for segment in message.segments:
            segment.text(5)
    except UnreadableMessageError:
        pass
    else:
        assert message.segments[0].name == "MSH"


def test_a_version_that_hl7apy_does_not_know_is_read_all_the_same() -> None:
    message = parse(b"MSH|^~\\&|A||||||ACK|7|P|2.9\rMSA|AA|7\r")
    assert message.text("MSA", 2) == "7"


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse(b"\xef\xbb\xbfMSH|^~\\&|A").text("MSH", 3) == "A"


def test_a_field_past_those_of_the_version_keeps_its_number() -> None:
    message = parse(b"MSH|^~\\&|A||||||ACK|7|P|2.3.1||||||||||22~b\rERR|||||||| a\\F\\b^c\r")
    assert message.text("ERR", 8) == " a|b"
    assert message.text("ERR", 8, 2) == "c"
    assert message.text("ERR", 9) == message.text("MSH", 23) == ""
    assert next(message.named("MSH")).repetitions(22) == ["22", "b"]
