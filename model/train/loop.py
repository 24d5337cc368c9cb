"""Steps of training: seeded, resumable, with progress, and with an end where the loss runs away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from core.errors import PermanentError, TrainingDivergedError

_WINDOW = 20
# A loss this many times the lowest mean of a window never comes back by itself.
_RUNAWAY = 3.0
_LEAST_LOSS = 0.5
_LOWEST_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a stage is trained; the defaults are BiMediX2's where it has them.

    Attributes:
        stage: Its name, for progress and for the state.
        batch: Samples a step, over all processes and all pieces.
        accumulation: Into how many pieces a step's batch is cut, one after the other.
        warm_up: Share of the steps over which the rate rises.
        clip: Longest gradient.
        mixed_precision: ``no``, ``bf16`` or ``fp16``.
        save_every: Steps between two states that a stopped run goes on from.
    """

    stage: str
    steps: int
    batch: int = 16
    accumulation: int = 1
    seed: int = 0
    warm_up: float = 0.03
    clip: float = 1.0
    mixed_precision: str = "no"
    save_every: int = 250
    report_every: int = 10


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a stage stands; `seconds` counts this run only."""

    stage: str
    step: int
    steps: int
    loss: float
    rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterGroup:
    """Parameters that share a highest rate.

    Attributes:
        by_muon: Steps are made orthogonal (Muon, Jordan et al. 2024): matrices that begin from
            random learn in a third of the steps. AdamW otherwise.
    """

    parameters: list[nn.Parameter]
    rate: float
    weight_decay: float = 0.0
    by_muon: bool = False


class Batches(Protocol):
    """Where a step's samples come from."""

    def __len__(self) -> int:
        """Return how many samples there are."""
        ...

    def order(self, rng: np.random.Generator, together: int) -> list[int]:
        """Return an order of all samples, for one pass in steps of `together`."""
        ...

    def batch(self, rows: list[int], seed: int) -> Any:
        """Return what the stage's loss takes for some samples; the seed settles what is drawn."""
        ...


def share_of_rate(step: int, recipe: Recipe) -> float:
    """Return the rate of a step as a share of the highest: a rise, then half a cosine."""
    rise = max(1, int(recipe.warm_up * recipe.steps))
    if step < rise:
        return (step + 1) / rise
    done = (step - rise) / max(1, recipe.steps - rise)
    return _LOWEST_SHARE + (1 - _LOWEST_SHARE) * 0.5 * (1 + math.cos(math.pi * done))


def train(
    loss_of: nn.Module,
    groups: list[ParameterGroup],
    data: Batches,
    recipe: Recipe,
    *,
    state: Path,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> float:
    """Train in place, going on from a state where there is one; return the last window's mean loss.

    Args:
        loss_of: Takes what `data.batch` returns, and returns the loss.
        groups: What is trained; everything else stands still.
        data: The samples.
        recipe: How.
        state: File of the state; written at whole steps, so that a stopped run repeats nothing
            but its last steps, to the same losses.
        on_progress: Called every `report_every` steps.

    Raises:
        TrainingDivergedError: The loss is no number, or runs away.
        PermanentError: The state belongs to another training, or there is no data.
    """
    if not len(data):
        raise PermanentError("There is nothing to train on.")
    run = _Run(loss_of, groups, data, recipe, state=state)
    started = time.monotonic()
    for step in range(run.first, recipe.steps):
        loss, rate = run.step(step)
        run.watch.take(step, loss)
        done = step + 1
        if done % recipe.report_every == 0 or done == recipe.steps:
            on_progress(
                Progress(
                    stage=recipe.stage,
                    step=done,
                    steps=recipe.steps,
                    loss=run.watch.mean,
                    rate=rate,
                    seconds=time.monotonic() - started,
                )
            )
        if done % recipe.save_every == 0 or done == recipe.steps:
            run.save(done)
    return run.watch.mean


class _Watch:
    """Keeps an eye on the loss."""

    def __init__(self) -> None:
        self.recent: list[float] = []
        self.lowest = math.inf

    @property
    def mean(self) -> float:
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    def take(self, step: int, loss: float) -> None:
        """Remember a loss.

        Raises:
            TrainingDivergedError: It is no number, or the window's mean is far above the lowest.
        """
        if not math.isfinite(loss):
            raise TrainingDivergedError(f"Training stopped at step {step + 1}: the loss is {loss}.")
        self.recent = [*self.recent[1 - _WINDOW :], loss]
        if len(self.recent) < _WINDOW:
            return
        self.lowest = min(self.lowest, self.mean)
        if self.mean > _RUNAWAY * max(self.lowest, _LEAST_LOSS):
            raise TrainingDivergedError(
                f"Training stopped at step {step + 1}: the loss rose from {self.lowest:.3f} to "
                f"{self.mean:.3f}. A lower rate may help."
            )


def _optimiser(group: ParameterGroup) -> torch.optim.Optimizer:
    if group.by_muon:
        return torch.optim.Muon(
            group.parameters,
            lr=group.rate,
            weight_decay=group.weight_decay,
            # Steps as long as AdamW's, so that rates mean the same.
            adjust_lr_fn="match_rms_adamw",
        )
    return torch.optim.AdamW(
        group.parameters, lr=group.rate, weight_decay=group.weight_decay, betas=(0.9, 0.98)
    )


class _Run:
    """One stage under way: model, optimiser and state."""

    def __init__(
        self,
        loss_of: nn.Module,
        groups: list[ParameterGroup],
        data: Batches,
        recipe: Recipe,
        *,
        state: Path,
    ) -> None:
        from accelerate import Accelerator  # type: ignore[import-untyped]

        self.data, self.recipe, self.state = data, recipe, state
        self.accelerator = Accelerator(
            mixed_precision=recipe.mixed_precision,
            gradient_accumulation_steps=recipe.accumulation,
        )
        self.names = [n for n, p in loss_of.named_parameters() if p.requires_grad]
        optimisers = [_optimiser(group) for group in groups]
        self.rates = [group.rate for group in groups]
        self.trained = [p for group in groups for p in group.parameters]
        self.watch = _Watch()
        self.first = 0
        self._epoch: tuple[int, list[int]] = (-1, [])
        if state.is_file():
            self._restore(loss_of, optimisers)
        self.loss_of, *self.optimisers = self.accelerator.prepare(loss_of, *optimisers)

    def step(self, step: int) -> tuple[float, float]:
        """Take one step; return its loss, and the first group's rate."""
        share = share_of_rate(step, self.recipe)
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * share
        # Dropout and what a batch draws follow from the step, so that a resumed run is the same.
        torch.manual_seed(self.recipe.seed * 1_000_003 + step)
        losses = []
        for index, rows in enumerate(self._pieces(step)):
            batch = self.data.batch(rows, self.recipe.seed * 1_000_003 + step * 64 + index)
            with self.accelerator.accumulate(self.loss_of):
                loss = self.loss_of(batch)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.trained, self.recipe.clip)
                for optimiser in self.optimisers:
                    optimiser.step()
                    optimiser.zero_grad()
            losses.append(self.accelerator.reduce(loss.detach().float(), reduction="mean"))
        return float(torch.stack(losses).mean()), self.rates[0] * share

    def _pieces(self, step: int) -> Iterator[list[int]]:
        """Yield this process's samples of a step, piece by piece."""
        rows = self._rows(step)
        count, own = self.accelerator.num_processes, self.accelerator.process_index
        mine = rows[own::count]
        size = math.ceil(len(mine) / self.recipe.accumulation)
        for start in range(0, len(mine), size):
            yield mine[start : start + size]

    def _rows(self, step: int) -> list[int]:
        """Return the samples of a step: each pass over the data has an order of its own."""
        steps_in_pass = max(1, len(self.data) // self.recipe.batch)
        epoch, index = divmod(step, steps_in_pass)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng([self.recipe.seed, epoch])
            self._epoch = (epoch, self.data.order(rng, self.recipe.batch))
        start = index * self.recipe.batch
        return self._epoch[1][start : start + self.recipe.batch]

    def save(self, step: int) -> None:
        """Write the state, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        trained = self.accelerator.unwrap_model(self.loss_of)
        weights = {n: p.detach() for n, p in trained.named_parameters() if n in set(self.names)}
        self.state.parent.mkdir(parents=True, exist_ok=True)
        written = self.state.with_suffix(".part")
        torch.save(
            {
                "stage": self.recipe.stage,
                "step": step,
                "weights": weights,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "recent": self.watch.recent,
                "lowest": self.watch.lowest,
            },
            written,
        )
        written.replace(self.state)

    def _restore(self, loss_of: nn.Module, optimisers: list[torch.optim.Optimizer]) -> None:
        saved = torch.load(self.state, weights_only=True, map_location="cpu")
        parameters = dict(loss_of.named_parameters())
        shapes = {name: parameters[name].shape for name in self.names}
        if saved["stage"] != self.recipe.stage or shapes != {
            name: weight.shape for name, weight in saved["weights"].items()
        }:
            raise PermanentError(
                f"{self.state} is the state of another training; name another folder."
            )
        with torch.no_grad():
            for name, weight in saved["weights"].items():
                parameters[name].copy_(weight)
        for optimiser, held in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(held)
        self.first = saved["step"]
        self.watch.recent, self.watch.lowest = saved["recent"], saved["lowest"]
