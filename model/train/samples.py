"""Conversations as rows of tokens: what is shown, what is to be learnt, which pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import TrainingDataError
from model.prompts import END_OF_TURN, HEADER_END, HEADER_START, encode, encode_text
from model.train.conversations import Conversation
from model.train.exchange import side_spans
from model.train.varied import varied
from model.vision import ImageGeometry, to_pixel_values

IGNORED = -100
# Roles, breaks and the system's words come again with every conversation; reports do not.
_LONGEST_REMEMBERED = 200
# Pictures whose features are computed together, always the same ones: a product's last digit may
# depend on what else is in it, and a run that goes on must see what the whole run saw.
_TOGETHER = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One conversation in tokens.

    Attributes:
        ids: The tokens.
        labels: The same where it is learnt, `IGNORED` elsewhere.
        pictures: Which pictures it shows.
        is_mirrored: They are shown mirrored.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    pictures: tuple[int, ...]
    is_mirrored: bool = False


def encode_conversation(
    tokenizer: Any, said: Conversation, geometry: ImageGeometry, *, learns_quotes: bool = False
) -> tuple[list[int], list[int]]:
    """Return the ids of a conversation, with the engine's own prompt, and its labels.

    Labels stand on the answers and the marks that end them, nowhere else.

    Args:
        tokenizer: The model's.
        said: The conversation.
        geometry: How many tokens a picture takes.
        learns_quotes: Labels stand on the text behind a question's first blank line too. There a
            prompt quotes the report to work from, which is as good to learn a language by.
    """
    start, end, end_of_turn = tokenizer.convert_tokens_to_ids(
        [HEADER_START, HEADER_END, END_OF_TURN]
    )
    break_ids = encode_text(tokenizer, "\n\n")

    def header(role: str) -> list[int]:
        return [start, *encode_text(tokenizer, role), end, *break_ids]

    ids: list[int] = []
    labels: list[int] = []
    for index, turn in enumerate(said.turns):
        if index == 0:
            asked = encode(
                tokenizer,
                turn.question,
                image_count=len(said.images),
                tokens_per_image=geometry.token_count,
            )
        else:
            question = encode_text(tokenizer, turn.question)
            asked = [*header("user"), *question, end_of_turn, *header("assistant")]
        ids += asked
        labels += [IGNORED] * len(asked)
        if learns_quotes and "\n\n" in turn.question:
            quoted = encode_text(tokenizer, turn.question.partition("\n\n")[2])
            tail = 1 + len(header("assistant"))  # the question's end and the answer's head
            place = len(ids) - tail - len(quoted)
            if ids[place : place + len(quoted)] == quoted:
                labels[place : place + len(quoted)] = quoted
        answer = [*encode_text(tokenizer, turn.answer), end_of_turn]
        ids += answer
        labels += _sides(tokenizer, turn.answer, answer) if said.is_mirrored else answer
    return ids, labels


def _sides(tokenizer: Any, text: str, tokens: list[int]) -> list[int]:
    """Return an answer's tokens where it names a side; `IGNORED` elsewhere."""
    labels = [IGNORED] * len(tokens)
    for start, end in side_spans(text):
        # The blank before a word may be a part of its token.
        first = len(encode_text(tokenizer, text[:start].rstrip()))
        last = len(encode_text(tokenizer, text[:end]))
        labels[first:last] = tokens[first:last]
    return labels


class _Remembering:
    """A tokenizer that encodes the same piece of a prompt once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.convert_tokens_to_ids = tokenizer.convert_tokens_to_ids
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str, **options: bool) -> list[int]:
        """Return the ids of a text, always with the same options."""
        if text not in self._known:
            ids = self._tokenizer.encode(text, **options)
            if len(text) > _LONGEST_REMEMBERED:
                return ids
            self._known[text] = ids
        return self._known[text]


class Samples:
    """A data set in tokens, with the pictures' features where they are few enough to keep."""

    def __init__(
        self,
        tokenizer: Any,
        data: Sequence[Conversation],
        geometry: ImageGeometry,
        *,
        longest: int,
        learns_quotes: Callable[[Conversation], bool] = lambda _said: False,
        are_varied: bool = False,
    ) -> None:
        """Encode every conversation.

        Args:
            tokenizer: The model's.
            data: The conversations.
            geometry: How many tokens a picture takes.
            longest: Tokens that the model has room for.
            learns_quotes: Of which conversations the quoted report is learnt too
                (`encode_conversation`).
            are_varied: Each time a picture is shown it is moved, lit and grained a little
                otherwise; no features of it are kept then.

        Raises:
            TrainingDataError: One is longer than the model's context.
        """
        self._pad = tokenizer.pad_token_id or 0
        self.geometry = geometry
        self._are_varied = are_varied
        files = dict.fromkeys(file for said in data for file in said.images)
        self.files = tuple(files)
        places = {file: index for index, file in enumerate(files)}
        self._samples = []
        remembering = _Remembering(tokenizer)
        for said in data:
            ids, labels = encode_conversation(
                remembering, said, geometry, learns_quotes=learns_quotes(said)
            )
            if len(ids) > longest:
                raise TrainingDataError(
                    f"The record {said.id} takes {len(ids)} tokens; the model has room for "
                    f"{longest}."
                )
            pictures = tuple(places[file] for file in said.images)
            self._samples.append(
                Sample(
                    ids=tuple(ids),
                    labels=tuple(labels),
                    pictures=pictures,
                    is_mirrored=said.is_mirrored,
                )
            )
        self._features_of: Callable[[torch.Tensor], torch.Tensor] | None = None
        # Of every picture (N, P*P, D), and which of them are computed. One piece of memory: with
        # thousands of small ones the allocator searches for a third of a step's time.
        self._kept: torch.Tensor | None = None
        self._is_kept = np.zeros(len(self.files), dtype=bool)

    def __len__(self) -> int:
        return len(self._samples)

    def order(self, rng: np.random.Generator, together: int) -> list[int]:
        """Return an order in which those that come together are about as long (less padding)."""
        rows = rng.permutation(len(self))
        chunk = together * 32
        lengths = np.array([len(sample.ids) for sample in self._samples])
        batches: list[list[int]] = []
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + together].tolist() for i in range(0, len(part), together)]
        # A last, shorter one stays last, so that all others begin where a step begins.
        mixed = sorted(rng.permutation(len(batches)), key=lambda i: len(batches[i]) < together)
        return [row for i in mixed for row in batches[i]]

    def keep_features(self, features_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Compute each picture's features once, when it is first needed: the tower stands still.

        Args:
            features_of: From pictures (N, 3, S, S) to what the projector is given (N, P*P, D).
        """
        self._features_of = features_of

    def _features(self, places: Sequence[int]) -> torch.Tensor:
        new = (place // _TOGETHER for place in places if not self._is_kept[place])
        for group in dict.fromkeys(new):
            self._compute(range(len(self.files))[group * _TOGETHER : (group + 1) * _TOGETHER])
        if self._kept is None:
            raise ValueError("the batch shows no picture")
        return self._kept[list(places)]

    def _compute(self, places: Sequence[int]) -> None:
        if self._features_of is None:
            raise ValueError("no features are kept")
        features = self._features_of(self._pixels(places))
        if self._kept is None:
            self._kept = features.new_empty((len(self.files), *features.shape[1:]))
        self._kept[list(places)] = features
        self._is_kept[list(places)] = True

    def _pixels(self, places: Sequence[int]) -> torch.Tensor:
        rows = []
        for place in places:
            with Image.open(self.files[place]) as image:
                pixels = np.asarray(image.convert("RGB"))
            rows.append(torch.from_numpy(to_pixel_values(pixels, self.geometry.size)))
        return torch.stack(rows)

    def batch(self, rows: list[int], seed: int) -> dict[str, torch.Tensor]:
        """Return ids and labels (B, T), padded on the right, and pictures or their features."""
        chosen = [self._samples[row] for row in rows]
        length = max(len(sample.ids) for sample in chosen)
        ids = torch.full((len(rows), length), self._pad)
        labels = torch.full((len(rows), length), IGNORED)
        for row, sample in enumerate(chosen):
            ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
            labels[row, : len(sample.ids)] = torch.tensor(sample.labels)
        places = [place for sample in chosen for place in sample.pictures]
        mirrored = [sample.is_mirrored for sample in chosen for _ in sample.pictures]
        if self._features_of is None or self._are_varied:
            pixels = self._pixels(places)
            pixels[mirrored] = pixels[mirrored].flip(-1)
            if self._are_varied:
                pixels = varied(pixels, np.random.default_rng(seed))
            return {"ids": ids, "labels": labels, "pixels": pixels}
        return {"ids": ids, "labels": labels, "features": self._features(places)}
