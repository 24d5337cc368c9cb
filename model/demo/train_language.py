"""Second stage: projector and language model learn to write, with the prompts of `model.prompts`.

The tower stands still, as in LLaVA, so each phantom's features are computed once. Every sample is
one of the drafter's four tasks with the very prompt that the engine will send.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from model.demo.architecture import GEOMETRY
from model.demo.contexts import draw_context
from model.demo.dataset import PhantomSet
from model.demo.train_vision import learning_rate, patch_features
from model.demo.wording import write
from model.prompts import END_OF_TURN, Task, encode, encode_text, question

log = logging.getLogger(__name__)

_BATCH = 16
_RATE = 1.5e-3
_SAVE_EVERY = 250
# The picture is only read for the report, so that is practised most.
_SHARES = {Task.REPORT_EN: 0.5, Task.REPORT_AR: 0.24, Task.SUMMARY_EN: 0.1, Task.SUMMARY_AR: 0.16}
_IGNORED = -100


@dataclass(frozen=True, kw_only=True, eq=False)
class _Batch:
    """Token ids and labels, padded on the right: both (B, T)."""

    ids: torch.Tensor
    labels: torch.Tensor
    phantoms: torch.Tensor


@torch.no_grad()
def tower_features(model: LlavaForConditionalGeneration, data: PhantomSet) -> torch.Tensor:
    """Return every phantom's patches as the projector is given them: (N, P, D)."""
    starts = range(0, len(data), 200)
    return torch.cat([patch_features(model, data.pixels[s : s + 200]) for s in starts])


def _sample(
    tokenizer: Any, task: Task, case_index: int, data: PhantomSet, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Return prompt and answer ids of one sample."""
    wording = write(data.case(case_index), rng)
    asked = question(task, draw_context(rng), wording.source_of(task))
    prompt = encode(tokenizer, asked, image_count=1, tokens_per_image=GEOMETRY.token_count)
    end_of_turn = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    return prompt, [*encode_text(tokenizer, wording.of(task)), end_of_turn]


def _batch(tokenizer: Any, data: PhantomSet, seed: int, step: int) -> _Batch:
    """Return the batch of a step: one task, so that its samples are of a length."""
    rng = np.random.default_rng([seed, step])
    task = tuple(_SHARES)[int(rng.choice(len(_SHARES), p=list(_SHARES.values())))]
    chosen = rng.integers(len(data), size=_BATCH)
    samples = [_sample(tokenizer, task, int(index), data, rng) for index in chosen]
    length = max(len(prompt) + len(answer) for prompt, answer in samples)
    ids = torch.full((_BATCH, length), tokenizer.pad_token_id)
    labels = torch.full((_BATCH, length), _IGNORED)
    for row, (prompt, answer) in enumerate(samples):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    return _Batch(ids=ids, labels=labels, phantoms=torch.from_numpy(chosen))


def _loss(
    model: LlavaForConditionalGeneration, batch: _Batch, features: torch.Tensor
) -> torch.Tensor:
    """Return the loss on the answers; only there are logits computed."""
    embedded = model.get_input_embeddings()(batch.ids)  # (B, T, D)
    images = model.model.multi_modal_projector(features[batch.phantoms]).to(embedded.dtype)
    mask = (batch.ids == model.config.image_token_id)[:, :, None]
    embedded = embedded.masked_scatter(mask, images)
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    target = batch.labels[:, 1:]
    answered = target != _IGNORED
    logits = model.lm_head(hidden[:, :-1][answered])
    return functional.cross_entropy(logits, target[answered])


def train_language(
    model: LlavaForConditionalGeneration,
    tokenizer: Any,
    data: PhantomSet,
    *,
    steps: int,
    seed: int,
    state: Path,
) -> None:
    """Train projector and language model in place; goes on from `state`."""
    features = tower_features(model, data)
    parts = nn.ModuleList(
        [model.model.multi_modal_projector, model.model.language_model, model.lm_head]
    )
    parameters = list(parts.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.02, betas=(0.9, 0.98))
    first = 0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        parts.load_state_dict(saved["parts"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
    started, recent = time.monotonic(), []
    parts.train()
    for step in range(first, steps):
        loss = _loss(model, _batch(tokenizer, data, seed, step), features)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, _RATE)
        optimiser.step()
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            mean, spent = sum(recent[-50:]) / 50, time.monotonic() - started
            log.info("language %d/%d loss %.4f %.0f s", step + 1, steps, mean, spent)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == steps:
            saved = {"parts": parts.state_dict(), "step": step + 1}
            torch.save({**saved, "optimiser": optimiser.state_dict()}, state)
    parts.eval()
