"""Settings of a site's own training data."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from core.settings_types import Section


class ConsentRule(StrEnum):
    """Which studies may train a model while nobody has said anything of them."""

    ASKED = "asked"
    ALL = "all"


class TrainingSettings(Section):
    """What of the site's own studies may train a model."""

    consent: ConsentRule = Field(
        ConsentRule.ASKED,
        description=(
            "studies that `taqrir model export` may take: `asked` only those of which "
            "`taqrir consent --yes` said so, `all` every one of which `--no` was not said"
        ),
    )
