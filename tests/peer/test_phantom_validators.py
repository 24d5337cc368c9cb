"""A phantom's object before a validator that is not ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread
from servers import program

from cli.phantom import phantom

pytestmark = pytest.mark.peer


def test_dciodvfy_finds_no_fault_in_any_form_of_a_phantom(tmp_path: Path) -> None:
    out = tmp_path / "phantoms"
    options = ["--count", "12", "--out", str(out), "--seed", "3", "--size", "64"]
    assert CliRunner().invoke(phantom, options).exit_code == 0
    forms = set()
    for file in sorted(out.glob("*.dcm")):
        dataset = dcmread(file)
        forms.add((dataset.PhotometricInterpretation, dataset.BitsStored, dataset.ViewPosition))
        command = [program("/usr/bin/dciodvfy", "dciodvfy"), "-new", str(file)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        text = (done.stdout + done.stderr).decode()
        assert "Error" not in text, text
        assert "Warning" not in text, text
        assert "DXImageForPresentation" in text
    assert len(forms) > 4
