"""Sound pairs of whole sentences and small reports: none may be stopped."""

from __future__ import annotations

SOUND_REPORTS = [
    (
        "There is a 5 mm nonobstructing stone in the lower pole of the right kidney.",
        "توجد حصاة غير سادة 5 مم في القطب السفلي للكلية اليمنى.",
    ),
    ("Nondisplaced fracture of the fibula.", "كسر غير متبدل في الشظية."),
    ("Both knees show mild osteoarthritis.", "فصال عظمي خفيف في الركبتين."),
    (
        "Old healed fractures of the right 5th and 6th ribs.",
        "كسور قديمة ملتئمة في الضلعين الأيمنين الخامس والسادس.",
    ),
    (
        "Ground-glass opacities in the upper lobes, more on the right.",
        "عتامات زجاجية مطحونة في الفصين العلويين، أكثر في الجهة اليمنى.",
    ),
    (
        "Bilateral breast tissue is heterogeneously dense. No suspicious mass. BI-RADS 1.",
        "نسيج الثديين كثيف بشكل غير متجانس. لا توجد كتلة مشتبهة. BI-RADS 1.",
    ),
    (
        "Dermoscopy: asymmetric pigmented lesion of 7 mm with atypical network.",
        "تنظير الجلد: آفة مصطبغة غير متناظرة قياسها 7 مم مع شبكة لا نموذجية.",
    ),
    (
        "Fundus photograph of the right eye: cup-to-disc ratio 0.4, no haemorrhage, no exudate.",
        "صورة قاع العين اليمنى: نسبة الكأس إلى القرص 0.4، لا نزف ولا نضح.",
    ),
    (
        "Single live intrauterine pregnancy, cephalic presentation. Fetal weight 2400 g.",
        "حمل وحيد حي داخل الرحم بمجيء رأسي. وزن الجنين 2400 غ.",
    ),
    (
        "The liver is enlarged, measuring 18 cm, with diffuse fatty infiltration.",
        "الكبد متضخم بقياس 18 سم مع ارتشاح دهني منتشر.",
    ),
    (
        "Comminuted intra-articular fracture of the distal right radius.",
        "كسر مفتت داخل المفصل في النهاية البعيدة للكعبرة اليمنى.",
    ),
    (
        "Small bilateral pleural effusions, larger on the left, with bibasal atelectasis.",
        "انصبابات جنبية صغيرة ثنائية الجانب، أكبر في الجهة اليسرى، مع انخماص قاعدي ثنائي الجانب.",
    ),
    (
        (
            "There is a small right pleural effusion with adjacent atelectasis. No "
            "pneumothorax. The heart is normal in size."
        ),
        "يوجد انصباب جنبي أيمن صغير مع انخماص مجاور. لا يوجد استرواح صدر. حجم القلب طبيعي.",
    ),
    (
        "The cardiomediastinal silhouette is unremarkable. No acute osseous abnormality.",
        "ظل القلب والمنصف ضمن الحدود الطبيعية. لا توجد تغيرات عظمية حادة.",
    ),
    (
        "No focal consolidation, pleural effusion, or pneumothorax.",
        "لا يوجد تصلد بؤري أو انصباب جنبي أو استرواح صدر.",
    ),
    (
        "No focal consolidation, pleural effusion, or pneumothorax is identified.",
        "لم يُلاحظ وجود تصلد بؤري أو انصباب جنبي أو استرواح صدر.",
    ),
    (
        "Endotracheal tube terminates 4 cm above the carina.",
        "ينتهي الأنبوب الرغامي على بعد 4 سم فوق الجؤجؤ.",
    ),
    (
        "A right-sided central line ends in the superior vena cava.",
        "ينتهي القثطار الوريدي المركزي الأيمن في الوريد الأجوف العلوي.",
    ),
    (
        (
            "Interval decrease in the left pleural effusion. Bibasilar atelectasis, left "
            "greater than right."
        ),
        "تراجع في الانصباب الجنبي الأيسر. انخماص في قاعدتي الرئتين، أكثر في الجهة اليسرى.",
    ),
    (
        "No acute intracranial hemorrhage, mass effect, or midline shift.",
        "لا يوجد نزف حاد داخل القحف ولا تأثير كتلي ولا انزياح في الخط المتوسط.",
    ),
    (
        "A 6 mm stone is seen in the left distal ureter with mild hydronephrosis.",
        "توجد حصاة قياسها 6 مم في الحالب الأيسر البعيد مع استسقاء كلوي خفيف.",
    ),
    ("The liver, spleen and both kidneys are normal.", "الكبد والطحال والكليتان طبيعية."),
    ("Degenerative changes of the spine.", "تغيرات تنكسية في العمود الفقري."),
    ("No pericardial effusion. Mild cardiomegaly.", "لا يوجد انصباب تاموري. تضخم خفيف في القلب."),
    ("The trachea is central. No mediastinal shift.", "الرغامى مركزية. لا يوجد انزياح في المنصف."),
    (
        "Old healed fractures of the left fifth and sixth ribs.",
        "كسور قديمة ملتئمة في الضلعين الخامس والسادس الأيسرين.",
    ),
    (
        "The right hemidiaphragm is elevated. The left lung is clear.",
        "نصف الحجاب الحاجز الأيمن مرتفع. الرئة اليسرى صافية.",
    ),
    (
        "Lungs are clear. No pleural effusion or pneumothorax. Heart size normal. Bones intact.",
        "الرئتان صافيتان. لا انصباب جنبي ولا استرواح صدر. حجم القلب طبيعي. العظام سليمة.",
    ),
    (
        (
            "There are multiple nodules in both lungs, the largest measuring 14 mm in the "
            "right upper lobe."
        ),
        "توجد عقيدات متعددة في كلتا الرئتين، أكبرها بقياس 14 مم في الفص العلوي الأيمن.",
    ),
    (
        "Follow-up chest CT in 3-6 months is recommended.",
        "يوصى بمتابعة بالتصوير المقطعي للصدر بعد 3 إلى 6 أشهر.",
    ),
    (
        "No evidence of pulmonary embolism. Small bilateral effusions.",
        "لا دليل على انصمام رئوي. انصبابان جنبيان صغيران في الجانبين.",
    ),
    ("The costophrenic angles are sharp.", "الزوايا الضلعية الحجابية حادة."),
    (
        "There is no significant change compared with the prior study.",
        "لا يوجد تغير ملحوظ مقارنة بالفحص السابق.",
    ),
    ("The left pleural effusion is unchanged.", "الانصباب الجنبي الأيسر لم يتغير."),
    (
        "No lymphadenopathy. No suspicious bony lesion.",
        "لا يوجد تضخم في العقد اللمفية. لا توجد آفة عظمية مشتبهة.",
    ),
    (
        "Hyperinflated lungs consistent with emphysema. No mass.",
        "رئتان مفرطتا الانتفاخ تتوافق مع نفاخ رئوي. لا توجد كتلة.",
    ),
    (
        "Right lower lobe consolidation, likely pneumonia; follow-up to resolution.",
        "تصلد في الفص السفلي الأيمن، على الأرجح التهاب رئوي؛ يُنصح بالمتابعة حتى الشفاء.",
    ),
    ("The visualized upper abdomen is unremarkable.", "الجزء العلوي المرئي من البطن دون ملاحظات."),
    ("The lungs are clear.", "الرئتان خاليتان من الآفات."),
    ("The bony thorax is intact.", "لا يوجد كسر في القفص الصدري."),
    (
        "The nodule has not changed in size and measures 7 mm.",
        "لم يتغير حجم العقيدة وقياسها 7 مم.",
    ),
    (
        "Two nodules in the right upper lobe measuring 5 mm and 7 mm.",
        "عقيدتان في الفص العلوي الأيمن قياسهما 5 مم و7 مم.",
    ),
    ("Mild degenerative change. No acute fracture.", "تغيرات تنكسية خفيفة. لا كسر حاد."),
    (
        "Ill-defined opacity in the left mid zone.",
        "عتامة غير محددة الحدود في المنطقة الوسطى اليسرى.",
    ),
    (
        "There is a right upper lobe mass of 4.2 x 3.1 cm, suspicious for malignancy.",
        "توجد كتلة في الفص العلوي الأيمن بقياس ٤٫٢ × ٣٫١ سم، مشتبهة لخباثة.",
    ),
    (
        "No pleural effusion. Minimal blunting of the left costophrenic angle.",
        "لا انصباب جنبي. انطماس طفيف في الزاوية الضلعية الحجابية اليسرى.",
    ),
    (
        "Portable AP view. Lungs are poorly inflated without focal opacity.",
        "صورة محمولة أمامية خلفية. الرئتان ضعيفتا الامتلاء دون عتامة بؤرية.",
    ),
    ("The patient is rotated to the left.", "المريض مدار نحو اليسار."),
    ("Atherosclerotic calcification of the aorta.", "تكلسات تصلبية عصيدية في الأبهر."),
    (
        "Neither the left nor the right lung shows a nodule.",
        "لا تظهر عقيدة في الرئة اليسرى ولا في اليمنى.",
    ),
    (
        "Pacemaker in the left chest wall with leads in the right atrium and right ventricle.",
        "ناظم خطى في جدار الصدر الأيسر مع أسلاك في الأذين الأيمن والبطين الأيمن.",
    ),
    (
        (
            "Mild cardiomegaly with pulmonary vascular congestion and small bilateral pleural "
            "effusions; no pneumothorax."
        ),
        "تضخم قلبي خفيف مع احتقان وعائي رئوي وانصباب جنبي صغير ثنائي الجانب؛ لا يوجد استرواح صدر.",
    ),
    (
        (
            "The lungs are clear. There is no pleural effusion. There is no pneumothorax. The "
            "heart is not enlarged."
        ),
        "الرئتان صافيتان. لا يوجد انصباب جنبي أو استرواح صدر. حجم القلب طبيعي.",
    ),
    (
        (
            "The heart is enlarged. There is pulmonary vascular congestion. Bilateral pleural "
            "effusions are present, right greater than left."
        ),
        "القلب متضخم مع احتقان وعائي رئوي. يوجد انصباب جنبي في الجانبين، أكبر في الأيمن.",
    ),
    (
        "Status post median sternotomy. No pneumothorax.",
        "حالة ما بعد شق القص الناصف. لا استرواح صدر.",
    ),
    (
        "No pneumothorax following left chest tube removal.",
        "لا يوجد استرواح صدر بعد إزالة الأنبوب الصدري الأيسر.",
    ),
    ("No change.", "لا تغير."),
    ("Normal study.", "دراسة طبيعية."),
    ("The previously noted right effusion has resolved.", "الانصباب الأيمن المذكور سابقا قد زال."),
    (
        "There is a 2.3 cm nodule in the right upper lobe (series 3, image 45).",
        "توجد عقيدة قياسها 2.3 سم في الفص العلوي الأيمن (السلسلة 3، الصورة 45).",
    ),
    ("No hydronephrosis bilaterally.", "لا يوجد استسقاء كلوي في الجانبين."),
    ("Both kidneys are normal in size without stones.", "الكليتان طبيعيتا الحجم دون حصيات."),
    (
        "There is an acute infarct in the left middle cerebral artery territory. No hemorrhage.",
        "يوجد احتشاء حاد في منطقة الشريان المخي الأوسط الأيسر. لا يوجد نزف.",
    ),
    (
        "No acute fracture or dislocation. Mild degenerative changes at the right knee.",
        "لا كسر حاد ولا خلع. تغيرات تنكسية خفيفة في الركبة اليمنى.",
    ),
    ("Old granulomatous disease; no active tuberculosis.", "مرض حبيبي قديم؛ لا يوجد سل نشط."),
    (
        (
            "Lines and tubes: the endotracheal tube tip is 3 cm above the carina; the "
            "nasogastric tube passes below the diaphragm."
        ),
        (
            "الأنابيب: طرف الأنبوب الرغامي على بعد 3 سم فوق الجؤجؤ؛ يمر الأنبوب الأنفي المعدي "
            "أسفل الحجاب الحاجز."
        ),
    ),
    ("Cardiomegaly, unchanged. No new consolidation.", "تضخم القلب دون تغير. لا تصلد جديد."),
    ("Clear lungs.", "رئتان صافيتان."),
    (
        "Subsegmental atelectasis at the left base; otherwise the lungs are clear.",
        "انخماص تحت قطعي في القاعدة اليسرى؛ وفيما عدا ذلك الرئتان صافيتان.",
    ),
    (
        "No radiographic evidence of active disease in the chest.",
        "لا توجد علامات شعاعية لمرض نشط في الصدر.",
    ),
    ("No suspicious lung nodules or masses are seen.", "لا تُشاهد عقيدات أو كتل رئوية مشتبهة."),
    (
        "The mediastinum is not widened and the trachea is midline.",
        "المنصف غير متوسع والرغامى في الخط المتوسط.",
    ),
    ("Right middle lobe and lingular opacities.", "عتامات في الفص الأوسط الأيمن واللسينة."),
    (
        "Multiple bilateral rib fractures without pneumothorax.",
        "كسور متعددة في الأضلاع في الجانبين دون استرواح صدر.",
    ),
    (
        "Right pleural effusion is larger; left effusion is smaller.",
        "الانصباب الجنبي الأيمن أكبر؛ والانصباب الأيسر أصغر.",
    ),
    ("Unremarkable bones.", "العظام غير لافتة."),
    (
        "There is no evidence of deep vein thrombosis in the left leg.",
        "لا يوجد دليل على خثار وريدي عميق في الساق اليسرى.",
    ),
    ("Clear lungs bilaterally. Right PICC line.", "الرئتان صافيتان. قثطار مركزي أيمن."),
    ("Bilateral pleural effusions, greater on the right.", "انصبابان جنبيان، أكبر في الأيمن."),
    (
        "No acute cardiopulmonary abnormality. Mild chronic changes.",
        "لا توجد علامات مرضية قلبية رئوية حادة. تغيرات مزمنة خفيفة.",
    ),
    (
        "The lungs are well aerated. No acute disease. Heart normal.",
        "الرئتان جيدتا التهوية. لا مرض حاد. القلب طبيعي.",
    ),
    ("Heart size is at the upper limit of normal.", "حجم القلب عند الحد الأعلى للطبيعي."),
    (
        "Heart size is not well assessed. The lungs are clear.",
        "لا يمكن تقييم حجم القلب جيدا. الرئتان صافيتان.",
    ),
    ("The mediastinal contours are normal and not widened.", "حدود المنصف طبيعية وغير متوسعة."),
    (
        "The visualized bones are intact with no acute fracture.",
        "العظام المرئية سليمة دون كسر حاد.",
    ),
    (
        "Abnormal chest radiograph. Right lower lobe pneumonia.",
        "صورة صدر غير طبيعية. التهاب رئوي في الفص السفلي الأيمن.",
    ),
    (
        "Abnormal chest radiograph with right lower lobe pneumonia. The heart is normal.",
        "صورة الصدر تظهر التهابا رئويا في الفص السفلي الأيمن. القلب طبيعي.",
    ),
    (
        "No abnormally enlarged lymph nodes. The liver is normal.",
        "لا توجد عقد لمفية متضخمة بشكل غير طبيعي. الكبد طبيعي.",
    ),
    (
        "No abnormally enlarged lymph nodes. The liver is normal.",
        "لا توجد عقد لمفية متضخمة. الكبد طبيعي.",
    ),
    (
        "There is no abnormal bowel dilatation and no free air.",
        "لا يوجد توسع غير طبيعي في الأمعاء ولا هواء حر.",
    ),
    (
        "The gallbladder wall is not thickened. The bile ducts are not dilated.",
        "جدار المرارة طبيعي. القنوات الصفراوية غير متوسعة.",
    ),
    ("Pneumothorax has resolved, the lungs are clear.", "زال استرواح الصدر، والرئتان صافيتان."),
    ("The aorta is normal in caliber and not dilated.", "الأبهر طبيعي القطر وغير متوسع."),
    ("No interval change in the chronic right effusion.", "لا تغير في الانصباب الأيمن المزمن."),
    ("Interval improvement in the left basal atelectasis.", "تحسن في الانخماص القاعدي الأيسر."),
    ("Interval worsening of bilateral opacities.", "ازدياد العتامات في الرئتين."),
    (
        "The right lung is clear and the left lung is not clear.",
        "الرئة اليمنى صافية والرئة اليسرى غير صافية.",
    ),
    (
        "The kidneys are normal; the right kidney has a cyst.",
        "الكليتان طبيعيتان؛ توجد كيسة في الكلية اليمنى.",
    ),
    ("The kidneys are normal except for a right cyst.", "الكليتان طبيعيتان عدا كيسة في اليمنى."),
    (
        "Right kidney is normal. Left kidney is normal.",
        "الكلية اليمنى طبيعية. الكلية اليسرى طبيعية.",
    ),
    ("Both hips are normal.", "الوركان طبيعيان."),
    (
        "Pneumonia is considered unlikely. No effusion.",
        "يعتبر الالتهاب الرئوي غير مرجح. لا انصباب.",
    ),
    (
        "The right kidney is abnormal, the left kidney is normal.",
        "الكلية اليمنى غير طبيعية، والكلية اليسرى طبيعية.",
    ),
    (
        "The left kidney is normal but the right kidney is not normal.",
        "الكلية اليسرى طبيعية لكن الكلية اليمنى ليست طبيعية.",
    ),
    ("Abnormal right kidney and normal left kidney.", "كلية يمنى غير طبيعية وكلية يسرى طبيعية."),
    ("Non-obstructing stone in the right kidney.", "حصاة غير سادة في الكلية اليمنى."),
    ("Nonspecific non-enhancing lesion.", "آفة غير نوعية غير معززة."),
    ("The aorta is not dilated.", "الأبهر غير متوسع."),
]
