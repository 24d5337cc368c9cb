"""Settings of models that run elsewhere, or beside the one that sees pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, SecretStr, field_validator, model_validator

from core.settings_delivery import ServiceUrl, WebTlsSettings
from core.settings_types import Seconds, Section


class RemoteSettings(Section):
    """A server with OpenAI's chat interface, such as vLLM, SGLang or `transformers serve`."""

    url: str = Field(description="address up to the version, such as `http://gpu:8000/v1`")
    model: str = Field("", description="name of the model there; empty: the only one that it has")
    key: SecretStr = Field(SecretStr(""), description="key that the server asks for")
    connect_seconds: float = Field(
        10.0, gt=0, description="longest wait for a connection; the rest is `time_limit_seconds`"
    )
    longest_edge: int = Field(
        1344, ge=224, le=4096, description="pictures are scaled down to it, in pixels"
    )
    pad_to_square: bool = Field(
        default=True,
        description="pad pictures, so that a server that cuts out the middle cuts nothing off",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("allowed are http://... and https://...")
        return value.rstrip("/")


class TextModelSettings(Section):
    """A second model, without eyes, that writes what needs no picture."""

    engine: Literal["transformers", "remote"] = Field("transformers", description="what runs it")
    path: str = Field("", description="folder of a causal language model with a chat template")
    tasks: tuple[Literal["translate", "summarize"], ...] = Field(
        ("translate",), description="what it is given: `translate`, `summarize`"
    )
    remote: RemoteSettings | None = Field(None, description="its server: `[model.text.remote]`")

    @model_validator(mode="after")
    def _says_where_it_is(self) -> TextModelSettings:
        if self.engine == "remote" and self.remote is None:
            raise ValueError("remote is missing: where the server is")
        if self.engine == "transformers" and not self.path:
            raise ValueError("path is missing: where the model lies")
        return self


class JudgeSettings(Section):
    """A model that rates answers, asked by `taqrir model evaluate mbench --judge` alone.

    Without this section no text is sent to any judge.
    """

    url: ServiceUrl = Field(
        description="address up to the version, such as `https://judge.example/v1`"
    )
    model: str = Field(min_length=1, description="name of the model there")
    key: SecretStr = Field(SecretStr(""), description="key that the server asks for")
    tls: WebTlsSettings | None = Field(
        None,
        description="`[judge.tls]`; without it https trusts the operating system's authorities",
    )
    options: dict[str, JsonValue] = Field(
        {"temperature": 0}, description="what each request says beside model and messages"
    )
    at_once: int = Field(4, ge=1, le=64, description="most requests at the same time")
    connect_seconds: Seconds = Field(10.0, description="longest wait for a connection")
    time_limit_seconds: Seconds = Field(120.0, description="longest wait for one answer")
    max_attempts: int = Field(
        6, ge=1, description="attempts at one answer; the waits between them double from a second"
    )

    @field_validator("options")
    @classmethod
    def _say_nothing_twice(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if {"model", "messages"} & set(value):
            raise ValueError("model is a setting of its own, messages are the bench's")
        return value

    @model_validator(mode="after")
    def _tls_needs_https(self) -> JudgeSettings:
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("[judge.tls] needs an https url")
        return self
