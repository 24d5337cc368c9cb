"""Pairs in which something is larger in one language, and pairs that agree in size."""

from __future__ import annotations

FAULTY_SIZES = [
    ("Small left pleural effusion.", "انصباب جنبي أيسر كبير."),
    ("Large left pleural effusion.", "انصباب جنبي أيسر صغير."),
    ("There is a tiny pneumothorax.", "يوجد استرواح صدر ضخم."),
    ("A massive pneumothorax is seen.", "يُشاهد استرواح صدر طفيف."),
    ("Moderate pericardial effusion.", "انصباب تاموري كبير."),
    ("Trace ascites.", "استسقاء غزير."),
    ("Small nodule. Large mass.", "عقيدة كبيرة. كتلة صغيرة."),
    ("There is a small nodule and a large mass.", "توجد عقيدة كبيرة وكتلة صغيرة."),
    ("Mild pulmonary oedema.", "وذمة رئوية شديدة."),
    ("Severe stenosis.", "تضيق خفيف."),
    ("Severe hydronephrosis of the right kidney.", "استسقاء كلوي طفيف في الكلية اليمنى."),
    ("Moderate hydronephrosis of the right kidney.", "استسقاء كلوي شديد في الكلية اليمنى."),
    ("Severe stenosis of the canal.", "تضيق متوسط في القناة."),
    ("Mild cardiomegaly.", "تضخم قلبي متوسط."),
    ("Mild cardiomegaly.", "تضخم قلبي كبير."),
    ("Marked cardiomegaly.", "تضخم قلبي طفيف."),
    ("Severe scoliosis.", "جنف بسيط."),
    ("Extensive consolidation.", "تصلد طفيف."),
    ("Mild consolidation.", "تصلد واسع."),
    ("Slight swelling.", "تورم ملحوظ."),
    ("Large effusion and mild atelectasis.", "انصباب طفيف وانخماص شديد."),
    ("Small right and large left pleural effusion.", "انصباب جنبي أيمن كبير وأيسر صغير."),
    ("The liver cyst is small.", "كيسة الكبد كبيرة."),
    # Each size at the other's place, in one sentence.
    (
        "Mild canal stenosis at L3-L4 and severe canal stenosis at L4-L5.",
        "تضيق شديد في القناة في L3-L4 وتضيق خفيف في القناة في L4-L5.",
    ),
    (
        "Mild disc bulge at L3-L4 and severe disc bulge at L4-L5.",
        "انتفاخ قرصي شديد في L3-L4 وانتفاخ قرصي خفيف في L4-L5.",
    ),
    (
        "A small cyst in the liver and a large cyst in the spleen.",
        "كيسة كبيرة في الكبد وكيسة صغيرة في الطحال.",
    ),
]

SOUND_SIZES = [
    ("Small left pleural effusion.", "انصباب جنبي أيسر صغير."),
    ("Small left pleural effusion.", "انصباب جنبي أيسر طفيف."),
    ("Trace right pleural effusion.", "انصباب جنبي أيمن ضئيل."),
    ("Large right pneumothorax.", "استرواح صدر أيمن كبير."),
    ("A massive pleural effusion.", "انصباب جنبي ضخم."),
    ("Moderate pericardial effusion.", "انصباب تاموري متوسط."),
    ("Small to moderate ascites.", "استسقاء صغير إلى متوسط."),
    ("Mild pulmonary oedema.", "وذمة رئوية خفيفة."),
    ("Mild pulmonary oedema.", "وذمة رئوية طفيفة."),
    ("Mild cardiomegaly.", "تضخم القلب بشكل بسيط."),
    ("Severe stenosis.", "تضيق شديد."),
    ("Severe stenosis of the canal.", "تضيق كبير في القناة."),
    ("Large effusion.", "انصباب شديد."),
    ("Moderate to severe stenosis.", "تضيق متوسط إلى شديد."),
    ("Marked cardiomegaly.", "تضخم قلبي شديد."),
    ("Marked cardiomegaly.", "تضخم قلبي ملحوظ."),
    ("Extensive consolidation.", "تصلد واسع."),
    ("Mild stenosis of the middle cerebral artery.", "تضيق خفيف في الشريان المخي المتوسط."),
    ("No significant change in the small effusion.", "لا تغير ملحوظ في الانصباب الصغير."),
    (
        "Mildly displaced fracture of the greater tuberosity.",
        "كسر متبدل قليلا في الحديبة الكبيرة.",
    ),
    (
        "Slight thickening of the major fissure.",
        "تسمك بشكل خفيف في الشق الكبير.",
    ),
    ("A 3 cm simple cyst. Large liver.", "كيسة بسيطة قياسها 3 سم. كبد كبير."),
    (
        "A simple cyst in the right kidney and a tiny stone in the left.",
        "كيسة بسيطة في الكلية اليمنى وحصاة ضئيلة في اليسرى.",
    ),
    ("Fracture of the little finger. Marked swelling.", "كسر في الخنصر. تورم شديد."),
    (
        "Mild cardiomegaly with small bilateral effusions and moderate pulmonary edema.",
        "تضخم قلبي خفيف مع انصبابين جنبيين صغيرين ووذمة رئوية متوسطة.",
    ),
    ("Small bowel obstruction.", "انسداد الأمعاء الدقيقة."),
    ("Small nodule near the great vessels.", "عقيدة صغيرة قرب الأوعية الكبيرة."),
    ("The small effusion is largely unchanged.", "الانصباب الصغير لم يتغير إلى حد كبير."),
    ("No large pleural effusion.", "لا يوجد انصباب جنبي كبير."),
    ("Small right and large left pleural effusion.", "انصباب جنبي أيمن صغير وأيسر كبير."),
    ("There is a small nodule and a large mass.", "توجد عقيدة صغيرة وكتلة كبيرة."),
    (
        "Mild canal stenosis at L3-L4 and severe canal stenosis at L4-L5.",
        "تضيق خفيف في القناة في L3-L4 وتضيق شديد في القناة في L4-L5.",
    ),
    (
        "Severe stenosis at L4-L5 and mild stenosis at L3-L4.",
        "تضيق خفيف في L3-L4 وتضيق شديد في L4-L5.",
    ),
    (
        "At L3-L4 there is mild stenosis, and at L4-L5 severe stenosis.",
        "في L3-L4 تضيق خفيف، وفي L4-L5 تضيق شديد.",
    ),
    (
        "A small cyst in the liver and a large cyst in the spleen.",
        "كيسة صغيرة في الكبد وكيسة كبيرة في الطحال.",
    ),
    ("Two small nodules.", "عقيدتان صغيرتان."),
    ("A nodule is seen.", "تُشاهد عقيدة صغيرة."),
    ("A tiny midline cyst.", "كيسة دقيقة في الخط المتوسط."),
    ("The middle lobe shows a small opacity.", "يظهر الفص الأوسط كثافة صغيرة."),
]
