"""Settings of what drafts go to by DICOM's own network and by HL7 v2; docs/deliveries.md.

What they go to by HTTP stands in `core.settings_delivery`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from core.report import Language, SectionKind
from core.settings_tls import PacsTlsSettings
from core.settings_types import AETitle, HL7Code, Languages, Name, Port, Section


class PacsSettings(Section):
    """An archive that drafts are sent to."""

    name: Name = Field(description="name in status, log and timeline")
    ae_title: AETitle = Field(description="called AE title")
    host: str = Field(description="address")
    port: Port = Field(104, description="DICOM port")
    tls: PacsTlsSettings | None = Field(None, description="DICOM TLS: `[pacs.tls]`")
    confirm: Literal["none", "find", "commitment"] = Field(
        "none",
        description=(
            "proof that is asked for after a send: `commitment` asks for storage commitment and "
            "waits for its report, `find` looks it up by C-FIND, `none` takes the archive's "
            "Success for it"
        ),
    )
    per_minute: int = Field(0, ge=0, description="most objects in a minute; 0: as many as it takes")

    @property
    def destination(self) -> str:
        """Its name in rows, log and timeline."""
        return f"pacs:{self.name}"


class RisTlsSettings(PacsTlsSettings):
    """TLS towards an information system; the settings are those of an archive."""


class RisSettings(Section):
    """An information system that drafts are sent to."""

    name: Name = Field(description="name in status, log and timeline")
    host: str = Field(description="address")
    port: Port = Field(2575, description="MLLP port")
    message: Literal["ORU", "MDM"] = Field(
        "ORU", description="kind of message: a result (ORU^R01) or a document (MDM^T02 and others)"
    )
    version: Literal["2.3.1", "2.4", "2.5", "2.5.1", "2.6"] = Field("2.5.1", description="MSH-12")
    character_set: Literal[
        "UNICODE UTF-8", "ASCII", "8859/1", "8859/6", "8859/15", "WINDOWS-1252", "WINDOWS-1256"
    ] = Field(
        "UNICODE UTF-8",
        description="MSH-18, and what the bytes are; a text that does not fit is not sent",
    )
    languages: Languages = Field((Language.EN, Language.AR), description="languages that it takes")
    one_message: bool = Field(
        default=True, description="all languages in one message; false: a message for each"
    )
    text_type: Literal["TX", "FT"] = Field("TX", description="OBX-2 of texts")
    section_codes: dict[SectionKind, HL7Code] = Field(
        {},
        description=(
            'OBX-3 by section, where not LOINC\'s: `{findings = "FIND^Findings^99HOSP"}`; '
            "history, findings, impression, recommendations or summary"
        ),
    )
    draft_status: Literal["R", "P"] = Field(
        "R", description="OBR-25 and OBX-11 of an unsigned draft (HL7 table 0123)"
    )
    withdrawn_status: Literal["X", "W", "D"] = Field(
        "X", description="OBX-11 of a text that is withdrawn (HL7 table 0085)"
    )
    study_uid: bool = Field(default=True, description="an OBX names the study")
    language_marks: bool = Field(default=True, description="an OBX names each group's language")
    bidi_marks: bool = Field(
        default=True, description="send characters that only order letters (U+2067 and others)"
    )
    link: str = Field(
        "",
        max_length=900,
        description=("address of the reading page, sent as RP; `{study_uid}` stands for the study"),
    )
    pdf: bool = Field(default=False, description="send the report as PDF along, as ED")
    sending_application: str = Field("TAQRIR", max_length=180, description="MSH-3")
    sending_facility: str = Field("", max_length=180, description="MSH-4")
    ack_mode: Literal["original", "enhanced"] = Field(
        "original",
        description=(
            "what its yes is: `original` an application's (AA), `enhanced` that it has stored the "
            "message (CA)"
        ),
    )
    tls: RisTlsSettings | None = Field(None, description="TLS: `[ris.tls]`")
    receiving_application: str = Field("", max_length=180, description="MSH-5")
    receiving_facility: str = Field("", max_length=180, description="MSH-6")
    per_minute: int = Field(
        0, ge=0, description="most messages in a minute; 0: as many as it takes"
    )

    @field_validator("section_codes")
    @classmethod
    def _codes_differ(cls, value: dict[SectionKind, str]) -> dict[SectionKind, str]:
        codes = [text.partition("^")[0] for text in value.values()]
        if len(set(codes)) != len(codes):
            raise ValueError("two sections have the same code")
        return value

    @property
    def destination(self) -> str:
        """Its name in rows, log and timeline."""
        return f"ris:{self.name}"
