"""A checkpoint that answers all requests in flight together.

The model is loaded at the first request, once a process. Any number of threads may ask at once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, RLock
from weakref import WeakKeyDictionary, ref

import torch

from core.drafting import ModelImage
from core.errors import PermanentError, PromptTooLongError, TaqrirError
from core.report import ModelVersion
from model.batching import Batch, Counters, Generation
from model.checkpoint import LoadedModel, load_checkpoint
from model.completion import completion_of
from model.decoding import Decoder
from model.fingerprint import adapter_version
from model.generation import DEFAULT_MAX_NEW_TOKENS, SEED, Completion, GenerationRequest
from model.memory import memory_errors
from model.number_formats import AUTO
from model.prompts import IMAGE
from model.site_adapters import SiteAdapters
from model.vision import to_pixel_values

# Rows of the batch; with BiMediX2-8B a row of 4096 positions takes 0.5 GB.
DEFAULT_BATCH_SIZE = 16
DEFAULT_TIME_LIMIT_SECONDS = 300.0
# The threads of a small model spend their time waiting for one another: on two cores shared with
# other work, two threads took seven times as long as one.
_SMALL_PARAMETERS = 50_000_000
# A prompt that leaves less room than this cannot be answered with a report.
_MIN_ROOM_TOKENS = 32


class Engine:
    """The `model.generation.TextEngine` that runs a model of LLaVA's kind in this process."""

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
        batch_size: int = DEFAULT_BATCH_SIZE,
        time_limit_seconds: float = DEFAULT_TIME_LIMIT_SECONDS,
        weights: str = AUTO,
        adapters: Mapping[str, Path] | None = None,
        cache_file: Path | None = None,
    ) -> None:
        """Remember where the model lies; nothing is read before it is needed.

        Args:
            path: The checkpoint's folder.
            device: See `model.checkpoint.load_checkpoint`.
            max_new_tokens: Longest answer where a request sets no other.
            batch_size: Most requests that are worked on at once.
            time_limit_seconds: Longest time for one request, from its first token on.
            weights: Number format; see `model.number_formats`.
            adapters: Folders of LoRA adapters on the checkpoint, by the names that requests use.
            cache_file: Where the digests of folders are kept.
        """
        self._adapters = dict(adapters or {})
        self._versions: dict[str, ModelVersion] = {}
        self._path = path
        self._device = device
        self._weights = weights
        self._cache_file = cache_file
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._time_limit_seconds = time_limit_seconds
        self._end_ids: tuple[int, ...] = ()
        self._lock = RLock()
        # Switching special tokens off changes the tokenizer for a moment.
        self._tokenizing = Lock()
        self._loaded: LoadedModel | None = None
        self._batch: Batch | None = None
        # A study's pictures are asked about several times.
        self._pixels: WeakKeyDictionary[ModelImage, torch.Tensor] = WeakKeyDictionary()

    @property
    def version(self) -> ModelVersion:
        """Which model answers: the one that was loaded, whatever lies in the folder by now."""
        return self.load().version

    def version_of(self, adapter: str) -> ModelVersion:
        """Return which model answers with an adapter: its base's name and its own.

        Raises:
            PermanentError: There is no adapter of that name.
        """
        loaded = self.load()
        self._require_adapter(adapter)
        return self._versions[adapter] if adapter else loaded.version

    def _require_adapter(self, adapter: str) -> None:
        if adapter and adapter not in self._adapters:
            raise PermanentError(
                f"The model has no adapter called {adapter}; model.adapters names "
                f"{', '.join(sorted(self._adapters)) or 'none'}."
            )

    @property
    def counters(self) -> Counters:
        """What the batch has done so far."""
        return self._batch.counters if self._batch else Counters()

    def load(self) -> LoadedModel:
        """Return the model, loading it at the first call.

        Raises:
            CheckpointError: The folder cannot be loaded.
            MemoryExhaustedError: The device's memory does not hold it now.
        """
        with self._lock:
            if self._loaded is None:
                torch.manual_seed(SEED)
                with memory_errors():
                    loaded = load_checkpoint(
                        self._path,
                        self._device,
                        weights=self._weights,
                        cache_file=self._cache_file,
                    )
                    switchable = SiteAdapters(loaded.model, self._adapters)
                self._versions = {
                    name: adapter_version(loaded.version, name, folder, self._cache_file)
                    for name, folder in self._adapters.items()
                }
                self._end_ids = loaded.conversation.end_ids(loaded.tokenizer)
                self._batch = Batch(
                    Decoder(loaded),
                    most_rows=self._batch_size,
                    end_ids=self._end_ids,
                    finish=self._complete,
                    switch=switchable.switch,
                    prepare=self._set_threads,
                )
                self._loaded = loaded
                self._set_threads()
            return self._loaded

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        """Ask; see `model.generation.TextEngine.submit`."""
        try:
            generation = self._generation(request)
        except TaqrirError as error:
            failed: Future[Completion] = Future()
            failed.set_exception(error)
            return failed
        assert self._batch is not None  # noqa: S101 - it comes with the loaded model
        self._batch.submit(generation)
        return generation.future

    def generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int | None = None
    ) -> Completion:
        """Ask and wait; see `model.generation.TextEngine.generate`."""
        request = GenerationRequest(
            question=question_text, images=tuple(images), max_new_tokens=max_new_tokens
        )
        return self.submit(request).result()

    def _generation(self, request: GenerationRequest) -> Generation:
        """Return a request as the batch takes it.

        Raises:
            PermanentError: There is no picture.
            PromptTooLongError: Question and pictures fill the model's context.
        """
        if not request.images:
            raise PermanentError("A draft needs at least one picture.")
        loaded = self.load()
        self._require_adapter(request.adapter)
        with self._tokenizing:
            prompt = loaded.conversation.encode(
                loaded.tokenizer,
                request.question,
                image_count=len(request.images),
                tokens_per_image=loaded.geometry.token_count,
                history=request.history,
            )
            image = loaded.tokenizer.convert_tokens_to_ids(IMAGE)
        room = loaded.context_tokens - len(prompt)
        if room < _MIN_ROOM_TOKENS:
            raise PromptTooLongError(
                f"Question and {len(request.images)} pictures take {len(prompt)} tokens; the model "
                f"has room for {loaded.context_tokens}. Fewer pictures are needed."
            )
        prefix = len(prompt) - prompt[::-1].index(image)
        # Pictures are known by identity, and are not kept alive by it.
        pictures = tuple(ref(picture) for picture in request.images)
        pixels = [self._pixel_values(loaded, picture) for picture in request.images]
        return Generation(
            prompt=prompt,
            prefix=prefix,
            prefix_key=(request.adapter, pictures, tuple(prompt[:prefix])),
            pixel_values=lambda: torch.stack(pixels),
            limit=min(request.max_new_tokens or self._max_new_tokens, room),
            time_limit_seconds=self._time_limit_seconds,
            adapter=request.adapter,
            is_urgent=request.is_urgent,
            cancelled=request.cancelled,
            drawing=random.Random(request.draw) if request.draw else None,  # noqa: S311 - no secret
        )

    def _pixel_values(self, loaded: LoadedModel, picture: ModelImage) -> torch.Tensor:
        """Return a picture as the tower takes it: (3, S, S)."""
        known = self._pixels.get(picture)
        if known is None:
            values = to_pixel_values(picture.pixels, loaded.geometry.size)
            known = self._pixels.setdefault(picture, torch.from_numpy(values))
        return known

    def _complete(self, generation: Generation) -> Completion:
        loaded = self.load()
        with self._tokenizing:
            return completion_of(
                loaded.tokenizer, generation.made, generation.log_probabilities, self._end_ids
            )

    def _set_threads(self) -> None:
        if self.load().model.num_parameters() < _SMALL_PARAMETERS:
            torch.set_num_threads(1)
