"""The trail of a process: what is told when, what a flood costs, what a full disk does."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import stat
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audit_samples import (
    AT,
    CT,
    SR,
    STUDY,
    at,
    counts,
    event,
    lines_of,
    messages_of,
    outcome,
    parse,
    patient,
    received,
    settings_in,
)
from harness import ManualClock, captured_logs
from harness.full_disk import largest_file

from core import audit_events
from core.audit import AuditTrail
from core.audit_backlog import Backlog, shipping_state
from core.audit_events import Alert
from core.audit_files import AuditFiles
from core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.now = AT
    return clock


def _descriptions(settings: Settings) -> list[str | None]:
    path = "EventIdentification/EventOutcomeDescription"
    return [message.findtext(path) for message in messages_of(settings)]


# Files


def test_a_file_is_of_its_day_and_for_its_owner_only(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    trail.application_started("node")
    clock.advance(minutes=1)
    trail.application_stopped("node")

    folder = settings.data_dir / "audit"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {
        "2026-05-04.xml.log": 0o600,
        "2026-05-05.xml.log": 0o600,
    }
    assert [event(message) for message in messages_of(settings)] == ["110100", "110100"]


def test_a_trail_that_is_switched_off_writes_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "enabled = false\n")
    trail = AuditTrail(settings)

    trail.application_started("node")
    trail.association_refused("CT1", "10.0.0.5", "unknown AE title")
    trail.instances_received([received()])
    trail.application_stopped("node")

    assert not (settings.data_dir / "audit").exists()


def _write_many(folder: Path, writer: int) -> None:
    trail = AuditTrail(settings_in(folder / str(writer)))
    trail._files = AuditFiles(folder)
    for number in range(200):
        # Lines of very different lengths, some longer than a pipe's atomic write.
        text = f"{writer}/{number}/" + "x" * (number % 7 * 40)
        trail.write(audit_events.security_alert("T", Alert.TLS_FAILED, text, at=AT))


def test_processes_that_write_at_once_spoil_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(tmp_path, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    (file,) = AuditFiles(tmp_path).days()
    seen = Counter(
        str(parse(line).findtext("EventIdentification/EventOutcomeDescription")).split("/")[0][-1]
        for line in file.read_bytes().splitlines()
    )
    assert seen == {"0": 200, "1": 200, "2": 200, "3": 200}


def test_a_line_that_a_killed_process_left_unfinished_spoils_no_other(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    trail.application_started("node")
    (file,) = (settings.data_dir / "audit").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:50])

    trail.application_started("index")

    first, torn, second = lines_of(settings)
    assert torn == whole[:50]
    assert event(parse(first)) == event(parse(second)) == "110100"
    batch = Backlog(AuditFiles(settings.data_dir)).next_batch(1 << 20)
    assert batch is not None
    assert (batch.lines, batch.torn) == ((first, second), 1)


# A trail that cannot be written


def test_on_a_full_disk_nothing_is_raised_and_the_gap_is_told(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    trail.application_started("node")
    before = lines_of(settings)

    with captured_logs() as logs, largest_file(len(before[0]) + 20):
        trail.study_deleted(STUDY)
        trail.association_refused("CT1", "10.0.0.5", "unknown AE title")

    assert lines_of(settings) == before
    events = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert [(e["event"], e["level"], e["count"]) for e in events] == [
        ("audit_not_written", "error", 1),
        ("audit_not_written", "error", 2),
    ]
    assert "P1" not in logs.getvalue()
    assert shipping_state(settings, at=AT).unwritten_since is not None

    trail.application_stopped("node")

    *_, gap, stop = messages_of(settings)
    assert (event(gap), outcome(gap)) == ("110113", "12")
    assert at(gap, "EventIdentification/EventTypeCode", "csd-code") == "110133"
    assert "2 messages" in str(gap.findtext("EventIdentification/EventOutcomeDescription"))
    assert event(stop) == "110100"
    assert shipping_state(settings, at=AT).unwritten_since is None


def test_a_gap_of_a_process_that_died_is_told_by_the_next(
    settings: Settings, clock: ManualClock
) -> None:
    with captured_logs(), largest_file(20):
        AuditTrail(settings, clock).study_deleted(STUDY)

    AuditTrail(settings, clock).application_started("node")

    assert [event(message) for message in messages_of(settings)] == ["110113", "110100"]
    assert "an unknown number of messages" in str(_descriptions(settings)[0])


def test_a_folder_that_cannot_be_made_stops_nothing(settings: Settings, clock: ManualClock) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "audit").write_text("in the way")

    with captured_logs() as logs:
        AuditTrail(settings, clock).application_started("node")

    assert "audit_not_written" in logs.getvalue()


def test_a_file_that_somebody_holds_stops_nothing(settings: Settings, clock: ManualClock) -> None:
    trail = AuditTrail(settings, clock)
    trail.application_started("node")
    (file,) = (settings.data_dir / "audit").iterdir()

    with file.open() as held, captured_logs() as logs:
        fcntl.flock(held, fcntl.LOCK_EX)
        trail.study_deleted(STUDY)

    assert "audit_not_written" in logs.getvalue()
    trail.application_stopped("node")
    assert [event(message) for message in messages_of(settings)] == ["110100", "110113", "110100"]


# Floods


def test_the_same_refusal_is_told_once_a_minute_with_its_number(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    for number in range(1000):
        # The AE title is the stranger's to vary.
        trail.association_refused(f"AE{number}", "10.0.0.9", "unknown AE title")
    assert len(lines_of(settings)) == 1

    clock.advance(seconds=61)
    trail.flush()

    first, second = messages_of(settings)
    assert {event(first), event(second)} == {"110113"}
    assert first.findall("ActiveParticipant")[1].get("AlternativeUserID") == "AETITLES=AE0"
    assert second.findall("ActiveParticipant")[1].get("NetworkAccessPointID") == "10.0.0.9"
    assert "999 times more" in str(_descriptions(settings)[1])


def test_another_source_or_reason_is_told_at_once(settings: Settings, clock: ManualClock) -> None:
    trail = AuditTrail(settings, clock)
    trail.association_refused("CT1", "10.0.0.9", "unknown AE title")
    trail.association_refused("CT1", "10.0.0.8", "unknown AE title")
    trail.association_refused("CT1", "10.0.0.9", "wrong called AE title")
    trail.security_alert(Alert.TLS_FAILED, "unknown AE title", address="10.0.0.9")

    assert len(lines_of(settings)) == 4


def test_a_flood_from_everywhere_stays_small(settings: Settings, clock: ManualClock) -> None:
    trail = AuditTrail(settings, clock)
    for number in range(5000):
        trail.association_refused("CT1", f"2001:db8::{number:x}", "unknown AE title")
    trail.application_stopped("node")

    assert len(lines_of(settings)) < 300
    assert any("4743 times more" in str(words) for words in _descriptions(settings))


def test_what_was_counted_is_told_when_the_process_ends(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    trail.association_refused("CT1", "10.0.0.9", "unknown AE title")
    trail.association_refused("CT1", "10.0.0.9", "unknown AE title")
    trail.application_stopped("node")

    assert [event(message) for message in messages_of(settings)] == ["110113", "110113", "110100"]


def test_guesses_of_a_passcode_are_told_as_refused_and_bounded(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    for number in range(100):
        trail.user_authenticated(f"user{number}", "CT1", "10.0.0.9", is_accepted=False)
    trail.user_authenticated("amal", "CT1", "10.0.0.9")

    messages = messages_of(settings)
    told = [(event(message), outcome(message)) for message in messages]
    assert told == [("110113", "8"), ("110114", "8"), ("110114", "0")]
    assert at(messages[1], "ActiveParticipant", "UserID") == "user0"


# Received instances


class _Register:
    """The open associations, with their addresses."""

    def __init__(self, **addresses: str) -> None:
        self.open = {"00" + name: address for name, address in addresses.items()}

    def __call__(self) -> dict[str, str]:
        return self.open


def _transfers(settings: Settings) -> list[tuple[Any, ...]]:
    return [
        (
            at(message, "ActiveParticipant", "NetworkAccessPointID"),
            patient(message),
            at(message, "EventIdentification", "EventActionCode"),
            counts(message),
        )
        for message in messages_of(settings)
    ]


def test_instances_are_told_by_association_and_study_when_it_ends(
    settings: Settings, clock: ManualClock
) -> None:
    register = _Register(aa="10.0.0.7", bb="10.0.0.8")
    trail = AuditTrail(settings, clock, open_associations=register)
    trail.instances_received([received(), received(), received(sop_class_uid=SR)])
    trail.instances_received([received(association="00bb"), received(study_uid="1.2.4")])
    trail.flush()
    assert lines_of(settings) == []

    del register.open["00aa"]
    trail.flush()

    assert _transfers(settings) == [
        ("10.0.0.7", "P1", "C", {CT: 2, SR: 1}),
        ("10.0.0.7", "P1", "C", {CT: 1}),
    ]
    clock.advance(seconds=60)
    trail.flush()
    assert _transfers(settings)[2:] == [("10.0.0.8", "P1", "C", {CT: 1})]
    trail.flush()
    assert len(lines_of(settings)) == 3


def test_a_message_is_about_one_patient(settings: Settings, clock: ManualClock) -> None:
    trail = AuditTrail(settings, clock)
    trail.instances_received([received(), received(patient_id="P2"), received(path="")])
    trail.application_stopped("index")

    # The association is closed already: the address is that of the settings.
    assert _transfers(settings)[:3] == [
        ("10.0.0.5", "P1", "C", {CT: 1}),
        ("10.0.0.5", "P2", "C", {CT: 1}),
        ("10.0.0.5", "P1", "R", {CT: 1}),
    ]


def test_an_association_that_brings_studies_without_end_is_told_early(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock, open_associations=_Register(aa="10.0.0.7"))
    clock.advance(seconds=2)
    trail.instances_received([received(study_uid=f"1.2.{n}") for n in range(1001)])

    assert len(lines_of(settings)) == 1001


def test_instances_of_associations_that_have_ended_are_told_without_being_asked(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    for number in range(4):
        trail.instances_received([received(study_uid=f"1.2.{number}")])
        clock.advance(seconds=0.6)

    assert len(lines_of(settings)) == 3


def test_a_register_that_cannot_be_read_loses_nothing(
    settings: Settings, clock: ManualClock
) -> None:
    def failing() -> dict[str, str]:
        raise OSError(errno.EMFILE, "too many open files")

    with captured_logs() as logs:
        trail = AuditTrail(settings, clock, open_associations=failing)
        trail.instances_received([received()])
        trail.application_stopped("index")

    assert "associations_unknown" in logs.getvalue()
    assert _transfers(settings)[0] == ("10.0.0.5", "P1", "C", {CT: 1})


def test_what_is_received_over_midnight_keeps_its_own_moment(
    settings: Settings, clock: ManualClock
) -> None:
    trail = AuditTrail(settings, clock)
    trail.instances_received([received(received_at=AT), received(received_at=AT)])
    clock.advance(minutes=2)
    trail.flush()

    (message,) = messages_of(settings)
    moment = at(message, "EventIdentification", "EventDateTime")
    assert moment == AT.isoformat(timespec="milliseconds")
    assert [p.name for p in AuditFiles(settings.data_dir).days()] == ["2026-05-05.xml.log"]


# What waits


def test_without_a_repository_nothing_waits(settings: Settings, clock: ManualClock) -> None:
    AuditTrail(settings, clock).application_started("node")
    state = shipping_state(settings, at=AT)
    assert (state.is_shipped, state.messages) == (False, 0)


def test_what_waits_is_counted_with_its_age(tmp_path: Path, clock: ManualClock) -> None:
    settings = settings_in(tmp_path, '[audit.syslog]\nhost = "arr"\ntrusted = "ca.pem"\n')
    trail = AuditTrail(settings, clock)
    trail.application_started("node")
    clock.advance(minutes=2)
    trail.application_stopped("node")

    state = shipping_state(settings, at=AT + timedelta(minutes=5))
    assert (state.is_shipped, state.messages, state.oldest_seconds) == (True, 2, 300.0)

    backlog = Backlog(AuditFiles(settings.data_dir))
    batch = backlog.next_batch(1 << 20)
    assert batch is not None
    backlog.mark_sent(batch)
    state = shipping_state(settings, at=AT + timedelta(minutes=5))
    assert (state.messages, state.oldest_seconds) == (1, 180.0)


@pytest.mark.parametrize("state", ["", "{", "[]", '{"2026-05-04.xml.log": "x"}', "null"])
def test_where_nobody_knows_what_was_sent_everything_is_sent_again(
    settings: Settings, clock: ManualClock, state: str
) -> None:
    AuditTrail(settings, clock).application_started("node")
    (settings.data_dir / "audit" / "shipped.json").write_text(state)

    batch = Backlog(AuditFiles(settings.data_dir)).next_batch(1 << 20)
    assert batch is not None
    assert len(batch.lines) == 1


def test_a_file_without_line_feeds_does_not_fill_the_memory(
    settings: Settings, clock: ManualClock
) -> None:
    AuditTrail(settings, clock).application_started("node")
    (file,) = AuditFiles(settings.data_dir).days()
    whole = file.read_bytes()
    file.write_bytes(b"x" * 10_000 + b"\n" + whole)
    backlog = Backlog(AuditFiles(settings.data_dir))

    sent: list[bytes] = []
    while batch := backlog.next_batch(4096):
        assert batch.end <= file.stat().st_size
        sent += batch.lines
        backlog.mark_sent(batch)

    assert sent == [whole.rstrip(b"\n")]
