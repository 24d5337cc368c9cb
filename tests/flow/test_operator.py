"""The operator's command `taqrir retry`, on an installation with a real broker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from click.testing import CliRunner, Result
from harness import Site, film, one_database

from cli.main import taqrir
from core.errors import PermanentError, SettingsError
from core.lifecycle import DeliveryState, State

# What a retry makes of either database is tested beside this file. The command is one process, and
# leaves its connections to that process's end.
pytestmark = [one_database, pytest.mark.service]


@pytest.fixture
def site(make_site: Callable[..., Site], fresh_redis_url: str) -> Site:
    """An installation with one archive and one study that waits for a draft."""
    site = make_site(pacs={"main": 1}, broker_url=fresh_redis_url)
    site.receive(film())
    site.go_quiet()
    return site


def _retry(site: Site, study: str) -> Result:
    return CliRunner().invoke(taqrir, ["retry", study, "--config", str(site.config)])


def test_a_failed_study_is_queued_and_rung_for(site: Site, fresh_redis_url: str) -> None:
    site.drafter.script.append(PermanentError("no"))
    site.draft()
    uid = site.study().study_uid

    result = _retry(site, uid)

    assert (result.exit_code, result.stdout) == (0, f"{uid} is QUEUED\n")
    assert site.state() is State.QUEUED
    assert site.timeline()[-1].actor.startswith("operator ")
    with redis.Redis.from_url(fresh_redis_url) as client:
        assert client.llen("draft") == 1


def test_who_retries_what_is_well_is_told_so(site: Site) -> None:
    site.draft()
    with site.writing() as session:
        for delivery, _ in site.deliveries():
            session.merge(delivery).state = DeliveryState.SENT

    result = _retry(site, site.study().study_uid)

    assert result.exit_code == 1
    assert "is IN_REVIEW; nothing of it waits" in result.output


def test_an_accession_number_that_several_studies_bear_is_no_name(site: Site) -> None:
    site.receive(film())

    result = _retry(site, "ACC1")

    assert isinstance(result.exception, SettingsError)
    assert "2 studies bear ACC1" in str(result.exception)


def test_a_study_that_nobody_knows_is_said(site: Site) -> None:
    result = _retry(site, "1.2.3")

    assert isinstance(result.exception, SettingsError)
    assert "0 studies bear 1.2.3" in str(result.exception)


def test_what_is_parked_and_what_waits_is_tried_again_and_counted_once(
    site: Site, fresh_redis_url: str
) -> None:
    site.draft()
    with site.writing() as session:
        (parked, _), (waiting, _) = site.deliveries()
        session.merge(parked).state = DeliveryState.PARKED
        session.merge(waiting).next_attempt_at = site.clock().replace(year=2100)

    result = _retry(site, site.study().study_uid)

    assert "2 deliveries are tried again now" in result.output
    assert site.are_all(DeliveryState.PENDING)
    assert site.events()[-1] == "delivery_retried"
    with redis.Redis.from_url(fresh_redis_url) as client:
        assert client.llen("deliver") == 1
