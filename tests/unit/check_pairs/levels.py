"""Pairs whose vertebral levels or places differ, and pairs whose levels and places agree."""

from __future__ import annotations

FAULTY_LEVELS = [
    ("Compression fracture of L1.", "كسر انضغاطي في الفقرة القطنية الثانية."),
    ("Disc herniation at L4-L5.", "فتق قرصي على مستوى L3-L4."),
    ("Disc bulge at L4/5.", "انتفاخ القرص L5-S1."),
    (
        "Disc bulge at L4-L5 with stenosis at L3-L4.",
        "انتفاخ قرصي في مستوى L3-L4 مع تضيق في مستوى L4-L5.",
    ),
    (
        "Disc bulge at L3-L4. Disc protrusion at L4-L5. The cord is normal. The canal is normal.",
        "انتفاخ القرص عند L4-L5. بروز القرص عند L3-L4. النخاع والقناة طبيعيان.",
    ),
    ("Fracture of the third lumbar vertebra.", "كسر في الفقرة القطنية الرابعة."),
    ("Fracture of the T12 vertebral body.", "كسر في جسم الفقرة القطنية الثانية عشرة."),
    ("Anterolisthesis of L5 on S1.", "انزلاق أمامي للفقرة القطنية الرابعة على الخامسة."),
    ("Haemangioma in the body of C6.", "ورم وعائي في جسم الفقرة الرقبية الخامسة."),
    ("Cord compression at C5-C6.", "انضغاط النخاع على مستوى C6-C7."),
    ("Degenerative changes from L2 to L4.", "تغيرات تنكسية من L2 إلى L5."),
    (
        "Disc bulge at L3-L4 and disc protrusion at L4-L5.",
        "انتفاخ القرص عند L4-L5 وبروز القرص عند L3-L4.",
    ),
    ("Wedge fracture of the first lumbar vertebra.", "كسر إسفيني في الفقرة الصدرية الأولى."),
    ("Fracture of L2.", "كسر في العمود الفقري."),
    ("The conus ends at L1.", "ينتهي المخروط عند L2."),
    ("Metastasis in the eighth thoracic vertebra.", "نقيلة في الفقرة الظهرية السابعة."),
    ("Facet arthropathy at L5-S1.", "اعتلال مفصلي وجيهي بين الفقرتين القطنيتين الرابعة والخامسة."),
    ("Disc bulges at L3-L4. Fracture of L1.", "انتفاخات قرصية في L1. كسر في L3-L4."),
]
SOUND_LEVELS = [
    ("Disc bulges at L3-L4 and L4-L5.", "انتفاخات قرصية في L3-L4 وL4-L5."),
    ("Disc protrusions at L4-L5 and L5-S1.", "بروزات قرصية في مستويي L4-L5 وL5-S1."),
    ("Disc herniations at C5-C6 and C6-C7.", "فتوق قرصية في C5-C6 وC6-C7."),
    ("Compression fracture of L1.", "كسر انضغاطي في الفقرة القطنية الأولى."),
    ("Disc herniation at L4-L5.", "فتق قرصي بين الفقرتين القطنيتين الرابعة والخامسة."),
    ("Disc bulge at L5-S1.", "انتفاخ القرص بين الخامسة القطنية والأولى العجزية."),
    (
        "Disc bulge at L4-L5 with spinal canal stenosis.",
        "انتفاخ قرصي في مستوى L4-L5 مع تضيق القناة الشوكية.",
    ),
    (
        "Disc bulge at L4-L5 with spinal canal stenosis.",
        "انتفاخ قرصي بين L4 وL5 مع تضيق القناة الشوكية.",
    ),
    (
        "Disc bulge between L5 and S1 with canal stenosis.",
        "انتفاخ القرص بين الفقرة القطنية الخامسة والفقرة العجزية الأولى مع تضيق القناة.",
    ),
    (
        "Disc bulge at L4-L5 with mild bilateral foraminal narrowing.",
        "انتفاخ قرصي في المستوى L4-L5 مع تضيق خفيف في الثقبتين العصبيتين على الجانبين.",
    ),
    (
        "Disc protrusion at L4-L5 and L5-S1 disc bulge.",
        "بروز قرصي في مستوى L4-L5 وانتفاخ القرص L5-S1.",
    ),
    (
        "Osteophytes from C4 to C6 with stenosis.",
        "نوابت عظمية من C4 إلى C6 مع تضيق.",
    ),
    (
        "Disc bulge at L3-L4. Disc protrusion at L4-L5. The cord is normal.",
        "انتفاخ القرص عند L3-L4 وبروز القرص عند L4-L5. النخاع طبيعي.",
    ),
    ("Fracture of the twelfth thoracic vertebra.", "كسر في الفقرة الصدرية الثانية عشرة."),
    ("Fracture of T12.", "كسر في الفقرة T12."),
    ("Degenerative changes from L2 to L4.", "تغيرات تنكسية من الفقرة القطنية الثانية إلى الرابعة."),
    ("Degenerative changes at L2, L3 and L4.", "تغيرات تنكسية في L2 وL3 وL4."),
    ("T2 hyperintense lesion in the liver.", "آفة مرتفعة الإشارة في الزمن الثاني T2 في الكبد."),
    ("There are five lumbar vertebrae.", "توجد خمس فقرات قطنية."),
    (
        "Cord compression at C5-C6.",
        "انضغاط النخاع الشوكي على مستوى الفقرتين الرقبيتين الخامسة والسادسة.",
    ),
    ("Mild spondylosis of the lumbar spine.", "داء فقاري خفيف في العمود الفقري القطني."),
    ("Anterolisthesis of L4 on L5 of 5 mm.", "انزلاق أمامي للفقرة L4 على L5 بمقدار 5 مم."),
    (
        "Disc bulge at L3-L4 and disc protrusion at L4-L5.",
        "انتفاخ القرص عند L3-L4 وبروز القرص عند L4-L5.",
    ),
    (
        "The fourth lumbar vertebral body is of normal height.",
        "ارتفاع جسم الفقرة القطنية الرابعة طبيعي.",
    ),
]
FAULTY_PLACES = [
    (
        "Left lower zone consolidation; right middle zone mass; cardiomegaly; rib fracture.",
        "تصلد في المنطقة الوسطى من الرئة اليسرى؛ كتلة في المنطقة الوسطى من الرئة اليمنى؛ كسر ضلعي.",
    ),
    ("Fracture of the atlas.", "كسر في الفقرة المحورية."),
    ("Fracture of the odontoid process.", "كسر في الأطلس."),
    ("Consolidation in the right upper lobe.", "تصلد في الفص السفلي الأيمن."),
    ("Nodule in the left lower zone.", "عقيدة في المنطقة العلوية اليسرى."),
    ("Atelectasis of the right middle lobe.", "انخماص الفص العلوي الأيمن."),
    ("Biapical scarring.", "تندب في قاعدتي الرئتين."),
    ("Fracture of the left tibia.", "كسر في الشظية اليسرى."),
    ("Fracture of the distal radius.", "كسر في النهاية القاصية للزند."),
    ("Cyst in the right kidney.", "كيسة في الكبد."),
    ("Infarct in the frontal lobe.", "احتشاء في الفص الصدغي."),
    ("Fracture of the proximal humerus.", "كسر في النهاية القاصية لعظم العضد."),
    ("Tear of the medial meniscus.", "تمزق في الغضروف الهلالي الوحشي."),
    ("Haematoma in the spleen.", "ورم دموي في الكبد."),
    (
        "Mass in the upper lobe and consolidation in the lower lobe.",
        "كتلة في الفص السفلي وتصلد في الفص العلوي.",
    ),
    ("Upper lobe nodule. Lower lobe band.", "عقيدة في الفص السفلي. شريط في الفص العلوي."),
    ("Stone in the ureter.", "حصاة في المثانة."),
    (
        "Large left pneumothorax with contralateral mediastinal shift.",
        "استرواح صدري أيسر كبير مع انزياح المنصف إلى الجهة نفسها.",
    ),
    ("Ipsilateral mediastinal shift.", "انزياح المنصف إلى الجهة المقابلة."),
    ("Mediastinal shift away from the effusion.", "انزياح المنصف نحو الانصباب."),
    (
        "NG tube tip is below the left hemidiaphragm.",
        "طرف الأنبوب الأنفي المعدي فوق نصف الحجاب الحاجز الأيسر.",
    ),
    ("The tip is 4 cm above the carina.", "الطرف أسفل الجؤجؤ بمسافة 4 سم."),
    ("Spondylosis of the cervical spine.", "داء الفقار في الفقرات القطنية."),
    ("Haemorrhage in the thalamus.", "نزف في المخيخ."),
    ("Fracture of the fifth metacarpal.", "كسر في المشط الخامس للقدم."),
    ("Fracture of the fifth metatarsal.", "كسر في المشط الخامس لليد."),
    ("Anterolisthesis of L4.", "انزلاق خلفي للفقرة القطنية الرابعة."),
    (
        "Retrolisthesis of L5 on S1.",
        "انزلاق فقاري أمامي للفقرة القطنية الخامسة على العجزية الأولى.",
    ),
    ("Retrolisthesis of L5.", "انزلاق الفقرة القطنية الخامسة للأمام."),
]
SOUND_PLACES = [
    ("Fracture of the atlas.", "كسر في فقرة الأطلس."),
    ("Axial CT along the long axis.", "تصوير مقطعي محوري على طول المحور."),
    ("Consolidation in the right upper lobe.", "تصلد في الفص العلوي الأيمن."),
    ("RLL consolidation.", "تصلد في الفص السفلي للرئة اليمنى."),
    ("Left basal atelectasis.", "انخماص في قاعدة الرئة اليسرى."),
    ("Biapical scarring.", "تندب في قمتي الرئتين."),
    ("Fracture of the distal radius.", "كسر في النهاية القاصية لعظم الكعبرة."),
    ("Cyst in the right kidney.", "كيسة في الكلية اليمنى."),
    ("Tear of the medial meniscus.", "تمزق في الغضروف الهلالي الأنسي."),
    (
        "Nodule in the superior segment of the left lower lobe.",
        "عقيدة في القطعة العلوية من الفص السفلي الأيسر.",
    ),
    (
        "Mass in the upper lobe and consolidation in the lower lobe.",
        "كتلة في الفص العلوي وتصلد في الفص السفلي.",
    ),
    ("Lower lobe mass and upper lobe nodule.", "كتلة في الفص السفلي وعقيدة في الفص العلوي."),
    (
        "The central line ends in the superior vena cava. Lower lobe atelectasis.",
        "ينتهي الخط المركزي في الوريد الأجوف العلوي. انخماص في الفص السفلي.",
    ),
    ("Stone in the distal ureter.", "حصاة في الجزء القاصي من الحالب."),
    (
        "Large left pneumothorax with contralateral mediastinal shift.",
        "استرواح صدري أيسر كبير مع انزياح المنصف إلى الجهة المقابلة.",
    ),
    (
        "Mediastinal shift to the right, away from the effusion.",
        "انزياح المنصف نحو اليمين، بعيدا عن الانصباب.",
    ),
    ("As above. Subcutaneous emphysema.", "كما ورد أعلاه. نفاخ تحت الجلد."),
    ("As above. Subpleural nodules.", "كما سبق. عقيدات تحت الجنبة."),
    ("Ultrasound: collection below the liver.", "الموجات فوق الصوتية: تجمع أسفل الكبد."),
    ("Free air under the diaphragm.", "هواء حر تحت الحجاب الحاجز."),
    (
        "The right line lies above the left one, below the clavicle.",
        "الخط الأيمن أعلى من الأيسر، تحت الترقوة.",
    ),
    ("Infarct in the basal ganglia.", "احتشاء في العقد القاعدية."),
]
