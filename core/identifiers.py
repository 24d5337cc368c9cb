"""Identifiers of what Taqrir writes, derived so that a retry never makes a second object.

The same study, report version, kind and language give the same UID on every destination and in
every attempt. Random identifiers would turn each resend into a new document.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from enum import StrEnum

from core.report import Language

# Our own namespace, itself a version 4 UUID drawn once. Changing it would rename every document.
_NAMESPACE = uuid.UUID("5b1e0a52-3c2f-4a8e-9a51-7d0f6c3e9b44")
DEVICE_UID = f"2.25.{uuid.uuid5(_NAMESPACE, 'device').int}"
MANUFACTURER = "Taqrir"


def _derived_uid(*parts: str) -> str:
    """Return a UID under 2.25 (PS3.5 B.2) for a row of names; at most 44 characters."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"


class DocumentKind(StrEnum):
    """What a DICOM object of ours is; a part of its UIDs, so no value may ever change."""

    SR = "sr"
    PDF = "pdf"
    KEY_IMAGE = "sc"
    KEY_OBJECTS = "ko"
    REJECTION = "ko-reject"


def document_uid(
    study_uid: str,
    report_version: int,
    kind: str,
    language: Language | None,
    *,
    number: int = 0,
) -> str:
    """Return the SOP Instance UID of a document.

    Args:
        study_uid: Of the study.
        report_version: Of the draft, or of what was signed.
        kind: Of `DocumentKind`.
        language: None for an object that has no language or several.
        number: Tells several objects of one version apart, as key images.
    """
    # Without a number nothing is added: so the UIDs are those that releases without it gave.
    parts = [study_uid, str(report_version), kind, language or "", *([str(number)] * bool(number))]
    return _derived_uid("instance", *parts)


def document_series_uid(
    study_uid: str, report_version: int, kind: str, language: Language | None
) -> str:
    """Return the Series Instance UID of a document: a series each, since viewers show one of it."""
    return _derived_uid("series", study_uid, str(report_version), kind, language or "")


def message_control_id(study_uid: str, report_version: int, destination: str, kind: str) -> str:
    """Return MSH-10 of a message: 20 characters, the most that HL7 2.5.1 grants the field."""
    name = chr(31).join(("message", study_uid, str(report_version), destination, kind))
    digest = hashlib.sha256(_NAMESPACE.bytes + name.encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:20]


def report_uid(study_uid: str) -> str:
    """Return the UID of a study's report as a whole, the same in every version of it."""
    return _derived_uid("report", study_uid)
