"""An export for training as an operator runs it, and final reports that it may find on the feed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cli.main import taqrir
from harness.feed import message, segment
from harness.site import Site


def run(site: Site, *arguments: str) -> Result:
    return CliRunner().invoke(taqrir, [*arguments, "--config", str(site.config)])


def out(site: Site) -> Path:
    return site.folder / "export"


def export(site: Site, *options: str) -> dict[str, Any]:
    result = run(site, "model", "export", "--out", str(out(site)), "--json", *options)
    assert result.exit_code in {0, 1}, result.output + repr(result.exception)
    said: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code == 0) is (said["folder"] is not None) is out(site).exists()
    return said


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def consent(site: Site, study: int = 1, answer: str = "--yes") -> None:
    assert run(site, "consent", site.study(study).study_uid, answer).exit_code == 0


def outside(accession: str = "ACC1", *observations: str, uid: str = "", **fields: str) -> bytes:
    """Return a final report as an information system sends one."""
    obr = {3: accession, 16: "77^Haddad^Zaha", 24: "CR", 25: fields.get("status", "F")}
    return message(
        "ORU^R01",
        "PID|||P1||Qabbani^Nizar||19700101|M",
        segment("OBR", obr | {32: "88&Rumi&Jalal"}),
        *(f"OBX|{n}|TX|{text}||||||F" for n, text in enumerate(observations, start=1)),
        *([f"ZDS|{uid}^TAQRIR^Application^DICOM"] if uid else []),
    )


WHOLE = (
    "59776-5^Findings^LN||A nodule in the left upper zone.~No effusion.",
    "19005-8^Impression^LN||Left nodule.",
)
