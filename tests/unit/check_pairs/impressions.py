"""Impressions that contradict their findings thing by thing, and impressions that do not.

Each is (English findings, impression), (Arabic findings, impression), with the code of the fault.
"""

from __future__ import annotations

Ends = tuple[str, str]

# A denial of a kind that is found, and what is found of a kind that is denied.
_FAULTY_KINDS: list[tuple[Ends, Ends, str]] = [
    (
        (
            "There is an acute left parietal hemorrhage measuring 3.2 x 2.1 cm.",
            "No acute intracranial hemorrhage.",
        ),
        (
            "يوجد نزف حاد في الفص الجداري الأيسر بقياس 3.2 × 2.1 سم.",
            "لا يوجد نزف حاد داخل القحف.",
        ),
        "NEGATION_MISMATCH",
    ),
    (
        ("Acute displaced fracture of the distal radius.", "No acute fracture."),
        ("كسر حاد متبدل في النهاية البعيدة للكعبرة.", "لا يوجد كسر حاد."),
        "NEGATION_MISMATCH",
    ),
    (
        ("No acute fracture.", "Acute fracture of the hip."),
        ("لا يوجد كسر حاد.", "كسر حاد في الورك."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Severe stenosis of the left internal carotid artery.", "No significant stenosis."),
        ("تضيق شديد في الشريان السباتي الباطن الأيسر.", "لا يوجد تضيق مهم."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Severe stenosis of the left internal carotid artery.", "No significant stenosis."),
        ("تضيق شديد في الشريان السباتي الباطن الأيسر.", "لا يوجد تضيق ملحوظ."),
        "NEGATION_MISMATCH",
    ),
    (
        ("New right upper lobe nodule.", "No new nodule."),
        ("عقيدة جديدة في الفص العلوي الأيمن.", "لا توجد عقيدة جديدة."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Tension pneumothorax on the right.", "No tension pneumothorax."),
        ("استرواح صدر ضاغط في الجانب الأيمن.", "لا يوجد استرواح صدر ضاغط."),
        "NEGATION_MISMATCH",
    ),
    (
        ("A large right pleural effusion.", "No large pleural effusion."),
        ("انصباب جنبي أيمن كبير.", "لا يوجد انصباب جنبي كبير."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Displaced fracture of the clavicle.", "No displaced fracture."),
        ("كسر متبدل في الترقوة.", "لا يوجد كسر متبدل."),
        "NEGATION_MISMATCH",
    ),
]

_SOUND_KINDS: list[tuple[Ends, Ends]] = [
    (
        ("Chronic fracture of L1.", "No acute fracture."),
        ("كسر مزمن في L1.", "لا يوجد كسر حاد."),
    ),
    (
        ("Old healed fracture of the left clavicle.", "Old fracture. No acute fracture."),
        ("كسر قديم ملتئم في الترقوة اليسرى.", "كسر قديم. لا يوجد كسر حاد."),
    ),
    (
        ("Mild stenosis at the origin.", "No significant stenosis."),
        ("تضيق خفيف عند المنشأ.", "لا يوجد تضيق مهم."),
    ),
    (
        ("Small right pneumothorax.", "Small right pneumothorax without tension."),
        ("استرواح صدر أيمن صغير.", "استرواح صدر أيمن صغير دون ضغط."),
    ),
    (
        ("Small right pneumothorax.", "No tension pneumothorax."),
        ("استرواح صدر أيمن صغير.", "لا يوجد استرواح صدر ضاغط."),
    ),
    (
        ("Acute nondisplaced fracture of the radius.", "No displaced fracture."),
        ("كسر حاد غير متبدل في الكعبرة.", "لا يوجد كسر متبدل."),
    ),
    (
        ("Non-displaced fracture of the fibula.", "No displaced fracture."),
        ("كسر غير متبدل في الشظية.", "لا يوجد كسر متبدل."),
    ),
    (
        ("New nodule in the right upper lobe.", "New nodule. No other new nodule."),
        ("عقيدة جديدة في الفص العلوي الأيمن.", "عقيدة جديدة. لا توجد عقيدة جديدة أخرى."),
    ),
    (
        ("Large stable nodule in the left lung.", "No new large nodule."),
        ("عقيدة كبيرة مستقرة في الرئة اليسرى.", "لا توجد عقيدة جديدة كبيرة."),
    ),
    (
        (
            "Acute fracture of the distal radius. The ulna is intact.",
            "Acute fracture of the radius. No acute fracture of the ulna.",
        ),
        (
            "كسر حاد في النهاية البعيدة للكعبرة. الزند سليم.",
            "كسر حاد في الكعبرة. لا يوجد كسر حاد في الزند.",
        ),
    ),
    (
        ("An acute fracture cannot be excluded.", "No definite acute fracture."),
        ("لا يمكن استبعاد كسر حاد.", "لا يوجد كسر حاد مؤكد."),
    ),
    (
        ("Large right pleural effusion.", "No large left pleural effusion."),
        ("انصباب جنبي أيمن كبير.", "لا يوجد انصباب جنبي أيسر كبير."),
    ),
]

# What belongs to one finding or place of the findings, given to another.
_FAULTY_THINGS: list[tuple[Ends, Ends, str]] = [
    (
        ("No disc herniation at L4-L5. Disc herniation at L5-S1.", "Disc herniation at L4-L5."),
        ("لا يوجد فتق قرصي في L4-L5. فتق قرصي في L5-S1.", "فتق قرصي في L4-L5."),
        "NEGATION_MISMATCH",
    ),
    (
        ("No fracture of the tibia. Fracture of the fibula.", "Fracture of the tibia."),
        ("لا يوجد كسر في الظنبوب. كسر في الشظية.", "كسر في الظنبوب."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Compression fracture of T12. Hemangioma of L1.", "Compression fracture of L1."),
        ("كسر انضغاطي في T12. ورم وعائي في L1.", "كسر انضغاطي في L1."),
        "LEVEL_MISMATCH",
    ),
    (
        ("Disc protrusion at L4-L5. Disc bulge at L5-S1.", "Disc protrusion at L5-S1."),
        ("بروز قرصي في L4-L5. انتفاخ قرصي في L5-S1.", "بروز قرصي في L5-S1."),
        "LEVEL_MISMATCH",
    ),
    (
        (
            "A 6 mm calculus in the right kidney. A 3 cm cyst in the right kidney.",
            "A 3 cm calculus in the right kidney.",
        ),
        (
            "حصاة 6 مم في الكلية اليمنى. كيسة 3 سم في الكلية اليمنى.",
            "حصاة 3 سم في الكلية اليمنى.",
        ),
        "NUMBER_MISMATCH",
    ),
    (
        (
            "A 6 mm nodule in the right upper lobe. A 10 mm nodule in the left lower lobe.",
            "A 10 mm nodule in the right upper lobe.",
        ),
        (
            "عقيدة 6 مم في الفص العلوي الأيمن. عقيدة 10 مم في الفص السفلي الأيسر.",
            "عقيدة 10 مم في الفص العلوي الأيمن.",
        ),
        "NUMBER_MISMATCH",
    ),
    (
        (
            "The right kidney measures 9 cm. The left kidney measures 11 cm.",
            "Right kidney 11 cm, left kidney 9 cm.",
        ),
        (
            "تقيس الكلية اليمنى 9 سم. تقيس الكلية اليسرى 11 سم.",
            "الكلية اليمنى 11 سم، الكلية اليسرى 9 سم.",
        ),
        "SIDE_MISMATCH",
    ),
    (
        (
            "Large right pleural effusion. Small left pleural effusion.",
            "Large left pleural effusion.",
        ),
        ("انصباب جنبي أيمن كبير. انصباب جنبي أيسر صغير.", "انصباب جنبي أيسر كبير."),
        "SIZE_MISMATCH",
    ),
    (
        (
            "Mild canal stenosis at L3-L4. Severe canal stenosis at L4-L5.",
            "Severe canal stenosis at L3-L4.",
        ),
        (
            "تضيق خفيف في القناة في L3-L4. تضيق شديد في القناة في L4-L5.",
            "تضيق شديد في القناة في L3-L4.",
        ),
        "SIZE_MISMATCH",
    ),
]

_SOUND_THINGS: list[tuple[Ends, Ends]] = [
    (
        (
            "No calculus in the right kidney. A 5 mm calculus is seen on the left.",
            "A 5 mm calculus in the left kidney.",
        ),
        (
            "لا توجد حصاة في الكلية اليمنى. تشاهد حصاة بقياس 5 مم في الجهة اليسرى.",
            "حصاة 5 مم في الكلية اليسرى.",
        ),
    ),
    (
        (
            "A nodule in the right upper lobe measures 8 mm. The right lower lobe one is 6 mm.",
            "8 mm right upper lobe nodule and 6 mm right lower lobe nodule.",
        ),
        (
            "عقيدة في الفص العلوي الأيمن بقياس 8 مم. وأخرى في الفص السفلي الأيمن بقياس 6 مم.",
            "عقيدة 8 مم في الفص العلوي الأيمن وعقيدة 6 مم في الفص السفلي الأيمن.",
        ),
    ),
    (
        (
            "Multilevel disc bulge. At L4-L5 a disc bulge with stenosis. At L5-S1 arthropathy.",
            "Disc bulge at L4-L5 and L5-S1.",
        ),
        (
            "انتفاخ قرصي متعدد المستويات. في L4-L5 انتفاخ قرصي مع تضيق. في L5-S1 اعتلال مفصلي.",
            "انتفاخ قرصي في L4-L5 وL5-S1.",
        ),
    ),
    (
        (
            "Large right pleural effusion. Small left pleural effusion.",
            "Bilateral pleural effusions, large on the right and small on the left.",
        ),
        (
            "انصباب جنبي أيمن كبير. انصباب جنبي أيسر صغير.",
            "انصبابان جنبيان، كبير في الأيمن وصغير في الأيسر.",
        ),
    ),
    (
        (
            "Mild stenosis at L3-L4. Severe stenosis at L4-L5.",
            "Severe stenosis at L4-L5, mild at L3-L4.",
        ),
        ("تضيق خفيف في L3-L4. تضيق شديد في L4-L5.", "تضيق شديد في L4-L5 وخفيف في L3-L4."),
    ),
    (
        (
            "The liver is normal and measures 15 cm. A 1 cm cyst in the right lobe.",
            "Liver of 15 cm with a cyst.",
        ),
        ("الكبد طبيعي ويقيس 15 سم. كيسة بقياس 1 سم في الفص الأيمن.", "كبد بقياس 15 سم مع كيسة."),
    ),
    (
        (
            "A 12.4 mm nodule in the right upper lobe. A 4 mm nodule in the left lower lobe.",
            "Bilateral nodules, the largest in the right upper lobe measuring 12 mm.",
        ),
        (
            "عقيدة بقياس 12.4 مم في الفص العلوي الأيمن. عقيدة بقياس 4 مم في الفص السفلي الأيسر.",
            "عقيدات ثنائية الجانب، أكبرها في الفص العلوي الأيمن بقياس 12 مم.",
        ),
    ),
    (
        (
            "No rib fracture. Fracture of the left clavicle.",
            "Left clavicle fracture without rib fracture.",
        ),
        (
            "لا يوجد كسر في الأضلاع. كسر في الترقوة اليسرى.",
            "كسر الترقوة اليسرى دون كسر في الأضلاع.",
        ),
    ),
    (
        (
            "The right kidney measures 9 cm. The left kidney measures 11 cm.",
            "The right kidney is small, 9 cm.",
        ),
        ("تقيس الكلية اليمنى 9 سم. تقيس الكلية اليسرى 11 سم.", "الكلية اليمنى صغيرة، 9 سم."),
    ),
]

# An impression that calls all normal.
_FAULTY_DISMISSALS: list[tuple[Ends, Ends, str]] = [
    (
        ("Consolidation in the right lower lobe.", "Normal chest radiograph."),
        ("تصلد في الفص السفلي الأيمن.", "صورة صدر طبيعية."),
        "NEGATION_MISMATCH",
    ),
    (
        ("Small right pneumothorax.", "The study is unremarkable. No acute abnormality."),
        ("استرواح صدر أيمن صغير.", "الدراسة طبيعية. لا يوجد اضطراب حاد."),
        "NEGATION_MISMATCH",
    ),
]

_SOUND_DISMISSALS: list[tuple[Ends, Ends]] = [
    (
        ("Old healed fracture of the left clavicle. The lungs are clear.", "Normal chest."),
        ("كسر قديم ملتئم في الترقوة اليسرى. الرئتان صافيتان.", "الصدر طبيعي."),
    ),
    (
        ("Mild scoliosis. The lungs are clear. No pneumothorax.", "Normal chest radiograph."),
        ("جنف خفيف. الرئتان صافيتان. لا يوجد استرواح صدر.", "صورة صدر طبيعية."),
    ),
    (
        ("A simple cyst in the left kidney.", "Normal abdominal ultrasound."),
        ("كيسة بسيطة في الكلية اليسرى.", "تصوير البطن بالأمواج فوق الصوتية طبيعي."),
    ),
    (
        ("The previous pneumonia has resolved.", "Normal chest radiograph."),
        ("زالت ذات الرئة السابقة.", "صورة صدر طبيعية."),
    ),
    (
        ("Small right pleural effusion.", "Small right collection of fluid. Heart normal."),
        ("انصباب جنبي أيمن صغير.", "تجمع سائل أيمن صغير. القلب طبيعي."),
    ),
]

FAULTY_IMPRESSIONS = [*_FAULTY_KINDS, *_FAULTY_THINGS, *_FAULTY_DISMISSALS]
SOUND_IMPRESSIONS = [*_SOUND_KINDS, *_SOUND_THINGS, *_SOUND_DISMISSALS]
