"""Text into ER7 and back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import TextIntegrityError
from hl7.escape import Delimiters, escape, normalise_lines, one_line, unescape

HOSTILE = [
    "a|b^c~d\\e&f",
    "\nOBX|9|TX|||injected",
    "\r\rMSH|^~\\&|",
    "\x0b\x1c\r\x1c\x0d",
    "\\.br\\",
    "\\X0D\\",
    "\\E\\X0D\\E\\",
    "\\",
    "\\\\F\\",
    '""',
    "\x00\x01\x7f\x80\x85\x9f",
    "\u2028\u2029\u00a0\u3000",
    "\u2067الرئة اليمنى\u2069 (right) \u200f",
    "🫁🩻",
    "\ue000\uf8ff\U000f0000",
    "\ufffe\uffff",
    "  ",
]


@given(st.text())
@example("")
def test_any_text_comes_back(text: str) -> None:
    assert unescape(escape(text)) == normalise_lines(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_comes_back(text: str) -> None:
    assert unescape(escape(text)) == normalise_lines(text)


@given(st.text(alphabet="|^~\\&\r\n\x0b\x1c\x00\x7fXFSTREHN.br0D\u0645"))
def test_an_escaped_text_holds_no_delimiter_and_no_control_character(text: str) -> None:
    raw = escape(text)
    assert not set(raw) & set("|^~&")
    assert all(ord(c) >= 0x20 and c != "\x7f" for c in raw)


def test_a_line_break_of_any_kind_comes_back_as_a_line_feed() -> None:
    assert unescape(escape("a\r\nb\rc\nd")) == "a\nb\nc\nd"


def test_half_a_character_is_refused() -> None:
    with pytest.raises(TextIntegrityError):
        escape("a\ud800b")


def test_hl7s_null_is_never_written_for_a_text() -> None:
    assert escape('""') != '""'


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\F\\S\\T\\R\\E\\P\ ", "|^&~\\# "),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"a\.br\b\.sp2\c\.sk3\d", "a\nb\n\nc   d"),
        (r"\.in+4\a\.ti-2\b\.nf\c", "abc"),
        (r"\X41\\X4142\\XD985\ ", "AABم "),
        (r"\E\X41\E\ ", "\\X41\\ "),
        # What cannot be understood stays where a reader sees it.
        (r"\X4\ \XZZ\ \XFF\ \X\ ", r"\X4\ \XZZ\ \XFF\ \X\ "),
        (r"\Zown\ \C2842\ \.unknown\ ", r"\Zown\ \C2842\ \.unknown\ "),
        ("a lone \\ mark", "a lone \\ mark"),
        (r"cut \.b", r"cut \.b"),
        (r"\.sp999999999\ ".strip(), "\n" * 100),
        (r"\.sp-5\ ".strip(), ""),
    ],
)
def test_a_peers_escape_sequence_is_understood(raw: str, text: str) -> None:
    assert unescape(raw) == text


def test_bytes_in_hexadecimal_are_in_the_messages_character_set() -> None:
    assert unescape(r"\XE3\ ".strip(), charset="cp1256") == "م"


def test_another_escape_mark_is_followed() -> None:
    marks = Delimiters(field="#", component="*", escape="?")
    assert unescape("a?F?b?S?c\\F\\", marks) == "a#b*c\\F\\"


def test_a_field_of_one_line_keeps_how_a_name_reads() -> None:
    assert one_line(" a\r\n\tb\x00\u2028c\u200d\u200f د ") == "a b c\u200d\u200f د"
