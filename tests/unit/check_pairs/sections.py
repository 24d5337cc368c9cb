"""Texts whose sections contradict or bear out one another, and their code.

Each is (English findings, impression, summary), (Arabic ...).
"""

from __future__ import annotations

from check_pairs import NEUTRAL_AR, NEUTRAL_EN, Texts

CONTRADICTIONS: list[tuple[Texts, Texts, str]] = [
    (
        ("Left pleural effusion.", "Right pleural effusion.", "Pleural effusion."),
        ("انصباب جنبي أيسر.", "انصباب جنبي أيمن.", "انصباب جنبي."),
        "SIDE_MISMATCH",
    ),
    (
        ("Right pneumothorax.", "Right pneumothorax.", "Left pneumothorax."),
        ("استرواح صدر أيمن.", "استرواح صدر أيمن.", "استرواح صدر أيسر."),
        "SIDE_MISMATCH",
    ),
    (
        ("Right nodule.", "Bilateral nodules.", "Right nodule."),
        ("عقيدة يمنى.", "عقيدات ثنائية الجانب.", "عقيدة يمنى."),
        "SIDE_MISMATCH",
    ),
    (
        ("Pleural effusion.", "Right pleural effusion.", "Pleural effusion."),
        ("انصباب جنبي.", "انصباب جنبي.", "انصباب جنبي."),
        "SIDE_MISMATCH",
    ),
    (
        ("Right effusion.", "Right effusion.", "Right effusion."),
        ("انصباب أيمن.", "انصباب أيمن.", "انصباب أيسر."),
        "SIDE_MISMATCH",
    ),
    (
        ("No pleural effusion.", "Pleural effusion.", NEUTRAL_EN),
        ("لا يوجد انصباب جنبي.", "انصباب جنبي.", NEUTRAL_AR),
        "NEGATION_MISMATCH",
    ),
    (
        ("There is a pneumothorax.", "Pneumothorax.", "There is no pneumothorax."),
        ("يوجد استرواح صدر.", "استرواح صدر.", "لا يوجد استرواح صدر."),
        "NEGATION_MISMATCH",
    ),
    (
        ("There is a fracture.", "Fracture.", "A fracture is seen."),
        ("يوجد كسر.", "كسر.", "لا يُشاهد كسر."),
        "NEGATION_MISMATCH",
    ),
    (
        ("A 12 mm nodule.", "Nodule.", "A 12 mm nodule."),
        ("عقيدة 12 مم.", "عقيدة.", "عقيدة 13 مم."),
        "NUMBER_MISMATCH",
    ),
    # A side that the findings name nowhere.
    (
        ("Pleural effusion.", "Right pleural effusion.", NEUTRAL_EN),
        ("انصباب جنبي.", "انصباب جنبي أيمن.", NEUTRAL_AR),
        "SIDE_MISMATCH",
    ),
    (
        ("Effusion.", "No effusion.", NEUTRAL_EN),
        ("انصباب.", "لا انصباب.", NEUTRAL_AR),
        "NEGATION_MISMATCH",
    ),
]

AGREEING: list[tuple[Texts, Texts]] = [
    (
        ("Right effusion. No left effusion.", "Right effusion.", "Right effusion."),
        ("انصباب أيمن. لا يوجد انصباب أيسر.", "انصباب أيمن.", "انصباب أيمن."),
    ),
    (
        ("Bilateral effusions.", "Bilateral effusions.", "Effusions on both sides."),
        ("انصباب ثنائي الجانب.", "انصباب ثنائي الجانب.", "انصباب في كلا الجانبين."),
    ),
    (
        ("A nodule of 12 mm. No effusion.", "Solitary nodule.", "Solitary nodule."),
        ("عقيدة قياسها ١٢ مم. لا يوجد انصباب.", "عقيدة منفردة.", "عقيدة منفردة."),
    ),
    (
        ("No effusion. No pneumothorax.", "Normal chest radiograph.", "No acute abnormality."),
        ("لا يوجد انصباب. لا يوجد استرواح صدر.", "صورة الصدر طبيعية.", "لا يوجد اضطراب حاد."),
    ),
    (
        ("Left effusion and right nodule.", "Left effusion. Right nodule.", "Left effusion."),
        ("انصباب أيسر وعقيدة يمنى.", "انصباب أيسر. عقيدة يمنى.", "انصباب أيسر."),
    ),
    (
        ("Cardiomegaly.", "Cardiomegaly; echocardiography is advised.", "Cardiomegaly."),
        ("تضخم القلب.", "تضخم القلب؛ يُنصح بإجراء تخطيط صدى القلب.", "ضخامة القلب."),
    ),
    (
        ("The right lung is opaque. This is pneumonia.", "Right pneumonia.", NEUTRAL_EN),
        ("الرئة اليمنى معتمة. هذا التهاب رئوي.", "التهاب رئوي أيمن.", NEUTRAL_AR),
    ),
    (
        ("Right effusion.", "Right effusion. No left effusion.", NEUTRAL_EN),
        ("انصباب أيمن.", "انصباب أيمن. لا انصباب أيسر.", NEUTRAL_AR),
    ),
    (
        ("Nodule in the right lung.", "No new nodule.", NEUTRAL_EN),
        ("عقيدة في الرئة اليمنى.", "لا عقيدة جديدة.", NEUTRAL_AR),
    ),
]
