"""What settings are made of: a section that refuses unknown keys, and the values they share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.character_sets import check_character_set
from core.report_status import Language


def _check_ae_title(value: str) -> str:
    """Allow what PS3.5 6.2 allows an AE: 1 to 16 printable ASCII characters, no backslash."""
    if not re.fullmatch(r"[\x20-\x5b\x5d-\x7e]{1,16}", value) or not value.strip():
        raise ValueError("an AE title is 1 to 16 printable ASCII characters without a backslash")
    return value.strip()


def _check_once_each(value: tuple[Language, ...]) -> tuple[Language, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a language stands twice")
    return value


AETitle = Annotated[str, AfterValidator(_check_ae_title)]
CharacterSetName = Annotated[str, AfterValidator(check_character_set)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
# A coded element as HL7 writes it (CE): code, meaning, scheme.
HL7Code = Annotated[str, Field(pattern=r"^[^^\s][^^]{0,19}\^[^^]{0,198}\^[^^]{0,20}$")]
Languages = Annotated[tuple[Language, ...], Field(min_length=1), AfterValidator(_check_once_each)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)
