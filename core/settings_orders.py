"""Settings of what an information system sends us: who may, how much, over what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.character_sets import check_character_set, terms_of
from core.settings_types import Port, Seconds, Section


class OrderPeerSettings(Section):
    """Who may send us orders."""

    host: str = Field(description="address")
    sending_application: str = Field("", description="MSH-3, if given it must match")


class OrdersTlsSettings(Section):
    """TLS on the port for orders, which then speaks nothing else."""

    certificate: Path = Field(description="PEM file of our certificate and its chain")
    key: Path = Field(description="PEM file of our private key")
    trusted: Path | None = Field(
        None, description="PEM file of the authorities whose clients are trusted"
    )
    client_certificate: Literal["required", "optional", "none"] = Field(
        "required", description="whether a sender must show a certificate"
    )

    @model_validator(mode="after")
    def _clients_can_be_judged(self) -> OrdersTlsSettings:
        if self.client_certificate != "none" and self.trusted is None:
            raise ValueError(
                "trusted is missing: it names the authorities by which senders' certificates are "
                'judged; client_certificate = "none" asks for none'
            )
        return self


class OrdersSettings(Section):
    """Our MLLP listener for orders and merges; it listens where this section is written."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(2576, description="MLLP port")
    peers: tuple[OrderPeerSettings, ...] = Field(
        (), description="who may send orders; without any only this machine may"
    )
    tls: OrdersTlsSettings | None = Field(None, description="TLS: `[orders.tls]`")
    max_message_mb: int = Field(32, ge=1, le=256, description="longest message")
    idle_seconds: Seconds = Field(
        900.0, description="how long a connection may rest between messages"
    )
    message_seconds: Seconds = Field(
        60.0, description="how long a message may take from its first byte to its last"
    )
    max_connections: int = Field(64, ge=1, description="connections at once")
    default_charset: str = Field(
        "utf-8", description="codec of Python for messages that leave MSH-18 empty"
    )

    @field_validator("default_charset")
    @classmethod
    def _is_a_codec(cls, value: str) -> str:
        if not value or terms_of(value):
            raise ValueError('allowed is a codec of Python such as "cp1256" or "iso8859-6"')
        return check_character_set(value)
