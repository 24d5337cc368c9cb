"""The checks, each with faults and with sound text; the pairs of two languages have a file each."""

import time

import pytest
import yaml

from core.report import Finding, Language, SectionKind, Severity
from model.checks import SEVERITIES, WrittenText, check
from model.claims import claims
from model.parsing import parse_report, parse_summary
from model.statements import read_statements
from model.terms import LEXICON, lexicon
from model.words import arabic_forms, fold

EN, AR = Language.EN, Language.AR
SOUND_EN = "FINDINGS:\nThe lungs are clear.\nIMPRESSION:\nNormal chest."
SOUND_AR = "النتائج:\nالرئتان صافيتان.\nالانطباع:\nالصدر طبيعي."


def written(text: str, language: Language, *, is_complete: bool = True) -> WrittenText:
    parsed = parse_report(text, language)
    return WrittenText(
        raw=text, sections=parsed.sections, is_complete=is_complete, findings=parsed.findings
    )


def summary(text: str, language: Language) -> WrittenText:
    return WrittenText(raw=text, sections=parse_summary(text, language).sections)


def codes(english: str = SOUND_EN, arabic: str = SOUND_AR, **options: bool) -> set[str]:
    return {f.code for f in findings(english, arabic, **options)}


def findings(
    english: str, arabic: str, *, known: bool = True, complete: bool = True
) -> tuple[Finding, ...]:
    return check(
        reports={EN: written(english, EN, is_complete=complete), AR: written(arabic, AR)},
        summaries={EN: summary("Normal.", EN), AR: summary("طبيعي.", AR)},
        are_orientations_known=known,
    )


def numbers(text: str, language: Language) -> tuple[str, ...]:
    return tuple(str(quantity) for quantity in read_statements(text, language).quantities)


def report_en(text: str) -> str:
    return f"FINDINGS:\n{text}\nIMPRESSION:\nSee above."


def report_ar(text: str) -> str:
    return f"النتائج:\n{text}\nالانطباع:\nانظر أعلاه."


def test_a_sound_pair_has_no_findings() -> None:
    assert findings(SOUND_EN, SOUND_AR) == ()


def test_every_code_has_a_severity_and_the_page_lists_it() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    for code, severity in SEVERITIES.items():
        assert f"| `{code}` | {severity} |" in page


def test_a_section_without_letters_is_empty() -> None:
    (finding,) = findings("FINDINGS:\n...\nIMPRESSION:\nNormal.", SOUND_AR)
    assert (finding.code, finding.language) == ("EMPTY_SECTION", EN)
    assert SectionKind.FINDINGS in finding.message


def test_text_that_ran_into_the_limit_is_cut_off() -> None:
    assert codes(complete=False) == {"CUT_OFF"}


@pytest.mark.parametrize(
    "text",
    [
        "The lungs are clear. The lungs are clear. The lungs are clear.",
        "No focal lesion and no focal lesion and no focal lesion and no focal lesion.",
        "There is is is is a shadow.",
        "Clearrrrrrrrrrrr lungs.",
        "a b c d e f a b c d e f a b c d e f",
    ],
)
def test_a_loop_is_repetition(text: str) -> None:
    assert "REPETITION" in codes(report_en(text))


@pytest.mark.parametrize(
    "text",
    [
        "No effusion. No pneumothorax. No consolidation. No nodule. No fracture.",
        "The lungs are clear. The heart is normal. The lungs are clear.",
        "Right upper, right middle and right lower zones are clear.",
        "Bone: normal. Heart: normal. Lungs: normal.",
    ],
)
def test_what_reports_repeat_anyway_is_no_repetition(text: str) -> None:
    assert "REPETITION" not in codes(report_en(text))


@pytest.mark.parametrize(
    "text",
    [
        "الرئتان are clear and well aerated.",
        "The lungs are clear.",
        "肺野清晰。",
        # The end of a sentence only: the share of Arabic letters alone would let it pass.
        "عقيدات رئوية متعددة متفاوتة الحجم واضحة الحدود منتشرة in both lungs.",
    ],
)
def test_another_script_in_arabic_is_wrong(text: str) -> None:
    assert "WRONG_SCRIPT" in codes(arabic=report_ar(text))


def test_a_latin_abbreviation_in_arabic_is_not_wrong() -> None:
    text = "صورة CT للصدر عند T12 مع عتامة زجاجية (ground glass opacity)."
    assert "WRONG_SCRIPT" not in codes(arabic=report_ar(text))


def test_one_arabic_letter_in_english_is_wrong() -> None:
    assert "WRONG_SCRIPT" in codes(report_en("The lungs are clear و normal."))
    assert "WRONG_SCRIPT" not in codes(report_en("Café-au-lait; Röntgen film."))


def test_a_replacement_character_is_broken_text() -> None:
    assert "BROKEN_TEXT" in codes(report_en("The lu\ufffdngs are clear."))


def test_a_finding_points_at_words_and_speaks_a_sentence() -> None:
    found = findings(report_en("Left cyst."), report_ar("كيسة يمنى."))
    assert {f.code for f in found} == {"SIDE_MISMATCH"}
    for finding in found:
        assert finding.words
        assert finding.message.endswith(".")


def test_units_of_length_are_compared_in_millimetres() -> None:
    assert codes(report_en("A nodule of 1.5 cm."), report_ar("عقيدة قياسها ١٥ مم.")) == set()
    assert numbers("2 x 3 cm, 5 mm, 4%", EN) == ("20 mm", "30 mm", "5 mm", "4 percent")
    assert numbers("٢ × ٣ سم، ٥ ملم، ٤٪", AR) == ("20 mm", "30 mm", "5 mm", "4 percent")


def test_a_comma_may_part_thousands_or_decimals() -> None:
    assert numbers("1,200 and 1,5", EN) == ("1200", "1.5")


def test_number_words_are_put_together() -> None:
    assert numbers("twenty-five nodules", EN) == ("25",)
    assert numbers("خمس وعشرون عقيدة", AR) == ("25",)
    assert numbers("three 20 mm nodules", EN) == ("3", "20 mm")


def test_an_orientation_that_is_not_known_blocks_sides_only_where_one_is_named() -> None:
    english, arabic = report_en("Left cyst."), report_ar("كيسة يسرى.")
    assert codes(english, arabic, known=False) == {"ORIENTATION_UNKNOWN"}
    assert codes(english, arabic) == set()
    assert codes(known=False) == set()


def test_a_severity_is_set_by_code() -> None:
    found = check(
        reports={EN: written(report_en("Left effusion."), EN)},
        summaries={},
        are_orientations_known=False,
        severities={"ORIENTATION_UNKNOWN": Severity.NOTE},
    )
    assert [(f.code, f.severity) for f in found] == [("ORIENTATION_UNKNOWN", Severity.NOTE)]


def test_a_summary_may_not_say_what_its_report_does_not_bear() -> None:
    def of_summary(text: str) -> set[str]:
        return {
            f.code
            for f in check(
                reports={EN: written(report_en("Left effusion. No nodule."), EN)},
                summaries={EN: summary(text, EN)},
                are_orientations_known=True,
            )
        }

    assert of_summary("Left effusion.") == set()
    assert of_summary("Right effusion.") == {"SIDE_MISMATCH"}
    assert of_summary("No effusion.") == {"NEGATION_MISMATCH"}
    assert of_summary("Nodule.") == {"NEGATION_MISMATCH"}
    assert of_summary("Left effusion of 12 mm.") == {"NUMBER_MISMATCH"}


def test_attached_letters_are_taken_off_for_matching() -> None:
    for word in ("وبالأيمن", "للأيمن", "الأيمن", "فالأيمن", "أيمن", "كالأيمن"):
        assert "ايمن" in arabic_forms(fold(word)), word
    assert "لا" not in arabic_forms(fold("كلا"))
    assert "لا" in arabic_forms(fold("ولا"))
    assert "انصباب" in arabic_forms(fold("وَانْصِبَابًا"))


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("انصباب وبالأيمن", "right"),
        ("انصباب أيسر", "left"),
        ("انصباب في اليمنى", "right"),
        ("انصباب في الجهة اليُسْرَى", "left"),
        ("انصباب على اليمين", "right"),
        ("انصباب لليسار", "left"),
    ],
)
def test_arabic_sides_are_known_in_every_form(text: str, side: str) -> None:
    assert read_statements(text, AR).sides == {"pleural_effusion": {side}}


@pytest.mark.parametrize(
    "text", ["انصباب ثنائي الجانب", "انصباب في كلتا الجهتين", "انصباب بكلا الجانبين"]
)
def test_arabic_both_is_right_and_left(text: str) -> None:
    assert read_statements(text, AR).sides == {"pleural_effusion": {"right", "left"}}


def test_left_as_a_verb_counts_as_a_side() -> None:
    """Documented: a false alarm is accepted where a miss would be worse."""
    assert read_statements("The drain was left in place.", EN).side_words == ("left",)


@pytest.mark.parametrize(
    ("text", "language", "findings"),
    [
        ("عقدة في الفص السفلي الأيسر", AR, {"nodule"}),
        ("العقدة الرئوية لم تتغير", AR, {"nodule"}),
        ("عقدتان في الرئة", AR, {"nodule"}),
        ("عقدة لمفية قياسها 9 مم", AR, set()),
        ("العقدة اللمفاوية الإبطية", AR, set()),
        ("عقدة لمفية وعقدة رئوية", AR, {"nodule"}),
        ("تضخم العقد اللمفية", AR, {"lymphadenopathy"}),
        ("body mass index of 31", EN, set()),
    ],
)
def test_a_node_is_a_nodule_unless_it_is_of_another_kind(
    text: str, language: Language, findings: set[str]
) -> None:
    assert read_statements(text, language).polarities.keys() == findings


@pytest.mark.parametrize("language", [EN, AR])
def test_every_finding_of_the_lexicon_is_found_by_each_of_its_entries(language: Language) -> None:
    content = yaml.safe_load(LEXICON.read_text(encoding="utf-8"))
    for name, entry in content["findings"].items():
        for text in entry[language.value]:
            plain = text.replace(" .. ", " ")
            assert set(read_statements(plain, language).polarities) == {name}, text


@pytest.mark.parametrize("text", ["", "...", "١٢٣", "؟؟؟؟", "((((", "\n\n", "و" * 500, "no " * 500])
def test_odd_text_is_read_without_an_error(text: str) -> None:
    for language in Language:
        read_statements(text, language)
        numbers(text, language)
    assert lexicon(EN) is lexicon(EN)


def test_a_sentence_without_end_is_checked_in_seconds() -> None:
    """A model in a loop writes hundreds of findings and sides without one full stop."""
    started = time.monotonic()
    findings(report_en("nodule right left 5 mm, " * 400), report_ar("عقيدة أيمن أيسر 5 مم، " * 400))

    assert time.monotonic() - started < 20


@pytest.mark.parametrize("word", ["еffusion", "胸水", "ｌｅｆｔ", "ﬁbrosis"])
def test_letters_of_a_third_script_are_wrong_and_forms_of_latin_are_not(word: str) -> None:
    is_foreign = word in ("еffusion", "胸水")
    text = f"There is a small pleural shadow and a {word} in the lower zone of the lung."
    assert ("WRONG_SCRIPT" in codes(report_en(text))) is is_foreign


@pytest.mark.parametrize(
    ("text", "language", "name", "is_named"),
    [
        ("المريض عبدالله محمد سليم", AR, "محمد^عبد الله", True),
        ("صورة عبدالله محمد", AR, "محمد^عبد الله", True),
        ("صورة عبد الله محمد", AR, "محمد^عبدالله", True),
        ("المريض عبد الله", AR, "محمد^عبدالله", True),
        ("صورة عَبْدُ اللّٰه مُحمد", AR, "محمد^عبدالله", True),
        ("Patient Al Hassan", EN, "AL-HASSAN^OMAR", True),
        ("Omar Abdul Rahman", EN, "ABDULRAHMAN^OMAR", True),
        ("Abdulrahman Omar", EN, "ABDUL-RAHMAN^OMAR", True),
        ("Pat O\u2019Brien", EN, "O'BRIEN^PAT", True),
        ("Pat O'Brien", EN, "OBRIEN^PAT", True),
        ("A young man with a long stem", EN, "YOUNG^LONG", False),
        ("The lung is clear", EN, "AL-LUNG^OMAR", False),
        ("A long view", EN, "ALONG^OMAR", False),
        ("عبد طبيعي", AR, "محمد^عبدالله", False),
        ("Radiograph of baby boy Smith", EN, "SMITH^BABY BOY 1", True),
        ("صورة طفل عائشة الحسن", AR, "الحسن^طفل عائشة ٢", True),
        ("Nizar Qabbani", EN, "QABBANI^NIZAR^^^2ND", True),
        ("A chest CT", EN, "CT CHEST 77", False),
    ],
)
def test_a_name_is_seen_joined_and_parted(
    text: str, language: Language, name: str, *, is_named: bool
) -> None:
    found = {finding.code for finding in claims(f"{text}.", language, (name,))}

    assert ("PATIENT_DATA" in found) is is_named
