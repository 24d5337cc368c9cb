"""The tokenizer of a checkpoint, once it is known to fit prompts and weights."""

from __future__ import annotations

from typing import Any

from core.errors import CheckpointError
from model.layouts import Blueprint
from model.prompts import IMAGE, SPECIAL_TOKENS

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
        raise CheckpointError(f"{folder} has no tokenizer: tokenizer.json is missing.")
    try:
        # LLaVA's own model types are none of transformers': the file alone decides for them.
        loader: Any = PreTrainedTokenizerFast if blueprint.lacks_image_token else AutoTokenizer
        tokenizer = loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise CheckpointError(f"The tokenizer in {folder} cannot be read: {error}") from None
    if blueprint.lacks_image_token:
        if tokenizer.pad_token is None:
            tokenizer.add_special_tokens({"pad_token": _PAD})
        if IMAGE not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(IMAGE, special=True, normalized=False)])
    known = tokenizer.get_vocab()
    missing = [token for token in (*SPECIAL_TOKENS, IMAGE) if token not in known]
    if missing:
        raise CheckpointError(
            f"The tokenizer in {folder} lacks {', '.join(missing)}, which the prompts need."
        )
    if blueprint.trained_tokens:
        tokenizer.model_max_length = min(tokenizer.model_max_length, blueprint.trained_tokens)
    return tokenizer


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
