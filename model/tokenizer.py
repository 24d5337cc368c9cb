"""The tokenizer of a checkpoint, once it is known to fit prompts and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from model.conversation_formats import FORMATS, ConversationFormat, find_format
from model.layouts import Blueprint
from model.prompts import IMAGE

# The padding token that LLaVA's scripts for Llama 3 add.
_PAD = "<pad>"


def load_tokenizer(blueprint: Blueprint) -> Any:
    """Return a checkpoint's tokenizer; LLaVA's own layouts are given the token for a picture.

    Raises:
        CheckpointError: There is none, it is damaged, or it lacks a token that prompts need.
    """
    from tokenizers import AddedToken
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = blueprint.tokenizer_folder
    if not (folder / "tokenizer.json").is_file():
        hint = _hint(folder)
        raise CheckpointError(f"{folder} has no tokenizer: tokenizer.json is missing.{hint}")
    try:
        # LLaVA's own model types are none of transformers': the file alone decides for them.
        loader: Any = PreTrainedTokenizerFast if blueprint.lacks_image_token else AutoTokenizer
        tokenizer = loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise CheckpointError(f"The tokenizer in {folder} cannot be read: {error}") from None
    if blueprint.lacks_image_token:
        if tokenizer.pad_token is None:
            tokenizer.add_special_tokens({"pad_token": tokenizer.unk_token or _PAD})
        if IMAGE not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(IMAGE, special=True, normalized=False)])
    if IMAGE not in tokenizer.get_vocab():
        raise CheckpointError(f"The tokenizer in {folder} lacks {IMAGE}, which the prompts need.")
    conversation_of(blueprint, tokenizer)
    if blueprint.trained_tokens:
        tokenizer.model_max_length = min(tokenizer.model_max_length, blueprint.trained_tokens)
    return tokenizer


def conversation_of(blueprint: Blueprint, tokenizer: Any) -> ConversationFormat:
    """Return the conversation that a checkpoint is asked in.

    Raises:
        CheckpointError: Nobody knows it.
    """
    vocabulary = tokenizer.get_vocab()
    kind = blueprint.config.text_config.model_type
    found = find_format(kind, vocabulary)
    if found is None:
        lacking = {
            known.name: [token for token in known.special_tokens if token not in vocabulary]
            for known in FORMATS
        }
        reasons = [f"{name} needs {', '.join(lost)}" for name, lost in lacking.items() if lost]
        raise CheckpointError(
            f"The conversation that {blueprint.folder} was trained on is not known: of those that "
            f"Taqrir has, {'; '.join(reasons)} in its tokenizer, and mistral_instruct is for a "
            f'Mistral alone (this is a {kind}). A server may run it (model.engine = "remote").'
        )
    return found


def _hint(folder: Path) -> str:
    """Return what helps where LLaVA's training saved SentencePiece's own file alone."""
    if not (folder / "tokenizer.model").is_file():
        return ""
    return " tokenizer.model alone is not read: put the base model's tokenizer.json beside it."


def check_image_token(blueprint: Blueprint, tokenizer: Any) -> None:
    """Compare the image token's id with the configuration, and both with the vocabulary.

    Raises:
        CheckpointError: They do not fit one another.
    """
    folder, config = blueprint.folder, blueprint.config
    image = tokenizer.convert_tokens_to_ids(IMAGE)
    if not blueprint.lacks_image_token and config.image_token_id != image:
        raise CheckpointError(
            f"{folder}: config.json says that {IMAGE} has the id {config.image_token_id}, the "
            f"tokenizer says {image}."
        )
    # The tokens that we add ourselves need no room in the folder's weights.
    added = {image, tokenizer.pad_token_id} if blueprint.lacks_image_token else set()
    largest = max(set(tokenizer.get_vocab().values()) - added)
    room = config.text_config.vocab_size
    if largest >= room:
        raise CheckpointError(
            f"{folder}: the tokenizer has {largest + 1} tokens, the model room for {room}."
        )


def context_tokens(blueprint: Blueprint, tokenizer: Any) -> int:
    """Return the shorter of what positions allow and what the model was trained on."""
    positions = blueprint.config.text_config.max_position_embeddings
    return int(min(positions, tokenizer.model_max_length))
