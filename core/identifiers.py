"""Identifiers of what Taqrir writes, derived so that a retry never makes a second object.

The same study, report version, kind and language give the same UID on every destination and in
every attempt. Random identifiers would turn each resend into a new document.
"""

from __future__ import annotations

import base64
import hashlib
import uuid

from core.report import Language

# Our own namespace, itself a version 4 UUID drawn once. Changing it would rename every document.
_NAMESPACE = uuid.UUID("5b1e0a52-3c2f-4a8e-9a51-7d0f6c3e9b44")
DEVICE_UID = f"2.25.{uuid.uuid5(_NAMESPACE, 'device').int}"
MANUFACTURER = "Taqrir"


def _derived_uid(*parts: str) -> str:
    """Return a UID under 2.25 (PS3.5 B.2) for a row of names; at most 44 characters."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"


def document_uid(study_uid: str, report_version: int, kind: str, language: Language) -> str:
    """Return the SOP Instance UID of a document (kind: ``sr``, later ``pdf`` and others)."""
    return _derived_uid("instance", study_uid, str(report_version), kind, language)


def document_series_uid(study_uid: str, report_version: int, kind: str, language: Language) -> str:
    """Return the Series Instance UID of a document: a series each, since viewers show one of it."""
    return _derived_uid("series", study_uid, str(report_version), kind, language)


def message_control_id(study_uid: str, report_version: int, destination: str, kind: str) -> str:
    """Return MSH-10 of a message: 20 characters, the most that HL7 2.5.1 grants the field."""
    name = chr(31).join(("message", study_uid, str(report_version), destination, kind))
    digest = hashlib.sha256(_NAMESPACE.bytes + name.encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:20]
