"""What the demonstration model learns to say: paired English and Arabic sentences.

Each pair says the same thing, so that a translation can be learnt by heart; which pair is used is
drawn anew for each picture. The wording is modern radiological Arabic. It was written for the
demonstration and describes phantoms: it has no clinical meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from model.demo.contexts import INDICATIONS
from model.prompts import Task


class Pattern(StrEnum):
    """What a phantom can show."""

    NORMAL = "normal"
    EFFUSION = "effusion"
    NODULE = "nodule"
    NODULES = "nodules"
    CONSOLIDATION = "consolidation"
    CARDIOMEGALY = "cardiomegaly"
    PNEUMOTHORAX = "pneumothorax"


class Side(StrEnum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class Zone(StrEnum):
    """Height in the lung."""

    UPPER = "upper"
    MIDDLE = "middle"
    LOWER = "lower"


SIDED = (Pattern.EFFUSION, Pattern.NODULE, Pattern.CONSOLIDATION, Pattern.PNEUMOTHORAX)
ZONED = (Pattern.NODULE, Pattern.CONSOLIDATION)


@dataclass(frozen=True, kw_only=True)
class Case:
    """The truth about one phantom."""

    pattern: Pattern
    side: Side | None = None
    zone: Zone | None = None


Pair = tuple[str, str]

# {s} right, {S} Right, {z} upper | {m} أيمن (masculine), {f} اليمنى (feminine), {zf} العليا
_SIDES = {
    Side.RIGHT: {"s": "right", "S": "Right", "m": "أيمن", "f": "اليمنى"},
    Side.LEFT: {"s": "left", "S": "Left", "m": "أيسر", "f": "اليسرى"},
}
_ZONES = {
    Zone.UPPER: {"z": "upper", "zf": "العليا"},
    Zone.MIDDLE: {"z": "middle", "zf": "الوسطى"},
    Zone.LOWER: {"z": "lower", "zf": "السفلى"},
}

_MAIN: dict[Pattern, tuple[Pair, ...]] = {
    Pattern.NORMAL: (
        ("The lungs are clear.", "الرئتان صافيتان."),
        (
            "The lungs are well aerated without focal opacity.",
            "الرئتان جيدتا التهوية دون عتامة بؤرية.",
        ),
        (
            "No focal opacity is seen in the lungs.",
            "لا تُشاهد عتامة بؤرية في الرئتين.",
        ),
    ),
    Pattern.EFFUSION: (
        (
            "There is a {s} pleural effusion with blunting of the costophrenic angle.",
            "يوجد انصباب جنبي {m} مع انطماس الزاوية الضلعية الحجابية.",
        ),
        (
            "A {s} pleural effusion obscures the hemidiaphragm.",
            "يُشاهد انصباب جنبي {m} يحجب نصف الحجاب الحاجز.",
        ),
        (
            "Homogeneous opacity with a meniscus at the {s} lung base represents pleural effusion.",
            "عتامة متجانسة ذات حد هلالي في قاعدة الرئة {f} تمثل انصبابًا جنبيًا.",
        ),
    ),
    Pattern.NODULE: (
        (
            "A rounded nodule is seen in the {z} zone of the {s} lung.",
            "تُشاهد عقيدة مستديرة في المنطقة {zf} من الرئة {f}.",
        ),
        (
            "There is a well-defined nodule in the {s} {z} zone.",
            "توجد عقيدة واضحة الحدود في المنطقة {zf} من الرئة {f}.",
        ),
        (
            "A solitary nodule projects over the {s} {z} zone.",
            "تُشاهد عقيدة منفردة تسقط على المنطقة {zf} من الرئة {f}.",
        ),
    ),
    Pattern.NODULES: (
        (
            "Multiple rounded nodules are seen in both lungs.",
            "تُشاهد عقيدات مستديرة متعددة في كلتا الرئتين.",
        ),
        (
            "There are multiple bilateral nodules of varying size.",
            "توجد عقيدات متعددة ثنائية الجانب متفاوتة الحجم.",
        ),
        (
            "Several well-defined nodules are scattered through both lungs.",
            "عدة عقيدات واضحة الحدود منتشرة في كلتا الرئتين.",
        ),
    ),
    Pattern.CONSOLIDATION: (
        (
            "There is consolidation in the {z} zone of the {s} lung.",
            "يوجد تصلد في المنطقة {zf} من الرئة {f}.",
        ),
        (
            "Patchy air-space opacity in the {s} {z} zone is in keeping with consolidation.",
            "عتامة سنخية غير متجانسة في المنطقة {zf} من الرئة {f} تتماشى مع تصلد رئوي.",
        ),
        (
            "Ill-defined consolidation is seen in the {s} {z} zone.",
            "يُشاهد تصلد غير واضح الحدود في المنطقة {zf} من الرئة {f}.",
        ),
    ),
    Pattern.CARDIOMEGALY: (
        (
            "The cardiac silhouette is enlarged, in keeping with cardiomegaly.",
            "ظل القلب أكبر من الطبيعي بما يتماشى مع تضخم القلب.",
        ),
        (
            "There is cardiomegaly with an increased cardiothoracic ratio.",
            "يوجد تضخم في القلب مع زيادة النسبة القلبية الصدرية.",
        ),
        (
            "Cardiomegaly is seen.",
            "يُشاهد تضخم في القلب.",
        ),
    ),
    Pattern.PNEUMOTHORAX: (
        (
            "There is a {s} pneumothorax with a visible pleural line.",
            "يوجد استرواح صدر {m} مع ظهور خط الجنبة الحشوية.",
        ),
        (
            "A {s} pneumothorax is seen with absent lung markings beyond the pleural line.",
            "يُشاهد استرواح صدر {m} مع غياب العلامات الرئوية خلف خط الجنبة الحشوية.",
        ),
        (
            "Pneumothorax is present on the {s}.",
            "يوجد استرواح صدر في الجهة {f}.",
        ),
    ),
}

_IMPRESSIONS: dict[Pattern, tuple[Pair, ...]] = {
    Pattern.NORMAL: (
        ("No acute cardiopulmonary abnormality.", "لا توجد اضطرابات قلبية رئوية حادة."),
        ("Normal chest radiograph.", "صورة الصدر الشعاعية طبيعية."),
    ),
    Pattern.EFFUSION: (
        ("{S} pleural effusion.", "انصباب جنبي {m}."),
        ("Pleural effusion on the {s}.", "انصباب جنبي في الجهة {f}."),
    ),
    Pattern.NODULE: (
        (
            "{S} {z} zone pulmonary nodule; CT is advised.",
            "عقيدة رئوية في المنطقة {zf} من الرئة {f}؛ يُنصح بإجراء تصوير مقطعي محوسب.",
        ),
        (
            "Solitary nodule of the {s} lung; comparison with earlier images is advised.",
            "عقيدة منفردة في الرئة {f}؛ يُنصح بالمقارنة مع الصور السابقة.",
        ),
    ),
    Pattern.NODULES: (
        (
            "Multiple bilateral pulmonary nodules; CT is advised.",
            "عقيدات رئوية متعددة ثنائية الجانب؛ يُنصح بإجراء تصوير مقطعي محوسب.",
        ),
        (
            "Multiple nodules in both lungs; clinical correlation is advised.",
            "عقيدات متعددة في كلتا الرئتين؛ يُنصح بالربط مع المعطيات السريرية.",
        ),
    ),
    Pattern.CONSOLIDATION: (
        ("{S} {z} zone consolidation.", "تصلد في المنطقة {zf} من الرئة {f}."),
        (
            "Consolidation of the {s} lung; follow-up is advised.",
            "تصلد في الرئة {f}؛ يُنصح بالمتابعة.",
        ),
    ),
    Pattern.CARDIOMEGALY: (
        ("Cardiomegaly.", "تضخم القلب."),
        (
            "Cardiomegaly; echocardiography is advised.",
            "تضخم القلب؛ يُنصح بإجراء تخطيط صدى القلب.",
        ),
    ),
    Pattern.PNEUMOTHORAX: (
        ("{S} pneumothorax.", "استرواح صدر {m}."),
        (
            "Pneumothorax on the {s}; urgent clinical review is advised.",
            "استرواح صدر في الجهة {f}؛ يُنصح بمراجعة سريرية عاجلة.",
        ),
    ),
}

_SUMMARIES: dict[Pattern, Pair] = {
    Pattern.NORMAL: (
        "The chest radiograph shows no acute abnormality.",
        "لا تُظهر صورة الصدر الشعاعية أي اضطراب حاد.",
    ),
    Pattern.EFFUSION: (
        "The chest radiograph shows a {s} pleural effusion.",
        "تُظهر صورة الصدر الشعاعية انصبابًا جنبيًا {m}.",
    ),
    Pattern.NODULE: (
        "The chest radiograph shows a nodule in the {s} lung.",
        "تُظهر صورة الصدر الشعاعية عقيدة في الرئة {f}.",
    ),
    Pattern.NODULES: (
        "The chest radiograph shows multiple nodules in both lungs.",
        "تُظهر صورة الصدر الشعاعية عقيدات متعددة في كلتا الرئتين.",
    ),
    Pattern.CONSOLIDATION: (
        "The chest radiograph shows consolidation in the {s} lung.",
        "تُظهر صورة الصدر الشعاعية تصلدًا في الرئة {f}.",
    ),
    Pattern.CARDIOMEGALY: (
        "The chest radiograph shows cardiomegaly.",
        "تُظهر صورة الصدر الشعاعية تضخمًا في القلب.",
    ),
    Pattern.PNEUMOTHORAX: (
        "The chest radiograph shows a {s} pneumothorax.",
        "تُظهر صورة الصدر الشعاعية استرواح صدر {m}.",
    ),
}

_HEART: tuple[Pair, ...] = (
    ("The heart is of normal size.", "حجم القلب طبيعي."),
    ("The cardiac silhouette is within normal limits.", "ظل القلب ضمن الحدود الطبيعية."),
    ("Heart size and mediastinal contours are normal.", "حجم القلب وحدود المنصف طبيعية."),
)
_PLEURA: dict[str, tuple[Pair, ...]] = {
    "both": (
        (
            "No pleural effusion or pneumothorax.",
            "لا يوجد انصباب جنبي ولا استرواح صدر.",
        ),
        (
            "There is no pneumothorax and no pleural effusion.",
            "لا يوجد استرواح صدر ولا انصباب جنبي.",
        ),
    ),
    "effusion": (("No pneumothorax is seen.", "لا يُشاهد استرواح صدر."),),
    "pneumothorax": (("No pleural effusion is seen.", "لا يُشاهد انصباب جنبي."),),
}
_BONES: tuple[Pair, ...] = (
    ("The visible bones are unremarkable.", "العظام الظاهرة طبيعية."),
    ("No acute bony abnormality.", "لا يوجد اضطراب عظمي حاد."),
    ("The bony thorax is intact.", "القفص الصدري العظمي سليم."),
)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The four texts of one case."""

    report_en: str
    report_ar: str
    summary_en: str
    summary_ar: str

    def of(self, task: Task) -> str:
        """Return the text that answers a task."""
        return str(getattr(self, task.value))

    def source_of(self, task: Task) -> str:
        """Return the text that a task works from."""
        return self.report_ar if task is Task.SUMMARY_AR else self.report_en


def _filled(pair: Pair, case: Case) -> Pair:
    words = {
        **(_SIDES[case.side] if case.side else {}),
        **(_ZONES[case.zone] if case.zone else {}),
    }
    return pair[0].format(**words), pair[1].format(**words)


def write(case: Case, rng: np.random.Generator) -> Wording:
    """Return report and summary of a case in both languages, the wording drawn from `rng`."""

    def draw(pairs: tuple[Pair, ...]) -> Pair:
        return _filled(pairs[int(rng.integers(len(pairs)))], case)

    lines = [draw(_MAIN[case.pattern])]
    if case.pattern is not Pattern.CARDIOMEGALY:
        lines.append(draw(_HEART))
    lines.append(draw(_PLEURA.get(case.pattern.value, _PLEURA["both"])))
    if rng.random() < 0.6:  # noqa: PLR2004 - most reports speak of the bones, not all
        lines.append(draw(_BONES))
    impression = draw(_IMPRESSIONS[case.pattern])
    summary = _filled(_SUMMARIES[case.pattern], case)
    english, arabic = (" ".join(line[index] for line in lines) for index in (0, 1))
    return Wording(
        report_en=f"FINDINGS:\n{english}\n\nIMPRESSION:\n{impression[0]}",
        report_ar=f"النتائج:\n{arabic}\n\nالانطباع:\n{impression[1]}",
        summary_en=summary[0],
        summary_ar=summary[1],
    )


def draw_case(rng: np.random.Generator) -> Case:
    """Return a case, every pattern as likely as another, and so every side and zone."""
    pattern = tuple(Pattern)[int(rng.integers(len(Pattern)))]
    side = tuple(Side)[int(rng.integers(len(Side)))] if pattern in SIDED else None
    zone = tuple(Zone)[int(rng.integers(len(Zone)))] if pattern in ZONED else None
    return Case(pattern=pattern, side=side, zone=zone)


def all_cases() -> list[Case]:
    """Return every case that there is."""
    return [
        Case(pattern=pattern, side=side, zone=zone)
        for pattern in Pattern
        for side in (tuple(Side) if pattern in SIDED else (None,))
        for zone in (tuple(Zone) if pattern in ZONED else (None,))
    ]


def recognise(findings: str) -> Case | None:
    """Return the case that English findings open with, None where no known sentence does."""
    for case in all_cases():
        if any(findings.startswith(_filled(pair, case)[0]) for pair in _MAIN[case.pattern]):
            return case
    return None


def sentences() -> list[str]:
    """Return every text that can be written, each once: what the tokenizer is trained on."""
    texts: set[str] = set(INDICATIONS)
    shared = (*_HEART, *_BONES, *(pair for pairs in _PLEURA.values() for pair in pairs))
    texts.update(text for pair in shared for text in pair)
    for case in all_cases():
        pairs = (*_MAIN[case.pattern], *_IMPRESSIONS[case.pattern], _SUMMARIES[case.pattern])
        texts.update(text for pair in pairs for text in _filled(pair, case))
    return sorted(texts)
