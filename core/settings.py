"""Every setting, typed, with its default, its limits and what it means.

`core.settings_file` reads them; `docs/settings.md` is written from this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from core.report import ArabicSource, Language, Severity
from core.settings_delivery import (
    DicomwebSettings,
    FhirSettings,
    SigningSettings,
    WithdrawalSettings,
)
from core.settings_destinations import PacsSettings, RisSettings
from core.settings_documents import KeyImagesSettings, PdfSettings, SrSettings
from core.settings_model import JudgeSettings, RemoteSettings, TextModelSettings
from core.settings_node import (
    AuditSettings,
    CompletionSettings,
    NodeSettings,
    RetentionSettings,
    RuleSettings,
    SenderSettings,
)
from core.settings_orders import OrdersSettings
from core.settings_training import TrainingSettings
from core.settings_types import Languages, Name, Port, Seconds, Section

EMBEDDED = "embedded"
_SHIPPED_MODEL = Path("model/demo")


class ModelSettings(Section):
    """The model that drafts."""

    path: str = Field(
        "model/demo", description="checkpoint folder; `model/demo` is the one that we ship"
    )
    engine: Literal["transformers", "auto", "remote"] = Field(
        "transformers",
        description=(
            "what runs it: `transformers` our own batches for BiMediX2's kind and `auto` for the "
            "rest, `auto` any model of transformers by its own processor, `remote` a server"
        ),
    )
    languages: Languages = Field((Language.EN, Language.AR), description="languages of a draft")
    arabic: ArabicSource = Field(
        ArabicSource.TRANSLATE,
        description=(
            "what the Arabic report is made from: `translate` the English one, or a second look "
            "`from_image`; the pictures are in view either way"
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it runs")
    max_new_tokens: int = Field(1024, ge=16, le=8192, description="longest text of one task")
    weights: Literal["auto", "bfloat16", "float16", "float32", "fp8", "int8", "int4"] = Field(
        "auto",
        description=(
            "number format of the weights; `auto`: bfloat16 on CUDA, float32 on the CPU; `fp8`, "
            "`int8` and `int4` need the package torchao"
        ),
    )
    in_flight: int = Field(
        8, ge=1, le=64, description="studies that are drafted at the same time, in shared batches"
    )
    batch_size: int = Field(
        16, ge=1, le=256, description="most requests in one batch; a study has one or two at a time"
    )
    time_limit_seconds: Seconds = Field(
        300.0, description="longest time for one text, once the model is at work on it"
    )
    max_images: int = Field(4, ge=1, le=16, description="pictures of a study that the model sees")
    attempts: int = Field(
        3,
        ge=1,
        le=10,
        description=(
            "most times that a translation or a summary is asked for while a check holds it back; "
            "what is seen in the pictures is asked for once"
        ),
    )

    adapters: dict[Name, Path] = Field(
        {},
        description=(
            'LoRA folders on the model, by the names that `[[rules]] adapter` uses: `{us = "..."}`'
        ),
    )
    remote: RemoteSettings | None = Field(None, description="the server: `[model.remote]`")
    text: TextModelSettings | None = Field(
        None, description="a second, text-only model: `[model.text]`"
    )

    @model_validator(mode="after")
    def _settings_fit_the_engine(self) -> ModelSettings:
        if self.engine == "remote" and self.remote is None:
            raise ValueError('engine = "remote" needs [model.remote]: where the server is')
        if self.adapters and self.engine != "transformers":
            raise ValueError('adapters need engine = "transformers"')
        if self.adapters and self.weights in {"fp8", "int8", "int4"}:
            raise ValueError(f'adapters cannot be switched over weights = "{self.weights}"')
        return self

    @field_validator("languages")
    @classmethod
    def _include_english(cls, value: tuple[Language, ...]) -> tuple[Language, ...]:
        if Language.EN not in value or len(set(value)) != len(value):
            raise ValueError('allowed are ["en"] and ["en", "ar"]: Arabic is made from English')
        return value


class ChecksSettings(Section):
    """What makes a draft fit to send; docs/checks.md lists the codes."""

    severities: dict[str, Severity] = Field(
        {},
        description=(
            'severity by code of a check, where it is not its own: `{REPETITION = "warn"}`; '
            "note, warn or block"
        ),
    )


class WorkerSettings(Section):
    """Drafting: leases, attempts, the sweep."""

    lease_seconds: Seconds = Field(
        120.0, description="a drafting worker that is silent for longer is taken for dead"
    )
    max_attempts: int = Field(3, ge=1, description="attempts before a study is FAILED")
    retry_seconds: Seconds = Field(30.0, description="wait before a failed draft is tried again")
    sweep_seconds: Seconds = Field(5.0, description="how often lost work is rung for again")


class DeliverySettings(Section):
    """Sending drafts."""

    timeout_seconds: Seconds = Field(30.0, description="longest wait for a peer's answer")
    retry_seconds: Seconds = Field(5.0, description="first wait after a failure; doubles each time")
    retry_max_seconds: Seconds = Field(300.0, description="longest wait between attempts")
    quick_retries: int = Field(
        2, ge=0, le=10, description="further tries within an attempt when the network fails"
    )
    quick_retry_seconds: Seconds = Field(
        0.25, description="wait before the first of them; doubles each time"
    )
    give_up_hours: Seconds = Field(72.0, description="hours of failures before PARKED")
    confirm_hours: Seconds = Field(
        1.0,
        description=(
            "hours until a storage commitment that was not reported is asked for again; "
            "doubles each time, to at most a day"
        ),
    )


class DatabaseSettings(Section):
    """The truth."""

    url: str = Field(
        EMBEDDED, description="`embedded` (SQLite in data_dir) or `postgresql+psycopg://...`"
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value == EMBEDDED:
            return value
        # Only here: a process that never opens the database is smaller without its library.
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            backend = make_url(value).drivername
        except ArgumentError:
            backend = ""
        if backend not in {"postgresql+psycopg", "sqlite"}:
            raise ValueError('allowed are "embedded" and postgresql+psycopg://...')
        return value


class BrokerSettings(Section):
    """The doorbell."""

    url: str = Field(
        EMBEDDED, description="`embedded` (a server of our own in data_dir) or `redis://...`"
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value != EMBEDDED and not value.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError(
                'allowed are "embedded", redis://..., rediss://... and redis+socket://'
            )
        return value


class ReviewSettings(Section):
    """The radiologist's page; this release has none yet."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8000, description="HTTP port")
    url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="address of the page as readers call it; documents link to it, empty: none",
    )


class MetricsSettings(Section):
    """Figures for Prometheus."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(9108, description="HTTP port of /metrics")


class Settings(Section):
    """All settings of one installation."""

    data_dir: Path = Field(
        Path("var"), description="files, database, broker; relative to the file's folder"
    )
    _base_dir: Path = PrivateAttr(default_factory=Path.cwd)
    node: NodeSettings = Field(default_factory=NodeSettings)
    senders: tuple[SenderSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    pacs: tuple[PacsSettings, ...] = ()
    dicomweb: tuple[DicomwebSettings, ...] = ()
    ris: tuple[RisSettings, ...] = ()
    fhir: tuple[FhirSettings, ...] = ()
    orders: OrdersSettings = Field(default_factory=OrdersSettings)
    completion: CompletionSettings = Field(default_factory=CompletionSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    judge: JudgeSettings | None = None
    checks: ChecksSettings = Field(default_factory=ChecksSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    sr: SrSettings = Field(default_factory=SrSettings)
    pdf: PdfSettings = Field(default_factory=PdfSettings)
    key_images: KeyImagesSettings = Field(default_factory=KeyImagesSettings)
    signing: SigningSettings = Field(default_factory=SigningSettings)
    withdrawal: WithdrawalSettings = Field(default_factory=WithdrawalSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    review: ReviewSettings = Field(default_factory=ReviewSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        for section in ("pacs", "dicomweb", "ris", "fhir"):
            names = [row.name for row in getattr(self, section)]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"two [[{section}]] are called {', '.join(sorted(twice))}")
        return self

    @model_validator(mode="after")
    def _rules_name_adapters_that_are_there(self) -> Settings:
        named = {rule.adapter for rule in self.rules if rule.adapter}
        if unknown := sorted(named - set(self.model.adapters)):
            names = ", ".join(unknown)
            raise ValueError(f"[[rules]] name adapters that [model.adapters] does not: {names}")
        return self

    @property
    def checkpoint_folder(self) -> Path:
        """Where the model lies: `model.path`, else the checkpoint that is shipped under that name.

        Relative paths count from the folder that `data_dir` counts from.
        """
        path = Path(self.model.path).expanduser()
        if path == _SHIPPED_MODEL and not (self._base_dir / path / "config.json").exists():
            return Path(__file__).resolve().parent.parent / path / "checkpoint"
        return self._base_dir / path

    @property
    def archives(self) -> tuple[PacsSettings | DicomwebSettings, ...]:
        """Whatever keeps documents, by C-STORE or by STOW-RS."""
        return (*self.pacs, *self.dicomweb)

    def resolve(self, path: Path) -> Path:
        """Return where a file is that a setting names; relative to the settings' own folder."""
        return self._base_dir / path.expanduser()

    def sender(self, ae_title: str) -> SenderSettings | None:
        """Return the sender with a calling AE title, None where nobody is called so."""
        return next((s for s in self.senders if s.ae_title == ae_title), None)
