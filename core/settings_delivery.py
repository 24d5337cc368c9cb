"""Settings of what leaves by other ways than DICOM's own network and HL7 v2."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from core.settings_types import Name, Section


class DicomwebTlsSettings(Section):
    """HTTPS towards a DICOMweb service whose authority the operating system does not know."""

    trusted: Path = Field(
        description="PEM file of the authorities that sign the service's certificate"
    )
    certificate: Path | None = Field(None, description="PEM file of our own certificate chain")
    key: Path | None = Field(None, description="PEM file of our private key")
    verify_host: bool = Field(
        default=True, description="the service's certificate must name the host in `url`"
    )

    @model_validator(mode="after")
    def _certificate_and_key_belong_together(self) -> DicomwebTlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class DicomwebSettings(Section):
    """An archive that drafts are sent to by STOW-RS."""

    name: Name = Field(description="name in status, log and timeline")
    url: str = Field(description="root of the service, such as `https://pacs.example/dicom-web`")
    tls: DicomwebTlsSettings | None = Field(
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

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("allowed are http://host/... and https://host/...")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("username and password are settings of their own; no ? and no #")
        return value.rstrip("/")

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
