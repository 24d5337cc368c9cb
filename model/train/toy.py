"""The toy model: BiMediX2's parts (CLIP, two-layer projector, Llama), tiny and untrained."""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from core.drafting import DraftContext
from model.phantom.contexts import INDICATIONS
from model.phantom.wording import sentences
from model.prompts import (
    BEGIN,
    END_OF_TURN,
    HEADER_END,
    HEADER_START,
    IMAGE,
    SPECIAL_TOKENS,
    SYSTEM,
    Task,
    question,
)
from model.vision import ImageGeometry

PAD = "<pad>"
GEOMETRY = ImageGeometry(size=128, patch_size=16)
CONTEXT_TOKENS = 2048
_VOCABULARY = 1400
# Letters and their marks together: llama-3's own pattern parts an Arabic word at each vowel mark.
_WORDS = (
    r"[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer, trained on everything that the demonstration says.

    All 256 bytes stand in its alphabet, so that any text comes back byte for byte.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = (*SPECIAL_TOKENS, PAD, IMAGE)
    context = DraftContext(
        modality="CR DX",
        body_part="CHEST THORAX",
        view="PA AP",
        sex="M F O",
        age_band=" ".join(f"{n}-{n + 9}" for n in range(0, 100, 10)),
        indication="x",
    )
    frame = [SYSTEM, "system user assistant", *(question(task, context) for task in Task)]
    headings = ["FINDINGS:\n", "\n\nIMPRESSION:\n", "النتائج:\n", "\n\nالانطباع:\n"]
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [*sentences(), *INDICATIONS]
    tokenizer.train_from_iterator(
        [*texts, *(f" {text}" for text in texts), *frame * 20, *headings * 20], trainer
    )
    # As Llama-3's tokenizer does: one begin-of-text of its own before every text.
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[HEADER_START, HEADER_END, IMAGE],
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: Any) -> LlavaForConditionalGeneration:
    """Return the untrained model for a tokenizer; seed torch before the call."""
    begin, end_of_turn, pad, image = tokenizer.convert_tokens_to_ids(
        [BEGIN, END_OF_TURN, PAD, IMAGE]
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=128,
            intermediate_size=384,
            # LLaVA reads the last layer but one.
            num_hidden_layers=5,
            num_attention_heads=4,
            image_size=GEOMETRY.size,
            patch_size=GEOMETRY.patch_size,
            projection_dim=128,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=160,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=5,
            num_key_value_heads=5,
            max_position_embeddings=CONTEXT_TOKENS,
            bos_token_id=begin,
            eos_token_id=end_of_turn,
            pad_token_id=pad,
        ),
        image_token_index=image,
        image_seq_length=GEOMETRY.token_count,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    config.pad_token_id = pad
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        bos_token_id=begin, eos_token_id=end_of_turn, pad_token_id=pad
    )
    return model
