"""What `taqrir status` shows of commitments that came to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

from click.testing import CliRunner
from harness import Site, film, one_database
from harness.commitment import (
    ScriptedArchive,
    act,
    commit,
    confirm,
    reference,
    report_all,
    request_for,
)

from cli.main import taqrir
from worker.confirm import ask


def _status(site: Site, *options: str) -> str:
    result = CliRunner().invoke(taqrir, ["status", "--config", str(site.config), *options])
    assert result.exit_code == 0, result.output
    return result.output


@one_database
def test_a_report_that_nobody_took_is_shown(site: Site) -> None:
    commit(site)
    asked = request_for(reference(film()))
    act(site, asked)
    report_all(site)
    site.clock.advance(hours=25)
    report_all(site)

    text = _status(site)
    assert "UNREPORTED 1" in text
    assert f"storage commitment {asked.transaction_uid} to MODALITY" in text


@one_database
def test_a_delivery_that_is_not_confirmed_is_shown_though_it_was_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedArchive([0x0110] * 3) as archive:
        site = make_site(pacs={"main": archive.port})
        confirm(site)
        site.take_in(film())
        site.deliver_due()
        for _ in range(3):
            ask(site.parts, site.settings.pacs[0], listen_seconds=0)
            site.clock.advance(hours=25)

    status = json.loads(_status(site, "--json"))
    assert [row["state"] for row in status["troubled_deliveries"]] == ["SENT"] * 2
    assert "sent, not confirmed: asked 3 times" in status["troubled_deliveries"][0]["reason"]
    assert not any(status["commitments"].values())
