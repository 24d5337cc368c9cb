"""What intake is told of one object, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.report import StudyHeader


class Outcome(StrEnum):
    """What an object meant for its study."""

    DUPLICATE = "duplicate"
    STORED = "stored"
    LATE = "late"
    NOTED = "noted"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What the site's rules say of one object.

    Attributes:
        is_admitted: It may start a draft.
        rule: The name of the rule that decided; empty where none of the site's did.
        reason: A sentence for the timeline and for `taqrir rules test`, no patient data.
        priority: The lane in the queue: ``stat`` or ``routine``.
        options: What the rule sets for the model: ``max_images``, ``max_new_tokens``.
    """

    is_admitted: bool = True
    rule: str = ""
    reason: str = ""
    priority: str = "routine"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance:
    """What the index keeps of one object.

    Attributes:
        study: Patient and study attributes as this object says them.
        is_image: A person could look at it: only such objects make a study version.
        is_own: The object itself says that we made it.
        header: All that selection needs, as plain data.
        association: Which association brought it.
        patient_name_bytes: The patient's name as its bytes came.
        text_problem: What is wrong with the text's character set; no patient data.
        admission: Whether an image may start a draft; of no meaning for what is no image.
    """

    study: StudyHeader
    series_uid: str
    series_description: str
    sop_class_uid: str
    sop_instance_uid: str
    digest: str
    path: str
    size_bytes: int
    sender: str
    received_at: datetime
    is_image: bool
    is_own: bool
    header: dict[str, Any]
    association: str = ""
    patient_name_bytes: bytes = b""
    text_problem: str = ""
    admission: Admission = Admission()
