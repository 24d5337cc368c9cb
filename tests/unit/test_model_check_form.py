"""Script, loops, emptiness, orientation, severities, and the wording of the demonstration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from check_pairs import (
    NEUTRAL_AR,
    NEUTRAL_EN,
    ScriptedEngine,
    arabic,
    blocking,
    compare,
    draft,
    english,
    image,
)

from core.drafting import DraftContext, DraftRequest
from core.report import Language, Report, SectionKind, Severity
from model.drafter import ModelDrafter
from model.phantom.case import draw_case
from model.phantom.wording import write

# Script, repetition, ends, emptiness

RIGHT = (english("The lungs are clear."), arabic("الرئتان صافيتان."), NEUTRAL_EN, NEUTRAL_AR)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (0, english("The lungs are clear. لا يوجد انصباب.")),
        (0, arabic("الرئتان صافيتان.")),
        (1, english("The lungs are clear.")),
        (1, arabic("The lungs are clear.")),
        (2, NEUTRAL_AR),
        (3, NEUTRAL_EN),
        (1, arabic("الرئتان صافيتان and there is no pleural effusion or pneumothorax seen.")),
    ],
)
def test_text_in_the_wrong_script_blocks(place: int, text: str) -> None:
    texts = list(RIGHT)
    texts[place] = text

    assert "WRONG_SCRIPT" in blocking(draft(texts))


@pytest.mark.parametrize(
    ("in_english", "in_arabic"),
    [
        ("CT is advised.", "يُنصح بإجراء تصوير مقطعي محوسب CT."),
        ("A PICC is seen.", "يُشاهد قثطار وريدي مركزي (PICC)."),
        ("The chest radiograph is normal.", "صورة الصدر طبيعية (PA)."),
        ("The mass is FDG avid.", "الكتلة قابطة لمادة FDG."),
        ("MRI is advised.", "يُنصح بإجراء الرنين المغناطيسي MRI."),
        ("The T1 signal is normal.", "إشارة T1 طبيعية."),
    ],
)
def test_an_abbreviation_in_latin_letters_is_no_wrong_script(
    in_english: str, in_arabic: str
) -> None:
    assert "WRONG_SCRIPT" not in blocking(compare(in_english, in_arabic))


@pytest.mark.parametrize(
    ("in_english", "in_arabic"),
    [
        ("The lungs are clear. " * 6, "الرئتان صافيتان."),
        ("The lungs are clear.", "الرئتان صافيتان تماما. " * 6),
        ("The lungs are clear " + "and clear " * 12, "الرئتان صافيتان."),
        ("The lungs are clear.", "الرئتان " + "صافيتان " * 12),
        ("The lungs are clear" + ", the heart is of normal size" * 5 + ".", "الرئتان صافيتان."),
        ("The lungs are clear. The heart is normal. " * 5, "الرئتان صافيتان. القلب طبيعي."),
    ],
)
def test_a_loop_blocks(in_english: str, in_arabic: str) -> None:
    assert "REPETITION" in blocking(compare(in_english, in_arabic))


@pytest.mark.parametrize(
    ("in_english", "in_arabic"),
    [
        (
            "The right lung is clear. The left lung is clear.",
            "الرئة اليمنى صافية. الرئة اليسرى صافية.",
        ),
        ("No effusion. No pneumothorax. No nodule.", "لا انصباب. لا استرواح. لا عقيدة."),
        ("The lungs are clear. The heart is normal.", "الرئتان صافيتان. القلب طبيعي."),
        ("Very, very small effusion.", "انصباب صغير جدا جدا."),
        (
            "Normal heart, normal lungs, normal bones.",
            "القلب طبيعي، الرئتان طبيعيتان، العظام طبيعية.",
        ),
        ("No acute bony abnormality. No acute abnormality.", "لا اضطراب عظمي حاد. لا اضطراب حاد."),
    ],
)
def test_similar_sentences_are_no_loop(in_english: str, in_arabic: str) -> None:
    assert "REPETITION" not in blocking(compare(in_english, in_arabic))


@pytest.mark.parametrize("place", range(4))
def test_an_answer_that_hit_the_limit_blocks(place: int) -> None:
    assert "CUT_OFF" in blocking(draft(RIGHT, cut_off=place))
    assert draft(RIGHT).blocking == ()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (0, "FINDINGS:\nThe lungs are clear."),
        (0, "IMPRESSION:\nThe lungs are clear."),
        (0, ""),
        (1, "النتائج:\nالرئتان صافيتان."),
        (1, "النتائج:\n\nالانطباع:\nالرئتان صافيتان."),
        (1, arabic("...")),
        (2, ""),
        (3, " \n "),
        (3, "\u202e\u200b"),
    ],
)
def test_an_empty_section_blocks(place: int, text: str) -> None:
    texts = list(RIGHT)
    texts[place] = text

    assert "EMPTY_SECTION" in blocking(draft(texts))


# Orientation


@pytest.mark.parametrize(
    ("in_english", "in_arabic"),
    [
        ("Left pleural effusion.", "انصباب جنبي أيسر."),
        ("No left effusion.", "لا يوجد انصباب أيسر."),
        ("RLL consolidation.", "تصلد في الفص السفلي الأيمن."),
        ("Right-sided consolidation.", "تصلد في الجهة اليمنى."),
        ("Consolidation on the left.", "تصلد على اليسار."),
        # Only the Arabic names a side.
        ("Consolidation.", "تصلد باليسرى."),
        # A verb, not a side: an accepted false alarm.
        ("The drain was left in place.", "تُرك المفجر في مكانه."),
    ],
)
def test_a_side_blocks_where_the_orientation_is_unknown(in_english: str, in_arabic: str) -> None:
    texts = [english(in_english), arabic(in_arabic), NEUTRAL_EN, NEUTRAL_AR]

    assert "ORIENTATION_UNKNOWN" in blocking(draft(texts, is_orientation_known=False))
    assert "ORIENTATION_UNKNOWN" not in blocking(draft(texts))


@pytest.mark.parametrize(
    ("in_english", "in_arabic"),
    [
        ("The lungs are clear.", "الرئتان صافيتان."),
        ("Cardiomegaly.", "تضخم القلب."),
        ("Erect (upright) radiograph.", "صورة شعاعية بوضعية الوقوف."),
        ("No pleural effusion.", "لا يوجد انصباب جنبي."),
        ("A nodule is seen.", "تُشاهد عقيدة."),
        ("Fracture of L1.", "كسر في L1."),
    ],
)
def test_a_draft_without_a_side_passes_whatever_the_orientation(
    in_english: str, in_arabic: str
) -> None:
    texts = [english(in_english), arabic(in_arabic), NEUTRAL_EN, NEUTRAL_AR]

    assert draft(texts, is_orientation_known=False).blocking == ()


# Severities, hostile signs, headings in odd places


def test_a_severity_can_be_set_and_an_unknown_code_is_refused() -> None:
    side = [english("Left effusion."), arabic("انصباب أيسر."), NEUTRAL_EN, NEUTRAL_AR]

    def drafted(code: str) -> Report:
        engine: Any = ScriptedEngine(side)
        request = DraftRequest(
            images=(image(is_orientation_known=False),),
            context=DraftContext(),
            severities=((code, Severity.WARN),),
        )
        return ModelDrafter(engine).draft(request)

    lowered = drafted("ORIENTATION_UNKNOWN")
    assert lowered.blocking == ()
    assert ("ORIENTATION_UNKNOWN", Severity.WARN) in {
        (f.code, f.severity) for f in lowered.findings
    }
    with pytest.raises(ValueError, match="NO_SUCH_CODE"):
        drafted("NO_SUCH_CODE")


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x07", "\x1b", "\u200e"])
def test_a_sign_that_nobody_sees_is_taken_out_and_told(sign: str) -> None:
    report = draft([RIGHT[0].replace("clear", f"cl{sign}ear"), *RIGHT[1:]])

    assert "The lungs are clear." in report.narrative(Language.EN).text_of(SectionKind.FINDINGS)
    (note,) = report.findings
    assert (note.severity, note.language) == (Severity.NOTE, Language.EN)


def test_a_summary_heading_inside_a_report_makes_no_second_summary() -> None:
    report = draft([f"{RIGHT[0]}\n\nSUMMARY:\nNormal.", *RIGHT[1:]])

    kinds = [section.kind for section in report.narrative(Language.EN).sections]
    text = "\n".join(section.text for section in report.narrative(Language.EN).sections)
    assert len(kinds) == len(set(kinds))
    assert report.narrative(Language.EN).text_of(SectionKind.SUMMARY) == NEUTRAL_EN
    assert "Normal." in text


# The demonstration's own wording


def test_every_wording_of_the_demonstration_passes() -> None:
    rng = np.random.default_rng(0)
    stopped = []
    for _ in range(120):
        wording = write(draw_case(rng), rng)
        texts = [wording.report_en, wording.report_ar, wording.summary_en, wording.summary_ar]
        report = draft(texts)
        if report.blocking:
            stopped.append((texts, report.blocking))

    assert stopped == []


def test_a_wording_of_the_demonstration_under_the_other_side_is_stopped() -> None:
    """Swap left and right in the Arabic report of each case that names a side."""
    rng = np.random.default_rng(1)
    swaps = {"أيمن": "أيسر", "أيسر": "أيمن", "اليمنى": "اليسرى", "اليسرى": "اليمنى"}
    swapped_count = 0
    for _ in range(120):
        wording = write(draw_case(rng), rng)
        swapped = " ".join(_swap(word, swaps) for word in wording.report_ar.split(" "))
        if swapped == wording.report_ar:
            continue
        swapped_count += 1
        texts = [wording.report_en, swapped, wording.summary_en, wording.summary_ar]
        assert "SIDE_MISMATCH" in blocking(draft(texts))
    assert swapped_count > 30


def _swap(word: str, swaps: dict[str, str]) -> str:
    for old, new in swaps.items():
        if old in word:
            return word.replace(old, new)
    return word


def test_both_languages_are_drafted_from_the_english_report() -> None:
    engine: Any = ScriptedEngine(RIGHT)
    steps: list[str] = []
    request = DraftRequest(images=(image(),), context=DraftContext())

    report = ModelDrafter(engine).draft(request, steps.append)

    assert steps == ["report_en", "report_ar", "summary_en", "summary_ar", "checks"]
    assert [n.language for n in report.narratives] == [Language.EN, Language.AR]
    assert RIGHT[0] in engine.asked[1]
    assert RIGHT[0] in engine.asked[2]
    assert RIGHT[1] in engine.asked[3]
