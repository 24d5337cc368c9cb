"""The `TextEngine` that asks a server: vLLM, SGLang, `transformers serve`, any with OpenAI's chat.

The server batches; here every request is a thread that waits for it. Answers come as a stream, so
that one that nobody needs any more is broken off, which such servers take for a cancellation.

Source: OpenAI API reference, "Chat completions" (create, streaming), "Models" (list).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

from PIL import Image

from core.drafting import ModelImage
from core.errors import PermanentError
from core.report import ModelVersion
from model.chat_client import ChatClient
from model.generation import DEFAULT_MAX_NEW_TOKENS, TEMPERATURE, Completion, GenerationRequest
from model.marks import without_marks
from model.remote_stream import Answer
from model.vision import pad_to_square

# A server is asked again who it is after so long: it may have been started anew with another model.
_VERSION_SECONDS = 60.0
_REVISION_DIGITS = 12
_UNLISTED = "unlisted"
_NAMES_SHOWN = 8
# What changes in a server's word about a model although the model is the same.
_VOLATILE = ("created", "permission")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a model is served; see `core.settings_model.RemoteSettings`."""

    url: str
    model: str = ""
    key: str = ""
    connect_seconds: float = 10.0
    longest_edge: int = 1344
    pad_to_square: bool = True


class RemoteEngine:
    """A model behind HTTP."""

    def __init__(
        self,
        server: Server,
        *,
        max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
        in_flight: int = 16,
        time_limit_seconds: float = 300.0,
        needs_images: bool = True,
    ) -> None:
        """Connect to nothing yet.

        Args:
            server: Whom to ask.
            max_new_tokens: Longest answer where a request sets no other.
            in_flight: Most requests at once.
            time_limit_seconds: Longest time for one answer, its waiting at the server included.
            needs_images: False for a text-only model.
        """
        self._server = server
        self._max_new_tokens = max_new_tokens
        self._needs_images = needs_images
        self._client = ChatClient(
            server.url,
            key=server.key,
            connect_seconds=server.connect_seconds,
            time_limit_seconds=time_limit_seconds,
            in_flight=in_flight,
        )
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="remote")
        self._lock = Lock()
        self._name = server.model
        self._version: tuple[float, ModelVersion] | None = None

    @property
    def version(self) -> ModelVersion:
        """Which model answers, as the server says it.

        The revision is a digest over the server's own words about the model: no server tells one
        over the weights.

        Raises:
            PeerUnreachableError: The server does not answer.
            PermanentError: It has several models and none was named.
        """
        with self._lock:
            if self._version is None or time.monotonic() > self._version[0]:
                self._version = (time.monotonic() + _VERSION_SECONDS, self._ask_version())
            return self._version[1]

    def version_of(self, adapter: str) -> ModelVersion:
        """Return which model answers; a server offers an adapter as a model of its own."""
        if adapter:
            raise PermanentError(
                f'The adapter {adapter} cannot be chosen with engine = "remote": let the server '
                "offer it as a model."
            )
        return self.version

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        """Ask; see `model.generation.TextEngine.submit`."""
        return self._threads.submit(self._generate, request)

    def generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int | None = None
    ) -> Completion:
        """Ask and wait; see `model.generation.TextEngine.generate`."""
        return self._generate(
            GenerationRequest(
                question=question_text, images=tuple(images), max_new_tokens=max_new_tokens
            )
        )

    def close(self) -> None:
        """Let connections go."""
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def _ask_version(self) -> ModelVersion:
        models = self._client.models()
        name = self._server.model or (next(iter(models)) if len(models) == 1 else "")
        if not name:
            known = ", ".join(sorted(models)[:_NAMES_SHOWN]) or "none"
            raise PermanentError(f"Set remote.model: the model server has {known}.")
        self._name = name
        # `transformers serve` does not list a model that lies in a folder.
        revision = _UNLISTED
        if name in models:
            stable = {key: value for key, value in models[name].items() if key not in _VOLATILE}
            words = json.dumps(stable, sort_keys=True).encode()
            revision = hashlib.sha256(words).hexdigest()[:_REVISION_DIGITS]
        return ModelVersion(name=name.rstrip("/").rsplit("/")[-1], revision=revision)

    def _generate(self, request: GenerationRequest) -> Completion:
        if self._needs_images and not request.images:
            raise PermanentError("A draft needs at least one picture.")
        # Also finds out the model's name where none is set.
        self.version_of(request.adapter)
        body = {
            "model": self._name,
            "messages": self._messages(request),
            "max_tokens": request.max_new_tokens or self._max_new_tokens,
            "temperature": TEMPERATURE if request.draw else 0,
            "seed": request.draw,
            "stream": True,
            "logprobs": True,
        }
        return _completion(
            self._client.complete(body, asked=request.question, cancelled=request.cancelled)
        )

    def _messages(self, request: GenerationRequest) -> list[dict[str, Any]]:
        """Return the conversation; the pictures stand before its first question."""
        images = [
            {"type": "image_url", "image_url": {"url": self._data_url(image)}}
            for image in request.images
        ]
        asked = [*(question for question, _ in request.history), request.question]
        answers = [answer for _, answer in request.history]
        messages: list[dict[str, Any]] = []
        for index, text in enumerate(asked):
            words = without_marks(text)
            content = [*images, {"type": "text", "text": words}] if not index and images else words
            messages.append({"role": "user", "content": content})
            if index < len(answers):
                messages.append({"role": "assistant", "content": without_marks(answers[index])})
        return messages

    def _data_url(self, image: ModelImage) -> str:
        pixels = pad_to_square(image.pixels) if self._server.pad_to_square else image.pixels
        picture = Image.fromarray(pixels)
        picture.thumbnail((self._server.longest_edge,) * 2, Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        picture.save(stream, "PNG", compress_level=1)
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _completion(answer: Answer) -> Completion:
    return Completion(
        text=answer.text,
        is_complete=answer.finish_reason == "stop",
        token_count=len(answer.log_probabilities) or answer.pieces,
        log_probabilities=tuple(answer.log_probabilities),
        text_ends=tuple(answer.text_ends),
    )
