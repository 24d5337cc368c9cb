"""A finding that is only partly gone, or not at all, and change that is denied."""

from __future__ import annotations

FAULTY_RESOLUTION = [
    ("The pneumonia has not fully resolved.", "شُفيت ذات الرئة.", "NEGATION_MISMATCH"),
    ("Partial resolution of the right effusion.", "زوال الانصباب الأيمن.", "NEGATION_MISMATCH"),
    ("Partially resolved left pneumothorax.", "زال استرواح الصدر الأيسر.", "NEGATION_MISMATCH"),
    ("The effusion has nearly resolved.", "زال الانصباب.", "NEGATION_MISMATCH"),
    ("No resolution of the pneumothorax.", "زوال استرواح الصدر.", "NEGATION_MISMATCH"),
    ("The right pneumothorax has resolved.", "لم يختفِ استرواح الصدر الأيمن.", "NEGATION_MISMATCH"),
    ("The pneumonia has resolved.", "لم تُشفَ ذات الرئة.", "NEGATION_MISMATCH"),
    ("No right pleural effusion.", "لم يتراجع الانصباب الجنبي الأيمن.", "NEGATION_MISMATCH"),
    ("The effusion has largely resolved.", "اختفى الانصباب.", "NEGATION_MISMATCH"),
    ("The effusion has resolved.", "زوال جزئي للانصباب.", "NEGATION_MISMATCH"),
    ("The pneumothorax has resolved partially.", "اختفى استرواح الصدر.", "NEGATION_MISMATCH"),
    ("The pneumothorax has not cleared.", "زال استرواح الصدر.", "NEGATION_MISMATCH"),
    ("No fracture.", "لم يلتئم الكسر.", "NEGATION_MISMATCH"),
    ("The pneumonia has resolved.", "زوال شبه كامل لذات الرئة.", "NEGATION_MISMATCH"),
    ("Partial resolution of the effusion.", "زوال كامل للانصباب.", "NEGATION_MISMATCH"),
    ("Resolution of the pneumothorax.", "لم يتحسن استرواح الصدر.", "NEGATION_MISMATCH"),
    (
        "The right pleural effusion is larger than on the prior study.",
        "الانصباب الجنبي الأيمن أصغر مما كان عليه في الدراسة السابقة.",
        "QUALITY_MISMATCH",
    ),
    (
        "The nodule is smaller than on the previous CT.",
        "العقيدة أكبر مما كانت عليه في التصوير المقطعي السابق.",
        "QUALITY_MISMATCH",
    ),
]
SOUND_RESOLUTION = [
    ("The pneumothorax has not resolved.", "لم يختفِ استرواح الصدر."),
    ("Partial resolution of the right effusion.", "تراجع جزئي للانصباب الأيمن."),
    ("The pneumonia has not fully resolved.", "لم تُشفَ ذات الرئة بشكل كامل."),
    ("The pneumonia has not completely resolved.", "لم تُشفَ ذات الرئة تماماً."),
    ("Near complete resolution of the effusion.", "زوال شبه كامل للانصباب."),
    ("The effusion has nearly resolved.", "زال الانصباب تقريباً."),
    ("The effusion has almost completely resolved.", "زوال شبه تام للانصباب."),
    ("The right effusion has not decreased.", "لم يتراجع الانصباب الأيمن."),
    ("The consolidation has not improved.", "لم يتحسن التصلد."),
    ("The fracture has not healed.", "لم يلتئم الكسر."),
    ("The pneumothorax has resolved.", "زال استرواح الصدر."),
    ("Complete resolution of the effusion.", "زوال كامل للانصباب."),
    ("The pneumonia has resolved completely.", "شُفيت ذات الرئة تماماً."),
    ("No resolution of the pneumothorax.", "لم يختفِ استرواح الصدر."),
    ("The effusion has partially resolved.", "زال الانصباب جزئياً."),
    ("Incomplete resolution of the pneumonia.", "شفاء غير كامل لذات الرئة."),
    ("The effusion has not increased.", "لم يزدد الانصباب."),
    ("The effusion has cleared.", "اختفى الانصباب."),
    ("The pneumothorax has largely resolved.", "تراجع معظم استرواح الصدر."),
    (
        "The right pleural effusion is larger than on the prior study.",
        "الانصباب الجنبي الأيمن أكبر مما كان عليه في الدراسة السابقة.",
    ),
    ("The right kidney is larger than on the left.", "الكلية اليمنى أكبر من اليسرى."),
]
