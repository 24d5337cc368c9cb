"""Objects that are taken in together become what they become one by one, whatever they are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from core import database, intake, store
from core.clock import utcnow
from core.database import reading, writing
from core.intake import Admission, ReceivedInstance
from core.lifecycle import TRANSITIONS, Event
from core.report import Patient, StudyHeader
from core.tables import AuditEvent, Base, Instance, Series, Study

BEGIN = utcnow()
REFUSED = Admission(is_admitted=False, rule="no", reason="rule no ignores such images")
URGENT = Admission(rule="stat", reason="rule stat", priority="stat", options={"max_images": 1})
# What befalls a study between two batches.
EVENTS = (Event.WENT_QUIET, Event.STARTED, Event.DRAFTED, Event.SIGNED, Event.NOT_FOR_US)


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    """Two databases that shall come out the same."""
    engines = [database.open_engine(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b")]
    for engine in engines:
        Base.metadata.create_all(engine)
    yield engines
    for engine in engines:
        engine.dispose()


def _random_object(chance: random.Random, number: int) -> ReceivedInstance:
    study = chance.choice(["1.2.1", "1.2.2"])
    uid = f"{study}.{chance.randrange(8)}"
    digest = f"{uid}-{chance.randrange(3)}"
    # What an object is stands in it; when and from whom it comes does not.
    its = random.Random(digest)  # noqa: S311  no secret
    return ReceivedInstance(
        study=StudyHeader(
            study_uid=study,
            patient=Patient(id=its.choice(["P1"] * 5 + ["P2"])),
            description=its.choice(["", "A", "B"]),
        ),
        series_uid=f"{study}.{its.choice('12')}",
        series_description="",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        sop_instance_uid=uid,
        digest=digest,
        path=f"{number}",
        size_bytes=1,
        sender=chance.choice("AB"),
        received_at=BEGIN + timedelta(seconds=number),
        is_image=its.random() < 0.8,
        is_own=its.random() < 0.15,
        header={},
        association="x",
        text_problem=its.choice(["", "", "p", "q"]),
        admission=its.choice([Admission(reason="r"), REFUSED, URGENT]),
    )


def _rows(engine: Engine) -> list[list[tuple[Any, ...]]]:
    found = []
    with reading(engine) as session:
        for table in (Study, Series, Instance, AuditEvent):
            columns = [c for c in table.__table__.columns if c.name != "id" or table is Study]
            rows = session.execute(select(*columns).order_by(table.id)).all()
            found.append([tuple(str(value) for value in row) for row in rows])
    # Rows of one batch are numbered by study, then in their order.
    found[1].sort()
    return found


def _take(engine: Engine, objects: Sequence[ReceivedInstance], *, size: int) -> list[str]:
    outcomes: list[str] = []
    for start in range(0, len(objects), size):
        with writing(engine) as session:
            outcomes += intake.record_all(session, objects[start : start + size])
    return outcomes


def _befall(engine: Engine, event: Event) -> None:
    with writing(engine) as session:
        for study in session.scalars(select(Study)).all():
            if (study.state, event) in TRANSITIONS:
                store.advance(session, study, event, at=BEGIN)


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_has_the_same_effect_as_its_objects_one_by_one(
    engines: list[Engine], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  no secret
    seen: set[str] = set()
    for round_ in range(5):
        objects = [_random_object(chance, 100 * round_ + n) for n in range(chance.randrange(25))]
        event = chance.choice(EVENTS)

        one_by_one = _take(engines[0], objects, size=1)
        together = _take(engines[1], objects, size=100)

        assert together == one_by_one
        assert _rows(engines[1]) == _rows(engines[0])
        seen |= set(together)
        for engine in engines:
            _befall(engine, event)
    assert seen >= {"duplicate", "stored", "noted"}


def test_no_objects_are_no_work(engines: list[Engine]) -> None:
    with writing(engines[0]) as session:
        assert intake.record_all(session, []) == []


def test_the_random_objects_reach_every_branch(engines: list[Engine]) -> None:
    chance = random.Random(0)  # noqa: S311  no secret
    for round_ in range(40):
        _take(engines[0], [_random_object(chance, round_ * 10 + n) for n in range(10)], size=5)
        _befall(engines[0], Event.WENT_QUIET)

    with reading(engines[0]) as session:
        events = set(session.scalars(select(AuditEvent.event)))
        current = session.scalars(select(Instance).where(Instance.is_current)).all()
        studies = session.scalars(select(Study)).all()
        counts = [intake.count_admitted_images(session, study.id) for study in studies]
    assert events >= {
        "instance_stored",
        "content_changed",
        "late_instance",
        "image_not_admitted",
        "own_object_noted",
        "non_image_noted",
        "identity_conflict",
        "text_problem",
    }
    assert len(current) == len({row.sop_instance_uid for row in current})
    assert sum(counts) == sum(r.is_image and not r.is_own and r.is_admitted for r in current)
