"""`[pacs.tls]` and its like: how a peer is called over TLS."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from core.settings_types import Section


class PacsTlsSettings(Section):
    """DICOM TLS towards an archive (PS3.15 B)."""

    trusted: Path = Field(
        description="PEM file of the authorities that sign the peer's certificate"
    )
    certificate: Path | None = Field(None, description="PEM file of our own certificate chain")
    key: Path | None = Field(None, description="PEM file of our private key")
    verify_host: bool = Field(
        default=True,
        description=(
            "the peer's certificate must name `host`; false where it names nothing that we call"
        ),
    )

    @model_validator(mode="after")
    def _certificate_and_key_belong_together(self) -> PacsTlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class SenderTlsSettings(PacsTlsSettings):
    """DICOM TLS towards a sender to whom storage commitment is reported; keys as for an archive."""
