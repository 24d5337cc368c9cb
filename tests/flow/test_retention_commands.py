"""What an operator sees of retention and does about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Site, film, one_database
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select, update

from cli.main import taqrir
from core import outbox
from core.disk import DiskGauge
from core.errors import PermanentError, SettingsError
from core.lifecycle import DeliveryState, State
from core.removal import StudyRemoval
from core.retention import HOLDS, Hold
from core.retention_metrics import RETENTION_METRICS, RetentionCollector
from core.tables import Delivery, Instance, Study
from worker.purge import Purge

# The expression itself is tried on both databases beside this file.
pytestmark = [one_database, pytest.mark.service]


def _run(site: Site, *words: str) -> Result:
    return CliRunner().invoke(taqrir, [*words, "--config", str(site.config)])


def _json(site: Site, *words: str) -> Any:
    result = _run(site, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _age(site: Site) -> None:
    """Make everything 31 days older: commands have no clock but the real one."""
    with site.writing() as session:
        for study in session.scalars(select(Study)):
            study.created_at -= timedelta(days=31)
            study.state_changed_at -= timedelta(days=31)
            study.last_instance_at -= timedelta(days=31)
        for instance in session.scalars(select(Instance)):
            instance.received_at -= timedelta(days=31)


def _fail(site: Site) -> str:
    site.drafter.script.append(PermanentError("no"))
    site.take_in(film())
    assert site.state() is State.FAILED
    return site.study().study_uid


@pytest.fixture
def site(make_site: Callable[..., Site], fresh_redis_url: str) -> Site:
    """An installation with an archive."""
    return make_site(pacs={"main": 1}, broker_url=fresh_redis_url)


# Dismiss


def test_a_failed_study_is_dismissed_and_leaves_the_list_of_troubles(site: Site) -> None:
    uid = _fail(site)
    assert [row["study_uid"] for row in _json(site, "status")["troubled_studies"]] == [uid]

    result = _run(site, "dismiss", uid, "--reason", "  a test \n image ")

    assert result.exit_code == 0
    assert result.stdout == (
        f"{uid}: FAILED, dismissed\nIts files and texts: {HOLDS[Hold.YOUNG]}\n"
    )
    assert site.state() is State.FAILED
    line = site.timeline()[-1]
    assert (line.event, line.detail) == ("dismissed", {"reason": "a test image"})
    assert line.actor.startswith("operator ")
    assert _json(site, "status")["troubled_studies"] == []
    assert "Dismissed " in _run(site, "show", uid).stdout


def test_a_study_is_dismissed_with_its_parked_deliveries(site: Site) -> None:
    site.take_in(film())
    with site.writing() as session:
        session.execute(update(Delivery).values(state=DeliveryState.PARKED, reason="refused"))
    assert len(_json(site, "status")["troubled_deliveries"]) == 2

    result = _run(site, "dismiss", "ACC1", "--reason", "the archive is gone")

    assert "2 deliveries dismissed" in result.stdout
    assert _json(site, "status")["troubled_deliveries"] == []
    assert _run(site, "show", "ACC1").stdout.count("refused, dismissed") == 2


def test_one_delivery_is_dismissed_by_the_uid_that_show_prints(site: Site) -> None:
    site.take_in(film())
    with site.writing() as session:
        session.execute(update(Delivery).values(state=DeliveryState.PARKED))
    uid = _json(site, "show", "ACC1")["deliveries"][0]["uid"]

    elsewhere = _run(site, "dismiss", uid, "--reason", "x", "--destination", "pacs:other")
    done = _run(site, "dismiss", uid, "--reason", "x", "--destination", "pacs:main")

    assert (elsewhere.exit_code, done.exit_code) == (1, 0)
    assert [bool(d.dismissed_at) for d, _ in site.deliveries()] == [True, False]


def test_a_retry_takes_a_dismissed_delivery_back(site: Site) -> None:
    site.take_in(film())
    with site.writing() as session:
        session.execute(update(Delivery).values(state=DeliveryState.PARKED))
    assert _run(site, "dismiss", "ACC1", "--reason", "x").exit_code == 0
    with site.writing() as session:
        assert outbox.retry_parked(session, 1, at=site.clock(), actor="operator") == 2
    assert [d.dismissed_at for d, _ in site.deliveries()] == [None, None]


def test_what_needs_nobody_cannot_be_dismissed(site: Site) -> None:
    site.take_in(film())
    result = _run(site, "dismiss", "ACC1", "--reason", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing of it waits for a person" in result.output


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_dismissal_has_a_reason_of_some_words(site: Site, reason: str) -> None:
    uid = _fail(site)
    result = _run(site, "dismiss", uid, "--reason", reason)
    assert isinstance(result.exception, SettingsError)
    assert site.study().dismissed_at is None


def test_a_name_of_nothing_or_of_several_studies_dismisses_nothing(site: Site) -> None:
    site.receive(film(), film())
    for name in ("ACC1", "1.2.3"):
        result = _run(site, "dismiss", name, "--reason", "x")
        assert isinstance(result.exception, SettingsError)
        assert f"studies bear {name}" in str(result.exception)


# Purge


def test_a_dry_run_lists_what_would_go_and_what_holds_the_rest(site: Site) -> None:
    uid = _fail(site)
    site.take_in(film())
    site.take_in(film())
    with site.writing() as session:
        session.execute(
            update(Delivery).where(Delivery.study_id == 2).values(state=DeliveryState.SENT)
        )
    _age(site)
    site.receive(film())
    due, waiting = site.study(2), site.study(3)

    report = _json(site, "purge", "--dry-run")
    text = _run(site, "purge", "--dry-run").stdout

    assert [(row["study_uid"], row["instances"]) for row in report["due"]] == [(due.study_uid, 1)]
    assert report["due"][0]["bytes"] > 0
    assert {row["study_uid"]: row["hold"] for row in report["held"]} == {
        uid: "undismissed",
        waiting.study_uid: "undelivered",
    }
    assert report["counts"]["in_work"] == 1
    assert f"{due.study_uid}  IN_REVIEW since " in text
    assert ": would go" in text
    assert HOLDS[Hold.UNDISMISSED] in text
    assert "received, queued or drafted right now: 1" in text
    assert site.study(2).purged_at is None


def test_a_purge_says_what_went_and_show_says_so_of_the_study(site: Site) -> None:
    site.take_in(film())
    uid = site.study().study_uid
    with site.writing() as session:
        session.execute(update(Delivery).values(state=DeliveryState.SENT))
    _age(site)

    first, second = _run(site, "purge"), _json(site, "purge")

    assert first.exit_code == 0
    assert first.stdout.startswith("1 studies purged: 1 objects, ")
    assert second["purged"] == second["unfinished"] == 0
    shown, text = _json(site, "show", uid), _run(site, "show", uid).stdout
    assert shown["purged_at"]
    assert shown["drafts"][0]["report"] is None
    assert "images, texts and patient were removed" in text
    assert "Draft 1 of study version 1: purged" in text
    assert site.timeline()[-1].actor.startswith("operator ")
    status = _json(site, "status")
    assert (status["studies"]["received"], status["retention"]["purged"]) == (1, 1)


def test_a_purge_beside_another_one_says_so(site: Site) -> None:
    with StudyRemoval(site.parts.files).only_one():
        result = _run(site, "purge")
    assert result.exit_code == 1
    assert "somebody else is purging" in result.output


def test_a_purged_study_cannot_be_retried_from_the_command_line(site: Site) -> None:
    uid = _fail(site)
    _run(site, "dismiss", uid, "--reason", "x")
    _age(site)
    assert Purge(site.parts, on_purged=lambda _: None).run().studies == 1
    result = _run(site, "retry", uid)
    assert "send them again" in str(result.exception)
    assert site.state() is State.FAILED


# Status and metrics


def test_status_tells_what_lies_where_and_what_holds_it(site: Site) -> None:
    site.take_in(film())
    _age(site)
    files = site.parts.files
    (files.quarantine / "broken.dcm").write_bytes(b"x" * 2000)

    status, text = _json(site, "status"), _run(site, "status").stdout

    disk = status["disk"]
    with site.writing() as session:
        size = session.scalars(select(Instance.size_bytes)).one()
    assert disk["folders"]["studies"] == {"files": 1, "bytes": size}
    assert disk["folders"]["quarantine"] == {"files": 1, "bytes": 2000}
    assert disk["folders"]["inbox"] == {"files": 0, "bytes": 0}
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    # One percent of the disk is more than the 0 MB that are set.
    assert disk["minimum_free_bytes"] == disk["total_bytes"] // 100
    assert not disk["is_full"]
    kept = status["retention"]
    assert (kept["days"], kept["due"], kept["held"]["undelivered"]) == (30, 0, 1)
    assert kept["oldest"].startswith(f"{site.study().created_at:%Y-%m-%d}")
    assert "quarantine 2.0 KB" in text
    assert f"{HOLDS[Hold.UNDELIVERED]}: 1" in text


def test_a_disk_below_its_watermark_is_said(site: Site) -> None:
    with site.config.open("a", encoding="utf-8") as file:
        file.write("[retention]\ndays = 0\n")
    text = site.config.read_text(encoding="utf-8")
    site.config.write_text(text.replace("minimum_free_mb = 0", "minimum_free_mb = 99999999"))
    site.receive(film())

    status, words = _json(site, "status"), _run(site, "status").stdout

    assert status["disk"]["is_full"]
    assert "FULL, nothing is taken any more" in words
    assert "retention.days = 0: 1" in words


def test_folders_are_walked_once_a_minute_and_sums_come_from_the_database(site: Site) -> None:
    site.receive(film())
    now = 0.0
    gauge = DiskGauge(site.settings, now=lambda: now)

    def bytes_of(folder: str) -> int:
        with site.writing() as session:
            return gauge.measure(session).folders[folder].bytes

    assert bytes_of("quarantine") == 0
    inner = site.parts.files.quarantine / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c").write_bytes(b"x" * 10)
    # A file without a row is none of the database's.
    (site.parts.files.studies / "stray").write_bytes(b"x" * 10)
    before = bytes_of("studies")
    assert bytes_of("quarantine") == 0
    now = 60.0
    assert bytes_of("quarantine") == 10
    site.receive(film())
    assert bytes_of("studies") > before


def test_the_metrics_say_the_same_as_status(site: Site) -> None:
    site.take_in(film())
    site.clock.advance(days=31)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RetentionCollector(site.engine, site.settings, site.clock))

    lines = generate_latest(registry).decode().splitlines()

    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['taqrir_kept_studies{hold="undelivered"}'] == "1.0"
    assert values['taqrir_kept_studies{hold="due"}'] == "0.0"
    assert values["taqrir_purged_studies"] == "0.0"
    assert float(values['taqrir_folder_bytes{folder="studies"}']) > 0
    assert float(values["taqrir_oldest_kept_seconds"]) > 31 * 86_400 - 60
    names = {name.partition("{")[0] for name in values}
    assert names == {name for name, _, _ in RETENTION_METRICS}


def test_an_installation_without_studies_has_a_status_too(site: Site) -> None:
    status, text = _json(site, "status"), _run(site, "status").stdout
    assert status["retention"]["oldest"] is None
    assert "Disk        nothing kept" in text
