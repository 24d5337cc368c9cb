"""Settings of receiving: the node, who may send, which studies are for us, when they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from core.report import Severity
from core.settings_tls import SenderTlsSettings
from core.settings_types import AETitle, CharacterSetName, Name, Port, Seconds, Section


class NodeTlsSettings(Section):
    """DICOM TLS on a port of its own (PS3.15 B), beside the plain one."""

    port: Port = Field(2762, description="DICOM TLS port")
    certificate: Path = Field(description="PEM file of our certificate and its chain")
    key: Path = Field(description="PEM file of our private key")
    trusted: Path | None = Field(
        None, description="PEM file of the authorities whose clients are trusted"
    )
    client_certificate: Literal["required", "optional", "none"] = Field(
        "required", description="whether a sender must show a certificate"
    )
    profile: Literal["bcp195", "bcp195-modified"] = Field(
        "bcp195",
        description=(
            "secure transport connection profile: `bcp195` is BCP 195 RFC 8996, 9325 (PS3.15 B.12),"
            " `bcp195-modified` the modified one (B.13)"
        ),
    )
    handshake_seconds: Seconds = Field(10.0, description="longest handshake, as a whole")

    @model_validator(mode="after")
    def _clients_can_be_judged(self) -> NodeTlsSettings:
        if self.client_certificate != "none" and self.trusted is None:
            raise ValueError(
                "trusted is missing: it names the authorities by which senders' certificates are "
                'judged; client_certificate = "none" asks for none'
            )
        return self


class NodeSettings(Section):
    """Our own DICOM application entity."""

    ae_title: AETitle = Field("TAQRIR", description="AE title that senders call")
    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104  a PACS is remote
    port: Port = Field(11112, description="DICOM port")
    plain: bool = Field(default=True, description="listen on `node.port`; false leaves only TLS")
    tls: NodeTlsSettings | None = Field(None, description="DICOM TLS: `[node.tls]`")
    processes: int = Field(0, ge=0, le=64, description="receiving processes; 0: one per core")
    durability: Literal["fsync", "written"] = Field(
        "fsync",
        description=(
            "what Success promises: `fsync` that the object survives a power cut, `written` that "
            "it survives the death of any process"
        ),
    )
    max_associations: int = Field(256, ge=1, description="associations at once")
    max_associations_per_sender: int = Field(
        128, ge=1, description="associations at once of one calling AE title"
    )
    minimum_free_mb: int = Field(
        512,
        ge=0,
        description=(
            "free disk under which associations are refused and C-STORE answers A700 "
            "(out of resources)"
        ),
    )
    minimum_free_percent: float = Field(
        1.0, ge=0, le=90, description="the same, in percent of the disk; the larger one counts"
    )
    artim_seconds: Seconds = Field(
        15.0, description="how long a connection may be silent before it asks for an association"
    )
    stall_seconds: Seconds = Field(
        60.0, description="how long a sender may be silent in the middle of a message"
    )
    idle_seconds: Seconds = Field(
        900.0, description="how long an association may be idle between messages"
    )


class SenderSettings(Section):
    """Who may store to us."""

    ae_title: AETitle = Field(description="calling AE title")
    host: str = Field("", description="if given, the peer's address must match too")
    port: Port | None = Field(
        None,
        description=(
            "where it listens itself: storage commitment is reported there, on a new association; "
            "without it the report comes on the association that asked"
        ),
    )
    tls: SenderTlsSettings | None = Field(
        None,
        description="DICOM TLS on that association: `[senders.tls]`; else the report is plain",
    )
    username: str = Field("", description="user identity that it must give (PS3.7 D.3.3.7)")
    passcode: SecretStr = Field(SecretStr(""), description="passcode of that user")
    require_tls: bool = Field(default=False, description="refuse it on the plain port")
    commitment_days: int = Field(
        0,
        ge=0,
        description="days for which storage is committed to it on request; 0: no commitment",
    )
    quiet_seconds: Seconds | None = Field(
        None, description="silence after which its studies are complete; else learned and bounded"
    )
    count_at: str = Field(
        "", description="name of the [[pacs]] that is asked how many instances a study has"
    )
    character_set: CharacterSetName = Field(
        "",
        description=(
            "character set that its text really is in, whatever its objects say: a codec of Python "
            "such as `cp1256`, or DICOM's defined term such as `ISO_IR 192`"
        ),
    )
    orientation_unknown: Severity = Field(
        Severity.BLOCK,
        description="severity of ORIENTATION_UNKNOWN for images of this sender",
    )

    # Of the field alone: a complaint about the row would show all of it, the passcode too.
    @field_validator("tls")
    @classmethod
    def _tls_needs_an_address(
        cls, tls: SenderTlsSettings | None, known: ValidationInfo
    ) -> SenderTlsSettings | None:
        if tls is not None and not (known.data.get("host") and known.data.get("port")):
            raise ValueError("it is for reports to where the sender listens: give host and port")
        return tls


class RuleSettings(Section):
    """Which studies are for us: the first rule that fits an image decides."""

    name: Name = Field(description="name in timeline and explanation")
    action: Literal["draft", "ignore"] = Field("draft", description="what becomes of such an image")
    modality: tuple[str, ...] = Field((), description="Modality (0008,0060), such as `CR`")
    sop_class: tuple[str, ...] = Field((), description="SOP class, by UID or by its keyword")
    body_part: tuple[str, ...] = Field((), description="Body Part Examined, such as `CHEST`")
    description: tuple[str, ...] = Field(
        (), description="patterns with `*` and `?` of the whole study or series description"
    )
    sender: tuple[str, ...] = Field((), description="calling AE titles")
    priority: Literal["stat", "routine"] = Field("routine", description="lane in the queue")
    max_images: int | None = Field(
        None, ge=1, le=16, description="pictures that the model sees, instead of `model.max_images`"
    )
    max_new_tokens: int | None = Field(
        None, ge=16, le=8192, description="longest text, instead of `model.max_new_tokens`"
    )
    adapter: Name | None = Field(
        None, description="adapter of `[model.adapters]` that writes, instead of the bare model"
    )

    @field_validator("modality", "sop_class", "body_part", "description", "sender")
    @classmethod
    def _no_value_is_empty(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value.strip() for value in values):
            raise ValueError("an empty value fits nothing; leave the key out to allow everything")
        return values

    @model_validator(mode="after")
    def _only_drafts_have_options(self) -> RuleSettings:
        options = {"priority", "max_images", "max_new_tokens", "adapter"}
        set_for_nothing = options & self.model_fields_set
        if self.action == "ignore" and set_for_nothing:
            names = ", ".join(sorted(set_for_nothing))
            raise ValueError(f'{names}: without effect where action = "ignore"')
        return self


class CompletionSettings(Section):
    """When a study counts as complete."""

    quiet_seconds: Seconds = Field(60.0, description="silence after the last instance")
    learn: bool = Field(
        default=True,
        description="lengthen the silence for senders that are seen to pause for longer",
    )
    quiet_max_seconds: Seconds = Field(900.0, description="longest silence that is learned")
    hard_limit_minutes: Seconds = Field(
        240.0, description="after this long a study is taken as it is, whatever still comes"
    )
    max_versions: int = Field(
        5, ge=1, description="study versions (late images) that are drafted without being asked"
    )


class RetentionSettings(Section):
    """When received files and drafts are removed."""

    days: int = Field(
        30, ge=0, description="days after the last change of state; 0: nothing is ever removed"
    )


class SyslogSettings(Section):
    """An audit repository that takes syslog over TLS (RFC 5425)."""

    host: str = Field(description="address")
    port: Port = Field(6514, description="port")
    trusted: Path = Field(description="PEM file of the authorities that sign its certificate")
    certificate: Path | None = Field(None, description="PEM file of our own certificate chain")
    key: Path | None = Field(None, description="PEM file of our private key")


class AuditSettings(Section):
    """Audit messages (PS3.15 A.5)."""

    enabled: bool = Field(default=True, description="write them to `audit/` in the data folder")
    site: str = Field("", max_length=64, description="AuditEnterpriseSiteID")
    source: str = Field(
        "", max_length=64, description="AuditSourceID; empty: AE title and host name"
    )
    syslog: SyslogSettings | None = Field(None, description="an audit repository: `[audit.syslog]`")
