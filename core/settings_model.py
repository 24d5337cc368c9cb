"""Settings of models that run elsewhere, or beside the one that sees pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from core.settings_types import Section


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
