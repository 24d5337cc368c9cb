"""Any report, however hostile, goes through ORU and back without a difference.

Thousands of reports are read back by a reader that shares no code with ours; hundreds of them also
by our own, behind which stands hl7apy. Nothing in a text may end a field, a segment or a frame.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from harness.er7_reader import components, read_segments
from harness.result_samples import AR, EN, ENVELOPE, HEADER, HOSTILE, report_of, result_of, signed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import UnwritableTextError
from core.report import Language, Report, SectionKind
from hl7.charset import codec_of
from hl7.frame import frame
from hl7.mdm import build_mdm
from hl7.oru import build_oru
from hl7.result import Result
from hl7.result_profile import GROUPS, SECTIONS
from hl7.result_reading import verify_result

_DELIMITERS = "|^~\\&#"
_CONTROLS = "".join(map(chr, [*range(0x20), 0x7F, 0x85, 0xA0]))
_BIDI = "\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LINES = "\r\n\u2028\u2029\v\f"
_ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيًٌٍَُِّْٰ٠١٢٣٤٥٦٧٨٩؟،؛ﷲﻻ"
_EMOJI = "🫁🩻👩🏽\u200d⚕️🏳️\u200d🌈🇦🇪☠️"
_WORDS = [
    "\\F\\",
    "\\.br\\",
    "\\X0D\\",
    "\\X",
    "\\",
    '""',
    "\rOBX|9|TX|||injected",
    "\nMSH|^~\\&|EVIL",
    "\x1c\r\x0bMSH|",
    "No mass.",
    "الرئة اليمنى صافية.",
    "\u2067اليسرى\u2069 left",
    "12 mm < 15 mm",
    "\ue000\U000f0000",
    "e\u0301 é",
]
_hostile = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=_DELIMITERS + _CONTROLS + _LINES + "XFSTREHN.br0D "),
    st.text(alphabet=_ARABIC + _BIDI + _EMOJI + " \n.", max_size=80),
    st.lists(st.sampled_from(_WORDS), max_size=12).map("".join),
    st.tuples(st.text(max_size=8), st.sampled_from(_WORDS), st.text(max_size=8)).map("".join),
)
# A text that holds the marks of damage is refused, and that is tested elsewhere.
_texts = _hostile.filter(
    lambda text: "\N{REPLACEMENT CHARACTER}" not in text and "????" not in text
)
_layouts = st.fixed_dictionaries(
    {
        "text_type": st.sampled_from(["TX", "FT"]),
        "version": st.sampled_from(["2.3.1", "2.4", "2.5", "2.5.1", "2.6"]),
        "has_language_marks": st.booleans(),
        "has_study_uid": st.booleans(),
    }
)


def _normalised(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_texts(data: bytes, charset: str = "utf-8") -> dict[tuple[str, str], str]:
    """Return OBX-5 by code and sub-id."""
    return {
        (components(row[3])[0], row[4]): "".join(components(row[5]))
        for row in read_segments(data, charset)
        if row[0] == "OBX" and row[2] in {"TX", "FT"}
    }


def _wanted_texts(result: Result) -> dict[tuple[str, str], str]:
    wanted = {}
    for narrative in result.narratives:
        number = GROUPS[narrative.language].number
        wanted[("18748-4", f"{number}.0")] = result.notice(narrative.language)
        for section in narrative.sections:
            code, place = SECTIONS[section.kind]
            wanted[(code[0], f"{number}.{place}")] = _normalised(section.text)
    return wanted


@settings(deadline=None, max_examples=2000, database=None, suppress_health_check=list(HealthCheck))
@given(_texts, _texts, _layouts, st.booleans())
def test_thousands_of_hostile_reports_come_back_as_they_were(
    english: str, arabic: str, layout: dict[str, Any], is_signed: bool
) -> None:
    report = report_of(english, arabic)
    result = result_of(signed(report) if is_signed else report, **layout)
    data = build_oru(result, ENVELOPE)
    assert _read_texts(data) == _wanted_texts(result)
    assert frame(data).count(b"\x0b") == 1
    marks = 2 * layout["has_language_marks"] + layout["has_study_uid"]
    texts = 2 * (1 + len(SectionKind))
    names = [row[0] for row in read_segments(data)]
    assert names == ["MSH", "PID", "PV1", "ORC", "OBR", *["OBX"] * (marks + texts)]


@settings(deadline=None, max_examples=300, database=None)
@given(_texts, _texts, _layouts, st.sampled_from([build_oru, build_mdm]))
def test_hl7apy_reads_hostile_reports_as_they_were(
    english: str, arabic: str, layout: dict[str, Any], build: Any
) -> None:
    result = result_of(report_of(english, arabic), **layout)
    verify_result(build(result, ENVELOPE), result)


_names = st.text(alphabet=_DELIMITERS + _CONTROLS + _ARABIC + _BIDI + "abc=", max_size=30)


@settings(deadline=None, max_examples=300, database=None)
@given(_names, _names, _names)
def test_hostile_names_and_descriptions_stay_in_their_fields(
    name: str, description: str, referrer: str
) -> None:
    patient = replace(HEADER.patient, name=name)
    header = replace(HEADER, patient=patient, description=description, referring_physician=referrer)
    rows = read_segments(build_oru(result_of(header=header), ENVELOPE))
    assert [row[0] for row in rows if row[0] not in {"OBX", "PV1"}] == ["MSH", "PID", "ORC", "OBR"]
    pid = next(row for row in rows if row[0] == "PID")
    assert pid[7:] == ["19230321", "M"]


def _only(report: Report, *languages: Language) -> Report:
    return replace(
        report, narratives=tuple(n for n in report.narratives if n.language in languages)
    )


@settings(deadline=None, max_examples=300, database=None)
@given(_texts, _texts, st.sampled_from(["8859/1", "8859/6", "WINDOWS-1256", "8859/15", "ASCII"]))
def test_another_character_set_holds_every_letter_or_nothing_is_sent(
    english: str, arabic: str, character_set: str
) -> None:
    header = replace(HEADER, patient=replace(HEADER.patient, name="Qabbani^Nizar"))
    result = result_of(report_of(english, arabic), header, character_set=character_set)
    codec = "ascii" if character_set == "ASCII" else codec_of(character_set)
    try:
        data = build_oru(result, ENVELOPE)
    except UnwritableTextError:
        written = "".join(_wanted_texts(result).values())
        with pytest.raises(UnicodeEncodeError):
            written.encode(codec)
    else:
        assert _read_texts(data, codec) == _wanted_texts(result)


@pytest.mark.parametrize(
    ("character_set", "language", "text"),
    [
        ("8859/6", AR, "الرئتان صافيتان؛ لا كتل؟"),
        ("WINDOWS-1256", AR, "الرئتان صافيتان – لا كتل"),
        ("8859/1", EN, "Höhe 12 mm"),
        ("WINDOWS-1252", EN, "“No mass” – 12 µm"),
        ("ASCII", EN, HOSTILE.encode("ascii", "ignore").decode()),
    ],
)
def test_a_text_that_fits_goes_out_in_the_character_set_of_the_site(
    character_set: str, language: Language, text: str
) -> None:
    header = replace(HEADER, patient=replace(HEADER.patient, name="Qabbani^Nizar"))
    report = _only(report_of(text, text), language)
    result = result_of(report, header, character_set=character_set)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    assert f"|{character_set}|".encode() in data.split(b"\r")[0]
    assert data.isascii() == (character_set == "ASCII")


@pytest.mark.parametrize(
    ("character_set", "text"),
    [
        ("8859/6", "\u2067الرئة\u2069"),
        ("8859/6", "mass 🫁"),
        ("WINDOWS-1256", "\u2067الرئة\u2069"),
        ("8859/1", "الرئة"),
        ("ASCII", "Höhe"),
    ],
)
def test_a_text_that_does_not_fit_is_refused_and_not_spelled_with_question_marks(
    character_set: str, text: str
) -> None:
    report = _only(report_of("x", text), AR)
    with pytest.raises(UnwritableTextError, match=r"U\+[0-9A-F]{4}.*UNICODE UTF-8") as refusal:
        build_oru(result_of(report, character_set=character_set), ENVELOPE)
    # Neither the sentence nor what it was raised from quotes the text.
    assert text not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_marks_of_direction_are_left_out_where_a_site_asks_for_it() -> None:
    report = _only(report_of("x", "\u2067الرئة اليمنى\u2069 \u200fصافية"), AR)
    header = replace(HEADER, patient=replace(HEADER.patient, name="Qabbani^Nizar"))
    result = result_of(report, header, character_set="8859/6", keeps_bidi_marks=False)
    data = build_oru(result, ENVELOPE)
    verify_result(data, result)
    assert _read_texts(data, "iso8859-6")[("59776-5", "2.2")] == "findings الرئة اليمنى صافية"
