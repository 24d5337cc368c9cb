"""Settings of the DICOM objects that a report becomes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings_types import Section


class SrSettings(Section):
    """Structured reports: always written, for every archive."""

    language_layout: Literal["separate", "bilingual"] = Field(
        "separate",
        description=(
            "`separate` writes a document a language, as TID 2000 wants it; `bilingual` one with "
            "all languages, for sites whose viewers show only one"
        ),
    )


class PdfSettings(Section):
    """The report as Encapsulated PDF."""

    enabled: bool = Field(default=False, description="write one beside the structured reports")


class KeyImagesSettings(Section):
    """The pictures that the model saw, as objects of their own."""

    secondary_capture: bool = Field(
        default=False, description="write each as Secondary Capture, its state burned in"
    )
    key_objects: bool = Field(
        default=False, description="write a Key Object Selection that names their images"
    )
