"""The `TextEngine` for any model of transformers with a processor and a chat template.

It takes the place of BiMediX2 by configuration alone: MedGemma, Qwen-VL, Idefics and the like, or
a language model without eyes. Requests are worked on one after the other, urgent ones first: the
batch of `model.engine` knows LLaVA's kind only. A site that needs more asks a server
(`model.remote`).
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from core.drafting import ModelImage
from core.errors import (
    DraftCancelledError,
    PermanentError,
    PromptTooLongError,
    TransientError,
)
from core.report import ModelVersion
from model.auto_folder import AutoModelInfo, LoadedAuto, inspect_auto, load_auto
from model.completion import completion_of
from model.generation import (
    DEFAULT_MAX_NEW_TOKENS,
    DRAWN_FROM,
    TEMPERATURE,
    Completion,
    GenerationRequest,
)
from model.marks import without_marks
from model.memory import memory_errors

_MIN_ROOM_TOKENS = 32
_Waiting = tuple[int, int, GenerationRequest, "Future[Completion]"]


class AutoEngine:
    """One model, one request at a time."""

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
        time_limit_seconds: float = 300.0,
        needs_images: bool = True,
        cache_file: Path | None = None,
    ) -> None:
        """Remember where the model lies; nothing is read before it is needed.

        Args:
            path: The folder.
            device: See `model.checkpoint.load_checkpoint`.
            max_new_tokens: Longest answer where a request sets no other.
            time_limit_seconds: Longest time for one request.
            needs_images: False for a language model.
            cache_file: Where the digests of folders are kept.
        """
        self._path = path
        self._device = device
        self._max_new_tokens = max_new_tokens
        self._time_limit_seconds = time_limit_seconds
        self._needs_images = needs_images
        self._cache_file = cache_file
        self._lock = threading.Lock()
        self._loaded: LoadedAuto | None = None
        self._waiting: queue.PriorityQueue[_Waiting] = queue.PriorityQueue()
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    def inspect(self) -> AutoModelInfo:
        """Return what the folder says of itself; see `model.auto_folder.inspect_auto`."""
        return inspect_auto(self._path, with_images=self._needs_images)

    def load(self) -> LoadedAuto:
        """Return the model, loading it at the first call.

        Raises:
            CheckpointError: The folder cannot be loaded.
            MemoryExhaustedError: The device's memory does not hold it now.
        """
        with self._lock:
            if self._loaded is None:
                with memory_errors():
                    self._loaded = load_auto(
                        self._path,
                        self._device,
                        with_images=self._needs_images,
                        cache_file=self._cache_file,
                    )
            return self._loaded

    @property
    def version(self) -> ModelVersion:
        """Which model answers."""
        return self.load().version

    def version_of(self, adapter: str) -> ModelVersion:
        """Return which model answers with an adapter; this engine has none."""
        if adapter:
            raise PermanentError(f"The model has no adapter called {adapter}.")
        return self.version

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        """Ask; see `model.generation.TextEngine.submit`."""
        future: Future[Completion] = Future()
        rank = 0 if request.is_urgent else 1
        self._waiting.put((rank, next(self._order), request, future))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="auto", daemon=True)
                self._thread.start()
        return future

    def generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int | None = None
    ) -> Completion:
        """Ask and wait; see `model.generation.TextEngine.generate`."""
        request = GenerationRequest(
            question=question_text, images=tuple(images), max_new_tokens=max_new_tokens
        )
        return self.submit(request).result()

    def _run(self) -> None:
        while True:
            _, _, request, future = self._waiting.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                with torch.inference_mode(), memory_errors():
                    future.set_result(self._generate(request))
            except Exception as error:  # noqa: BLE001 - told to whoever waits for the answer
                future.set_exception(error)

    def _generate(self, request: GenerationRequest) -> Completion:
        from transformers import GenerationConfig, StoppingCriteriaList

        if self._needs_images and not request.images:
            raise PermanentError("A draft needs at least one picture.")
        if request.adapter:
            self.version_of(request.adapter)
        loaded = self.load()
        inputs = _inputs(loaded, request)
        length = inputs["input_ids"].shape[1]
        room = loaded.info.context_tokens - length
        if room < _MIN_ROOM_TOKENS:
            raise PromptTooLongError(
                f"Question and {len(request.images)} pictures take {length} tokens; the model has "
                f"room for {loaded.info.context_tokens}. Fewer pictures are needed."
            )
        watch = _Watch(request, self._time_limit_seconds)
        watch()
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=min(request.max_new_tokens or self._max_new_tokens, room),
            eos_token_id=list(loaded.end_ids),
            pad_token_id=loaded.end_ids[0],
            return_dict_in_generate=True,
            output_logits=True,
        )
        if request.draw:
            settings.update(do_sample=True, temperature=TEMPERATURE, top_k=DRAWN_FROM, top_p=1.0)
            torch.manual_seed(request.draw)
        output = loaded.model.generate(
            **inputs,
            generation_config=settings,
            stopping_criteria=StoppingCriteriaList([watch]),
        )
        made = output.sequences[0, length:].tolist()
        chances = [
            float(step[0].float().log_softmax(-1)[token])
            for step, token in zip(output.logits, made, strict=True)
        ]
        return completion_of(loaded.tokenizer, made, chances, loaded.end_ids)


def _inputs(loaded: LoadedAuto, request: GenerationRequest) -> dict[str, Any]:
    """Return what the model is given: the conversation by its own template, and the pictures."""
    pictures = [
        {"type": "image", "image": Image.fromarray(image.pixels)} for image in request.images
    ]
    messages: list[dict[str, Any]] = []

    def say(role: str, text: str) -> None:
        words: Any = without_marks(text)
        if loaded.info.has_images:
            shown = pictures if not messages else []
            words = [*shown, {"type": "text", "text": words}]
        messages.append({"role": role, "content": words})

    for question, answer in request.history:
        say("user", question)
        say("assistant", answer)
    say("user", request.question)
    inputs = loaded.processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    place, dtype = loaded.model.device, loaded.model.dtype
    return {
        name: value.to(place, dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }


class _Watch:
    """Looks at the clock and at the request between two tokens."""

    def __init__(self, request: GenerationRequest, seconds: float) -> None:
        self._cancelled = request.cancelled
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def __call__(self, ids: Any = None, scores: Any = None, **_: Any) -> Any:
        """Raise where it is of no use to go on; as a criterion of transformers', never stop.

        Raises:
            DraftCancelledError: Nobody waits for the answer.
            TransientError: It took too long.
        """
        del scores
        if self._cancelled is not None and self._cancelled.is_set():
            raise DraftCancelledError("The request was cancelled.")
        if time.monotonic() > self._deadline:
            raise TransientError(f"The model took longer than {self._seconds:g} s.")
        return None if ids is None else torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
