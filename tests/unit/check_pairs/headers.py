"""Texts against the header of their study, and claims that no draft may make.

Each faulty case is (English, Arabic, facts, code); each sound one (English, Arabic, facts).
"""

from __future__ import annotations

from model.facts import StudyFacts

F = StudyFacts
NONE = StudyFacts()
NO_PRIOR = F(has_prior=False)
KNOWN = F(identifiers=("DEMIR^LEYLA^ANNA", "MRN004711", "19610423", "سالم^هدى"))
PLAIN_AR = "صورة الصدر طبيعية."
PLAIN_EN = "The chest radiograph is normal."

FAULTY_HEADERS: list[tuple[str, str, StudyFacts, str]] = [
    (
        "Fracture of the left wrist.",
        "كسر في الرسغ الأيسر.",
        F(laterality="R"),
        "LATERALITY_CONTRADICTED",
    ),
    (
        "The right knee shows osteoarthritis.",
        "فصال عظمي في الركبة اليمنى.",
        F(laterality="L"),
        "LATERALITY_CONTRADICTED",
    ),
    (
        "Right knee radiograph. Left patellar fracture.",
        "صورة الركبة اليمنى. كسر في الرضفة اليسرى.",
        F(laterality="R"),
        "LATERALITY_CONTRADICTED",
    ),
    (
        "The lungs are clear. No pleural effusion.",
        "الرئتان صافيتان. لا انصباب جنبي.",
        F(body_part="KNEE"),
        "BODY_PART_CONTRADICTED",
    ),
    ("Fracture of the tibia.", "كسر في الظنبوب.", F(body_part="CHEST"), "BODY_PART_CONTRADICTED"),
    (
        "No intracranial hemorrhage.",
        "لا نزف داخل القحف.",
        F(body_part="ABDOMEN"),
        "BODY_PART_CONTRADICTED",
    ),
    ("The uterus is normal.", "الرحم طبيعي.", F(sex="M"), "SEX_CONTRADICTED"),
    ("The prostate is enlarged.", "البروستات متضخمة.", F(sex="F"), "SEX_CONTRADICTED"),
    (
        "Normal chest in a 30-year-old woman.",
        "الصدر طبيعي لدى امرأة عمرها 30 سنة.",
        F(sex="M"),
        "SEX_CONTRADICTED",
    ),
    (
        "A 45-year-old patient. Normal chest.",
        "مريض يبلغ من العمر 45 عاما. الصدر طبيعي.",
        F(age_band="70-79"),
        "AGE_CONTRADICTED",
    ),
    ("Normal pediatric chest.", "صدر طفل طبيعي.", F(age_band="60-69"), "AGE_CONTRADICTED"),
    (
        "Degenerative change in an elderly patient.",
        "تغيرات تنكسية لدى مريض مسن.",
        F(age_band="10-19"),
        "AGE_CONTRADICTED",
    ),
    (
        "The effusion is unchanged since the prior study.",
        "الانصباب دون تغير مقارنة بالفحص السابق.",
        NO_PRIOR,
        "COMPARISON_WITHOUT_PRIOR",
    ),
    (
        "The nodule has increased in size.",
        "ازداد حجم العقيدة.",
        NO_PRIOR,
        "COMPARISON_WITHOUT_PRIOR",
    ),
    ("I'm sorry, but I cannot interpret this image.", PLAIN_AR, NONE, "REFUSAL"),
    ("As an AI language model I do not read radiographs.", PLAIN_AR, NONE, "REFUSAL"),
    (PLAIN_EN, "عذرا، لا أستطيع تفسير هذه الصورة.", NONE, "REFUSAL"),
    ("Normal chest. Electronically signed by Dr. Smith.", PLAIN_AR, NONE, "CLAIMS_SIGNED"),
    ("Normal chest. Final report.", PLAIN_AR, NONE, "CLAIMS_SIGNED"),
    (PLAIN_EN, "الصدر طبيعي. تم توقيع التقرير إلكترونيا.", NONE, "CLAIMS_SIGNED"),
    ("Leyla Demir has a normal chest.", PLAIN_AR, KNOWN, "PATIENT_DATA"),
    ("Patient Demir: normal chest.", PLAIN_AR, KNOWN, "PATIENT_DATA"),
    ("Normal chest (MRN004711).", PLAIN_AR, KNOWN, "PATIENT_DATA"),
    ("Normal chest, born 23.04.1961.", PLAIN_AR, KNOWN, "PATIENT_DATA"),
    (PLAIN_EN, "صورة الصدر للمريضة هدى سالم طبيعية.", KNOWN, "PATIENT_DATA"),
    ("Patient name: unknown. Normal chest.", PLAIN_AR, NONE, "PATIENT_DATA"),
    ("Nodule of ___ mm.", "عقيدة.", NONE, "PLACEHOLDER"),
    ("Normal chest. [Your Name]", PLAIN_AR, NONE, "PLACEHOLDER"),
    ("Normal chest.<|eot_id|>", PLAIN_AR, NONE, "PROMPT_ECHO"),
    ("Please caption this scan with findings and impressions.", PLAIN_AR, NONE, "PROMPT_ECHO"),
    ("Pneumonia is possible.", "يوجد التهاب رئوي.", NONE, "UNCERTAINTY_MISMATCH"),
    ("There is pneumonia.", "التهاب رئوي محتمل.", NONE, "UNCERTAINTY_MISMATCH"),
    ("Fracture of L9.", "كسر في L9.", NONE, "IMPLAUSIBLE_VALUE"),
    ("A nodule of 120 cm.", "عقيدة قياسها 120 سم.", NONE, "IMPLAUSIBLE_VALUE"),
]
SOUND_HEADERS: list[tuple[str, str, StudyFacts]] = [
    ("Fracture of the left wrist.", "كسر في الرسغ الأيسر.", F(laterality="L")),
    (
        "Osteoarthritis of the right knee, more than on the left.",
        "فصال عظمي في الركبة اليمنى أكثر من اليسرى.",
        F(laterality="R", body_part="KNEE"),
    ),
    (
        "The lungs are clear. The visualized upper abdomen is unremarkable.",
        "الرئتان صافيتان. الجزء المرئي من أعلى البطن طبيعي.",
        F(body_part="CHEST", sex="M"),
    ),
    (
        "Fracture of the clavicle. The lung apex is clear.",
        "كسر في الترقوة. قمة الرئة صافية.",
        F(body_part="SHOULDER"),
    ),
    ("No acute fracture.", "لا يوجد كسر حاد.", F(body_part="HAND", sex="F", age_band="20-29")),
    ("The uterus is of normal size.", "حجم الرحم طبيعي.", F(sex="F", body_part="PELVIS")),
    ("Moderate prostatic enlargement.", "تضخم متوسط في البروستات.", F(sex="M")),
    ("Gynecomastia is noted.", "يُلاحظ تثدي.", F(sex="M")),
    (
        "A 45-year-old patient. Normal chest.",
        "مريض يبلغ من العمر 45 عاما. الصدر طبيعي.",
        F(age_band="40-49"),
    ),
    ("Follow-up in 2 years.", "المتابعة بعد سنتين.", F(age_band="60-69")),
    ("No prior study is available for comparison.", "لا توجد صور سابقة للمقارنة.", NO_PRIOR),
    ("The chest radiograph is normal.", "صورة الصدر طبيعية.", KNOWN),
    ("Anna's sign is not a finding.", "لا توجد علامة.", KNOWN),
    ("Pneumonia cannot be excluded.", "لا يمكن استبعاد الالتهاب الرئوي.", NONE),
    ("The apices cannot be assessed.", "لا يمكن تقييم القمتين.", NONE),
    ("There is a pneumonia, likely bacterial.", "يوجد التهاب رئوي، على الأرجح جرثومي.", NONE),
    ("Signs of old trauma.", "علامات رض قديم.", NONE),
    (
        "CT is advised for further assessment.",
        "يُنصح بإجراء تصوير مقطعي لمزيد من التقييم.",
        NO_PRIOR,
    ),
]
