"""First stage: the vision tower learns to see what the phantoms show.

BiMediX2's CLIP tower comes trained; ours has to be. It is trained on labels (pattern, side, zone)
and on which patches the abnormality covers, through heads that are thrown away afterwards. The
features are the ones that LLaVA reads: the patches of the last layer but one.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from model.demo.dataset import PhantomSet, normalised
from model.demo.wording import Pattern, Side, Zone

log = logging.getLogger(__name__)

_BATCH = 32
_RATE = 1e-3
_CLASSES = (len(Pattern), len(Side) + 1, len(Zone) + 1)
_SAVE_EVERY = 250


class _Heads(nn.Module):
    """Heads on the patch features: one per label, and one map per pattern."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.labels = nn.ModuleList(nn.Linear(2 * width, count) for count in _CLASSES)
        self.maps = nn.Linear(width, len(Pattern))

    def forward(self, patches: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        pooled = torch.cat([patches.mean(1), patches.amax(1)], dim=-1)  # (B, 2 D)
        return [head(pooled) for head in self.labels], self.maps(patches)


def patch_features(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """Return the tower's patches for uint8 pictures, as the projector is given them: (N, P, D)."""
    tower = model.model.vision_tower
    output = tower(normalised(pixels), output_hidden_states=True)
    return output.hidden_states[model.config.vision_feature_layer][:, 1:]


def learning_rate(step: int, steps: int, rate: float) -> float:
    """Return the rate of a step: warm-up over 3 %, then half a cosine to 2 % of the rate."""
    warm = max(1, int(0.03 * steps))
    if step < warm:
        return rate * (step + 1) / warm
    return rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


def train_vision(model: Any, data: PhantomSet, steps: int, seed: int, state: Path) -> None:
    """Train the tower in place; goes on from `state` where an earlier run stopped."""
    heads = _Heads(model.config.vision_config.hidden_size)
    tower = model.model.vision_tower
    parameters = [*tower.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.02)
    first = 0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        tower.load_state_dict(saved["tower"])
        heads.load_state_dict(saved["heads"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
    started = time.monotonic()
    tower.train()
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen = torch.randint(len(data), (_BATCH,), generator=generator)
        loss, right = _step_loss(model, heads, data, chosen)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, _RATE)
        optimiser.step()
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - started
            number = float(loss.detach())
            log.info(
                "vision %d/%d loss %.3f right %s %.0f s", step + 1, steps, number, right, spent
            )
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == steps:
            saved = {"tower": tower.state_dict(), "heads": heads.state_dict(), "step": step + 1}
            torch.save({**saved, "optimiser": optimiser.state_dict()}, state)
    tower.eval()


def _step_loss(
    model: LlavaForConditionalGeneration, heads: _Heads, data: PhantomSet, chosen: torch.Tensor
) -> tuple[torch.Tensor, list[float]]:
    """Return the loss of a batch, and the share of right answers for pattern, side and zone."""
    patches = patch_features(model, data.pixels[chosen])
    logits, maps = heads(patches)
    labels = data.labels[chosen]
    losses = [functional.cross_entropy(logits[i], labels[:, i]) for i in range(len(_CLASSES))]
    target = functional.one_hot(labels[:, 0], len(Pattern)).float()[:, None, :]
    target = target * data.lesions[chosen][:, :, None]
    loss = sum(losses) + 5 * functional.binary_cross_entropy_with_logits(maps, target)
    right = [
        round(float((logits[i].argmax(1) == labels[:, i]).float().mean()), 2)
        for i in range(len(_CLASSES))
    ]
    return loss, right
