"""One installation with its node, worker and database, driven step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from servers import free_port, wait_until
from sqlalchemy import select

from core import outbox, store
from core.audit_files import AuditFiles
from core.clock import utcnow
from core.database import reading, writing
from core.lifecycle import DeliveryState, Origin, State
from core.settings_file import load
from core.tables import Artifact, AuditEvent, Delivery, Draft, Study
from dicom_node.client import Peer, SentFile, send_files
from dicom_node.completion import complete_quiet
from dicom_node.index import Indexer
from dicom_node.receive import Reception, Status, StorePolicy, StoreRequest
from dicom_node.rules import decide
from dicom_node.server import Node
from harness.fake_drafter import FakeDrafter
from harness.films import save
from worker.deliver import deliver
from worker.parts import Parts
from worker.pipeline import draft_study

MODALITY = "MODALITY"
# For tests whose subject lies before or behind the database: one of the two will do.
one_database = pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)
# Longer than any test: only `Site.go_quiet` completes a study, unless a test sets another.
_QUIET_SECONDS = 600


class ManualClock:
    """The worker's time: it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = utcnow()

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


class RecordingBell:
    """The broker's place: it writes down what was rung for."""

    def __init__(self) -> None:
        self.studies: list[int] = []
        self.deliveries: list[int] = []

    def ring_study(self, study: int) -> bool:
        self.studies.append(study)
        return True

    def ring_delivery(self, delivery: int) -> bool:
        self.deliveries.append(delivery)
        return True

    def waiting(self, queue: str) -> int:
        del queue
        return 0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Settings of time that a test may want otherwise."""

    quiet_seconds: float = _QUIET_SECONDS
    max_versions: int = 5
    lease_seconds: float = 120
    timeout_seconds: float = 5
    # None but where a test is about them: each failure is then an attempt.
    quick_retries: int = 0
    retry_seconds: float = 5
    retry_max_seconds: float = 300


def _rows(kind: str, ports: dict[str, int], line: str) -> str:
    return "".join(
        f'[[{kind}]]\nname = "{name}"\nhost = "127.0.0.1"\nport = {port}\n{line}\n'
        for name, port in ports.items()
    )


class Site:
    """Settings, database, files, node and worker of one installation."""

    def __init__(
        self,
        folder: Path,
        database_url: str = "embedded",
        *,
        pacs: dict[str, int] | None = None,
        ris: dict[str, int] | None = None,
        pacs_ae_title: str = "ARCHIVE",
        timing: Timing | None = None,
        doorbell: Any = None,
        broker_url: str = "embedded",
        rules: str = "",
    ) -> None:
        timing = timing or Timing()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "taqrir.toml"
        self.config.write_text(
            f"""\
data_dir = "data"
[node]
host = "127.0.0.1"
port = {free_port()}
minimum_free_mb = 0
[[senders]]
ae_title = "{MODALITY}"
[completion]
quiet_seconds = {timing.quiet_seconds}
max_versions = {timing.max_versions}
[worker]
lease_seconds = {timing.lease_seconds}
[delivery]
timeout_seconds = {timing.timeout_seconds}
quick_retries = {timing.quick_retries}
quick_retry_seconds = 0.01
retry_seconds = {timing.retry_seconds}
retry_max_seconds = {timing.retry_max_seconds}
[database]
url = "{database_url}"
[broker]
url = "{broker_url}"
{_rows("pacs", pacs or {}, f'ae_title = "{pacs_ae_title}"')}
{_rows("ris", ris or {}, "")}
{rules}
""",
            encoding="utf-8",
        )
        self.settings = load(self.config, {})
        self.settings.data_dir.mkdir(exist_ok=True)
        self.clock = ManualClock()
        self.drafter = FakeDrafter()
        self.bell: Any = doorbell or RecordingBell()
        self.parts = self.new_parts("worker@here:1")
        self.engine = self.parts.engine
        self.node: Node | None = None
        self._received: set[str] = set()

    def new_parts(self, name: str) -> Parts:
        """Return another worker's parts, on the same installation."""
        parts = Parts(settings=self.settings, clock=self.clock)
        parts.__dict__.update(name=name, drafter=self.drafter, doorbell=self.bell)
        return parts

    def close(self) -> None:
        """Stop the node and let the database go; what is left must add up."""
        try:
            self.stop_node()
            self.check()
        finally:
            self.engine.dispose()

    # The node

    def start_node(self) -> None:
        node = Node(self.settings, self.engine, self.bell)
        node.start()
        self.node = node

    def stop_node(self) -> None:
        if self.node is not None:
            self.node.stop()
            self.node = None

    def peer(self, calling: str = MODALITY) -> Peer:
        node = self.settings.node
        return Peer(
            ae_title=node.ae_title,
            host=node.host,
            port=node.port,
            calling_ae_title=calling,
            answer_seconds=10,
        )

    def send(self, *objects: Dataset | Path, calling: str = MODALITY) -> list[SentFile]:
        """Send objects over an association; return when the index has taken them in."""
        if self.node is None:
            self.start_node()
        paths = [o if isinstance(o, Path) else save(o, self.folder) for o in objects]
        sent = send_files(self.peer(calling), paths)
        assert all(s.is_stored for s in sent), sent
        self.wait_for_index()
        self._received |= {str(o.StudyInstanceUID) for o in objects if isinstance(o, Dataset)}
        self.check()
        return sent

    def receive(self, *objects: Dataset | Path) -> None:
        """Take objects in behind the network: what the node does once a C-STORE has come."""
        files = self.parts.files
        files.prepare()
        for item in objects:
            dataset = dcmread(item) if isinstance(item, Path) else item
            path = item if isinstance(item, Path) else save(item, self.folder)
            body = path.read_bytes()
            start = 144 + int.from_bytes(body[140:144], "little")
            request = StoreRequest(
                sop_class_uid=str(dataset.SOPClassUID),
                sop_instance_uid=str(dataset.SOPInstanceUID),
                transfer_syntax_uid=str(dcmread(path).file_meta.TransferSyntaxUID),
                calling_ae_title=MODALITY,
                called_ae_title=self.settings.node.ae_title,
            )
            reception = Reception(files, request, StorePolicy(), "00behind")
            reception.write([body[start:]])
            assert reception.finish() is Status.SUCCESS
            self._received.add(str(dataset.StudyInstanceUID))
        rules = self.settings.rules
        Indexer(
            self.engine, files, admit=lambda header, sender: decide(header, sender, rules)
        ).catch_up()
        self.check()

    def wait_for_index(self) -> None:
        inbox = self.parts.files.inbox
        wait_until(lambda: not any(inbox.iterdir()), interval=0.005)

    def go_quiet(self) -> int:
        """Let the quiet time pass for every study; return how many were completed."""
        later = timedelta(seconds=self.settings.completion.quiet_seconds + 1)
        count = complete_quiet(self.engine, self.bell, self.settings, lambda: utcnow() + later)
        self.check()
        return count

    # The worker

    def draft(self, study: int = 1) -> bool:
        done = draft_study(self.parts, study)
        self.check()
        return done

    def take_in(self, *objects: Dataset | Path) -> None:
        """Take objects in, let them be quiet, draft every study that is due.

        They come over the network where the node runs, which costs a second more.
        """
        if self.node is not None:
            self.send(*objects)
        else:
            self.receive(*objects)
        self.go_quiet()
        with reading(self.engine) as session:
            due = store.due_studies(session, at=self.clock())
        for study in due:
            self.draft(study)

    def deliver_due(self) -> list[int]:
        """Attempt everything that is due now, also what becomes due by that; return the ids."""
        attempted: list[int] = []
        while due := self.due():
            for delivery in due:
                deliver(self.parts, delivery)
            attempted += due
        self.check()
        return attempted

    def due(self) -> list[int]:
        with reading(self.engine) as session:
            return list(outbox.due(session, at=self.clock()))

    # Looking

    def study(self, study: int = 1) -> Study:
        with reading(self.engine) as session:
            return store.get(session, study)

    def state(self, study: int = 1) -> State:
        return State(self.study(study).state)

    def timeline(self, study: int = 1) -> Sequence[AuditEvent]:
        with reading(self.engine) as session:
            return store.timeline(session, study)

    def events(self, study: int = 1) -> list[str]:
        return [row.event for row in self.timeline(study)]

    def path(self, study: int = 1) -> list[str]:
        """Return the states that a study passed, as its timeline says."""
        rows = [row for row in self.timeline(study) if row.to_state]
        return [row.to_state for row in rows if row.from_state != row.to_state]

    def drafts(self, study: int = 1) -> Sequence[Draft]:
        with reading(self.engine) as session:
            query = select(Draft).where(Draft.study_id == study).order_by(Draft.report_version)
            return session.scalars(query).all()

    def deliveries(self, study: int = 1) -> Sequence[tuple[Delivery, Artifact]]:
        with reading(self.engine) as session:
            return outbox.deliveries_of(session, study)

    def delivery_states(self, study: int = 1) -> list[tuple[str, str, str]]:
        """Return destination, language and state of each delivery, in order."""
        return [(d.destination, a.language, d.state) for d, a in self.deliveries(study)]

    def states(self, study: int = 1) -> list[str]:
        """Return the state of each delivery, in order."""
        return [delivery.state for delivery, _ in self.deliveries(study)]

    def reason(self, number: int = 0) -> str:
        """Return why a delivery of the first study is in its state."""
        return self.deliveries()[number][0].reason

    def are_all(self, state: DeliveryState, study: int = 1) -> bool:
        rows = self.deliveries(study)
        return bool(rows) and all(delivery.state == state for delivery, _ in rows)

    def audit_trail(self) -> bytes:
        """Return the audit trail of all days, oldest first."""
        return b"".join(path.read_bytes() for path in AuditFiles(self.settings.data_dir).days())

    def writing(self) -> Any:
        return writing(self.engine)

    def check(self) -> None:
        """Whatever happened: every study is in one state, and all that was received is counted."""
        with reading(self.engine) as session:
            if self.engine.dialect.name == "postgresql":
                # One moment for all questions: another thread may be writing.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            counts = store.count_states(session)
            studies = session.scalars(select(Study)).all()
            drafts = session.scalars(select(Draft)).all()
            timelines = {study.id: store.timeline(session, study.id) for study in studies}
        assert sum(counts.values()) == len(studies)
        assert {study.study_uid for study in studies} >= self._received
        for study in studies:
            _check_path(study, timelines[study.id])
        drafted = [d for d in drafts if d.origin == Origin.MODEL and not d.is_withheld]
        recorded = [(d.study_id, d.study_version) for d in drafted]
        assert len(recorded) == len(set(recorded))


def _check_path(study: Study, timeline: Sequence[AuditEvent]) -> None:
    """A timeline tells a path without a gap, and it ends where the study is."""
    state = ""
    for row in timeline:
        if row.to_state:
            assert row.from_state == state
            state = row.to_state
    assert state == study.state
