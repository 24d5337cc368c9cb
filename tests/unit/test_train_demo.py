"""The demonstration's own training, from nothing and on from a checkpoint, a few steps of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.demo import CHECKPOINT
from model.phantom.case import draw_case
from model.phantom.record import FOREIGN_MARK, Mixture, conversations_of, truth_of
from model.train import demo


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the program; return the weights of what it wrote."""

    def run(name: str, *options: str) -> dict[str, torch.Tensor]:
        out = tmp_path / name
        few = ["--phantoms", "12", "--vision-steps", "2", "--language-steps", "2"]
        # One process has one precision: the other tests of training have this one.
        few += ["--mixed-precision", "no"]
        words = ["demo", "--work", str(tmp_path / f"{name}-work"), "--out", str(out), *few]
        monkeypatch.setattr("sys.argv", [*words, *options])
        demo.main()
        return load_file(out / "model.safetensors")

    threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(threads)


def test_the_same_command_gives_the_same_weights_and_another_seed_others(make: Any) -> None:
    first, again, other = make("first"), make("again"), make("other", "--seed", "7")
    assert first.keys() == again.keys() == other.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_going_on_from_a_checkpoint_leaves_its_tower_as_it_is(make: Any, tmp_path: Path) -> None:
    before = load_file(CHECKPOINT / "model.safetensors")
    after = make("after", "--start", str(CHECKPOINT), "--rate-share", "0.5")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if "vision_tower" in name]
    vocabularies = [
        (folder / "tokenizer.json").read_bytes() for folder in (CHECKPOINT, tmp_path / "after")
    ]
    assert len(set(vocabularies)) == 1
    card = (tmp_path / "after" / "README.md").read_text(encoding="utf-8")
    assert "--start" in card
    digest = hashlib.sha256((CHECKPOINT / "model.safetensors").read_bytes()).hexdigest()
    assert digest in card
    assert "--rate-share 0.5" in card


def test_another_manner_is_asked_for_or_quoted() -> None:
    truths = [truth_of(3, n, draw_case(np.random.default_rng(n)), f"{n}.png") for n in range(60)]
    plain = [record for truth in truths for record in conversations_of(truth)]
    half = Mixture(manners=0.5)
    mixed = [record for truth in truths for record in conversations_of(truth, mixture=half)]
    more = [record for record in mixed if record not in plain]
    assert len(mixed) == len(plain) + len(more)
    assert 5 * 20 < len(more) < 5 * 40
    for record in more:
        asked = record["conversations"][0]["value"]
        is_look = record["id"].endswith(("report_en", "seen_ar")) and "\n\n" not in asked
        assert ("Manner: " in asked) is is_look, record["id"]
    assert not any("Manner: " in json.dumps(record) for record in plain)
    assert any(record["id"].endswith(FOREIGN_MARK) for record in more)


def test_a_share_of_the_other_manners_changes_from_sentence_to_sentence() -> None:
    truths = [truth_of(3, n, draw_case(np.random.default_rng(n)), f"{n}.png") for n in range(60)]

    def names(mixture: Mixture) -> list[str]:
        return [
            record["id"] for truth in truths for record in conversations_of(truth, mixture=mixture)
        ]

    every = names(Mixture(manners=1.0, mixed=1.0))
    assert sum("-mixed-" in name for name in every) == len(every) / 2
    some = names(Mixture(manners=1.0, mixed=0.5))
    assert 5 * 20 < sum("-mixed-" in name for name in some) < 5 * 40
    assert {"organs", "places"} < {name.split("-")[2] for name in some}
    assert not any("-mixed-" in name for name in names(Mixture(manners=1.0)))


def test_contrary_reports_of_other_phantoms_have_findings_on_opposite_sides() -> None:
    truths = [truth_of(3, n, draw_case(np.random.default_rng(n)), f"{n}.png") for n in range(40)]

    def sides(mixture: Mixture) -> list[bool]:
        return [
            all(side in record["conversations"][1]["value"].lower() for side in ("right", "left"))
            for truth in truths
            for record in conversations_of(truth, mixture=mixture)
            if record["id"].endswith(f"summary_en{FOREIGN_MARK}")
        ]

    assert all(sides(Mixture(contrary=1.0)))
    assert sum(sides(Mixture())) < len(sides(Mixture())) / 2
