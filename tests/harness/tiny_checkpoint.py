"""A checkpoint that is trained in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from harness.checkpoints import GROWN_ROWS, IMAGE_ID, ROWS, TEXT, TOWER, make_tokenizer


def save_tiny(folder: Path) -> None:
    """Write a model whose pictures take four tokens, and its tokenizer of bytes."""
    make_tiny().save_pretrained(folder)
    make_tokenizer(has_image=True).save_pretrained(folder)


def make_tiny() -> LlavaForConditionalGeneration:
    """Return a model whose pictures take four tokens, so that a step takes milliseconds."""
    torch.manual_seed(7)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**{**TOWER, "image_size": 32, "patch_size": 16}),
        text_config=LlamaConfig(vocab_size=GROWN_ROWS, **TEXT),
        image_token_index=IMAGE_ID,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    config.pad_token_id = ROWS - 1
    return LlavaForConditionalGeneration(config)
