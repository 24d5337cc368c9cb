"""A report as a FHIR R4 DiagnosticReport, and back to prove that it says the same.

One resource a study: a newer version of the report, a signature, a withdrawal update it, and the
server keeps its history. English is the language of the resource where there is English; the other
language stands beside it as a translation. The whole text in each language travels as a plain file
(`presentedForm`), byte for byte; `conclusion` and the narrative are for whoever reads no files.

Patient, order and imaging study are referred to by identifier: Taqrir knows no resource of theirs.

Source: FHIR R4 DiagnosticReport, Attachment, Reference (logical reference), Narrative; extension
``translation``; security labels by ``v3-ObservationValue``.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape as escape_html
from typing import Any

from core.errors import PermanentError, TextIntegrityError
from core.report import Language, Narrative, ReportStatus, SectionKind, spoken_name, standing
from hl7.result import Result
from hl7.result_profile import NOTICE

RESOURCE = "DiagnosticReport"
# R4 and R4B, which differ in nothing that is written here.
SUPPORTED_VERSIONS = ("4.0", "4.3")
_UID_SYSTEM = "urn:ietf:rfc:3986"
_DICOM_UID_SYSTEM = "urn:dicom:uid"
_LABELS = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_AI_ASSERTED = {
    "system": _LABELS,
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
_CLINICIAN_ASSERTED = {"system": _LABELS, "code": "CLINAST", "display": "clinician asserted"}
_STATUSES = {
    ReportStatus.DRAFT: "preliminary",
    ReportStatus.SIGNED: "final",
    # Not "corrected": what a reader changes need not have been an error.
    ReportStatus.CORRECTED: "amended",
    ReportStatus.ADDENDED: "appended",
    ReportStatus.WITHDRAWN: "cancelled",
}
_HEADINGS = {
    SectionKind.HISTORY: {Language.EN: "Clinical information", Language.AR: "المعلومات السريرية"},
    SectionKind.FINDINGS: {Language.EN: "Findings", Language.AR: "الموجودات"},
    SectionKind.IMPRESSION: {Language.EN: "Impression", Language.AR: "الانطباع"},
    SectionKind.RECOMMENDATIONS: {Language.EN: "Recommendations", Language.AR: "التوصيات"},
    SectionKind.SUMMARY: {Language.EN: "Summary", Language.AR: "الملخص"},
}
_ADDENDUM = {Language.EN: "Addendum", Language.AR: "ملحق"}
_TITLES = {Language.EN: "Imaging report", Language.AR: "تقرير التصوير"}
# What a FHIR string and an XHTML narrative cannot hold; the plain file holds it all the same.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_DAMAGE = ("\N{REPLACEMENT CHARACTER}", "????")


@dataclass(frozen=True, kw_only=True)
class FhirLayout:
    """What a FHIR destination agrees on.

    Attributes:
        report_uid: The UID that names the resource, the same in every version of the report.
        patient_system: URI of the system of patient numbers; empty: the issuer's name alone.
        order_system: URI of the system of accession numbers.
    """

    report_uid: str
    patient_system: str = ""
    order_system: str = ""


@dataclass(frozen=True, kw_only=True)
class ResourceIdentifier:
    """What a resource of ours is found by.

    Attributes:
        resource_id: Its id where we give it one.
    """

    system: str
    value: str

    @property
    def resource_id(self) -> str:
        """The UID, which has the letters that an id may have (FHIR R4 datatypes, id)."""
        return self.value.removeprefix("urn:oid:")


@dataclass(frozen=True, kw_only=True)
class FhirContent:
    """What a resource of ours says.

    Attributes:
        texts: The plain files by language.
        pdf: The PDF that travels along.
    """

    status: str
    labels: frozenset[str]
    report_uid: str
    study_uid: str
    patient_id: str = field(repr=False)
    accession_number: str
    conclusions: dict[str, str] = field(repr=False)
    texts: dict[str, str] = field(repr=False)
    pdf: bytes | None = field(repr=False)


def build_report(result: Result, layout: FhirLayout, *, created_at: datetime) -> bytes:
    """Return a result as a DiagnosticReport in JSON; the same arguments give the same bytes.

    Raises:
        ValueError: `created_at` is naive.
        PermanentError: There is no patient to refer to.
    """
    if created_at.utcoffset() is None:
        raise ValueError("a moment without a time zone")
    if not result.header.patient.id.strip():
        raise PermanentError(
            "The study has no Patient ID, and a FHIR server would file its report under nobody: "
            "correct it in the PACS and retry."
        )
    resource: dict[str, Any] = {
        "resourceType": RESOURCE,
        "meta": {"security": _labels(result.status)},
        "language": result.narratives[0].language.value,
        "text": {"status": "generated", "div": _narrative(result)},
        "identifier": [{"system": _UID_SYSTEM, "value": f"urn:oid:{layout.report_uid}"}],
        "basedOn": _order(result, layout),
        "status": _STATUSES[result.status],
        "category": [_concept("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")],
        "code": _concept("http://loinc.org", NOTICE[0], NOTICE[1]),
        "subject": _subject(result, layout),
        "effectiveDateTime": _date(result.header.study_date),
        "issued": created_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "resultsInterpreter": _interpreter(result),
        "imagingStudy": [
            _reference("ImagingStudy", _DICOM_UID_SYSTEM, f"urn:oid:{result.header.study_uid}")
        ],
        **_conclusion(result),
        "presentedForm": _files(result, created_at),
    }
    kept = {name: value for name, value in resource.items() if value}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def read_report(data: bytes) -> FhirContent:
    """Return what a resource of ours says.

    Raises:
        TextIntegrityError: The bytes are no such resource.
    """
    try:
        resource = json.loads(data)
        files = [
            (form["contentType"], form["language"], base64.b64decode(form["data"], validate=True))
            for form in resource["presentedForm"]
        ]
        return FhirContent(
            status=resource["status"],
            labels=frozenset(label["code"] for label in resource["meta"]["security"]),
            report_uid=resource["identifier"][0]["value"].removeprefix("urn:oid:"),
            study_uid=resource["imagingStudy"][0]["identifier"]["value"].removeprefix("urn:oid:"),
            patient_id=resource["subject"]["identifier"]["value"],
            accession_number=_accession_of(resource),
            conclusions=_conclusions_of(resource),
            texts={
                language: content.decode()
                for kind, language, content in files
                if kind.startswith("text/plain")
            },
            pdf=next((content for kind, _, content in files if kind == "application/pdf"), None),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise TextIntegrityError(
            f"The bytes are no DiagnosticReport of ours ({type(error).__name__})."
        ) from None


def identifier_of(data: bytes) -> ResourceIdentifier:
    """Return what a resource of ours is found by.

    Raises:
        TextIntegrityError: The bytes are no such resource.
    """
    uid = read_report(data).report_uid
    return ResourceIdentifier(system=_UID_SYSTEM, value=f"urn:oid:{uid}")


def verify_report(data: bytes, result: Result, layout: FhirLayout) -> None:
    """Prove that a resource says what it must, before it is sent.

    Raises:
        TextIntegrityError: A text, a status, a label or an identifier differs, or a character was
            lost on the way.
    """
    content = read_report(data)
    header = result.header
    pairs = (
        ("status", content.status, _STATUSES[result.status]),
        ("labels", content.labels, frozenset(label["code"] for label in _labels(result.status))),
        ("identifier", content.report_uid, layout.report_uid),
        ("Study Instance UID", content.study_uid, header.study_uid),
        ("Patient ID", content.patient_id, header.patient.id.strip()),
        ("Accession Number", content.accession_number, header.accession_number.strip()),
        ("PDF", content.pdf, result.pdf),
        ("conclusion", content.conclusions, _wanted_conclusions(result)),
    )
    for name, got, wanted in pairs:
        if got != wanted:
            raise TextIntegrityError(f"The DiagnosticReport's {name} is not as it must be.")
    if content.texts != {n.language.value: _plain_text(result, n) for n in result.narratives}:
        raise TextIntegrityError("The DiagnosticReport's texts are not those of the report.")
    if any(damage in text for text in content.texts.values() for damage in _DAMAGE):
        raise TextIntegrityError("The report holds a replacement character or '????'.")


def _labels(status: ReportStatus) -> list[dict[str, str]]:
    return [_AI_ASSERTED, _CLINICIAN_ASSERTED] if standing(status).is_final else [_AI_ASSERTED]


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _reference(kind: str, system: str, value: str) -> dict[str, Any]:
    identifier = {"system": system, "value": value} if system else {"value": value}
    return {"type": kind, "identifier": identifier}


def _subject(result: Result, layout: FhirLayout) -> dict[str, Any]:
    patient = result.header.patient
    subject = _reference("Patient", layout.patient_system, patient.id.strip())
    if patient.issuer.strip():
        subject["identifier"]["assigner"] = {"display": _spoken(patient.issuer.strip())}
    return subject


def _order(result: Result, layout: FhirLayout) -> list[dict[str, Any]]:
    accession = result.header.accession_number.strip()
    if not accession:
        return []
    order = _reference("ServiceRequest", layout.order_system, accession)
    kind = _concept("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID")
    order["identifier"] = {"type": kind, **order["identifier"]}
    return [order]


def _interpreter(result: Result) -> list[dict[str, Any]]:
    signature = result.report.signature
    if signature is None or not standing(result.status).is_final:
        return []
    reader = {"type": "Practitioner", "display": spoken_name(signature.reader_name, Language.EN)}
    if signature.reader_id:
        return [reader | {"identifier": {"value": signature.reader_id}}]
    return [reader]


def _date(value: str) -> str:
    """Return the day of a study; its hour has no offset, and FHIR allows none without."""
    digits = value.strip()
    if not re.fullmatch("[0-9]{8}", digits):
        return ""
    try:
        # strptime of a date alone; no moment is made of it.
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).strftime("%Y-%m-%d")
    except ValueError:
        return ""


def _spoken(text: str) -> str:
    """Return a text as a FHIR string or an XML document can hold it."""
    return _UNSPEAKABLE.sub(" ", text)


def _sections(result: Result, narrative: Narrative) -> list[tuple[str, str]]:
    """Return headings and texts of a language; a withdrawn one has none."""
    language = narrative.language
    if result.report.status_of(language) is ReportStatus.WITHDRAWN:
        return []
    rows = [(_HEADINGS[kind][language], text) for kind, text in result.sections(narrative)]
    return rows + [(_ADDENDUM[language], text) for text in result.addenda(language) if text.strip()]


def _plain_text(result: Result, narrative: Narrative) -> str:
    parts = [result.notice(narrative.language)]
    parts += [f"{heading}\n{text}" for heading, text in _sections(result, narrative)]
    return "\n\n".join(parts) + "\n"


def _files(result: Result, created_at: datetime) -> list[dict[str, Any]]:
    issued = created_at.astimezone(UTC).isoformat(timespec="seconds")

    def file(kind: str, language: Language, content: bytes) -> dict[str, Any]:
        return {
            "contentType": kind,
            "language": language.value,
            "data": base64.b64encode(content).decode("ascii"),
            "size": len(content),
            "title": _TITLES[language],
            "creation": issued,
        }

    files = [
        file("text/plain;charset=utf-8", n.language, _plain_text(result, n).encode())
        for n in result.narratives
    ]
    if result.pdf is not None:
        files.append(file("application/pdf", result.narratives[0].language, result.pdf))
    return files


def _wanted_conclusions(result: Result) -> dict[str, str]:
    """Return the conclusion in each language: the notice, then the impression."""
    found = {}
    for narrative in result.narratives:
        language = narrative.language
        parts = [result.notice(language)]
        if result.report.status_of(language) is not ReportStatus.WITHDRAWN:
            parts.append(result.layout.written(narrative.text_of(SectionKind.IMPRESSION)).strip())
        found[language.value] = _spoken("\n\n".join(filter(None, parts)))
    return found


def _conclusion(result: Result) -> dict[str, Any]:
    conclusions = list(_wanted_conclusions(result).items())
    fields: dict[str, Any] = {"conclusion": conclusions[0][1]}
    translations = [
        {
            "url": _TRANSLATION,
            "extension": [
                {"url": "lang", "valueCode": language},
                {"url": "content", "valueString": text},
            ],
        }
        for language, text in conclusions[1:]
    ]
    if translations:
        fields["_conclusion"] = {"extension": translations}
    return fields


def _conclusions_of(resource: dict[str, Any]) -> dict[str, str]:
    found = {resource["language"]: resource["conclusion"]}
    for extension in resource.get("_conclusion", {}).get("extension", []):
        parts = {part["url"]: part for part in extension["extension"]}
        found[parts["lang"]["valueCode"]] = parts["content"]["valueString"]
    return found


def _accession_of(resource: dict[str, Any]) -> str:
    orders = resource.get("basedOn", [])
    return str(orders[0]["identifier"]["value"]) if orders else ""


def _narrative(result: Result) -> str:
    """Return the XHTML that a viewer shows: each language by itself, in its own direction."""
    blocks = []
    for narrative in result.narratives:
        language = narrative.language
        direction = "rtl" if language is Language.AR else "ltr"
        rows = [f"<p><b>{_xhtml(result.notice(language))}</b></p>"]
        rows += [
            f"<h3>{_xhtml(heading)}</h3><p>{_xhtml(text)}</p>"
            for heading, text in _sections(result, narrative)
        ]
        blocks.append(
            f'<div lang="{language}" xml:lang="{language}" dir="{direction}">{"".join(rows)}</div>'
        )
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(blocks)}</div>'


def _xhtml(text: str) -> str:
    return escape_html(_spoken(text)).replace("\n", "<br/>")
