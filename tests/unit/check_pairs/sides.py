"""Pairs whose sides differ, and pairs whose sides agree."""

from __future__ import annotations

FAULTY_SIDES = [
    # The normal side and the side of the finding change places.
    (
        "The right kidney is normal. There is a 4 mm calculus in the left kidney.",
        "الكلية اليسرى طبيعية، وتوجد حصاة بقياس 4 مم في الكلية اليمنى.",
    ),
    (
        "There is a small left effusion, and the right lung is clear.",
        "يوجد انصباب أيمن صغير. الرئة اليسرى صافية.",
    ),
    (
        "Mild right-to-left midline shift.",
        "انزياح خفيف في الخط المتوسط من اليسار إلى اليمين.",
    ),
    ("Shunt from left to right.", "تحويلة من اليمين إلى اليسار."),
    ("Left MCA infarct.", "احتشاء في منطقة الشريان الدماغي الأوسط الأيمن."),
    ("OD: drusen.", "العين اليسرى: براريق."),
    ("The right atrium is enlarged.", "الأذين الأيسر متضخم."),
    ("There is a left pleural effusion.", "يوجد انصباب جنبي أيمن."),
    ("Right lower lobe consolidation.", "تصلد في الفص السفلي الأيسر."),
    ("Consolidation in the right lung.", "تصلد في الرئة اليسرى."),
    ("Bilateral pleural effusions.", "انصباب جنبي أيمن."),
    ("Small left pneumothorax.", "استرواح صدر ثنائي الجانب صغير."),
    ("Effusion on the right and on the left.", "انصباب بالجهة اليمنى."),
    ("There is a left pleural effusion.", "يوجد انصباب جنبي."),
    ("There is a pleural effusion.", "يوجد انصباب جنبي أيسر."),
    ("Nodules in both lungs.", "عقيدات في الرئة اليمنى."),
    ("No left pleural effusion.", "لا يوجد انصباب جنبي أيمن."),
    ("Consolidation in the right lung and in the left.", "تصلد بالرئة اليمنى وباليمنى."),
    ("Left pleural effusion.", "انصباب جنبي في الجانب الأيمَنِ."),
    ("Right pleural effusion and left pneumothorax.", "انصباب جنبي أيسر واسترواح صدر أيمن."),
    ("Right effusion. Left basal atelectasis.", "انصباب أيسر. انخماص قاعدي أيمن."),
    ("Old fracture of the left clavicle.", "كسر قديم في عظم الترقوة اليُمنى."),
    ("Apical scarring on the right.", "تندب قمي على اليسار."),
    ("The left hemidiaphragm is raised.", "ارتفاع نصف الحجاب الحاجز الأيمن."),
    ("Right-sided chest drain in place.", "أنبوب صدري أيسر في موضعه."),
    ("Left-sided pleural thickening.", "تسمك جنبي بالجهة اليمنــى."),
    ("Rt. pleural effusion.", "انصباب جنبي أيسر."),
    ("A nodule in the left upper lobe.", "عقيدة في الفص العلوي لليمين."),
    ("RLL consolidation.", "تصلد في الفص السفلي الأيسر."),
    ("Effusion in both pleural cavities.", "انصباب في الجوف الجنبي الأيسر."),
    (
        "A 12 mm nodule in the right lung and an 8 mm nodule in the left lung.",
        "عقيدة قياسها 12 مم في الرئة اليسرى وعقيدة قياسها 8 مم في الرئة اليمنى.",
    ),
    (
        "Right effusion. Right apical thickening. Left basal band.",
        "انصباب أيمن. ثخانة قمية يسرى. شريط قاعدي أيسر.",
    ),
    ("Right nodule and left mass.", "عقيدة يسرى وكتلة يمنى."),
    ("Right effusion. No left effusion.", "لا يوجد انصباب أيمن. انصباب أيسر."),
    (
        "The right lung is clear; left basal consolidation.",
        "الرئة اليسرى صافية؛ تصلد قاعدي أيمن.",
    ),
    (
        "Right upper lobe nodule, left lower lobe nodule of 5 mm.",
        "عقيدة في الفص العلوي الأيسر، عقيدة في الفص السفلي الأيمن 5 مم.",
    ),
    (
        "Fracture of the right clavicle and of the left scapula.",
        "كسر في الترقوة اليسرى وفي لوح الكتف الأيمن.",
    ),
    ("Mediastinal shift to the left.", "انزياح المنصف إلى اليمين."),
    ("L pleural effusion.", "انصباب جنبي أيمن."),
    # A sentence more in one language, as a translation joins or parts them.
    (
        "Right upper lobe nodule. Left lower lobe nodule. Heart is normal. Trachea is central.",
        "عقيدة في الفص العلوي الأيسر. عقيدة في الفص السفلي الأيمن. القلب طبيعي والرغامى مركزية.",
    ),
    (
        "Right upper lobe nodule. Left lower lobe nodule. The heart is normal.",
        "عقيدة في الفص العلوي الأيسر وعقيدة في الفص السفلي الأيمن. القلب طبيعي.",
    ),
    (
        "No right pleural effusion. No left pneumothorax. Heart is normal. Trachea is central.",
        "لا انصباب جنبي أيسر. لا استرواح صدري أيمن. القلب طبيعي والرغامى مركزية.",
    ),
    (
        "Small right effusion. Large left effusion. Heart is normal and trachea is central.",
        "انصباب أيمن كبير. انصباب أيسر صغير. القلب طبيعي. الرغامى مركزية.",
    ),
    (
        "Right nephrectomy. Left ureteric stent. The bladder is normal. The liver is normal.",
        "استئصال الكلية اليسرى. دعامة في الحالب الأيمن. المثانة والكبد طبيعيان.",
    ),
    (
        "Right lung is clear. Left lung shows volume loss. Heart size is normal. Bones are intact.",
        "الرئة اليسرى صافية. الرئة اليمنى تظهر نقصا في الحجم. حجم القلب طبيعي والعظام سليمة.",
    ),
    ("Left effusion.", "انصباب فاليمنى."),
    ("Left pleural effusion.", "انصباب جنبي يميني."),
    ("Bilateral effusions.", "انصباب جنبي."),
    ("Left lower lobe nodules.", "عقيدات في الفصين السفليين الأيمنين."),
    ("Lower lobe nodules.", "عقيدات في الفصين السفليين الأيمنين."),
    # A side written with a zero-width non-joiner, and in presentation forms.
    ("Pleural effusion.", "انصباب جنبي أي\u200cمن."),
    ("Pleural effusion.", "انصباب جنبي \ufe83\ufef3\ufee4\ufee6."),
    ("Right apical scar. Left rib deformity.", "ندبة قمية يسرى. تشوه ضلعي أيمن."),
    (
        "Right effusion. Left effusion is larger. Right basal band.",
        "انصباب أيمن. الانصباب الأيسر أكبر. شريط قاعدي أيسر.",
    ),
    (
        "There is a small left effusion. The right lung is clear. The left lung shows a band.",
        "يوجد انصباب أيسر صغير. الرئة اليسرى صافية. تظهر الرئة اليمنى شريطا.",
    ),
    (
        "Chest drain on the left and PICC on the right.",
        "أنبوب صدري في الجهة اليمنى وقثطار في الجهة اليسرى.",
    ),
    ("Left kidney stone and right renal cyst.", "حصاة في الكلية اليمنى وكيسة في الكلية اليسرى."),
    ("Right renal stone of 6 mm.", "حصاة في الكلية اليسرى قياسها 6 مم."),
    ("Acute infarct in the left frontal lobe.", "احتشاء حاد في الفص الجبهي الأيمن."),
    ("Effusions on both sides.", "انصباب في الجانب الأيسر."),
    (
        "Consolidation in the left lung base and right apex.",
        "تصلد في قاعدة الرئة اليمنى وقمة الرئة اليسرى.",
    ),
    ("The nodule lies in the left breast.", "تقع العقيدة في الثدي الأيمن."),
    (
        "Left lower lobe pneumonia. Left effusion.",
        "التهاب رئوي في الفص السفلي الأيسر. انصباب أيمن.",
    ),
    (
        "No pneumothorax. Right effusion with atelectasis. Left lung clear.",
        "لا استرواح صدر. انصباب أيسر مع انخماص. الرئة اليمنى صافية.",
    ),
    (
        "The left effusion has increased and the right effusion has decreased.",
        "ازداد الانصباب الأيمن وتراجع الانصباب الأيسر.",
    ),
    ("Right-sided aortic arch. Left effusion.", "قوس أبهر أيسر. انصباب أيمن."),
    ("Small effusions bilaterally.", "انصباب صغير في الجانب الأيمن."),
    (
        "A left chest tube. Small left pneumothorax remains.",
        "أنبوب صدري أيسر. يبقى استرواح صدر صغير في الأيمن.",
    ),
    ("Right pneumothorax.", "استرواح الصدر في الرئتين."),
    (
        "Right-sided pneumothorax, lungs otherwise clear.",
        "استرواح صدر، والرئتان صافيتان فيما عدا ذلك.",
    ),
    ("Pneumothorax, lungs otherwise clear.", "استرواح صدر أيمن، والرئتان صافيتان فيما عدا ذلك."),
    (
        "Right pleural effusion with atelectasis. The lungs are otherwise clear.",
        "يوجد انصباب جنبي. يوجد انخماص. الرئتان صافيتان فيما عدا ذلك.",
    ),
    ("Fracture of the right clavicle.", "كسر في الترقوتين."),
    ("Right hydronephrosis.", "استسقاء كلوي في الكليتين."),
    ("Right lung is clear.", "الرئتان صافيتان."),
    (
        "Right effusion, lungs otherwise clear.",
        "انصباب ثنائي الجانب، والرئتان صافيتان فيما عدا ذلك.",
    ),
    (
        "Bilateral pleural effusions, lungs otherwise clear.",
        "انصباب جنبي أيمن، والرئتان صافيتان فيما عدا ذلك.",
    ),
    (
        "Bilateral pleural effusions. The kidneys are normal. Left rib fracture.",
        "انصباب جنبي أيمن، والكليتان طبيعيتان. كسر ضلعي أيسر.",
    ),
    (
        "The left kidney shows a stone. Kidneys otherwise normal.",
        "تظهر حصاة في الكليتين. الكليتان طبيعيتان.",
    ),
    ("Left adrenal mass; the kidneys are normal.", "كتلة كظرية؛ الكليتان طبيعيتان."),
    ("Nodules in the lungs, all on the left.", "عقيدات في الرئتين."),
    ("The lungs are clear.", "الرئة اليمنى صافية."),
    ("Right pleural effusion.", "انصبابان جنبيان صغيران."),
    ("Right pleural effusion.", "انصباب جنبي في الجهتين."),
    ("Nodule on the left side.", "عقيدة في كل جانب."),
    ("Bilateral nodules. Left hip fracture.", "عقيدات في الرئتين. كسر في الوركين."),
    ("Left knee effusion. The right knee is normal.", "انصباب في الركبتين. الركبة اليمنى طبيعية."),
    ("Bilateral nodules, left more than right.", "عقيدات في الرئتين، أكثر في اليمنى."),
    (
        "Bilateral effusions, right pneumothorax, left rib fracture.",
        "انصباب في الرئتين، استرواح صدر أيمن، كسر ضلع.",
    ),
    (
        "Bilateral effusions, right pneumothorax and left rib fracture.",
        "انصباب في الرئتين، استرواح صدر أيمن وكسر ضلع.",
    ),
]

SOUND_SIDES = [
    # The side of what is normal is no side of the finding.
    (
        "The right kidney is normal. There is a 4 mm calculus in the left kidney.",
        "الكلية اليمنى طبيعية، وتوجد حصاة بقياس 4 مم في الكلية اليسرى.",
    ),
    (
        "The right kidney is normal and the left kidney has a 4 mm calculus.",
        "الكلية اليمنى طبيعية، وتوجد حصاة بقياس 4 مم في الكلية اليسرى.",
    ),
    (
        "There is a small left effusion, and the right lung is clear.",
        "يوجد انصباب أيسر صغير. الرئة اليمنى صافية.",
    ),
    ("Right-to-left midline shift.", "انزياح الخط المتوسط من اليمين إلى اليسار."),
    ("Right and left nodules.", "عقيدات يسرى ويمنى."),
    (
        "Right upper lobe nodule. Left lower lobe nodule. Heart is normal. Trachea is central.",
        "عقيدة في الفص العلوي الأيمن وعقيدة في الفص السفلي الأيسر. القلب طبيعي والرغامى مركزية.",
    ),
    (
        "Left effusion and the heart is normal. Right nodule.",
        "انصباب أيسر. القلب طبيعي مع عقيدة يمنى.",
    ),
    (
        "Two nodules in the right upper lobe of 5 mm and 7 mm. The left effusion has increased.",
        "عقيدتان في الفص العلوي الأيمن قياسهما 5 مم و7 مم وازداد الانصباب الأيسر.",
    ),
    (
        "Right and left upper lobe nodules. Heart is normal. Trachea is central.",
        "عقيدات في الفصين العلويين الأيمن والأيسر. القلب طبيعي والرغامى مركزية.",
    ),
    (
        "Right lower lobe consolidation with a small effusion. The left kidney is normal.",
        "تصلد في الفص السفلي الأيمن. انصباب صغير في الجهة نفسها. الكلية اليسرى طبيعية.",
    ),
    ("There is a left pleural effusion.", "يوجد انصباب جنبي أيسر."),
    ("Right lower lobe consolidation.", "تصلد في الفص السفلي الأيمن."),
    ("Consolidation in the right lung and in the left.", "تصلد بالرئة اليمنى وباليسرى."),
    ("Bilateral pleural effusions.", "انصباب جنبي ثنائي الجانب."),
    ("Bilateral pleural effusions.", "انصباب جنبي في كلا الجانبين."),
    ("Nodules in both lungs.", "عقيدات في كلتا الرئتين."),
    ("Multiple bilateral nodules.", "عقيدات متعددة في الرئتين."),
    ("Effusion on the right and on the left.", "انصباب جنبي ثنائي الجانب."),
    ("Right and left pleural effusions.", "انصباب جنبي أيمن وأيسر."),
    ("No left effusion.", "لا يوجد انصباب أيسر."),
    ("Right effusion. Left basal atelectasis.", "انصباب أيمن. انخماص قاعدي أيسر."),
    ("Right pleural effusion and left pneumothorax.", "انصباب جنبي أيمن واسترواح صدر أيسر."),
    ("Left pleural effusion.", "انصبابٌ جنبيٌّ في الجانبِ الأيسرِ."),
    ("Left-sided pleural thickening.", "تسمك جنبي بالجهة اليســرى."),
    ("Right pleural effusion.", "انصباب جنبي على اليمين."),
    ("Fracture of the left sixth rib.", "كسر في الضلع السادس الأيسر."),
    ("The lungs are clear.", "الرئتان صافيتان."),
    ("Right pleural effusion with adjacent atelectasis.", "انصباب جنبي أيمن مع انخماص مجاور."),
    (
        "A nodule in the left upper lobe; the right lung is clear.",
        "عقيدة في الفص العلوي الأيسر؛ الرئة اليمنى صافية.",
    ),
    (
        "A 12 mm nodule in the right lung and an 8 mm nodule in the left lung.",
        "عقيدة قياسها 12 مم في الرئة اليمنى وعقيدة قياسها 8 مم في الرئة اليسرى.",
    ),
    (
        "Left basal consolidation with a small ipsilateral effusion.",
        "تصلد قاعدي أيسر مع انصباب صغير في الجهة نفسها.",
    ),
    ("Effusions, right greater than left.", "انصباب ثنائي الجانب، أكبر في الأيمن."),
    ("Right effusion, larger than on the left.", "انصباب أيمن أكبر من الأيسر."),
    ("Bibasal atelectasis.", "انخماص في قاعدتي الرئتين."),
    ("Both costophrenic angles are clear.", "الزاويتان الضلعيتان الحجابيتان حرتان."),
    ("No effusion is seen on either side.", "لا يُشاهد انصباب في كلا الجانبين."),
    (
        "Right upper and lower lobe consolidation.",
        "تصلد في الفصين العلوي والسفلي الأيمنين.",
    ),
    (
        "Right upper lobe and right lower lobe consolidation.",
        "تصلد في الفصين العلوي والسفلي من الرئة اليمنى.",
    ),
    ("There is no left or right effusion.", "لا يوجد انصباب أيمن ولا أيسر."),
    ("Nodules in both lungs, more on the right.", "عقيدات في الرئتين، أكثر في اليمنى."),
    (
        "Bilateral lung nodules, the largest in the left upper lobe.",
        "عقيدات في الرئتين، أكبرها في الفص العلوي الأيسر.",
    ),
    ("Both kidneys are normal. Right ureteric stone.", "الكليتان طبيعيتان. حصاة في الحالب الأيمن."),
    ("The lungs are clear. Right chest drain.", "الرئتان صافيتان. أنبوب صدري أيمن."),
    ("Nodules in the lungs, larger on the right.", "عقيدات ثنائية الجانب، أكبر في اليمنى."),
    (
        "Right pneumothorax, lungs otherwise clear.",
        "استرواح صدر أيمن، والرئتان صافيتان فيما عدا ذلك.",
    ),
    ("Both clavicles are fractured.", "كسر في الترقوتين."),
    ("Bilateral hydronephrosis.", "استسقاء كلوي في الكليتين."),
    (
        "Bilateral shoulder osteoarthritis. Right clavicle fracture.",
        "فصال عظمي في الكتفين. كسر في الترقوة اليمنى.",
    ),
    ("Small bilateral pleural effusions.", "انصباب جنبي بسيط في الجهتين."),
    ("Small bilateral effusions.", "انصباب بسيط بالجهتين."),
    ("Small bilateral pleural effusions.", "انصبابان جنبيان صغيران."),
    ("Bilateral pleural effusions.", "انصباب جنبي مزدوج الجانب."),
    ("Nodule on each side.", "عقيدة في كل جانب."),
    ("Fracture of the fifth metacarpal.", "كسر في المشط الخامس لليد."),
    ("Fracture of the fifth metatarsal.", "كسر في المشط الخامس للقدم."),
    ("Fractures of the metacarpals.", "كسور في أمشاط اليد."),
]
