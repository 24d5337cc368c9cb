"""`taqrir sign` and its neighbours, `deliveries` and `park`, as an operator runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from harness import Site, film, one_database
from servers import free_port

from cli.main import taqrir
from core.errors import SettingsError, SigningRefusedError
from core.lifecycle import DeliveryState, State
from core.report import Report, from_json
from worker.report_file import read_report, report_schema

pytestmark = one_database
READER = ("--reader", "Darwish^Mona", "--id", "R7")
_ON = "\n[signing]\ncommand_line = true\n"


def _run(site: Site, *arguments: str) -> Result:
    return CliRunner().invoke(taqrir, [*arguments, "--config", str(site.config)])


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with a draft that waits for a RIS which is down; signing at the command line is on."""
    site = make_site(ris={"main": free_port()}, rules=_ON)
    site.take_in(film(AccessionNumber="ACC7"))
    return site


def test_signing_is_off_until_the_site_switches_it_on(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film(AccessionNumber="ACC7"))
    (site.folder / "report.json").write_text("{}")
    edited = ("--report", str(site.folder / "report.json"))

    for command in (
        ("sign", "ACC7", "--draft", "1", "--language", "en", *READER),
        ("reject", "ACC7", "--draft", "1", *READER, "--reason", "no"),
        ("addend", "ACC7", "--draft", "1", "--text", "en", str(site.config), *READER),
        ("correct", "ACC7", "--draft", "1", "--language", "en", *READER, *edited),
    ):
        result = _run(site, *command)
        assert isinstance(result.exception, SettingsError)
        assert "[signing] command_line = true" in str(result.exception)
    assert site.state() is State.IN_REVIEW


def test_a_draft_is_read_edited_signed_corrected_and_addended_at_the_command_line(
    site: Site,
) -> None:
    shown = json.loads(_run(site, "show", "ACC7", "--json").stdout)
    file = site.folder / "report.json"
    text = json.dumps(shown, ensure_ascii=False).replace("A normal film.", "A normal chest film.")
    file.write_text(text, encoding="utf-8")

    result = _run(
        site,
        *("sign", "ACC7", "--draft", "1", "--language", "en", *READER),
        *("--report", str(file), "--json"),
    )

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["report_version"], said["edits"]) == (2, 1)
    assert site.state() is State.SIGNED
    assert "A normal chest film." in site.drafts()[-1].report
    row = next(r for r in site.timeline() if r.event == "signed")
    assert row.detail["account"]

    shown = json.loads(_run(site, "show", "ACC7", "--json").stdout)
    report = json.dumps(shown["drafts"][-1]["report"], ensure_ascii=False)
    file.write_text(report.replace("Normal chest.", "Normal lungs."), encoding="utf-8")
    result = _run(
        site,
        *("correct", "ACC7", "--draft", "2", "--language", "en", *READER, "--report", str(file)),
    )
    assert "version 3 corrected, 1 sections edited" in result.output
    addendum = site.folder / "addendum.txt"
    addendum.write_bytes("Seen again.\r\nUnchanged.\r\n".encode("utf-8-sig"))
    result = _run(site, "addend", "ACC7", "--draft", "3", "--text", "en", str(addendum), *READER)
    assert "version 4 addended" in result.output
    last = from_json(site.drafts()[-1].report)
    assert last.addenda[0].texts[0][1] == "Seen again.\nUnchanged."


def test_a_stale_version_and_a_file_that_is_no_report_are_refused(site: Site) -> None:
    stale = _run(site, "sign", "ACC7", "--draft", "7", "--language", "en", *READER)
    assert isinstance(stale.exception, SigningRefusedError)
    for content in (b"", b"[]", b"{", b"7", b'{"drafts": []}', b"\xff", b"[" * 100_000):
        with pytest.raises(SigningRefusedError, match="holds no report of version 1"):
            read_report(content, version=1, study_uid="1.2")
    with pytest.raises(SigningRefusedError, match="too large"):
        read_report(b" " * (9 << 20), version=1, study_uid="1.2")
    assert site.state() is State.IN_REVIEW


def test_the_file_of_another_study_is_refused(site: Site) -> None:
    site.take_in(film(PatientID="P2", PatientName="Other^Patient", AccessionNumber="ACC8"))
    shown = json.loads(_run(site, "show", "ACC8", "--json").stdout)
    file = site.folder / "report.json"
    sign = ("sign", "ACC7", "--draft", "1", "--language", "en", *READER, "--report", str(file))

    for content, words in (
        (shown, "The file is of another study"),
        (shown["drafts"][0]["report"], "other frames"),
    ):
        file.write_text(json.dumps(content), encoding="utf-8")
        result = _run(site, *sign)
        assert isinstance(result.exception, SigningRefusedError)
        assert words in str(result.exception)
    assert site.state(1) is State.IN_REVIEW
    sign_own = ("sign", "ACC8", "--draft", "1", "--language", "en", *READER)
    assert _run(site, *sign_own, "--report", str(file)).exit_code == 0

    correct = ("correct", "ACC8", "--draft", "2", "--language", "en", *READER)
    shown = _run(site, "show", "ACC7", "--json").stdout.replace("A normal", "An ordinary")
    file.write_text(shown, encoding="utf-8")
    result = _run(site, *correct, "--report", str(file))
    assert isinstance(result.exception, SigningRefusedError)
    assert len(site.drafts(2)) == 2


def test_a_draft_is_rejected_at_the_command_line(site: Site) -> None:
    result = _run(site, "reject", "ACC7", "--draft", "1", *READER, "--reason", "wrong patient")

    assert "version 1 rejected" in result.output
    assert site.state() is State.REJECTED
    assert site.study().reason == "wrong patient"


def test_the_schema_on_the_page_is_the_codes_and_what_show_prints_fits_it(site: Site) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"
    command = "run: python -m worker.report_file docs/report.schema.json"
    assert json.loads(page.read_text(encoding="utf-8")) == report_schema(), command

    shown = json.loads(_run(site, "show", "ACC7", "--json").stdout)["drafts"][0]["report"]
    schema = report_schema()
    assert set(shown) <= set(schema["properties"])
    assert set(schema["required"]) <= set(shown)
    read = read_report(json.dumps(shown).encode(), version=1, study_uid="1.2")
    assert isinstance(read, Report)
    assert read == from_json(site.drafts()[0].report)


def test_deliveries_are_listed_and_one_that_waits_is_parked_and_tried_again(site: Site) -> None:
    site.deliver_due()
    listed = json.loads(_run(site, "deliveries", "--json").stdout)
    [row] = listed["deliveries"]
    assert (row["state"], row["destination"], row["attempts"]) == ("PENDING", "ris:main", 1)
    assert row["accession_number"] == "ACC7"
    [channel] = listed["destinations"]
    assert (channel["destination"], channel["failures"]) == ("ris:main", 1)
    assert "ris:main cannot be reached since" in _run(site, "deliveries").stdout

    parked = _run(site, "park", row["uid"], "--reason", "the RIS moves")
    assert "1 deliveries parked" in parked.stdout
    assert site.deliveries()[0][0].state == DeliveryState.PARKED
    assert site.deliveries()[0][0].reason == "the RIS moves"
    again = _run(site, "park", row["uid"], "--reason", "the RIS moves")
    assert again.exit_code == 1
    for filters, count in (
        (("--state", "PARKED"), 1),
        (("--state", "pending"), 0),
        (("--destination", "pacs:main"), 0),
        (("--study", "ACC7"), 1),
        (("--study", "ACC8"), 0),
    ):
        found = json.loads(_run(site, "deliveries", *filters, "--json").stdout)["deliveries"]
        assert len(found) == count, filters
