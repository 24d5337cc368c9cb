"""Pairs on brain, abdomen, spine, bones, breast, eye and pregnancy, faulty by side or denial."""

from __future__ import annotations

FAULTY_FIELDS = [
    ("No subdural hematoma.", "يوجد ورم دموي تحت الجافية.", "NEGATION_MISMATCH"),
    (
        "Left subdural hematoma of 9 mm.",
        "ورم دموي تحت الجافية في الجهة اليمنى بسماكة 9 مم.",
        "SIDE_MISMATCH",
    ),
    ("No hepatomegaly.", "يوجد تضخم في الكبد.", "NEGATION_MISMATCH"),
    (
        "Cholelithiasis without cholecystitis.",
        "حصيات في المرارة مع التهاب المرارة.",
        "NEGATION_MISMATCH",
    ),
    ("No biliary dilatation.", "يوجد توسع في القنوات الصفراوية.", "NEGATION_MISMATCH"),
    ("Acute pancreatitis.", "لا توجد علامات التهاب البنكرياس.", "NEGATION_MISMATCH"),
    ("The spleen is not enlarged.", "الطحال متضخم.", "NEGATION_MISMATCH"),
    ("No disc herniation.", "يوجد انزلاق غضروفي.", "NEGATION_MISMATCH"),
    (
        "No joint effusion in the right knee.",
        "يوجد انصباب مفصلي في الركبة اليمنى.",
        "NEGATION_MISMATCH",
    ),
    (
        "Suspicious microcalcifications in the left breast.",
        "تكلسات دقيقة مشتبهة في الثدي الأيمن.",
        "SIDE_MISMATCH",
    ),
    ("No architectural distortion.", "يوجد تشوه في بنية الثدي.", "NEGATION_MISMATCH"),
    ("No diabetic retinopathy.", "اعتلال الشبكية السكري موجود.", "NEGATION_MISMATCH"),
    ("Macular edema in the right eye.", "وذمة في البقعة في العين اليسرى.", "SIDE_MISMATCH"),
    ("No retinal detachment.", "يوجد انفصال في الشبكية.", "NEGATION_MISMATCH"),
    ("Placenta previa is excluded.", "توجد مشيمة منزاحة.", "NEGATION_MISMATCH"),
    ("No oligohydramnios.", "شح في السائل الأمنيوسي موجود.", "NEGATION_MISMATCH"),
    ("Fetal cardiac activity is seen.", "لا يُشاهد نبض الجنين.", "NEGATION_MISMATCH"),
    ("Femur length 32 mm.", "طول عظم الفخذ 23 مم.", "NUMBER_MISMATCH"),
    ("Urine volume 120 ml.", "حجم البول ٢١٠ مل.", "NUMBER_MISMATCH"),
    ("Cobb angle of 25 degrees.", "زاوية كوب ٥٢ درجة.", "NUMBER_MISMATCH"),
    (
        "Full-thickness tear of the right supraspinatus tendon.",
        "تمزق كامل في وتر فوق الشوكة الأيسر.",
        "SIDE_MISMATCH",
    ),
    ("No osteomyelitis.", "علامات التهاب العظم والنقي موجودة.", "NEGATION_MISMATCH"),
]
SOUND_FIELDS = [
    ("No subdural hematoma.", "لا يوجد ورم دموي تحت الجافية."),
    ("Left subdural hematoma of 9 mm.", "ورم دموي تحت الجافية في الجهة اليسرى بسماكة 9 مم."),
    ("Hepatomegaly with fatty infiltration.", "تضخم الكبد مع تشحم."),
    ("Cholelithiasis without cholecystitis.", "حصيات في المرارة دون التهاب المرارة."),
    ("No biliary dilatation.", "لا يوجد توسع في القنوات الصفراوية."),
    ("The spleen is not enlarged.", "الطحال غير متضخم."),
    ("Small amount of ascites.", "كمية قليلة من الحبن."),
    (
        "No disc herniation or spinal canal stenosis.",
        "لا يوجد انزلاق غضروفي أو تضيق في القناة الشوكية.",
    ),
    ("Small joint effusion in the right knee.", "انصباب مفصلي صغير في الركبة اليمنى."),
    ("Joint space narrowing with osteophytes.", "تضيق المسافة المفصلية مع نوابت عظمية."),
    ("Suspicious microcalcifications in the left breast.", "تكلسات دقيقة مشتبهة في الثدي الأيسر."),
    ("No architectural distortion.", "لا يوجد تشوه في بنية الثدي."),
    ("Moderate diabetic retinopathy with hard exudates.", "اعتلال شبكية سكري متوسط مع نضحات صلبة."),
    ("Macular edema in the right eye.", "وذمة البقعة في العين اليمنى."),
    ("No retinal detachment.", "لا يوجد انفصال في الشبكية."),
    ("Single live intrauterine pregnancy.", "حمل وحيد حي داخل الرحم."),
    ("The placenta is posterior; no placenta previa.", "المشيمة خلفية؛ لا توجد مشيمة منزاحة."),
    ("Femur length 32 mm.", "طول عظم الفخذ ٣٢ مم."),
    ("Post-void residual volume 120 ml.", "حجم البول المتبقي ١٢٠ مل."),
    ("Cobb angle of 25 degrees.", "زاوية كوب ٢٥ درجة."),
    ("Prostate enlargement with a volume of 62 ml.", "تضخم البروستات بحجم 62 مل."),
    ("No acute infarct. Mild cerebral atrophy.", "لا يوجد احتشاء حاد. ضمور دماغي خفيف."),
    ("Uterine fibroid of 4 cm.", "ورم ليفي رحمي قياسه ٤ سم."),
    (
        "Full-thickness tear of the right supraspinatus tendon.",
        "تمزق كامل في وتر فوق الشوكة الأيمن.",
    ),
    ("No evidence of appendicitis.", "لا دليل على التهاب الزائدة الدودية."),
    ("Periventricular small vessel disease.", "مرض الأوعية الصغيرة حول البطينات."),
    (
        "A disc protrusion at L4-L5 compresses the left L5 nerve root.",
        "بروز قرصي عند L4-L5 يضغط على جذر العصب L5 الأيسر.",
    ),
    (
        "Known lung cancer. Multiple hepatic metastases are seen.",
        "المريض معروف بسرطان الرئة. تُشاهد نقائل كبدية متعددة.",
    ),
    ("Mild levoscoliosis. Vertebral heights are preserved.", "جنف خفيف. ارتفاعات الفقرات محفوظة."),
    (
        "The common bile duct measures 5 mm. The portal vein is patent.",
        "قياس القناة الصفراوية الجامعة 5 مم. وريد الباب سالك.",
    ),
    (
        "Posterior horn tear of the medial meniscus. Intact anterior cruciate ligament.",
        "تمزق القرن الخلفي للغضروف الهلالي الأنسي. الرباط المتصالب الأمامي سليم.",
    ),
    (
        "Severe thoracic kyphosis with wedging of T8 and T9.",
        "حداب صدري شديد مع تسفين الفقرتين الصدريتين الثامنة والتاسعة.",
    ),
    (
        "Irregular mass in the upper outer quadrant of the right breast.",
        "كتلة غير منتظمة في الربع العلوي الوحشي من الثدي الأيمن.",
    ),
    (
        "Moderate osteoarthritis of the left hip with sclerosis and osteophytes.",
        "فصال عظمي متوسط في الورك الأيسر مع تصلب ونوابت عظمية.",
    ),
    (
        "Drusen in the macula of both eyes. The optic disc is normal.",
        "براريق في البقعة في كلتا العينين. القرص البصري طبيعي.",
    ),
    (
        "Breech presentation. Estimated fetal weight 2400 g. Anterior placenta.",
        "مجيء مقعدي. الوزن التقديري للجنين 2400 غم. المشيمة أمامية.",
    ),
    ("Calcified granuloma in the right upper zone.", "ورم حبيبي متكلس في المنطقة العلوية اليمنى."),
]
