"""What is asked of an engine and what it answers; three engines do: local, remote, any model.

An engine takes any number of requests at once, from any thread. Those that are in flight together
share its batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from core.drafting import ModelImage
from core.report import ModelVersion

# The official inference's own limit.
DEFAULT_MAX_NEW_TOKENS = 1024
# Greedy decoding draws nothing; the seed is for kernels that would.
SEED = 0
# How freely a text is drawn that is asked for again: so many of the likeliest tokens have a chance.
TEMPERATURE = 0.7
DRAWN_FROM = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerationRequest:
    """One question to a model.

    Attributes:
        question: From `model.prompts.question`; plain text, whatever stands in it.
        images: Pictures in the order in which the prompt shows them; none for a text-only model.
        history: Earlier turns of the conversation, question and answer each; the pictures belong
            to the first of them.
        max_new_tokens: Longest answer; the engine's own limit where None.
        adapter: Name of the adapter that answers, as `[model.adapters]` has it; empty for none.
        is_urgent: It is taken into a batch before those that are not.
        cancelled: Once it is set the answer is of no use and is not worked on any longer.
        draw: 0 takes the most likely token each time; any other number is the seed with which
            tokens are drawn at `TEMPERATURE` among the `DRAWN_FROM` likeliest.
    """

    question: str
    images: tuple[ModelImage, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    max_new_tokens: int | None = None
    adapter: str = ""
    is_urgent: bool = False
    cancelled: Event | None = None
    draw: int = 0


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What the model answered.

    Attributes:
        text: The answer, special tokens and half letters at a cut end removed.
        is_complete: The model ended its turn itself; False where it ran into the limit.
        token_count: Tokens that were made, the end of turn included.
        log_probabilities: Of each token that was made, the natural logarithm of the probability
            that the model gave it; empty where the engine does not know.
        text_ends: For each of those tokens, how many letters of `text` stand once it is written.
            A letter may take several tokens: it counts with the last of them.
    """

    text: str
    is_complete: bool
    token_count: int
    log_probabilities: tuple[float, ...] = ()
    text_ends: tuple[int, ...] = ()


class TextEngine(Protocol):
    """A model that answers questions about pictures."""

    @property
    def version(self) -> ModelVersion:
        """Which model answers where no adapter is asked for."""
        ...

    def version_of(self, adapter: str) -> ModelVersion:
        """Return which model answers with an adapter, `version` for the empty name.

        Raises:
            PermanentError: There is no adapter of that name.
        """
        ...

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        """Ask; the answer comes through the future, its errors too.

        Errors of the future:
            PermanentError: The request cannot be answered: no picture, no such adapter.
            PromptTooLongError: It does not fit into the model's context.
            TransientError: Another try may succeed.
            MemoryExhaustedError: Fewer pictures may do.
            DraftCancelledError: `request.cancelled` was set.
        """
        ...

    def generate(
        self, question_text: str, images: Sequence[ModelImage], max_new_tokens: int | None = None
    ) -> Completion:
        """Ask and wait; raises what the future of `submit` would."""
        ...
