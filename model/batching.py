"""Continuous batching: requests join the batch and leave it between two tokens.

One thread owns the model. Before each token it takes in what waits, urgent requests first, as far
as rows are free; then it makes one token for every row. Requests with the same pictures before
their question share that beginning: the vision tower sees a picture once, and keys and values of
the beginning are computed once and copied, or found in the row where an earlier request left them.

Where memory runs out, all that is in flight is put back, keeps the tokens that it has, and goes on
in a batch of half the size. A request that does not fit alone fails with `MemoryExhaustedError`.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

import torch

from core.errors import DraftCancelledError, MemoryExhaustedError, PermanentError, TransientError
from core.log import log
from model.decoding import Decoder, Joining
from model.generation import DRAWN_FROM, TEMPERATURE
from model.memory import free_memory, is_memory_error

_log = log(__name__)
# Tokens of prompts that pass the model at once: more would hold up those in flight, and memory.
_JOIN_TOKENS = 8192
# The thread ends when it had nothing to do for so long; the next request starts another.
_IDLE_SECONDS = 30.0
# How often it looks whether somebody gave up what waits.
_TICK_SECONDS = 0.2
# After so many answers without trouble a batch that was made smaller may grow again.
_RECOVERY_ANSWERS = 64


@dataclass(kw_only=True, eq=False)
class Generation:
    """A request on its way through the model.

    Attributes:
        prompt: Ids of the whole prompt.
        prefix: How many of them stand up to the last picture's end.
        prefix_key: Equal for requests whose first `prefix` ids and pictures are the same.
        pixel_values: Gives the pictures as the tower takes them, (N, 3, S, S).
        limit: Most tokens to make.
        drawing: Draws the tokens; the most likely one is taken where None.
        made: Tokens made so far.
    """

    prompt: Sequence[int]
    prefix: int = 0
    prefix_key: Any = None
    pixel_values: Callable[[], torch.Tensor] | None = None
    limit: int
    time_limit_seconds: float
    adapter: str = ""
    is_urgent: bool = False
    cancelled: threading.Event | None = None
    drawing: random.Random | None = None
    future: Future[Any] = field(default_factory=Future)
    made: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    row: int = -1
    deadline: float = 0.0

    @property
    def ids(self) -> list[int]:
        """All tokens that are known."""
        return [*self.prompt, *self.made]

    @property
    def most_positions(self) -> int:
        """Where the last token would stand."""
        return len(self.prompt) + self.limit

    def append(self, tokens: Sequence[int], log_probabilities: Sequence[float]) -> None:
        """Take one of the next tokens, as `model.decoding.Choice` orders them."""
        index = 0
        if self.drawing is not None:
            weights = [math.exp(value / TEMPERATURE) for value in log_probabilities[1:]]
            index = self.drawing.choices(range(1, len(tokens)), weights)[0]
        self.made.append(tokens[index])
        self.log_probabilities.append(log_probabilities[index])

    @property
    def is_given_up(self) -> bool:
        """Nobody waits for the answer."""
        return self.future.cancelled() or bool(self.cancelled and self.cancelled.is_set())


@dataclass(kw_only=True)
class Counters:
    """What the batch has done since the start.

    Attributes:
        steps: Passes that made one token for each row.
        tokens: Tokens made by them.
        towers: Pictures that passed the vision tower.
        shared: Requests that found their beginning computed.
        reductions: How often memory ran out.
        largest: Most rows of one step.
    """

    steps: int = 0
    tokens: int = 0
    towers: int = 0
    shared: int = 0
    reductions: int = 0
    largest: int = 0


class Batch:
    """Sequences in flight, and those that wait."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        most_rows: int,
        end_ids: Iterable[int],
        finish: Callable[[Generation], Any],
        switch: Callable[[str], None] = lambda _adapter: None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Start nothing yet.

        Args:
            decoder: The model's passes.
            most_rows: Most sequences at once.
            end_ids: Tokens that end an answer.
            finish: Turns a finished sequence into what its future gives.
            switch: Switches an adapter on, or all off for the empty name.
            prepare: Run once in each thread of ours before it works.
        """
        self._decoder = decoder
        self._most_rows = most_rows
        self._capacity = most_rows
        self._ends = frozenset(end_ids)
        self._finish = finish
        self._switch = switch
        self._prepare = prepare
        self._lock = threading.Condition()
        self._waiting: list[tuple[int, int, Generation]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._active: dict[int, Generation] = {}
        self._kept: dict[int, Any] = {}  # row to the prefix that stands in it
        self._since_reduction = 0
        self.counters = Counters()

    def submit(self, sequence: Generation) -> None:
        """Queue a sequence; its future tells the end."""
        with self._lock:
            self._push(sequence)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
                self._thread.start()
            self._lock.notify()

    def _push(self, sequence: Generation) -> None:
        rank = 0 if sequence.is_urgent else 1
        heapq.heappush(self._waiting, (rank, next(self._order), sequence))

    # The thread

    def _run(self) -> None:
        try:
            self._prepare()
            with torch.inference_mode():
                self._work()
        except BaseException as error:
            # Not even the recovery went well; nobody may wait for ever.
            with self._lock:
                self._thread = None
                left = [*self._active.values(), *(item[2] for item in self._waiting)]
                self._waiting.clear()
                self._active.clear()
            for sequence in left:
                _fail(sequence, TransientError(f"The model stopped: {type(error).__name__}."))
            raise

    def _work(self) -> None:
        while self._has_work():
            joining: list[Generation] = []
            try:
                self._drop_given_up()
                joining = self._take()
                if joining:
                    self._join(joining)
                if self._active:
                    self._step()
            except Exception as error:  # noqa: BLE001 - told to whoever waits for an answer
                self._recover(error, joining)

    def _has_work(self) -> bool:
        """Wait for work; False ends the thread."""
        with self._lock:
            if not self._active and not self._waiting:
                self._lock.wait_for(lambda: self._waiting, _IDLE_SECONDS)
                if not self._waiting:
                    self._thread = None
                    return False
            return True

    def _drop_given_up(self) -> None:
        now = time.monotonic()
        with self._lock:
            gone = [item for item in self._waiting if item[2].is_given_up]
            if gone:
                self._waiting = [item for item in self._waiting if not item[2].is_given_up]
                heapq.heapify(self._waiting)
        for _, _, sequence in gone:
            _fail(sequence, DraftCancelledError("The request was cancelled while it waited."))
        for sequence in list(self._active.values()):
            if sequence.is_given_up:
                self._leave(sequence)
                _fail(sequence, DraftCancelledError("The request was cancelled."))
            elif now > sequence.deadline:
                self._leave(sequence)
                words = f"{sequence.time_limit_seconds:g} s; {len(sequence.made)} tokens were made"
                _fail(sequence, TransientError(f"The model took longer than {words}."))

    def _take(self) -> list[Generation]:
        """Take what waits, urgent first, as far as rows and the pass over prompts have room."""
        taken: list[Generation] = []
        tokens = 0
        with self._lock:
            while self._waiting and len(self._active) + len(taken) < self._capacity:
                sequence = self._waiting[0][2]
                if taken and sequence.adapter != taken[0].adapter:
                    break
                tokens += len(sequence.ids)
                if taken and tokens > _JOIN_TOKENS:
                    break
                heapq.heappop(self._waiting)
                taken.append(sequence)
        return taken

    def _join(self, joining: Sequence[Generation]) -> None:
        """Give rows, compute what is new, and make the first token of each."""
        in_flight = [*self._active.values(), *joining]
        self._decoder.fit(len(in_flight), max(one.most_positions for one in in_flight))
        self._switch(joining[0].adapter)
        sharing = self._give_rows(joining)
        fresh = [one for one in joining if one not in sharing]
        # Rows are read before any of them is written anew.
        for one, source in sharing.items():
            if isinstance(source, int):
                self._decoder.cache.copy_start(source, one.row, one.prefix)
        self._write([(one, 0, self._features(one)) for one in fresh])
        for one, source in sharing.items():
            if isinstance(source, Generation):
                self._decoder.cache.copy_start(source.row, one.row, one.prefix)
        self._write([(one, one.prefix, None) for one in sharing])
        self.counters.shared += len(sharing)

    def _features(self, sequence: Generation) -> torch.Tensor | None:
        if sequence.pixel_values is None:
            return None
        pixels = sequence.pixel_values()
        self.counters.towers += len(pixels)
        return self._decoder.features(pixels)

    def _write(self, joining: Sequence[tuple[Generation, int, torch.Tensor | None]]) -> None:
        if not joining:
            return
        chosen, log_probabilities = self._decoder.join(
            [
                Joining(row=one.row, start=start, ids=one.ids[start:], features=features)
                for one, start, features in joining
            ],
            _likeliest(one for one, _, _ in joining),
        )
        now = time.monotonic()
        for one, _, _ in joining:
            one.deadline = one.deadline or now + one.time_limit_seconds
            self._active[one.row] = one
            self._kept[one.row] = one.prefix_key
        self._append([one for one, _, _ in joining], chosen, log_probabilities)

    def _give_rows(self, joining: Sequence[Generation]) -> dict[Generation, int | Generation]:
        """Give each a free row; return those whose beginning is there, and where.

        It is in a row, or will be in that of another one that joins now. Whoever finds its
        beginning in a free row gets that row, before anybody else could: so a row that is to be
        copied from is never given to one with another beginning that is copied.
        """
        free = set(range(self._decoder.cache.rows)) - self._active.keys()
        sharing: dict[Generation, int | Generation] = {}
        for one in joining:
            own = [row for row in free if one.prefix_key and self._kept.get(row) == one.prefix_key]
            one.row = min(own, default=-1)
            if own:
                free.discard(one.row)
                sharing[one] = one.row
        leaders: dict[Any, Generation] = {}
        for one in joining:
            if one in sharing:
                continue
            # An empty row, else one whose pictures are forgotten.
            one.row = min(free, key=lambda row: (row in self._kept, row))
            free.discard(one.row)
            if one.prefix_key is None:
                continue
            found = [row for row, key in self._kept.items() if key == one.prefix_key]
            if found:
                sharing[one] = found[0]
            elif one.prefix_key in leaders:
                sharing[one] = leaders[one.prefix_key]
            else:
                leaders[one.prefix_key] = one
        return sharing

    def _step(self) -> None:
        """Make one token for every sequence: one pass for each adapter in use."""
        for adapter in sorted({one.adapter for one in self._active.values()}):
            self._switch(adapter)
            rows = range(1 + max(self._active))
            here = {
                row: self._active[row]
                for row in rows
                if row in self._active and self._active[row].adapter == adapter
            }
            chosen, log_probabilities = self._decoder.step(
                [here[row].made[-1] if row in here else 0 for row in rows],
                [len(here[row].ids) - 1 if row in here else None for row in rows],
                adapter,
                _likeliest(here.values()),
            )
            index = torch.tensor(list(here), device=chosen.device)
            self.counters.steps += 1
            self.counters.tokens += len(here)
            self.counters.largest = max(self.counters.largest, len(here))
            self._append(list(here.values()), chosen[index], log_probabilities[index])

    def _append(
        self, sequences: Sequence[Generation], chosen: torch.Tensor, log_probabilities: torch.Tensor
    ) -> None:
        """Add a token to each sequence; let those go that are done."""
        tokens: list[list[int]] = chosen.tolist()
        values: list[list[float]] = log_probabilities.tolist()
        for sequence, several, chances in zip(sequences, tokens, values, strict=True):
            if math.isnan(chances[0]):
                self._leave(sequence)
                _fail(
                    sequence,
                    PermanentError(
                        "The model computed no number: its weights or the number format do not fit."
                    ),
                )
                continue
            sequence.append(several, chances)
            if sequence.made[-1] in self._ends or len(sequence.made) >= sequence.limit:
                self._leave(sequence)
                self._answer(sequence)

    def _answer(self, sequence: Generation) -> None:
        try:
            _set(sequence.future.set_result, self._finish(sequence))
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            _fail(sequence, error)
        self._since_reduction += 1
        if self._capacity < self._most_rows and self._since_reduction >= _RECOVERY_ANSWERS:
            self._since_reduction = 0
            self._capacity = min(2 * self._capacity, self._most_rows)

    def _leave(self, sequence: Generation) -> None:
        self._active.pop(sequence.row, None)

    # Trouble

    def _recover(self, error: Exception, joining: Sequence[Generation]) -> None:
        """Go on after a failed pass: smaller where memory ran out, without the batch otherwise."""
        in_flight = list(dict.fromkeys([*self._active.values(), *joining]))
        in_flight = [one for one in in_flight if not one.future.done()]
        self._active.clear()
        self._kept.clear()
        try:
            self._decoder.clear()
            free_memory()
        except Exception:
            for one in in_flight:
                _fail(one, error)
            raise
        if not is_memory_error(error):
            _log.error("batch_failed", count=len(in_flight), exc_info=error)
            for one in in_flight:
                _fail(one, error)
            return
        self.counters.reductions += 1
        self._since_reduction = 0
        self._capacity = max(1, len(in_flight) // 2)
        _log.warning(
            "batch_reduced",
            count=len(in_flight),
            reason=f"memory ran out; at most {self._capacity} requests at once from now on",
        )
        if len(in_flight) == 1:
            _fail(
                in_flight[0],
                MemoryExhaustedError("Memory ran out while the model was at work."),
            )
            return
        with self._lock:
            for one in in_flight:
                self._push(one)


def _likeliest(sequences: Iterable[Generation]) -> int:
    """Return how many tokens there are to be to draw from."""
    return DRAWN_FROM if any(one.drawing is not None for one in sequences) else 0


def _fail(sequence: Generation, error: Exception) -> None:
    _set(sequence.future.set_exception, error)


def _set(setter: Callable[[Any], None], value: Any) -> None:
    try:
        setter(value)
    except InvalidStateError:
        # Given up in this moment: nobody reads it.
        return
