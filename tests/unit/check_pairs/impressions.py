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

FAULTY_IMPRESSIONS = _FAULTY_KINDS
SOUND_IMPRESSIONS = _SOUND_KINDS
