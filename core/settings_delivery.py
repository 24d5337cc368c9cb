"""Settings of what leaves by other ways than DICOM's own network and HL7 v2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from core.report import Language
from core.settings_types import Languages, Name, Section


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("allowed are http://host/... and https://host/...")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("username and password are settings of their own; no ? and no #")
    return value.rstrip("/")


ServiceUrl = Annotated[str, AfterValidator(_check_url)]


class WebTlsSettings(Section):
    """HTTPS towards a service whose authority the operating system does not know."""

    trusted: Path = Field(
        description="PEM file of the authorities that sign the service's certificate"
    )
    certificate: Path | None = Field(None, description="PEM file of our own certificate chain")
    key: Path | None = Field(None, description="PEM file of our private key")
    verify_host: bool = Field(
        default=True, description="the service's certificate must name the host in `url`"
    )

    @model_validator(mode="after")
    def _certificate_and_key_belong_together(self) -> WebTlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class DicomwebSettings(Section):
    """An archive that drafts are sent to by STOW-RS."""

    name: Name = Field(description="name in status, log and timeline")
    url: ServiceUrl = Field(
        description="root of the service, such as `https://pacs.example/dicom-web`"
    )
    tls: WebTlsSettings | None = Field(
        None,
        description=(
            "`[dicomweb.tls]`; without it https trusts the operating system's authorities"
        ),
    )
    token: SecretStr = Field(SecretStr(""), description="bearer token")
    username: str = Field("", description="user of basic authentication")
    password: SecretStr = Field(SecretStr(""), description="password of that user")
    confirm: Literal["none", "find"] = Field(
        "none",
        description=(
            "proof that is asked for after a send: `find` looks the object up (QIDO-RS), "
            "`none` takes the service's yes for it"
        ),
    )
    per_minute: int = Field(0, ge=0, description="most objects in a minute; 0: as many as it takes")

    @model_validator(mode="after")
    def _one_way_to_identify(self) -> DicomwebSettings:
        if self.token.get_secret_value() and self.username:
            raise ValueError("token and username exclude each other")
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("[dicomweb.tls] needs an https url")
        return self

    @property
    def destination(self) -> str:
        """Its name in rows, log and timeline."""
        return f"dicomweb:{self.name}"


class FhirSettings(Section):
    """A FHIR R4 server that reports are put on, as DiagnosticReport."""

    name: Name = Field(description="name in status, log and timeline")
    url: ServiceUrl = Field(description="base of the server, such as `https://fhir.example/r4`")
    tls: WebTlsSettings | None = Field(
        None,
        description="`[fhir.tls]`; without it https trusts the operating system's authorities",
    )
    token: SecretStr = Field(SecretStr(""), description="bearer token")
    conditional: bool = Field(
        default=True,
        description=(
            "the server knows conditional update; false: we give the resource's id, "
            "which it must allow"
        ),
    )
    languages: Languages = Field((Language.EN, Language.AR), description="languages that it takes")
    pdf: bool = Field(default=False, description="send the report as PDF along")
    patient_system: str = Field("", description="URI of the system of patient numbers")
    order_system: str = Field("", description="URI of the system of accession numbers")
    per_minute: int = Field(0, ge=0, description="most reports in a minute; 0: as many as it takes")

    @model_validator(mode="after")
    def _tls_needs_https(self) -> FhirSettings:
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("[fhir.tls] needs an https url")
        return self

    @property
    def destination(self) -> str:
        """Its name in rows, log and timeline."""
        return f"fhir:{self.name}"


class SigningSettings(Section):
    """Who may sign, and how."""

    command_line: bool = Field(
        default=False,
        description=(
            "`taqrir sign`, `reject`, `correct` and `addend` work: whoever may run them on this "
            "machine signs in the name that they give"
        ),
    )
    organisation: str = Field(
        "", max_length=64, description="whom readers sign for: Verifying Organization"
    )


class WithdrawalSettings(Section):
    """How a draft that is no longer to be read is taken back."""

    archives: Literal["version", "key_objects", "none"] = Field(
        "version",
        description=(
            "`version`: a new document, marked as withdrawn, that names the draft as its "
            "predecessor; `key_objects`: a Key Object Selection that rejects the drafts (IHE "
            "IOCM), also those that a newer version replaces; `none`: nothing"
        ),
    )
    ris: bool = Field(default=True, description="send the withdrawal as a result, OBR-25 X")
