"""Reports, headers and pictures as hypothesis makes them: ordinary ones, and every kind of bad."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from hypothesis import strategies as st
from pydicom import uid
from unit.dicom_samples import STUDY_UID

from core.drafting import ModelImage
from core.report import (
    Addendum,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    PriorStudy,
    Report,
    ReportStatus,
    RequestReference,
    Section,
    SectionKind,
    Signature,
    StudyHeader,
    standing,
)
from dicom_node.documents import DocumentContext, DocumentReference, Predecessor, Purpose

SENTENCES = {
    Language.EN: (
        "The lungs are clear.",
        "No pneumothorax, no pleural effusion; the heart is not enlarged.",
        "A 12.5 × 8 mm nodule (45 HU ± 5%) in the left lower lobe, ≥ 2 cm from the pleura.",
        "Efficient flow: office, fluffy, affluent.",
    ),
    Language.AR: (
        "الرئتان صافيتان.",
        "لا يوجد استرواح صدري (pneumothorax) في الفص العلوي الأيمن.",
        "عقدة قطرها 12.5 × 8 mm في الفص السفلي الأيسر، مقارنة بـ 10 mm عام 2019.",
        "يُنصح بمتابعة CT بعد 3-6 أشهر؛ لا يوجد أيضًا دليل على كسر.",
    ),
}
# Letters that go wrong elsewhere: emoji, joined emoji, marks on their own and in heaps, overrides,
# isolates, private use, letters of other planes, separators that are not line feeds. A tab is left
# out: PS3.5 6.1.3 allows it, the validator does not.
_ODD = st.sampled_from(
    [
        "😀",
        "👩‍⚕️",
        "🇸🇦",
        "e\u0301\u0302\u0323",
        "\u0651\u064e",
        "\u202eabc\u202c",
        "\u2066",
        "\u2069",
        "\u200f",
        "\u200d",
        "\ue000",
        "𝔊",
        "中文",
        "עברית",
        "\u2028",
        "\u00a0",
        "\\",
        "^",
        "=",
        "~&|",
        "<b>&amp;</b>",
        "#set text(red)",
        "$x^2$",
        "ﷺ",
        "ﻻ",
        "٣٫٥٪",
    ]
)
_LOST = ("\ufffd", "????")
letters = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd?"), max_size=12
)


def texts(language: Language) -> st.SearchStrategy[str]:
    """Return sections: lines of sentences, odd letters between them."""
    sentence = st.sampled_from(SENTENCES[language])
    line = st.lists(st.one_of(sentence, sentence, _ODD, letters), min_size=1, max_size=4)
    return st.lists(line.map(" ".join), min_size=1, max_size=3).map("\n".join)


# At most 64 bytes: the standard counts the characters of LO and PN, the validator their bytes.
names = st.one_of(
    st.sampled_from(
        [
            "",
            "Test^Patient",
            "Test^Patient=نزار^أحمد",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "=نزار^أحمد=",
            "ن" * 32,
            "A" * 80 + "^B",
            "a\\b\x00c^d=e=f=g",
        ]
    ),
    st.text(st.characters(exclude_characters="\ufffd?"), max_size=16),
)
identifiers = st.one_of(
    st.sampled_from(["", "A1", "A" * 16, "A" * 17, "B" * 64, "ن" * 32, "a\\b", "٣٤"]),
    st.text(st.characters(codec="ascii"), max_size=70),
)
dates = st.sampled_from(["", "20240203", "20240230", "2024-02-03", "١٢٣٤٥٦٧٨"])
headers = st.builds(
    StudyHeader,
    study_uid=st.just(STUDY_UID),
    patient=st.builds(
        Patient,
        id=identifiers,
        issuer=identifiers,
        name=names,
        birth_date=dates,
        sex=st.sampled_from(["", "M", "F", "O", "X\\Y"]),
    ),
    study_id=identifiers,
    accession_number=identifiers,
    accession_issuer=identifiers,
    study_date=dates,
    study_time=st.sampled_from(["", "101500", "1015", "256199", "10:15"]),
    description=identifiers,
    referring_physician=names,
)
requests = st.builds(
    RequestReference,
    accession_number=identifiers,
    accession_issuer=identifiers,
    placer_order_number=identifiers,
    filler_order_number=identifiers,
    procedure_id=identifiers,
    procedure_description=identifiers,
    procedure_code=st.none() | st.tuples(identifiers, identifiers, identifiers),
)
priors = st.builds(
    PriorStudy,
    study_uid=st.just("1.2.9"),
    date=dates,
    modality=st.sampled_from(["", "CT"]),
    description=identifiers,
)


def references(count: int, series: int) -> tuple[DocumentReference, ...]:
    return tuple(
        DocumentReference(
            sop_instance_uid=f"{STUDY_UID}.7.{number}",
            series_uid=f"{STUDY_UID}.7.0.{number % series}",
            sop_class_uid=uid.CTImageStorage,
        )
        for number in range(count)
    )


evidence = st.sampled_from([0, 3]).map(lambda n: references(n, 2))
predecessors = st.lists(
    st.builds(
        Predecessor,
        document=st.integers(1, 9).map(
            lambda n: DocumentReference(
                sop_instance_uid=f"{STUDY_UID}.5.{n}", series_uid=f"{STUDY_UID}.6.{n % 2}"
            )
        ),
        purpose=st.sampled_from(Purpose),
    ),
    max_size=3,
    unique_by=lambda one: one.document.sop_instance_uid,
).map(tuple)
contexts = st.builds(
    DocumentContext,
    header=headers,
    report_version=st.integers(1, 12),
    created_at=st.sampled_from(
        [
            datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=3))),
            datetime(2026, 3, 4, 5, 6, 7, 999, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ]
    ),
    software_version=st.sampled_from(["0.1.0", ""]),
    predecessors=predecessors,
    requests=st.lists(requests, max_size=2).map(tuple),
    evidence=evidence,
    prior_studies=st.lists(priors, max_size=2).map(tuple),
)
frames = st.lists(
    st.builds(
        FrameReference,
        series_uid=st.sampled_from([f"{STUDY_UID}.8", f"{STUDY_UID}.9"]),
        sop_class_uid=st.just(uid.ComputedRadiographyImageStorage),
        sop_instance_uid=st.integers(1, 5).map(lambda n: f"{STUDY_UID}.9.{n}"),
        reason=st.one_of(st.just("middle of 4 parts of 40 slices"), letters),
    )
    | st.builds(
        FrameReference,
        series_uid=st.just(f"{STUDY_UID}.10"),
        sop_class_uid=st.just(uid.EnhancedCTImageStorage),
        sop_instance_uid=st.integers(6, 9).map(lambda n: f"{STUDY_UID}.9.{n}"),
        frame_number=st.integers(1, 3),
    ),
    max_size=3,
    unique_by=lambda frame: frame.sop_instance_uid,
).map(tuple)


def signatures(languages: tuple[Language, ...]) -> st.SearchStrategy[Signature]:
    return st.builds(
        Signature,
        reader_name=names.filter(lambda name: any(c.isalpha() for c in name)),
        reader_id=identifiers,
        signed_at=st.just(datetime(2026, 3, 4, 9, 30, tzinfo=timezone(timedelta(hours=3)))),
        languages=st.just(languages),
        organisation=identifiers,
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    languages = draw(st.sampled_from([(Language.EN, Language.AR), (Language.EN,), (Language.AR,)]))
    status = draw(st.sampled_from(ReportStatus))
    signed = draw(st.sampled_from(sorted({languages, languages[:1], languages[-1:]})))
    addenda = (
        Addendum(
            texts=tuple((one, draw(texts(one))) for one in signed),
            signature=draw(signatures(signed)),
        ),
    )
    unsigned = tuple(one for one in languages if one not in signed)
    is_final = standing(status).is_final
    return Report(
        narratives=tuple(
            Narrative(
                language=one,
                sections=tuple(
                    Section(kind=kind, text=draw(texts(one)))
                    for kind in draw(st.sets(st.sampled_from(SectionKind), min_size=1))
                ),
            )
            for one in languages
        ),
        model=draw(
            st.builds(
                ModelVersion,
                name=st.sampled_from(["BiMediX2-8B-Bi", "نموذج", "M" * 80]),
                revision=st.just("0123456789ab"),
                is_demonstration=st.booleans(),
            )
        ),
        status=status,
        frames=draw(frames),
        signature=draw(signatures(signed)) if is_final else None,
        addenda=addenda if status is ReportStatus.ADDENDED else (),
        withdrawn=unsigned if is_final and draw(st.booleans()) else (),
    )


def picture(frame: FrameReference, height: int = 300, width: int = 280) -> ModelImage:
    """Return a picture of rings: no two of its quarters are alike."""
    rows, columns = np.mgrid[:height, :width]
    grey = (np.hypot(rows - height / 3, columns - width / 4) % 256).astype(np.uint8)
    return ModelImage(pixels=np.stack([grey] * 3, axis=-1), frame=frame, is_orientation_known=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that the objects of one report version are made of."""

    report: Report
    context: DocumentContext


cases = st.builds(Case, report=reports(), context=contexts)
