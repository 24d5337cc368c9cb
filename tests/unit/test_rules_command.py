"""`taqrir rules test`: what the rules decide for files, and why."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result
from dicom_samples import instance, to_bytes
from pydicom import uid

from cli.main import taqrir
from core.errors import SettingsError

_RULES = """\
[[senders]]
ae_title = "CR1"
[[senders]]
ae_title = "ICU"
[[rules]]
name = "icu"
sender = ["ICU"]
modality = ["CR"]
priority = "stat"
max_images = 2
[[rules]]
name = "chests"
body_part = ["CHEST"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "taqrir.toml"
    path.write_text(_RULES, encoding="utf-8")
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    dataset = instance(
        uid.ComputedRadiographyImageStorage,
        Modality="CR",
        BodyPartExamined="CHEST",
        PatientName="Secret^Name",
        StudyDescription="Thorax of Secret",
    )
    path = tmp_path / "film.dcm"
    path.write_bytes(to_bytes(dataset))
    return path


def _test(config: Path, *words: object) -> Result:
    return CliRunner().invoke(
        taqrir, ["rules", "test", "--config", str(config), *map(str, words)], catch_exceptions=True
    )


def test_a_person_reads_what_was_looked_at_what_failed_and_what_was_decided(
    config: Path, film: Path
) -> None:
    result = _test(config, film)

    attributes = (
        "sender CR1, modality CR, sop_class ComputedRadiographyImageStorage, body_part CHEST, "
        "study_description given, not shown"
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        str(film),
        f"  looked at  {attributes}",
        "  rule       icu: sender is none of ICU",
        "  rule       chests: fits",
        "  decision   draft (routine): rule chests drafts for such images",
    ]


def test_a_sender_is_tried_on_request(config: Path, film: Path) -> None:
    result = _test(config, film, "--sender", "ICU")

    assert "  decision   draft (stat, max_images 2): rule icu drafts for such" in result.stdout
    assert result.stderr == ""


def test_a_sender_that_may_not_send_is_said(config: Path, film: Path) -> None:
    assert "XR9 is not in [[senders]]" in _test(config, film, "--sender", "XR9").stderr


def test_a_program_reads_json(config: Path, film: Path) -> None:
    result = _test(config, film, "--sender", "ICU", "--json")

    answer = json.loads(result.stdout)
    assert answer["unreadable"] == []
    (file,) = answer["files"]
    assert file["attributes"]["modality"] == "CR"
    del file["attributes"]
    assert file == {
        "file": str(film),
        "rules": [{"rule": "icu", "fits": True, "mismatch": ""}],
        "decision": "draft",
        "rule": "icu",
        "reason": "rule icu drafts for such images",
        "priority": "stat",
        "options": {"max_images": 2},
    }


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_patient_data_is_shown(config: Path, film: Path, options: list[str]) -> None:
    output = _test(config, film, *options).output

    assert "Secret" not in output
    assert "P1" not in output


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_cannot_be_read_is_named_beside_what_can(
    config: Path, film: Path, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "note.txt").write_text("no DICOM", encoding="utf-8")
    (tmp_path / "cut.dcm").write_bytes(film.read_bytes()[:-20])

    result = _test(config, film, tmp_path / "note.txt", tmp_path / "cut.dcm", "/nowhere", *options)

    assert result.exit_code == 2
    assert all(name in result.output for name in ("note.txt: ", "cut.dcm: ", "/nowhere: not found"))
    assert "chests" in result.stdout


def test_a_folder_and_an_archive_are_looked_into(config: Path, film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with ZipFile(folder / "films.zip", "w") as archive:
        archive.write(film, "inside/film")
    (folder / "again").write_bytes(film.read_bytes())

    result = _test(config, folder / "again", folder / "films.zip", "--json")

    names = [file["file"] for file in json.loads(result.stdout)["files"]]
    assert names == [str(folder / "again"), f"{folder / 'films.zip'}:inside/film"]


def test_what_an_image_is_decides_before_any_rule(config: Path, tmp_path: Path) -> None:
    scout = instance(
        uid.CTImageStorage, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    path = tmp_path / "scout.dcm"
    path.write_bytes(to_bytes(scout))

    lines = _test(config, path).stdout.splitlines()

    assert lines[-1] == "  decision   ignore: a localizer"
    assert not any(line.startswith("  rule") for line in lines)


def test_a_rule_that_cannot_be_meant_stops_every_command(config: Path, film: Path) -> None:
    config.write_text(
        _RULES.replace('"CHEST"]', '"CHEST"]\nsop_class = ["Film"]'), encoding="utf-8"
    )

    for command in (["rules", "test", str(film)], ["settings"], ["node"], ["up"]):
        result = CliRunner().invoke(taqrir, [*command, "--config", str(config)])
        assert isinstance(result.exception, SettingsError)
        assert str(result.exception).startswith(f"{config}: [[rules]] chests: sop_class Film: ")
