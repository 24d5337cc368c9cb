"""Texts that are wrong by their form, and ones that only look so.

Each is (English report, English summary), (Arabic ...), what else holds of the draft, the code.
"""

from __future__ import annotations

from typing import Any

from core.report import Language

Whole = tuple[str, str]
EN: Whole = (
    "FINDINGS:\nThe lungs are clear.\nIMPRESSION:\nThe chest radiograph is normal.",
    "The chest radiograph is normal.",
)
AR: Whole = (
    "النتائج:\nالرئتان صافيتان.\nالانطباع:\nصورة الصدر طبيعية.",
    "صورة الصدر طبيعية.",
)


def _en(findings: str) -> Whole:
    return f"FINDINGS:\n{findings}\nIMPRESSION:\nThe chest radiograph is normal.", EN[1]


def _ar(findings: str) -> Whole:
    return f"النتائج:\n{findings}\nالانطباع:\nصورة الصدر طبيعية.", AR[1]


FAULTY_FORMS: list[tuple[Whole, Whole, dict[str, Any], str]] = [
    (("", EN[1]), AR, {}, "EMPTY_SECTION"),
    (("FINDINGS:\nThe lungs are clear.", EN[1]), AR, {}, "EMPTY_SECTION"),
    (EN, (AR[0], "..."), {}, "EMPTY_SECTION"),
    (EN, ("النتائج:\n\u202e\nالانطباع:\nصورة الصدر طبيعية.", AR[1]), {}, "EMPTY_SECTION"),
    (EN, AR, {"cut_off": Language.EN}, "CUT_OFF"),
    (EN, AR, {"cut_off": Language.AR}, "CUT_OFF"),
    (_en("The lungs are clear. " * 4), AR, {}, "REPETITION"),
    (_en("The lungs are " + "clear and " * 9 + "clear."), AR, {}, "REPETITION"),
    (EN, _ar("الرئتان صافيتان تماما. " * 4), {}, "REPETITION"),
    (EN, _ar("الرئتان صافيتاااااااااان."), {}, "REPETITION"),
    (_en("The lungs are clear. لا يوجد انصباب."), AR, {}, "WRONG_SCRIPT"),
    (EN, _ar("The lungs are clear and the heart is normal."), {}, "WRONG_SCRIPT"),
    (EN, _ar("الرئتان صافيتان и сердце нормальное."), {}, "WRONG_SCRIPT"),
    (AR, AR, {}, "WRONG_SCRIPT"),
    (_en("Les poumons sont clairs et le coeur est de taille normale."), AR, {}, "WRONG_SCRIPT"),
    (_en("Die Lunge ist frei und das Herz ist nicht mit Erguss."), AR, {}, "WRONG_SCRIPT"),
    (_en("Los pulmones sin alteraciones y el corazón con tamaño normal por una vez."), AR, {},
     "WRONG_SCRIPT"),
    (EN, _ar("ریه ها پاک هستند و قلب بزرگ نیست، چیزی دیده نمی شود، گره ندارد."), {},
     "WRONG_SCRIPT"),
    (EN, _ar("پھیپھڑے صاف ہیں اور دل کا سائز نارمل ہے۔"), {}, "WRONG_SCRIPT"),
    (_en("The lungs are cle\ufffdr."), AR, {}, "BROKEN_TEXT"),
    (EN, _ar("الرئتان صافي\ufffdان."), {}, "BROKEN_TEXT"),
    (_en("The lungs are clear. " + "x" * 41_000), AR, {}, "TOO_LONG"),
    (
        ("FINDINGS:\nClear.\nIMPRESSION:\nThere is no evidence of", EN[1]),
        AR,
        {},
        "UNFINISHED",
    ),
    (EN, ("النتائج:\nصافية.\nالانطباع:\nلا يوجد", AR[1]), {}, "UNFINISHED"),
    (_en("A left nodule."), _ar("عقيدة يسرى."), {"is_oriented": False}, "ORIENTATION_UNKNOWN"),
    (_en("Bands, more on the right."), _ar("أشرطة، أكثر في الجهة اليمنى."), {"is_oriented": False},
     "ORIENTATION_UNKNOWN"),
    (_en("The lungs are \u202eclear."), AR, {}, "CONTROL_CHARACTERS"),
    (EN, _ar("الرئتان\x00 صافيتان."), {}, "CONTROL_CHARACTERS"),
    (_en("Cardiomegaly and pleural effusion."), _ar("تضخم القلب."), {}, "FINDING_MISSING"),
    (_en("Cardiomegaly."), _ar("تضخم القلب مع انصباب جنبي."), {}, "FINDING_MISSING"),
    (_en("No pneumothorax."), _ar("لا يوجد انصباب جنبي."), {}, "FINDING_MISSING"),
]  # fmt: skip
SOUND_FORMS: list[tuple[Whole, Whole, dict[str, Any]]] = [
    (EN, AR, {}),
    (EN, AR, {"is_oriented": False}),
    # Of both sides no picture is the wrong one.
    (_en("Bilateral bands."), _ar("أشرطة ثنائية الجانب."), {"is_oriented": False}),
    (_en("CT is advised."), _ar("يُنصح بإجراء تصوير مقطعي محوسب CT."), {}),
    (_en("Dilated LA, DES in the LAD, en face view, en bloc resection, status post SIN."),
     _ar("توسع الأذين، دعامة في الشريان، منظر أمامي، استئصال كامل."), {}),
    (_en("No mass effect on the fundus; per se no change in di and tri-leaflet valves."),
     _ar("لا تأثير كتلي على القاع؛ لا تغير."), {}),
    (_en("A PICC is seen."), _ar("يُشاهد قثطار وريدي مركزي (PICC)."), {}),
    (_en("No effusion. No pneumothorax. No nodule."),
     _ar("لا انصباب. لا استرواح. لا عقيدة."), {}),
    (_en("The right lung is clear. The left lung is clear."),
     _ar("الرئة اليمنى صافية. الرئة اليسرى صافية."), {}),
    (_en("Very, very small cyst."), _ar("كيسة صغيرة جدا جدا."), {}),
    (_en("The α-angle is normal; β 5 µm."), _ar("زاوية α طبيعية؛ β 5 µm."), {}),
    (_en("Heart size: normal | lungs ^ clear & ~ \\ free."),
     _ar("حجم القلب: طبيعي | الرئتان ^ صافيتان & ~ \\ خاليتان."), {}),
    (("**FINDINGS**\n- Clear lungs.\n\n**IMPRESSION**\n1. Normal", "Normal"),
     ("## النتائج\n- رئتان صافيتان.\n\n## الانطباع\n1. طبيعي", "طبيعي"), {}),
]  # fmt: skip
