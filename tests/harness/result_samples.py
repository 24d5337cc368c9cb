"""Reports, studies and orders that tests of results are written with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from core.orders import CodedProcedure, OrderReference
from core.report import (
    Addendum,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    ReportStatus,
    Section,
    SectionKind,
    Signature,
    StudyHeader,
)
from hl7.layout import Layout
from hl7.result import Envelope, Result

MOMENT = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=3)))
HEADER = StudyHeader(
    study_uid="1.2.840.1.99",
    patient=Patient(
        id="P|1^2",
        issuer="HOSP&A",
        name="Qabbani^Nizar^^Dr=قباني^نزار",
        birth_date="19230321",
        sex="M",
    ),
    study_id="S1",
    accession_number="ACC-1",
    accession_issuer="RIS",
    study_date="20261122",
    study_time="091500.123",
    description="Chest, PA ^ lateral",
    referring_physician="House^Gregory",
    modality="CR",
    body_part="CHEST",
)
ENVELOPE = Envelope(
    control_id="CTRL0001",
    created_at=MOMENT,
    sending_facility="HOSP",
    receiving_application="RIS",
    receiving_facility="HOSP",
)
HOSTILE = (
    "No mass|nodule^~\\&.\nOBX|9|TX|||injected\r\x0b\x1c\r\\.br\\ \\X0D\\ 🫁 "
    "\u2067الرئة اليمنى\u2069 \ue000 \u2028"
)


def report_of(english: str, arabic: str, *, is_demonstration: bool = False) -> Report:
    def narrative(language: Language, text: str) -> Narrative:
        return Narrative(
            language=language,
            sections=tuple(Section(kind=kind, text=f"{kind} {text}") for kind in SectionKind),
        )

    return Report(
        narratives=(narrative(Language.EN, english), narrative(Language.AR, arabic)),
        model=ModelVersion(
            name="BiMediX2|8B", revision="0123456789ab", is_demonstration=is_demonstration
        ),
    )


REPORT = report_of("Clear lungs.", "الرئتان صافيتان.")
EN, AR = Language.EN, Language.AR
ORDER = OrderReference(
    placer_number="PL1",
    placer_issuer="RIS",
    filler_number="FI1",
    filler_issuer="DEPT",
    requested_procedure_id="RP1",
    scheduled_step_id="SPS1",
    procedure=CodedProcedure(code="XR01", meaning="Chest ^ PA", scheme="99HOSP"),
    ordering_provider_id="D1",
    ordering_provider="Salem^Ali^^Dr",
    patient_class="I",
    visit_number="V1",
    visit_issuer="HOSP",
    reason="Chest pain & dyspnoea ^ ?PE",
)


def signature_of(*languages: Language) -> Signature:
    return Signature(
        reader_name="Darwish^Mona^^Dr=درويش^منى",
        reader_id="R|7",
        signed_at=datetime(2026, 11, 22, 10, 5, tzinfo=MOMENT.tzinfo),
        languages=languages,
    )


def signed(
    report: Report = REPORT,
    *languages: Language,
    status: ReportStatus = ReportStatus.SIGNED,
    withdrawn: tuple[Language, ...] = (),
) -> Report:
    """Return a report as signed in some languages (both, if none is named)."""
    signature = signature_of(*(languages or (EN, AR)))
    addenda = (
        (Addendum(texts=((EN, "Seen | again."),), signature=signature_of(EN)),)
        if status is ReportStatus.ADDENDED
        else ()
    )
    return replace(report, status=status, signature=signature, addenda=addenda, withdrawn=withdrawn)


def withdrawn(report: Report = REPORT) -> Report:
    return replace(report, status=ReportStatus.WITHDRAWN)


def result_of(
    report: Report = REPORT,
    header: StudyHeader = HEADER,
    *,
    order: OrderReference | None = None,
    language: Language | None = None,
    pdf: bytes | None = None,
    **layout: Any,
) -> Result:
    return Result(
        report=report,
        header=header,
        layout=Layout(**layout),
        order=order or OrderReference(),
        language=language,
        pdf=pdf,
    )
