"""What is known of the order that a study was made for: plain words, no HL7.

Source: HL7 v2.5.1 4.5 (ORC, OBR), 3.4 (PV1); DICOM PS3.3 C.4.11 (requested procedure).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CodedProcedure:
    """A procedure as the one who ordered it names it; each part may be empty.

    Attributes:
        code: Its code.
        meaning: Its name in words.
        scheme: Who made the code, such as ``99HOSP``.
    """

    code: str = ""
    meaning: str = ""
    scheme: str = ""


@dataclass(frozen=True, kw_only=True)
class OrderReference:
    """What a result repeats of its order, so that the RIS finds it again; all may be empty.

    Attributes:
        placer_number: Number that the ordering system gave (ORC-2), with its issuer.
        filler_number: Number that the performing system gave (ORC-3), with its issuer.
        requested_procedure_id: DICOM (0040,1001).
        scheduled_step_id: DICOM (0040,0009).
        procedure: What was ordered (OBR-4).
        ordering_provider_id: Number of who ordered it.
        ordering_provider: Name of who ordered it, in DICOM form (``family^given^...``).
        patient_class: PV1-2, HL7 table 0004: I, O, E and others.
        visit_number: PV1-19, with its issuer.
        reason: Why the study was asked for, in words.
    """

    placer_number: str = ""
    placer_issuer: str = ""
    filler_number: str = ""
    filler_issuer: str = ""
    requested_procedure_id: str = ""
    scheduled_step_id: str = ""
    procedure: CodedProcedure = CodedProcedure()
    ordering_provider_id: str = ""
    ordering_provider: str = field(default="", repr=False)
    patient_class: str = ""
    visit_number: str = field(default="", repr=False)
    visit_issuer: str = ""
    reason: str = field(default="", repr=False)
