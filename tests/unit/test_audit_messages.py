"""Audit messages as PS3.15 A.5 wants them, whatever a stranger calls itself."""

from __future__ import annotations

import base64
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from audit_samples import AT, CT, STUDY, at, counts, event, outcome, parse, patient
from hypothesis import given
from hypothesis import strategies as st
from servers import program

from core import audit_events
from core.audit_events import Alert, Node, StudyInstances
from core.audit_messages import (
    AuditMessage,
    AuditSource,
    Outcome,
    QueryObject,
    to_xml,
    visible,
)

SCHEMA = Path(__file__).with_name("audit_message.rng")
SOURCE = AuditSource(site="Site", source="taqrir-1")
CT1 = Node(ae_title="CT1", address="10.0.0.5")
PACS = Node(ae_title="ARCHIVE", address="pacs.example.org")
ASKED = QueryObject(
    sop_class_uid="1.2.840.10008.5.1.4.1.2.2.1",
    identifier=b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY ",
    transfer_syntax_uid="1.2.840.10008.1.2",
)
HOSTILE = "<&\"'>\x00\x1b[2J\n\r\t\x85\u2028\ud800\ufffe]]>&#0; نزار"
EVERY = {
    "start": audit_events.application_activity("TAQRIR", "node", at=AT, is_start=True),
    "stop": audit_events.application_activity("TAQRIR", "node", at=AT, is_start=False),
    "received": audit_events.received("TAQRIR", CT1, STUDY, at=AT, is_new=True),
    "received again": audit_events.received("TAQRIR", CT1, STUDY, at=AT, is_new=False),
    "received without numbers": audit_events.received(
        "TAQRIR",
        Node(ae_title="CT1"),
        StudyInstances(study_uid="1.2", patient_id="", sop_classes={}),
        at=AT,
        is_new=True,
    ),
    "sent": audit_events.sent("TAQRIR", PACS, STUDY, at=AT, outcome=Outcome.SUCCESS),
    "not sent": audit_events.sent(
        "TAQRIR", PACS, STUDY, at=AT, outcome=Outcome.SERIOUS_FAILURE, description="refused"
    ),
    "deleted": audit_events.study_deleted("TAQRIR", STUDY, at=AT, actor="retention"),
    "consent": audit_events.consent_decided(
        "TAQRIR", STUDY, account="amal", at=AT, description="consent given"
    ),
    "exported": audit_events.exported(
        "TAQRIR", STUDY, account="amal", folder=Path("/srv/a folder"), at=AT
    ),
    "query": audit_events.query("TAQRIR", PACS, ASKED, at=AT),
    "user": audit_events.user_authentication("TAQRIR", "amal", CT1, at=AT, is_accepted=True),
    "user without address": audit_events.user_authentication(
        "TAQRIR", "", Node(ae_title="CT1"), at=AT, is_accepted=False
    ),
    "alert without peer": audit_events.security_alert("TAQRIR", Alert.AUDIT_GAP, "3", at=AT),
    **{
        alert.name: audit_events.security_alert("TAQRIR", alert, "why", at=AT, peer=CT1)
        for alert in Alert
    },
    "hostile": audit_events.security_alert(
        HOSTILE, Alert.TLS_FAILED, HOSTILE, at=AT, peer=Node(ae_title=HOSTILE, address=HOSTILE)
    ),
    "hostile study": audit_events.received(
        "TAQRIR",
        Node(ae_title=HOSTILE, address=HOSTILE),
        StudyInstances(
            study_uid="1.2",
            patient_id=HOSTILE,
            patient_issuer=HOSTILE,
            accession_numbers=(HOSTILE, " "),
            sop_classes={CT: 1},
        ),
        at=AT,
        is_new=True,
    ),
}


def _read(message: AuditMessage) -> ET.Element:
    return parse(to_xml(message, SOURCE))


def test_every_message_follows_the_schema_of_the_standard(tmp_path: Path) -> None:
    files = []
    for number, message in enumerate(EVERY.values()):
        files.append(tmp_path / f"{number}.xml")
        files[-1].write_bytes(to_xml(message, SOURCE))

    command = [program("xmllint"), "--noout", "--nonet", "--relaxng", SCHEMA, *files]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count(" validates") == len(EVERY)


def test_an_export_names_its_account_its_process_and_its_folder() -> None:
    """PS3.15 table A.5.3.4-1."""
    message = _read(EVERY["exported"])
    assert event(message) == "110106"
    assert at(message, "EventIdentification", "EventActionCode") == "R"
    account, process, folder = message.findall("ActiveParticipant")
    assert (account.get("UserID"), account.get("UserIsRequestor")) == ("amal", "true")
    assert [at(one, "RoleIDCode", "csd-code") for one in (account, process, folder)] == [
        "110153",
        "110153",
        "110154",
    ]
    assert folder.get("UserID") == "file:///srv/a%20folder"
    assert at(folder, "MediaIdentifier/MediaType", "csd-code") == "110037"
    assert patient(message) == "P1^^^SITE"


def test_the_schema_refuses_what_the_standard_refuses(tmp_path: Path) -> None:
    file = tmp_path / "message.xml"
    whole = to_xml(EVERY["received"], SOURCE)
    for old, new in (
        (b'EventOutcomeIndicator="0"', b'EventOutcomeIndicator="1"'),
        (b' UserIsRequestor="true"', b""),
        (b"<EventID ", b"<EventId "),
        (b'NumberOfInstances="3"', b'NumberOfInstances="many"'),
    ):
        assert old in whole
        file.write_bytes(whole.replace(old, new))
        command = [program("xmllint"), "--noout", "--relaxng", SCHEMA, file]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 3


@pytest.mark.parametrize("name", EVERY)
def test_a_message_is_one_line_of_ascii(name: str) -> None:
    line = to_xml(EVERY[name], SOURCE)

    assert line.isascii()
    assert line.decode("ascii").isprintable()
    assert len(line) < 32768


@given(st.text(st.characters(codec=None), max_size=40))
def test_whatever_a_peer_is_called_the_message_reads_back(title: str) -> None:
    peer = Node(ae_title=title, address="10.0.0.5")
    line = to_xml(
        audit_events.security_alert("TAQRIR", Alert.TLS_FAILED, title, at=AT, peer=peer), SOURCE
    )

    assert line.isascii()
    assert b"\n" not in line
    read = parse(line).findall("ActiveParticipant")[1]
    shown = visible(title.strip(" "))
    assert read.get("AlternativeUserID") == (f"AETITLES={shown}" if shown else None)


def test_characters_that_hide_are_shown_by_their_escapes() -> None:
    assert visible("A\x00\x1b\nB\ud800نزار\u202e") == "A\\x00\\x1b\\x0aB\\xd800نزار\\x202e"


def test_a_value_without_end_is_cut() -> None:
    assert visible("x" * 300) == "x" * 256 + "..."
    long = StudyInstances(
        study_uid="1.2",
        patient_id="9" * 100_000,
        accession_numbers=tuple(str(n) for n in range(1000)),
        sop_classes={f"1.2.{n}": 2 for n in range(1000)},
    )
    message = audit_events.received("TAQRIR", CT1, long, at=AT, is_new=True)

    assert len(to_xml(message, SOURCE)) < 32768
    assert sum(counts(_read(message)).values()) == 2000


def test_a_transfer_names_both_ends_the_study_and_the_patient() -> None:
    message = _read(EVERY["received"])

    assert event(message) == "110104"
    assert at(message, "EventIdentification", "EventActionCode") == "C"
    source, destination = message.findall("ActiveParticipant")
    assert source.attrib == {
        "UserID": "CT1",
        "AlternativeUserID": "AETITLES=CT1",
        "UserIsRequestor": "true",
        "NetworkAccessPointID": "10.0.0.5",
        "NetworkAccessPointTypeCode": "2",
    }
    assert at(source, "RoleIDCode", "csd-code") == "110153"
    assert destination.get("AlternativeUserID") == "AETITLES=TAQRIR"
    assert at(destination, "RoleIDCode", "csd-code") == "110152"
    study = message.findall("ParticipantObjectIdentification")[0]
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert at(study, "ParticipantObjectIDTypeCode", "csd-code") == "110180"
    assert at(study, "ParticipantObjectDescription/Accession", "Number") == "A1"
    assert counts(message) == {CT: 3}
    assert patient(message) == "P1^^^SITE"
    assert at(message, "AuditSourceIdentification", "AuditEnterpriseSiteID") == "Site"


def test_content_that_was_held_already_is_read_not_created() -> None:
    message = _read(EVERY["received again"])
    assert at(message, "EventIdentification", "EventActionCode") == "R"


def test_a_name_of_a_host_is_told_from_an_address() -> None:
    destination = _read(EVERY["sent"]).findall("ActiveParticipant")[1]
    assert destination.get("NetworkAccessPointTypeCode") == "1"


@pytest.mark.parametrize(
    ("name", "code", "kind", "action", "result"),
    [
        ("start", "110100", "110120", "E", "0"),
        ("stop", "110100", "110121", "E", "0"),
        ("deleted", "110105", None, "D", "0"),
        ("not sent", "110104", None, "R", "8"),
        ("query", "110112", None, "E", "0"),
        ("user", "110114", "110122", "E", "0"),
        ("user without address", "110114", "110122", "E", "8"),
        ("ASSOCIATION_REFUSED", "110113", "110126", "E", "8"),
        ("FORGED_REPORT", "110113", "110132", "E", "8"),
        ("AUDIT_GAP", "110113", "110133", "E", "8"),
    ],
)
def test_each_event_bears_the_code_of_the_standard(
    name: str, code: str, kind: str | None, action: str, result: str
) -> None:
    message = _read(EVERY[name])

    assert event(message) == code
    assert at(message, "EventIdentification/EventTypeCode", "csd-code") == kind
    assert at(message, "EventIdentification", "EventActionCode") == action
    assert outcome(message) == result


def test_a_query_stands_in_the_message_as_it_was_sent() -> None:
    message = _read(EVERY["query"])

    (asked,) = message.findall("ParticipantObjectIdentification")
    assert asked.get("ParticipantObjectID") == ASKED.sop_class_uid
    assert base64.b64decode(str(asked.findtext("ParticipantObjectQuery"))) == ASKED.identifier
    detail = base64.b64decode(str(at(asked, "ParticipantObjectDetail", "value")))
    assert detail.decode() == ASKED.transfer_syntax_uid


def test_the_moment_is_utc_and_says_so() -> None:
    riyadh = datetime(2026, 5, 5, 2, 59, 30, 250_000, tzinfo=timezone(timedelta(hours=3)))
    message = audit_events.application_activity("TAQRIR", "node", at=riyadh, is_start=True)

    moment = at(_read(message), "EventIdentification", "EventDateTime")
    assert moment == "2026-05-04T23:59:30.250+00:00"


def test_no_name_of_a_patient_has_a_place_in_a_message() -> None:
    message = _read(EVERY["received"])
    path = "ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']/ParticipantObjectName"
    assert message.findtext(path) == ""
