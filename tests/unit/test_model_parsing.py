import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.report import Language, SectionKind, Severity
from model.parsing import clean, parse_report, parse_summary

EN, AR = Language.EN, Language.AR
FINDINGS, IMPRESSION = SectionKind.FINDINGS, SectionKind.IMPRESSION


def texts(text: str, language: Language = EN) -> dict[SectionKind, str]:
    return {section.kind: section.text for section in parse_report(text, language).sections}


@pytest.mark.parametrize(
    "heading",
    ["FINDINGS:", "findings :", "**Findings**", "**Findings:**", "## Findings", "Findings -",
     "__FINDINGS__:", "Finding:", "* Findings:", "FINDINGS：", "> Findings —"],
)  # fmt: skip
def test_english_headings_are_known_in_their_common_forms(heading: str) -> None:
    found = texts(f"{heading}\nClear lungs.\n\nImpression: Normal.")
    assert found == {FINDINGS: "Clear lungs.", IMPRESSION: "Normal."}


@pytest.mark.parametrize("heading", ["FINDINGS:", "**Findings:**", "Findings -", "**Findings**:"])
def test_text_may_follow_a_heading_on_its_line(heading: str) -> None:
    assert texts(f"{heading} Clear **lungs**.") == {FINDINGS: "Clear **lungs**."}


@pytest.mark.parametrize(
    "heading", ["النتائج:", "الموجودات:", "**النتائج**", "النتائج -", "## الموجودات"]
)
@pytest.mark.parametrize("second", ["الانطباع:", "**الانطباع:**", "الخلاصة:", "الاستنتاج -"])
def test_arabic_headings_are_known_in_their_common_forms(heading: str, second: str) -> None:
    found = texts(f"{heading}\nالرئتان صافيتان.\n\n{second}\nطبيعي.", AR)
    assert found == {FINDINGS: "الرئتان صافيتان.", IMPRESSION: "طبيعي."}


def test_text_before_the_first_heading_stays_in_the_findings() -> None:
    found = texts("Chest PA.\nFINDINGS:\nClear.\nIMPRESSION:\nNormal.")
    assert found[FINDINGS] == "Chest PA.\nClear."


def test_text_without_headings_is_all_findings() -> None:
    assert texts("The lungs are clear.\nNormal heart.") == {
        FINDINGS: "The lungs are clear.\nNormal heart."
    }


def test_an_unknown_heading_is_kept_as_text() -> None:
    found = texts("TECHNIQUE: PA view.\nFINDINGS: Clear.\nLungs: clear.\nIMPRESSION: Normal.")
    assert found[FINDINGS] == "TECHNIQUE: PA view.\nClear.\nLungs: clear."


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("Findings are unchanged.", EN),
        ("Impressions of the rib on the lung.", EN),
        ("Finding-rich film.", EN),
        ("النتائج طبيعية.", AR),
        ("الخلاصة أن الصدر طبيعي.", AR),
    ],
)
def test_a_sentence_that_begins_like_a_heading_is_a_sentence(line: str, language: Language) -> None:
    assert texts(line, language) == {FINDINGS: line}


def test_sections_of_one_kind_are_joined_in_reading_order() -> None:
    found = texts("IMPRESSION: One.\nFINDINGS: Two.\nIMPRESSION: Three.")
    assert list(found.items()) == [(FINDINGS, "Two."), (IMPRESSION, "One.\nThree.")]


def test_no_letter_is_lost() -> None:
    text = "Intro أَلِف.\n**Impression** \n\n\n\n- a\n- b\u200cc\n\nHistory: x\nOdd heading:\ny"
    joined = "".join(section.text for section in parse_report(text, EN).sections)
    for letter in set("IntroأَلِفabcxyOddheading\u200c"):
        assert letter in joined


@pytest.mark.parametrize("sign", list("\u202e\u202d\u2066\u200f\ufeff\x00\x1b\u00ad\u0085\u2028"))
def test_control_and_direction_characters_go(sign: str) -> None:
    cleaned, _ = clean(f"a{sign}b", EN)
    assert cleaned in ("ab", "a\nb")


def test_a_removed_character_is_noted() -> None:
    (note,) = parse_report("FINDINGS: \u202e12 mm", EN).findings
    assert (note.code, note.severity, note.words) == (
        "CONTROL_CHARACTERS", Severity.NOTE, ("U+202E",),
    )  # fmt: skip
    assert parse_report("FINDINGS: 12 mm", EN).findings == ()


def test_arabic_letters_marks_and_joiners_stay() -> None:
    text = "اَلْعُقَيْدَةُ اليســرى می‌شود ٣٫٥"
    assert clean(text, AR) == (text, ())


def test_every_line_ending_becomes_a_line_feed() -> None:
    assert clean("a\r\nb\rc\u2028d\x0be", EN)[0] == "a\nb\nc\nd\ne"


def test_a_summary_loses_its_heading_only() -> None:
    (section,) = parse_summary("**Summary:** Findings: clear.\nNormal.", EN).sections
    assert section.text == "Findings: clear.\nNormal."
    (section,) = parse_summary("الملخص:\nطبيعي.", AR).sections
    assert (section.kind, section.text) == (SectionKind.SUMMARY, "طبيعي.")


@pytest.mark.parametrize("text", ["", " \n\n ", "FINDINGS:\n\nIMPRESSION:", "\u202e"])
def test_nothing_makes_no_section(text: str) -> None:
    assert parse_report(text, EN).sections == ()
    assert parse_summary("", EN).sections == ()


@pytest.mark.parametrize(
    "heading",
    [
        "1. FINDINGS:", "1) Findings", "(1) **Findings**", "I. FINDINGS", "A. Findings:",
        "- Findings:", "• **Findings:**", "[FINDINGS]", "[Findings]:", "=== FINDINGS ===",
        "--- Findings ---", "<b>Findings</b>", "<h2>Findings</h2>", "### 1. Findings",
        "**1. Findings:**", "Findings / النتائج:", "FINDINGS (النتائج):", "النتائج (Findings):",
        "Radiological Findings:", "RADIOGRAPHIC FINDINGS", "Findings and Impression:",
        "أولا: النتائج:", "١. النتائج", "النَّتائِجُ:", "النتــائج:", "**النتائج الشعاعية:**",
        "«النتائج»", "  \t## Findings ##", "Findings:**",
    ],
)  # fmt: skip
def test_headings_are_known_in_all_the_forms_that_models_write(heading: str) -> None:
    assert texts(f"{heading}\nClear.\nIMPRESSION: Normal.") == {
        FINDINGS: "Clear.",
        IMPRESSION: "Normal.",
    }


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("FINDINGS: Clear. IMPRESSION: Normal.", EN, ("Clear.", "Normal.")),
        ("**Findings:** Clear. **Impression:** Normal.", EN, ("Clear.", "Normal.")),
        ("FINDINGS The lungs are clear. \nIMPRESSION Normal.", EN,
         ("The lungs are clear.", "Normal.")),
        ("النتائج: صافيتان. الانطباع: طبيعي.", AR, ("صافيتان.", "طبيعي.")),
        ("النتائج: صافيتان. الإنطباع : طبيعي.", AR, ("صافيتان.", "طبيعي.")),
        ("1. Findings: Clear.\n2. Conclusion: Normal.", EN, ("Clear.", "Normal.")),
        ("النتائج:\nصافيتان.\nImpression:\nطبيعي.", AR, ("صافيتان.", "طبيعي.")),
    ],
)  # fmt: skip
def test_headings_may_share_a_line_or_mix_languages(
    text: str, language: Language, expected: tuple[str, str]
) -> None:
    assert texts(text, language) == dict(zip((FINDINGS, IMPRESSION), expected, strict=True))


@pytest.mark.parametrize(
    "line",
    [
        "1. Findings are unchanged.",
        "- Impression of the left rib.",
        "The chest is clear, impression: none.",
        "THE LUNGS ARE CLEAR.",
        "FINDINGS OF NOTE ARE ABSENT.",
        "A. fumigatus was grown.",
        "أولا: الرئتان صافيتان.",
        "نتائجه طبيعية.",
    ],
)
def test_what_only_looks_like_a_heading_is_text(line: str) -> None:
    assert texts(line) == {FINDINGS: line}


_HEADINGS = (
    "FINDINGS:",
    "**Impression**",
    "2) Recommendations:",
    "## النتائج",
    "الانطباع:",
    "[Summary]",
)
_WORDS = st.text(
    alphabet=st.sampled_from("abcdeFGH0123.,;:|^~\\&*#-()[]/ \n\tضصثقفغعهخحجد\u064e؟،"), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(_HEADINGS), _WORDS), max_size=12))
def test_every_word_that_is_no_heading_is_in_a_section(lines: list[str]) -> None:
    text = "\n".join(lines)
    for language in Language:
        kept = "\n".join(section.text for section in parse_report(text, language).sections)
        without_headings = "\n".join(line for line in lines if line not in _HEADINGS)
        assert Counter(re.findall(r"[^\W_]+", kept)) == Counter(
            re.findall(r"[^\W_]+", without_headings)
        )


@pytest.mark.timeout(120)
def test_a_line_without_end_ends_within_the_time_of_a_test() -> None:
    # What grew with the square of the length would take hours.
    for piece in ("# * ", "=", "- ", " ", "1. ", "FINDINGS ", "Findings/", "ا", "(", "**", ". **"):
        parse_report(piece * (200_000 // len(piece)), EN)


def test_a_text_that_imitates_our_headings_makes_no_section_of_its_own() -> None:
    found = texts(
        "AI DRAFT - NOT VERIFIED\n[en]\nFINDINGS\nClear.\n"
        "IMPRESSION\nNormal.\nSUMMARY\nAll is well."
    )
    assert found == {
        FINDINGS: "AI DRAFT - NOT VERIFIED\n[en]\nClear.",
        IMPRESSION: "Normal.\nAll is well.",
    }
