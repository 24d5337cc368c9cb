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
    ("Small right and large left pleural effusion.", "انصباب جنبي أيمن كبير وأيسر صغير."),
    ("The liver cyst is small.", "كيسة الكبد كبيرة."),
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
    ("Small bowel obstruction.", "انسداد الأمعاء الدقيقة."),
    ("Small nodule near the great vessels.", "عقيدة صغيرة قرب الأوعية الكبيرة."),
    ("The small effusion is largely unchanged.", "الانصباب الصغير لم يتغير إلى حد كبير."),
    ("No large pleural effusion.", "لا يوجد انصباب جنبي كبير."),
    ("Small right and large left pleural effusion.", "انصباب جنبي أيمن صغير وأيسر كبير."),
    ("There is a small nodule and a large mass.", "توجد عقيدة صغيرة وكتلة كبيرة."),
    ("Two small nodules.", "عقيدتان صغيرتان."),
    ("A nodule is seen.", "تُشاهد عقيدة صغيرة."),
    ("A tiny midline cyst.", "كيسة دقيقة في الخط المتوسط."),
    ("The middle lobe shows a small opacity.", "يظهر الفص الأوسط كثافة صغيرة."),
]
