"""`taqrir demo`: what it prints, what it exits with, and what it leaves behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness.phantoms import ACCESSION
from pydicom import dcmread
from servers import wait_until

from core.report import SectionKind
from dicom_node.sample import chest_film

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_BLOCKED = "import sys; sys.modules.update(dict.fromkeys({names!r})); import {modules}"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield folder
    assert not list(folder.glob("taqrir-*")), "the demo left its folder behind"
    assert not remains(folder), "the demo left a process behind"


def remains(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


def start(scratch: Path, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(scratch), "LANG": "C.UTF-8"},
    )


def test_the_demo_shows_every_state_both_drafts_and_keeps_what_arrived(
    scratch: Path, tmp_path: Path
) -> None:
    process = start(scratch, "--out", tmp_path / "out")
    text, errors = process.communicate()
    assert process.returncode == 0, errors
    for state in ("RECEIVING", "QUEUED", "DRAFTING", "IN_REVIEW", "SENT"):
        assert state in text
    assert "DEMONSTRATION MODEL: this text has no clinical meaning." in text
    # The phantom's draft always arrives; that of the real film may be withheld.
    delivered = 1 if "The real film's draft was withheld" in text else 2
    documents = [dcmread(path) for path in (tmp_path / "out" / "sr").glob("*.dcm")]
    assert len(documents) == 2 * delivered
    messages = [path.read_bytes() for path in (tmp_path / "out" / "oru").glob("*.hl7")]
    assert len(messages) == delivered
    assert {d.AccessionNumber for d in documents} >= {ACCESSION}
    oru = b"\n".join(messages)
    assert b"|UNICODE UTF-8|" in oru
    printed = {line.strip() for line in text.splitlines()}
    sent = oru.decode().replace("\\.br\\", "\n")
    for document in documents:
        for section in document.ContentSequence:
            if "ContentSequence" in section and "TextValue" in section.ContentSequence[0]:
                first = section.ContentSequence[0].TextValue.strip("\u2067\u2069")
                assert first in sent
    assert SectionKind.IMPRESSION.upper() in printed
    table = text.partition("truth against draft")[2]
    for name, side in (("pneumothorax", "left"), ("pleural_effusion", "right")):
        assert re.search(rf"{name} +{side} +{side} +{side}\n", table), table


def test_ctrl_c_leaves_no_process_and_no_folder(scratch: Path) -> None:
    process = start(scratch)
    wait_until(lambda: len(remains(scratch)) >= 5, timeout=60)  # up and its parts
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_withheld_study_exits_with_3_and_the_reason(scratch: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two-patients"
    folder.mkdir()
    film = dcmread(chest_film())
    film.save_as(folder / "1.dcm")
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"{film.SOPInstanceUID}.1"
    film.PatientID = "SOMEBODY-ELSE"
    film.save_as(folder / "2.dcm")
    process = start(scratch, "--dicom", folder)
    _text, errors = process.communicate()
    assert process.returncode == 3
    assert "patient conflict" in errors


@pytest.mark.parametrize(
    ("modules", "names"),
    [
        ("cli.main, dicom_node.server", ("torch", "transformers", "peft", "hl7apy", "model")),
        ("worker.app, worker.sweep", ("torch", "transformers", "peft")),
    ],
)
def test_no_part_but_the_drafting_one_needs_torch(modules: str, names: tuple[str, ...]) -> None:
    code = _BLOCKED.format(names=names, modules=modules)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tempfile.gettempdir())
