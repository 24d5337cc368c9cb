"""Settings, instances and a reader for the tests of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from core.audit_events import StudyInstances
from core.intake import ReceivedInstance
from core.report import Patient, StudyHeader
from core.settings import Settings
from core.settings_file import load

AT = datetime(2026, 5, 4, 23, 59, 30, tzinfo=UTC)
CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.33"
STUDY = StudyInstances(
    study_uid="1.2.3",
    patient_id="P1",
    patient_issuer="SITE",
    accession_numbers=("A1",),
    sop_classes={CT: 3},
)


def settings_in(folder: Path, more: str = "") -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "taqrir.toml"
    path.write_text(
        'data_dir = "data"\n[[senders]]\nae_title = "CT1"\nhost = "10.0.0.5"\n'
        f'[audit]\nsite = "Site"\nsource = "taqrir-1"\n{more}',
        encoding="utf-8",
    )
    return load(path, {})


def received(**changes: Any) -> ReceivedInstance:
    patient = Patient(id=changes.pop("patient_id", "P1"), issuer="")
    values: dict[str, Any] = {
        "study": StudyHeader(
            study_uid=changes.pop("study_uid", "1.2.3"),
            patient=patient,
            accession_number=changes.pop("accession_number", "A1"),
        ),
        "series_uid": "1.2.3.1",
        "series_description": "",
        "sop_class_uid": CT,
        "sop_instance_uid": "1.2.3.1.1",
        "digest": "00",
        "path": "studies/x.dcm",
        "size_bytes": 1,
        "sender": "CT1",
        "received_at": AT,
        "is_image": True,
        "is_own": False,
        "header": {},
        "association": "00aa",
    }
    return ReceivedInstance(**values | changes)


def lines_of(settings: Settings) -> list[bytes]:
    files = sorted((settings.data_dir / "audit").glob("*.xml.log"))
    return [line for file in files for line in file.read_bytes().splitlines()]


def parse(line: bytes) -> ET.Element:
    return ET.fromstring(line)  # noqa: S314  our own words


def messages_of(settings: Settings) -> list[ET.Element]:
    return [parse(line) for line in lines_of(settings)]


def at(element: ET.Element, path: str, name: str) -> Mapping[str, str] | str | None:
    found = element.find(path)
    return None if found is None else found.get(name)


def event(message: ET.Element) -> str:
    return str(at(message, "EventIdentification/EventID", "csd-code"))


def outcome(message: ET.Element) -> str:
    return str(at(message, "EventIdentification", "EventOutcomeIndicator"))


def counts(message: ET.Element) -> dict[str | None, int]:
    return {c.get("UID"): int(str(c.get("NumberOfInstances"))) for c in message.iter("SOPClass")}


def patient(message: ET.Element) -> str | None:
    path = "ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']"
    return str(at(message, path, "ParticipantObjectID"))
