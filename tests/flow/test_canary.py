"""A patient whose name and number stand nowhere but where they belong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    abort,
    captured_logs,
    film,
    one_database,
    report_object,
)
from prometheus_client import CollectorRegistry, generate_latest
from servers import wait_until
from sqlalchemy import select

from core.database import reading
from core.lifecycle import DeliveryState, State
from core.metrics import DatabaseCollector
from core.queue import Doorbell
from core.settings_file import load
from core.tables import AuditEvent
from worker.sweep import sweep_once

NAME, NUMBER = "CANARY^نزار", "CANARY123"
# Whatever of the patient may leak: name, number, birth date, and the escapes of the Arabic letters.
TRACES = ("CANARY", "canary", "نزار", "\\u0646\\u0632", "19330105", "Nightingale", "cage fever")


def _canary(study_uid: str = "", **attributes: Any) -> Any:
    return film(
        study_uid,
        PatientName=NAME,
        PatientID=NUMBER,
        PatientBirthDate="19330105",
        ReferringPhysicianName="Nightingale^Florence",
        StudyDescription="cage fever",
        AccessionNumber="CANARY-ACC",
        **attributes,
    )


def _contents(client: Any) -> str:
    """Return every key of a Redis with all that it holds."""
    held: list[Any] = []
    for key in client.keys("*"):
        match client.type(key):
            case b"list":
                held += client.lrange(key, 0, -1)
            case b"hash":
                held += [x for pair in client.hgetall(key).items() for x in pair]
            case b"zset":
                held += client.zrange(key, 0, -1)
            case b"set":
                held += client.smembers(key)
            case _:
                held.append(client.get(key))
        held.append(key)
    return "\n".join(bytes(x).decode("utf-8", "replace") for x in held)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    with captured_logs() as stream:
        yield stream


def _assert_clean(text: str) -> None:
    assert [trace for trace in TRACES if trace in text] == []


@pytest.mark.service
def test_the_canary_stands_in_no_log_metric_or_broker_message(
    make_site: Callable[..., Site], fresh_redis_url: str, logs: io.StringIO, tmp_path: Path
) -> None:
    config = tmp_path / "broker.toml"
    config.write_text(f'[broker]\nurl = "{fresh_redis_url}"\n', encoding="utf-8")
    doorbell = Doorbell(load(config, {}))
    with ScriptedPacs([0xC000]) as pacs, ScriptedRis([None]) as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port}, doorbell=doorbell)
        image = _canary()
        # Failures are what makes programs talkative.
        site.drafter.script.append(RuntimeError(f"{NAME} {NUMBER}"))
        site.send(image)
        site.go_quiet()
        site.draft()
        site.clock.advance(minutes=1)
        site.draft()
        assert site.state() is State.IN_REVIEW
        site.deliver_due()
        site.clock.advance(minutes=1)
        site.deliver_due()
        assert sorted(str(d.state) for d, _ in site.deliveries()) == [
            DeliveryState.PARKED,
            DeliveryState.SENT,
            DeliveryState.SENT,
        ]
        uid = image.StudyInstanceUID
        site.send(
            _canary(uid, PixelData=b"\x01\x02", ViewPosition="LL"),
            report_object(uid, PatientID=NUMBER + "X", PatientName=NAME),
        )
        site.go_quiet()
        sweep_once(site.parts)
        site.stop_node()

        # It went all the way: the peers have it.
        assert NAME.encode() in pacs.received[0]
        assert "نزار" in ris.received[0].decode()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(DatabaseCollector(site.engine))
        metrics = generate_latest(registry).decode()
        with redis.Redis.from_url(fresh_redis_url) as client:
            broker = _contents(client)
        with reading(site.engine) as session:
            details = [row.detail for row in session.scalars(select(AuditEvent))]

    doorbell.close()
    lines = logs.getvalue().splitlines()
    assert {json.loads(line)["event"] for line in lines} >= {
        "node_listening",
        "instances_indexed",
        "study_completed",
        "draft_crashed",
        "draft_recorded",
        "delivery_postponed",
        "delivery_ended",
        "library",
    }
    assert 'taqrir_studies{state="WITHHELD"} 1.0' in metrics
    assert "taqrir.draft" in broker
    _assert_clean(logs.getvalue())
    _assert_clean(metrics)
    _assert_clean(broker)
    _assert_clean(json.dumps(details, ensure_ascii=False))


@one_database
def test_the_canary_stands_in_no_log_where_its_objects_are_broken(
    make_site: Callable[..., Site], logs: io.StringIO
) -> None:
    site = make_site(pacs={"main": 1})
    files = site.parts.files
    files.prepare()
    (files.inbox / "stray.dcm").write_bytes(f"{NAME} {NUMBER}".encode())
    with ScriptedPacs([abort]):
        for attributes in (
            {"PatientBirthDate": "CANARY", "PatientAge": "CANARY"},
            {"PatientName": NAME * 20, "PatientSex": "CANARY"},
            {"Rows": 0},
            {"PhotometricInterpretation": "CANARY"},
            {"WindowCenter": None, "SpecificCharacterSet": "CANARY"},
        ):
            dataset = _canary()
            for name, value in attributes.items():
                if value is None:
                    delattr(dataset, name)
                else:
                    dataset.add_new(name, _vr(name, value), value)
            site.send(dataset)
    site.go_quiet()
    for study in range(1, 6):
        site.draft(study)
    wait_until(lambda: "instance_set_aside" in logs.getvalue())

    _assert_clean(logs.getvalue())


def _vr(name: str, value: object) -> str:
    if isinstance(value, int):
        return "US"
    return "PN" if name == "PatientName" else "CS" if name != "PatientBirthDate" else "LO"
