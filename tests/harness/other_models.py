"""Tiny random models of other architectures, as transformers itself saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    LlamaForCausalLM,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from harness.checkpoints import TEXT, make_tokenizer

_ROWS = 320
_TEMPLATE = """\
{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}\
{% for part in message.content %}{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}\
{% endif %}{% endfor %}{% endif %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
_TURNS = ["<start_of_turn>", "<end_of_turn>"]


def _tokenizer(**named: str) -> Any:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": _TURNS})
    tokenizer._set_model_specific_special_tokens(named)
    tokenizer.add_special_tokens(named)
    return tokenizer


def _save(folder: Path, model: Any, processor: Any) -> Path:
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator) * 0.2
            weight.copy_(1 + noise if "norm" in name and weight.ndim == 1 else noise)
    model.generation_config.eos_token_id = TEXT["eos_token_id"]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_gemma3(folder: Path) -> Path:
    """Write a model of MedGemma's architecture."""
    tokenizer = _tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    config = Gemma3Config(
        text_config=Gemma3TextConfig(
            vocab_size=_ROWS,
            **{**TEXT, "max_position_embeddings": 4096},
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        vision_config=SiglipVisionConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
        ),
        mm_tokens_per_image=4,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": 56, "width": 56}),
        tokenizer,
        chat_template=_TEMPLATE.replace("IMAGE", "<start_of_image>"),
        image_seq_length=4,
    )
    return _save(folder, Gemma3ForConditionalGeneration(config), processor)


def write_idefics3(folder: Path) -> Path:
    """Write a model of Idefics3's architecture."""
    tokenizer = _tokenizer(
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
    )
    config = Idefics3Config(
        text_config=LlamaConfig(vocab_size=_ROWS, **TEXT).to_dict(),
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
        scale_factor=2,
        image_token_id=tokenizer.image_token_id,
        pad_token_id=TEXT["pad_token_id"],
    )
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(
            size={"longest_edge": 56}, max_image_size={"longest_edge": 56}, do_image_splitting=False
        ),
        tokenizer,
        chat_template=_TEMPLATE.replace("IMAGE", "<image>"),
        image_seq_len=4,
    )
    return _save(folder, Idefics3ForConditionalGeneration(config), processor)


def write_llama(folder: Path) -> Path:
    """Write a language model with a chat template."""
    tokenizer = _tokenizer()
    tokenizer.chat_template = _TEMPLATE
    return _save(folder, LlamaForCausalLM(LlamaConfig(vocab_size=_ROWS, **TEXT)), tokenizer)
