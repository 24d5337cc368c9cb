"""A study trains a model only where a person said so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness import Site, film, one_database

from cli.main import taqrir
from core.errors import SettingsError

pytestmark = one_database


def run(site: Site, *arguments: str) -> Result:
    return CliRunner().invoke(taqrir, ["consent", *arguments, "--config", str(site.config)])


def shown(site: Site, *arguments: str) -> dict[str, Any]:
    result = run(site, *arguments, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site()
    site.take_in(film())
    return site


def test_nobody_consented_until_a_person_says_so(site: Site) -> None:
    said = shown(site, "ACC1")
    assert (said["consent"], said["may_train"], said["record"]) == (None, False, "")
    assert "nobody was asked" in said["words"]
    assert "training_consent_given" not in site.events()


def test_consent_is_given_and_withdrawn_in_timeline_and_audit_trail_once_each(site: Site) -> None:
    assert shown(site, "ACC1", "--yes")["may_train"]
    assert shown(site, "ACC1", "--yes")["may_train"]
    assert not shown(site, "ACC1", "--no")["may_train"]

    rows = [row for row in site.timeline() if row.event.startswith("training_consent")]
    assert [row.event for row in rows] == ["training_consent_given", "training_consent_withdrawn"]
    assert all(row.actor.startswith("operator ") for row in rows)
    audit = site.audit_trail()
    assert audit.count(b"consent to the training of models given") == 1
    assert audit.count(b"consent to the training of models withdrawn") == 1
    assert site.study().study_uid in run(site, "ACC1").stdout


def test_a_site_may_take_all_but_those_that_said_no(make_site: Callable[..., Site]) -> None:
    site = make_site(rules='[training]\nconsent = "all"')
    site.take_in(film())
    assert shown(site, "ACC1")["may_train"]
    assert not shown(site, "ACC1", "--no")["may_train"]


def test_an_accession_of_several_studies_and_of_none_is_refused(site: Site) -> None:
    site.take_in(film())
    for name, words in (("ACC1", "2 studies bear"), ("ACC9", "0 studies bear")):
        result = run(site, name, "--yes")
        assert isinstance(result.exception, SettingsError)
        assert words in str(result.exception)
    assert not any("training" in event for study in (1, 2) for event in site.events(study))
