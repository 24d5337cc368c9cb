"""A loaded model's two passes: over prompts that join, and one token further for all in flight.

On CUDA the second one is captured as a graph for each size of batch and length, because starting a
thousand small kernels from Python takes longer than running them. Elsewhere the same function is
called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from model.checkpoint import LoadedModel
from model.slots import SlotCache, SlotShape

# Sizes of batch and of length for which graphs are captured; those between use the next larger.
_GRAPH_ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
_GRAPH_LENGTH_STEP = 512
_LENGTH_STEP = 64
# Pictures that pass the vision tower at a time.
_TOWER_BATCH = 8

# Tokens of each row, the most likely one first and then those that may be drawn, likeliest first
# (B, 1 + N); and the logarithms of their probabilities.
Choice = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Joining:
    """What is to be written into a row before its first token is made.

    Attributes:
        row: Where.
        start: First position; what stands before it is there already.
        ids: Tokens from `start` on.
        features: What the tokens of pictures among them become, (N, D); None where there are none.
    """

    row: int
    start: int
    ids: Sequence[int]
    features: torch.Tensor | None = None


class Decoder:
    """The passes, over the rows of one cache."""

    def __init__(self, loaded: LoadedModel, *, use_graphs: bool | None = None) -> None:
        """Take no memory yet.

        Args:
            loaded: The model.
            use_graphs: Capture CUDA graphs; where None, on CUDA only.
        """
        self._model = loaded.model
        self._text = loaded.model.model.language_model
        self._device = loaded.device
        self._image_id = loaded.model.config.image_token_id
        self._use_graphs = loaded.device.type == "cuda" if use_graphs is None else use_graphs
        self._graphs: dict[tuple[int, int, str, int], Callable[[], Choice]] = {}
        self._pool: Any = None
        self.cache = SlotCache(
            SlotShape.of(loaded.model.config.text_config), loaded.device, loaded.model.dtype
        )
        self._tokens = torch.zeros(0, dtype=torch.int64, device=loaded.device)
        self._positions = self._tokens

    def fit(self, rows: int, length: int) -> None:
        """Make room; see `SlotCache.fit`."""
        if self._use_graphs:
            rows = _round_up(rows, _GRAPH_ROWS)
        if self.cache.fit(rows, length):
            # Graphs hold the old addresses.
            self._graphs.clear()
            self._tokens = torch.zeros(self.cache.rows, dtype=torch.int64, device=self._device)
            self._positions = torch.zeros_like(self._tokens)

    def clear(self) -> None:
        """Let all memory go but the weights'."""
        self._graphs.clear()
        self._pool = None
        self.cache.clear()
        self._tokens = self._positions = self._tokens[:0]

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return what a prompt shows of pictures.

        Args:
            pixel_values: (N, 3, S, S).

        Returns:
            (N * tokens of a picture, D).
        """
        config = self._model.config
        parts: list[torch.Tensor] = []
        for some in pixel_values.split(_TOWER_BATCH):
            output = self._model.get_image_features(
                pixel_values=some.to(device=self._device, dtype=self._model.dtype),
                vision_feature_layer=config.vision_feature_layer,
                vision_feature_select_strategy=config.vision_feature_select_strategy,
                return_dict=True,
            )
            parts += output.pooler_output
        return torch.cat(parts)

    def join(self, joining: Sequence[Joining], likeliest: int = 0) -> Choice:
        """Write prompts into their rows, all in one pass, and return their first tokens.

        Shorter ones are filled up on the right: what is written there lies behind the row's end
        and is overwritten before anybody may see it.

        Args:
            joining: The prompts.
            likeliest: How many tokens there are to draw from.
        """
        width = max(len(one.ids) for one in joining)
        ids = torch.zeros((len(joining), width), dtype=torch.int64)
        positions = torch.empty_like(ids)
        for index, one in enumerate(joining):
            count = len(one.ids)
            ids[index, :count] = torch.tensor(one.ids)
            positions[index] = one.start + torch.arange(width).clamp(max=count)
        ids, positions = ids.to(self._device), positions.to(self._device)
        rows = torch.tensor([one.row for one in joining], device=self._device)
        embedded = self._model.get_input_embeddings()(ids)  # (B, T, D)
        for index, one in enumerate(joining):
            if one.features is not None:
                here = ids[index] == self._image_id
                embedded[index, here] = one.features.to(embedded.dtype)
        longest = max(one.start + len(one.ids) for one in joining)
        self.cache.look_at(rows, positions, read_length=longest, is_dense=False)
        hidden = self._forward(embedded, positions)
        last = torch.tensor([len(one.ids) - 1 for one in joining], device=self._device)
        ends = hidden[torch.arange(len(joining), device=self._device), last]
        return self._choose(ends, likeliest)

    def step(
        self,
        tokens: Sequence[int],
        positions: Sequence[int | None],
        variant: str = "",
        likeliest: int = 0,
    ) -> Choice:
        """Make one token for each row from 0 on.

        Args:
            tokens: The token that each row continues from.
            positions: Where that token is written; None for a row that takes no part.
            variant: Which adapter is switched on: graphs of one are not those of another.
            likeliest: How many tokens there are to draw from.
        """
        count = len(tokens)
        rows = _round_up(count, _GRAPH_ROWS) if self._use_graphs else count
        rows = min(rows, self.cache.rows)
        longest = 1 + max(position for position in positions if position is not None)
        step = _GRAPH_LENGTH_STEP if self._use_graphs else _LENGTH_STEP
        length = min(-(-longest // step) * step, self.cache.length)
        scratch = self.cache.scratch
        idle = rows - count
        inputs = torch.tensor(
            [
                [*tokens, *[0] * idle],
                [*(scratch if p is None else p for p in positions), *[scratch] * idle],
            ]
        ).to(self._device)
        self._tokens[:rows], self._positions[:rows] = inputs[0], inputs[1]
        chosen, log_probabilities = self._stepper(rows, length, variant, likeliest)()
        return chosen[:count], log_probabilities[:count]

    def _stepper(
        self, rows: int, length: int, variant: str, likeliest: int
    ) -> Callable[[], Choice]:
        def run() -> Choice:
            positions = self._positions[:rows, None]  # (B, 1)
            dense = torch.arange(rows, device=self._device)
            self.cache.look_at(dense, positions, read_length=length, is_dense=True)
            embedded = self._model.get_input_embeddings()(self._tokens[:rows, None])
            return self._choose(self._forward(embedded, positions)[:, -1], likeliest)

        if not self._use_graphs:
            return run
        key = (rows, length, variant, likeliest)
        if key not in self._graphs:
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            self._graphs[key] = capture(run, self._pool)
        return self._graphs[key]

    def _forward(self, embedded: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        output = self._text(
            inputs_embeds=embedded,
            attention_mask=self.cache.mask(positions),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _choose(self, hidden: torch.Tensor, likeliest: int) -> Choice:
        """Return each row's next tokens, from its last hidden state (B, D)."""
        logits = self._model.lm_head(hidden).float()  # (B, V)
        values, tokens = logits.max(dim=-1, keepdim=True)
        if likeliest:
            drawable = logits.topk(min(likeliest, logits.shape[-1]), dim=-1)
            # Of tokens that are as likely, `topk` need not name the same one first.
            tokens = torch.cat([tokens, drawable.indices], dim=-1)
            values = torch.cat([values, drawable.values], dim=-1)
        return tokens, values - logits.logsumexp(dim=-1, keepdim=True)


def capture(run: Callable[[], Choice], pool: Any) -> Callable[[], Choice]:
    """Return a function that replays what `run` does on the GPU.

    `run` must read and write the same memory each time. It is run once beforehand, so that
    libraries set themselves up outside the capture.

    Source: PyTorch, "CUDA semantics", section on CUDA graphs.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        outputs = run()

    def replay() -> Choice:
        graph.replay()
        return outputs

    return replay


def _round_up(count: int, sizes: Sequence[int]) -> int:
    return next((size for size in sizes if size >= count), count)
