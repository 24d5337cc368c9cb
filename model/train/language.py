"""The loss of a language model on its answers, with the pictures in view."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from model.train.samples import IGNORED


class AnswerLoss(nn.Module):
    """A LLaVA model: takes a batch of `Samples`, returns the mean loss over the labelled tokens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def features_of(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the projector is given of pictures (N, 3, S, S): (N, P*P, D)."""
        parts = self.model.model
        config = self.model.config
        device = next(parts.vision_tower.parameters())
        with torch.no_grad():
            seen = parts.vision_tower(
                pixels.to(device=device.device, dtype=device.dtype), output_hidden_states=True
            ).hidden_states[config.vision_feature_layer]
        return seen if config.vision_feature_select_strategy == "full" else seen[:, 1:]

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss; logits are made where a label stands and nowhere else."""
        parts = self.model.model
        ids = batch["ids"].to(self.model.device)
        labels = batch["labels"].to(self.model.device)
        features = batch.get("features")
        if features is None:
            features = self.features_of(batch["pixels"])
        embedded = parts.language_model.get_input_embeddings()(ids)  # (B, T, D)
        shown = parts.multi_modal_projector(features.to(self.model.device)).to(embedded.dtype)
        marks = (ids == self.model.config.image_token_id)[:, :, None]
        embedded = embedded.masked_scatter(marks, shown)
        # Padding stands behind everything: with causal attention nothing that counts sees it.
        hidden = parts.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        learnt = labels[:, 1:] != IGNORED
        logits = self.model.lm_head(hidden[:, :-1][learnt])
        return functional.cross_entropy(logits.float(), labels[:, 1:][learnt])
