"""Exhausted memory: what it looks like, and how what a failed try still holds is let go."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import MemoryExhaustedError

_WORDS = ("allocate memory", "ALLOC_FAILED")


def is_memory_error(error: BaseException) -> bool:
    """Say whether an error means that memory ran out.

    The CPU allocator, cuBLAS and cuDNN have no class of their own.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def free_memory() -> None:
    """Let go of what nobody refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn exhausted memory into a MemoryExhaustedError, and free what the failed try holds."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        free_memory()
        raise MemoryExhaustedError("Memory ran out while the model was at work.") from None
