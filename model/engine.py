"""Prompt and pictures in, text out: one request at a time, always the most likely token.

The model is loaded at the first request, once a process. Several threads may ask at once; they wait
for one another.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import torch

from core.drafting import ModelImage
from core.errors import PermanentError, PromptTooLongError, TaqrirError, TransientError
from core.report import ModelVersion
from model.checkpoint import LoadedModel, load_checkpoint
from model.generation import DEFAULT_MAX_NEW_TOKENS, Completion, GenerationRequest
from model.prompts import END_OF_TEXT, END_OF_TURN, encode
from model.vision import to_pixel_values

# Greedy decoding draws nothing; the seed is for kernels that would.
_SEED = 0
# The threads of a small model spend their time waiting for one another: on two cores shared with
# other work, two threads took seven times as long as one.
_SMALL_PARAMETERS = 50_000_000
_OUT_OF_MEMORY = ("allocate memory", "ALLOC_FAILED")
# A prompt that leaves less room than this cannot be answered with a report.
_MIN_ROOM_TOKENS = 32


class Engine:
    """A checkpoint that answers questions about pictures."""

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
        cache_file: Path | None = None,
    ) -> None:
        """Remember where the model lies; nothing is read before it is needed."""
        self._path = path
        self._device = device
        self._cache_file = cache_file
        self._max_new_tokens = max_new_tokens
        self._lock = RLock()
        self._loaded: LoadedModel | None = None

    @property
    def version(self) -> ModelVersion:
        """Which model answers: the one that was loaded, whatever lies in the folder by now."""
        return self.load().version

    def load(self) -> LoadedModel:
        """Return the model, loading it at the first call.

        Raises:
            CheckpointError: The folder cannot be loaded.
            TransientError: The device's memory does not hold it now.
        """
        with self._lock:
            if self._loaded is None:
                torch.manual_seed(_SEED)
                with _memory_errors():
                    self._loaded = load_checkpoint(
                        self._path, self._device, cache_file=self._cache_file
                    )
                if self._loaded.model.num_parameters() < _SMALL_PARAMETERS:
                    torch.set_num_threads(1)
            return self._loaded

    def generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int | None = None
    ) -> Completion:
        """Answer a question about pictures.

        Args:
            question_text: From `model.prompts.question`.
            images: At least one, in the order in which the prompt shows them.
            max_new_tokens: Longest answer; the engine's own limit where None.

        Raises:
            PermanentError: There is no picture.
            PromptTooLongError: Question and pictures fill the model's context.
            TransientError: Memory ran out; fewer jobs at once may leave enough.
        """
        if not images:
            raise PermanentError("A draft needs at least one picture.")
        with self._lock, torch.inference_mode(), _memory_errors():
            return self._generate(question_text, images, max_new_tokens or self._max_new_tokens)

    def version_of(self, adapter: str) -> ModelVersion:
        """Return which model answers with an adapter; this engine has none."""
        if adapter:
            raise PermanentError(f"The model has no adapter called {adapter}.")
        return self.version

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        """Ask; see `model.generation.TextEngine.submit`."""
        future: Future[Completion] = Future()
        try:
            future.set_result(
                self.generate(request.question, request.images, request.max_new_tokens)
            )
        except TaqrirError as error:
            future.set_exception(error)
        return future

    def _generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int
    ) -> Completion:
        from transformers import GenerationConfig

        loaded = self.load()
        prompt = encode(
            loaded.tokenizer,
            question_text,
            image_count=len(images),
            tokens_per_image=loaded.geometry.token_count,
        )
        room = loaded.context_tokens - len(prompt)
        if room < _MIN_ROOM_TOKENS:
            raise PromptTooLongError(
                f"Question and {len(images)} pictures take {len(prompt)} tokens; the model has "
                f"room for {loaded.context_tokens}. Fewer pictures are needed."
            )
        ends = _end_ids(loaded)
        ids = torch.tensor([prompt], device=loaded.device)  # (1, T)
        output = loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=self._pixel_values(loaded, images),
            generation_config=GenerationConfig(
                do_sample=False,
                num_beams=1,
                use_cache=True,
                max_new_tokens=min(max_new_tokens, room),
                eos_token_id=ends,
                pad_token_id=ends[0],
            ),
        )
        made: list[int] = output[0, len(prompt) :].tolist()
        text = loaded.tokenizer.decode(
            made, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        is_complete = bool(made) and made[-1] in ends
        return Completion(
            # A cut may fall inside a letter's bytes; what is left of it is no text.
            text=text if is_complete else text.rstrip("\N{REPLACEMENT CHARACTER}"),
            is_complete=is_complete,
            token_count=len(made),
        )

    @staticmethod
    def _pixel_values(loaded: LoadedModel, images: Sequence[ModelImage]) -> torch.Tensor:
        """Return the pictures as the tower takes them: (N, 3, S, S)."""
        rows = [to_pixel_values(image.pixels, loaded.geometry.size) for image in images]
        stacked = torch.stack([torch.from_numpy(row) for row in rows])
        return stacked.to(device=loaded.device, dtype=loaded.model.dtype)


def _end_ids(loaded: LoadedModel) -> list[int]:
    """Return the tokens that end an answer: the turn's, and the text's where the model has one."""
    vocabulary = loaded.tokenizer.get_vocab()
    return [vocabulary[token] for token in (END_OF_TURN, END_OF_TEXT) if token in vocabulary]


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn exhausted memory into a TransientError, and free what the failed try still holds."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        _free()
        raise TransientError("Memory ran out while the model was at work.") from None
    except RuntimeError as error:
        # The CPU allocator, cuBLAS and cuDNN have no class of their own.
        if not any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        _free()
        raise TransientError("Memory ran out while the model was at work.") from None


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
