"""What leaves for an archive stands in the audit trail; a patient's number nowhere else."""

from __future__ import annotations

import io
from collections.abc import Callable
from xml.etree import ElementTree as ET

from harness import ScriptedPacs, ScriptedRis, Site, captured_logs, film, one_database
from pydicom import dcmread

from core.lifecycle import DeliveryState

pytestmark = one_database


def _transfers(site: Site) -> list[ET.Element]:
    lines = site.audit_trail().splitlines()
    messages = [ET.fromstring(line) for line in lines]  # noqa: S314  our own words
    return [
        m for m in messages if m.find("EventIdentification/EventID[@csd-code='110104']") is not None
    ]


def test_every_sr_that_an_archive_took_is_told(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs([]) as pacs, ScriptedRis([]) as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        image = film(PatientID="CANARY123", AccessionNumber="A7")
        with captured_logs() as logs:
            site.take_in(image)
            site.deliver_due()
        assert site.are_all(DeliveryState.SENT)

        messages = _transfers(site)
        assert len(messages) == len(pacs.received) == 2
        stored = dcmread(io.BytesIO(pacs.received[0]), force=True)

    for message in messages:
        (kind,) = message.iter("SOPClass")
        assert kind.attrib == {"UID": stored.SOPClassUID, "NumberOfInstances": "1"}
        study, patient = message.findall("ParticipantObjectIdentification")
        assert study.get("ParticipantObjectID") == image.StudyInstanceUID
        assert str(patient.get("ParticipantObjectID")).startswith("CANARY123")
        us, archive = message.findall("ActiveParticipant")
        assert us.get("AlternativeUserID") == f"AETITLES={site.settings.node.ae_title}"
        assert archive.get("AlternativeUserID") == "AETITLES=ARCHIVE"
        event = message.find("EventIdentification")
        assert event is not None
        assert event.get("EventOutcomeIndicator") == "0"
    assert "CANARY" not in logs.getvalue()


def test_what_an_archive_refused_is_told_as_a_failure(make_site: Callable[..., Site]) -> None:
    with ScriptedPacs([0xC000]) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()

    outcomes = [
        event.get("EventOutcomeIndicator")
        for message in _transfers(site)
        for event in message.iter("EventIdentification")
    ]
    assert sorted(map(str, outcomes)) == ["0", "8"]


def test_an_archive_that_is_away_is_no_transfer(make_site: Callable[..., Site]) -> None:
    site = make_site(pacs={"main": 1})
    site.take_in(film())
    site.deliver_due()

    assert _transfers(site) == []
