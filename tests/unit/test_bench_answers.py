"""A model answers the bench: each question from its own picture, and only once."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from harness.bench import RECORD, write_lines
from harness.phantoms import effusion, picture
from harness.scripted_model_server import ScriptedModelServer, scripted_model_server, whole
from PIL import Image

from cli.evaluate import evaluate
from core.errors import PermanentError
from model.demo import CHECKPOINT
from model.engine import Engine
from model.phantom.case import Side
from model.vision import pad_to_square


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where two questions and their pictures lie."""
    for name, drawn in {"left": effusion(Side.LEFT), "right": effusion(Side.RIGHT)}.items():
        Image.fromarray(picture(drawn).pixels).save(tmp_path / f"{name}.png")
    records = [
        {**RECORD, "question_id": n, "image": f"{name}.png", "text": f"Question {n}?"}
        for n, name in enumerate(("left", "right"))
    ]
    write_lines(tmp_path / "bench.jsonl", records)
    return tmp_path


@pytest.fixture
def server() -> Iterator[ScriptedModelServer]:
    with scripted_model_server() as made:
        yield made


def run(folder: Path, settings: str) -> Any:
    config = folder / "taqrir.toml"
    config.write_text(settings)
    command = ["mbench", str(folder / "bench.jsonl"), str(folder / "answers.jsonl")]
    return CliRunner().invoke(
        evaluate, [*command, "--images", str(folder), "--config", str(config)]
    )


def answers(folder: Path) -> dict[str, str]:
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return {record["question_id"]: record["text"] for record in records}


def remote(server: ScriptedModelServer) -> str:
    return f'[model]\nengine = "remote"\n[model.remote]\nurl = "{server.url}"\n'


def content_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    (message,) = body["messages"]
    parts: list[dict[str, Any]] = message["content"]
    return parts


def test_the_model_of_the_settings_answers_from_each_questions_own_picture(folder: Path) -> None:
    told = run(folder, "[model]\nmax_new_tokens = 32\n")
    assert told.exit_code == 0, told.exception
    assert "answered 2 of 2" in told.stderr
    engine = Engine(CHECKPOINT, device="cpu", max_new_tokens=32)
    seen = {"0": picture(effusion(Side.LEFT)), "1": picture(effusion(Side.RIGHT))}
    for name, image in seen.items():
        assert answers(folder)[name] == engine.generate(f"Question {name}?", [image]).text


def test_what_is_answered_is_not_asked_again_and_another_models_answers_are_refused(
    folder: Path, server: ScriptedModelServer
) -> None:
    server.act = whole("First.")
    assert run(folder, remote(server)).exit_code == 0
    assert set(answers(folder).values()) == {"First."}
    sent = {parts[1]["text"]: parts[0] for parts in map(content_of, server.bodies)}
    for number, side in enumerate((Side.LEFT, Side.RIGHT)):
        data = sent[f"Question {number}?"]["image_url"]["url"].split(",")[1]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(pixels, pad_to_square(picture(effusion(side)).pixels))
    kept = (folder / "answers.jsonl").read_bytes()
    # A kill cut the last line off.
    (folder / "answers.jsonl").write_bytes(kept[:-9])
    server.act = whole("Second.")
    assert run(folder, remote(server)).exit_code == 0
    assert sorted(answers(folder).values()) == ["First.", "Second."]
    assert len(server.bodies) == 3

    server.models = {"data": [{"id": "another"}]}
    refused = run(folder, remote(server))
    assert isinstance(refused.exception, PermanentError)
    assert "another" in str(refused.exception)
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("nowhere.png", r"holds no nowhere\.png \(question 1\)"),
        ("../left.png", r"holds no \.\./left\.png"),
        ("bench.jsonl", r"Question 1: .*bench\.jsonl is no picture that can be read"),
    ],
)
def test_a_picture_that_is_not_there_or_none_is_named(
    folder: Path, server: ScriptedModelServer, image: str, words: str
) -> None:
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(folder.parent / "left.png")
    records = [
        {**RECORD, "question_id": 0, "image": "left.png"},
        {**RECORD, "question_id": 1, "image": image},
    ]
    write_lines(folder / "bench.jsonl", records)
    refused = run(folder, remote(server))
    with pytest.raises(PermanentError, match=words):
        raise refused.exception
