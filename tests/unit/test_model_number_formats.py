"""Number formats of the weights, and what is said where a package for one is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from core.errors import CheckpointError
from core.settings_file import load
from model.checkpoint import load_checkpoint
from model.demo import CHECKPOINT
from model.opening import check_models


def test_a_format_whose_package_is_missing_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "model.number_formats.find_spec",
        lambda name: None if name == "torchao" else importlib.util.find_spec(name),
    )
    config = tmp_path / "taqrir.toml"
    config.write_text('[model]\nweights = "int8"\n')
    with pytest.raises(CheckpointError, match="needs the package torchao"):
        check_models(load(config, {}))
    with pytest.raises(CheckpointError, match="needs the package torchao"):
        load_checkpoint(tmp_path / "nowhere", weights="fp8")


@pytest.mark.parametrize("weights", ["bfloat16", "float16", "float32"])
def test_a_format_that_was_asked_for_is_that_of_every_weight(weights: str) -> None:
    loaded = load_checkpoint(CHECKPOINT, "cpu", weights=weights)
    assert {p.dtype for p in loaded.model.parameters()} == {getattr(torch, weights)}
