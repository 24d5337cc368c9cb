"""Steps of training: rates, orders, and the end of a training that runs away."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import PermanentError, TrainingDivergedError
from model.train.loop import ParameterGroup, Recipe, share_of_rate, train


class Valley(nn.Module):
    """A loss with its lowest point where the weight is the batch's number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((4, 4), 3.0))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return ((self.weight - batch.mean()) ** 2).mean()


class Numbers:
    """Numbers in rows; remembers what was asked for."""

    def __init__(self, count: int, *, rises: bool = False) -> None:
        self.count = count
        self.asked: list[list[int]] = []
        self.rises = rises

    def __len__(self) -> int:
        return self.count

    def order(self, rng: np.random.Generator, together: int) -> list[int]:
        del together
        return rng.permutation(self.count).tolist()

    def batch(self, rows: list[int], seed: int) -> torch.Tensor:
        del seed
        self.asked.append(rows)
        return torch.full((2,), float(len(self.asked) ** 2) if self.rises else 0.0)


def groups(module: Valley, rate: float, *, by_muon: bool = False) -> list[ParameterGroup]:
    return [ParameterGroup(parameters=[module.weight], rate=rate, by_muon=by_muon)]


@pytest.mark.parametrize("by_muon", [False, True])
def test_either_optimiser_goes_down(by_muon: bool, tmp_path: Path) -> None:
    valley = Valley()
    recipe = Recipe(stage="x", steps=60, batch=2)
    parts = groups(valley, 0.3, by_muon=by_muon)
    loss = train(valley, parts, Numbers(7), recipe, state=tmp_path / "s.pt")
    assert loss < 6


def test_each_pass_shows_every_sample_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    data = Numbers(6)
    recipe = Recipe(stage="x", steps=6, batch=2)
    valley = Valley()
    train(valley, groups(valley, 0.1), data, recipe, state=tmp_path / "s.pt")
    first, second = ([row for rows in data.asked[i : i + 3] for row in rows] for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training(bad: float, tmp_path: Path) -> None:
    valley = Valley()
    with torch.no_grad():
        valley.weight[0, 0] = bad
    recipe = Recipe(stage="x", steps=5, batch=2, save_every=1)
    state = tmp_path / "s.pt"
    with pytest.raises(TrainingDivergedError, match="step 1"):
        train(valley, groups(valley, 0.1), Numbers(4), recipe, state=state)
    assert not state.exists()


def test_a_loss_that_rises_without_end_stops_the_training(tmp_path: Path) -> None:
    valley = Valley()
    recipe = Recipe(stage="x", steps=500, batch=2)
    with pytest.raises(TrainingDivergedError, match="rose from"):
        train(valley, groups(valley, 1e-3), Numbers(4, rises=True), recipe, state=tmp_path / "s")


def test_the_rate_rises_then_falls_along_half_a_cosine() -> None:
    recipe = Recipe(stage="x", steps=100, warm_up=0.1)
    shares = [share_of_rate(step, recipe) for step in range(100)]
    assert shares[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[55] == pytest.approx(0.5, abs=0.02)
    assert 0 < shares[-1] < 0.03


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nothing"):
        train(Valley(), [], Numbers(0), Recipe(stage="x", steps=1), state=tmp_path / "s.pt")
