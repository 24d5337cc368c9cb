"""Tokens become text again, and each of them is given its place in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Any

from model.generation import Completion

_BROKEN = "\N{REPLACEMENT CHARACTER}"


def completion_of(
    tokenizer: Any,
    tokens: Sequence[int],
    log_probabilities: Sequence[float],
    end_ids: Collection[int],
) -> Completion:
    """Return what a model wrote.

    Args:
        tokenizer: A transformers tokenizer.
        tokens: The tokens that it made, the end of turn included.
        log_probabilities: Of each of them.
        end_ids: Tokens that end an answer.
    """
    text: str = tokenizer.decode(
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    is_complete = bool(tokens) and tokens[-1] in end_ids
    if not is_complete:
        # A cut may fall inside a letter's bytes; what is left of it is no text.
        text = text.rstrip(_BROKEN)
    return Completion(
        text=text,
        is_complete=is_complete,
        token_count=len(tokens),
        log_probabilities=tuple(log_probabilities),
        text_ends=_text_ends(tokenizer, tokens, len(text)),
    )


def _text_ends(tokenizer: Any, tokens: Sequence[int], length: int) -> tuple[int, ...]:
    """Return how many letters stand after each token."""
    backend = tokenizer.backend_tokenizer
    try:
        lengths = _streamed_lengths(backend, tokens)
    except Exception:  # noqa: BLE001 - tokenizers raises bare Exception
        # SentencePiece's bytes that make no letter change how those before them were read, and a
        # stream gives up there.
        lengths = [len(backend.decode(tokens[: end + 1])) for end in range(len(tokens))]
    return tuple(min(longest, length) for longest in accumulate(lengths, max))


def _streamed_lengths(backend: Any, tokens: Sequence[int]) -> list[int]:
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    return list(accumulate(len(stream.step(backend, token) or "") for token in tokens))
