"""The tables: on both databases, made once however many start together, as the code has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import IntegrityError

from core import database, migration, store
from core.clock import utcnow
from core.database import reading, writing
from core.lifecycle import DeliveryState, Event, State
from core.settings_file import load
from core.tables import Artifact, Base, Delivery, Draft, Study

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'taqrir.db'}"
    address: str = request.getfixturevalue("fresh_postgres_url")
    return address


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = database.open_engine(url)
    yield engine
    engine.dispose()


def test_migrations_make_the_tables_that_the_code_has(engine: Engine) -> None:
    migration.migrate(engine)

    found, newest = migration.revisions(engine)
    assert found == newest is not None
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_database_without_tables_has_no_revision(url: str, engine: Engine) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()

    assert migration.revisions(engine)[0] is None


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migration.migrate(engine)
    with writing(engine) as session:
        store.note(session, None, "kept", at=utcnow())

    migration.migrate(engine)

    with engine.connect() as connection:
        assert connection.execute(text("SELECT event FROM audit_event")).scalars().all() == ["kept"]


def test_processes_that_start_together_migrate_once(url: str) -> None:
    code = (
        "import sys\n"
        "from core import database, migration\n"
        "engine = database.open_engine(sys.argv[1])\n"
        "sys.stdin.readline()\n"
        "migration.migrate(engine)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE) for _ in range(3)
    ]
    for process in started:
        process.communicate(b"go\n", timeout=60)

    assert [process.returncode for process in started] == [0, 0, 0]
    engine = database.open_engine(url)
    assert set(inspect(engine).get_table_names()) >= {"study", "alembic_version"}
    engine.dispose()


def test_what_was_attempted_before_peers_were_kept_account_of_may_be_with_them(
    engine: Engine,
) -> None:
    migration.migrate(engine)
    at = utcnow()
    attempts_and_digests = [(0, ""), (1, ""), (0, "x"), (1, "x"), (7, "x")]
    with writing(engine) as session:
        session.add(_a_study("1.2.3"))
        session.flush()
        draft = Draft(
            study_id=1,
            study_version=1,
            report_version=1,
            is_withheld=False,
            created_at=at,
            seconds=1,
            model_name="m",
            model_revision="r",
            report="",
            selection={},
            changes={},
        )
        session.add(draft)
        session.flush()
        for number, (attempts, digest) in enumerate(attempts_and_digests):
            artifact = Artifact(draft_id=draft.id, kind="sr", uid=f"1.{number}", sha256=digest)
            session.add(artifact)
            session.flush()
            delivery = Delivery(
                study_id=1,
                draft_id=draft.id,
                artifact_id=artifact.id,
                destination="pacs:main",
                state=DeliveryState.PARKED,
                attempts=attempts,
                created_at=at,
                next_attempt_at=at,
            )
            session.add(delivery)
    config = migration._migrations(engine)
    with engine.execution_options(taqrir_writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")

    migration.migrate(engine)

    with reading(engine) as session:
        found = session.scalars(select(Delivery.is_out).order_by(Delivery.id)).all()
    assert found == [False, False, False, True, True]


def _a_study(uid: str, state: str = State.RECEIVING) -> Study:
    at = utcnow()
    return Study(
        study_uid=uid, state=state, created_at=at, state_changed_at=at, last_instance_at=at
    )


def test_the_database_itself_refuses_a_state_that_does_not_exist(engine: Engine) -> None:
    migration.migrate(engine)

    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(_a_study("1.2.3", "NONSENSE"))


def test_the_database_itself_refuses_a_second_study_of_one_uid(engine: Engine) -> None:
    migration.migrate(engine)

    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add_all([_a_study("1.2.3"), _a_study("1.2.3")])


def test_a_moment_without_an_offset_is_refused_and_one_with_comes_back(engine: Engine) -> None:
    migration.migrate(engine)
    at = utcnow()
    with writing(engine) as session:
        store.beat(session, "worker", at=at)

    with reading(engine) as session:
        assert store.heartbeats(session) == {"worker": at}
    with pytest.raises(Exception, match="without an offset"), writing(engine) as session:
        store.beat(session, "worker", at=at.replace(tzinfo=None))


def test_the_embedded_database_keeps_what_was_committed_through_a_kill(tmp_path: Path) -> None:
    engine = database.open_engine(f"sqlite:///{tmp_path / 'taqrir.db'}")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_change_that_raises_is_undone_as_a_whole(engine: Engine) -> None:
    migration.migrate(engine)

    def fail_half_way() -> None:
        with writing(engine) as session:
            session.add(_a_study("1.2.3"))
            session.flush()
            store.advance(session, store.get(session, 1), Event.WENT_QUIET, at=utcnow())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    with reading(engine) as session:
        assert sum(store.count_states(session).values()) == 0
        assert store.timeline(session, 1) == []


def test_an_embedded_database_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(None, {"TAQRIR_DATA_DIR": str(tmp_path)})

    assert database.database_url(settings) == f"sqlite:///{tmp_path / 'taqrir.db'}"
