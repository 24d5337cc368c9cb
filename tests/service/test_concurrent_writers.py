"""Threads that write to one database at the same time: the guarded UPDATE lets one of them win."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core import database, intake, migration, outbox, store
from core.clock import utcnow
from core.database import reading, writing
from core.errors import TransitionError
from core.intake import Outcome, ReceivedInstance
from core.lifecycle import DeliveryState, Event, State
from core.report import Patient, StudyHeader
from core.tables import Artifact, Delivery, Draft, Instance, Study

THREADS = 8


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated database of either kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'taqrir.db'}"
    else:
        url = request.getfixturevalue("fresh_postgres_url")
    engine = database.open_engine(url)
    migration.migrate(engine)
    yield engine
    engine.dispose()


def _object(sop_uid: str, *, study_uid: str = "1.2.3", digest: str = "") -> ReceivedInstance:
    return ReceivedInstance(
        study=StudyHeader(study_uid=study_uid, patient=Patient(id="P1")),
        series_uid=f"{study_uid}.1",
        series_description="",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        sop_instance_uid=sop_uid,
        digest=digest or sop_uid.encode().hex()[:64],
        path="",
        size_bytes=1,
        sender="X",
        received_at=utcnow(),
        is_image=True,
        is_own=False,
        header={},
    )


def _at_once(work: list[object]) -> list[object]:
    """Call functions in threads that start together; return answers and errors."""
    barrier = threading.Barrier(len(work))
    answers: list[object] = []

    def run(call: object) -> None:
        barrier.wait()
        try:
            answers.append(call())  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001  the error is the answer
            answers.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _queue_a_study(engine: Engine) -> None:
    with writing(engine) as session:
        intake.record(session, _object("1.2.3.1.1"))
    with writing(engine) as session:
        store.advance(session, store.get(session, 1), Event.WENT_QUIET, at=utcnow())


def test_of_many_claims_one_is_granted(engine: Engine) -> None:
    _queue_a_study(engine)

    def claim(owner: str) -> str:
        with writing(engine) as session:
            lease = timedelta(seconds=60)
            store.claim(session, 1, owner=owner, at=utcnow(), lease=lease)
        return owner

    answers = _at_once([lambda n=n: claim(f"worker {n}") for n in range(THREADS)])

    (winner,) = [answer for answer in answers if isinstance(answer, str)]
    losers = [answer for answer in answers if isinstance(answer, TransitionError)]
    assert len(losers) == THREADS - 1
    with reading(engine) as session:
        assert store.get(session, 1).lease_owner == winner
        events = [row.event for row in store.timeline(session, 1)]
    assert events.count(Event.STARTED) == 1


def test_of_many_events_that_were_read_at_the_same_moment_one_is_applied(engine: Engine) -> None:
    _queue_a_study(engine)
    with reading(engine) as session:
        stale = store.get(session, 1)

    def advance(event: Event) -> State:
        with writing(engine) as session:
            return store.advance(session, stale, event, at=utcnow())

    events = [Event.STARTED, Event.NOT_FOR_US, Event.LATE_INSTANCE, Event.IDENTITY_CONFLICT]
    answers = _at_once([lambda e=e: advance(e) for e in events * 2])

    (state,) = [answer for answer in answers if isinstance(answer, State)]
    with reading(engine) as session:
        assert store.get(session, 1).state == state
        moves = [row for row in store.timeline(session, 1) if row.from_state != row.to_state]
    assert [row.to_state for row in moves] == [State.RECEIVING, State.QUEUED, state]


def test_many_objects_of_one_new_study_make_one_study(engine: Engine) -> None:
    """On PostgreSQL the losers of the first insert fail whole, and their files are looked at again.

    Here the loop of `dicom_node.index` is a retry.
    """

    def record(number: int) -> Outcome:
        for _ in range(THREADS):
            try:
                with writing(engine) as session:
                    return intake.record(session, _object(f"1.2.3.1.{number}"))
            except Exception as error:  # noqa: BLE001  looked at below
                last = error
        raise last

    answers = _at_once([lambda n=n: record(n) for n in range(THREADS)])

    assert answers == [Outcome.STORED] * THREADS
    with reading(engine) as session:
        assert len(session.scalars(select(Study)).all()) == 1
        assert len(store.instances_of(session, 1)) == THREADS


def test_one_object_that_comes_many_times_at_once_is_one_row(engine: Engine) -> None:
    _queue_a_study(engine)

    def record() -> Outcome:
        with writing(engine) as session:
            return intake.record(session, _object("1.2.3.1.2"))

    answers = _at_once([record] * THREADS)

    assert answers.count(Outcome.LATE) == 1
    with reading(engine) as session:
        rows = session.scalars(select(Instance).where(Instance.sop_instance_uid == "1.2.3.1.2"))
        assert len(rows.all()) == 1
        assert store.get(session, 1).version == 2


def test_a_late_image_and_a_finished_draft_never_both_win(engine: Engine) -> None:
    _queue_a_study(engine)
    for number in range(10, 20):
        with writing(engine) as session:
            lease = timedelta(seconds=60)
            study = store.claim(session, 1, owner="worker", at=utcnow(), lease=lease)

        def finish(study: Study = study) -> str:
            with writing(engine) as session:
                store.advance(session, study, Event.DRAFTED, at=utcnow())
                draft = _draft(study)
                session.add(draft)
                session.flush()
                planned = [
                    outbox.Planned(
                        kind="sr", language="en", uid=f"1.{draft.id}", destinations=("pacs:a",)
                    )
                ]
                outbox.plan(session, draft, planned, at=utcnow())
            return "drafted"

        def late(number: int = number) -> str:
            with writing(engine) as session:
                return intake.record(session, _object(f"1.2.3.1.{number}"))

        answers = _at_once([finish, late])

        assert Outcome.LATE in answers
        with reading(engine) as session:
            study = store.get(session, 1)
            assert study.state == State.RECEIVING
            pending = session.scalars(
                select(Delivery).where(Delivery.state == DeliveryState.PENDING)
            ).all()
        assert pending == []
        with writing(engine) as session:
            store.advance(session, store.get(session, 1), Event.WENT_QUIET, at=utcnow())


def _draft(study: Study) -> Draft:
    return Draft(
        study_id=study.id,
        study_version=study.version,
        report_version=study.version,
        is_withheld=False,
        created_at=utcnow(),
        seconds=1.0,
        model_name="m",
        model_revision="r",
        report="{}",
        selection={},
    )


def test_of_many_senders_one_claims_a_delivery_and_one_writes_its_bytes(engine: Engine) -> None:
    _queue_a_study(engine)
    with writing(engine) as session:
        study = store.claim(session, 1, owner="w", at=utcnow(), lease=timedelta(seconds=60))
        store.advance(session, study, Event.DRAFTED, at=utcnow())
        draft = _draft(study)
        session.add(draft)
        session.flush()
        outbox.plan(
            session,
            draft,
            [outbox.Planned(kind="sr", language="en", uid="1.9", destinations=("pacs:a",))],
            at=utcnow(),
        )

    def claim(owner: str) -> bool:
        with writing(engine) as session:
            lease = timedelta(seconds=60)
            return outbox.claim(session, 1, owner=owner, at=utcnow(), lease=lease) is not None

    def keep(owner: str) -> bytes:
        with writing(engine) as session:
            return outbox.keep_content(session, session.get_one(Artifact, 1), owner.encode())

    claims = _at_once([lambda n=n: claim(f"sender {n}") for n in range(THREADS)])
    kept = _at_once([lambda n=n: keep(f"sender {n}") for n in range(THREADS)])

    assert sorted(claims, key=str) == [False] * (THREADS - 1) + [True]
    assert len(set(kept)) == 1


def test_counts_add_up_while_studies_move(engine: Engine) -> None:
    for number in range(20):
        with writing(engine) as session:
            intake.record(session, _object(f"1.2.{number}.1.1", study_uid=f"1.2.{number}"))
    sums: list[int] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            with reading(engine) as session:
                sums.append(sum(store.count_states(session).values()))

    counter = threading.Thread(target=count)
    counter.start()
    for number in range(1, 21):
        for event in (Event.WENT_QUIET, Event.STARTED, Event.FAILED_PERMANENT):
            with writing(engine) as session:
                store.advance(session, store.get(session, number), event, at=utcnow())
    done.set()
    counter.join()

    assert len(sums) > 1
    assert set(sums) == {20}
