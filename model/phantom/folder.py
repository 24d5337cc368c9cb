"""A folder of phantoms as pictures, with the conversations that a model learns from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from model.phantom.phantoms import numbered_phantom
from model.phantom.ranges import TRAINING, Ranges
from model.phantom.record import (
    USUAL,
    Mixture,
    Truth,
    conversations_of,
    from_line,
    to_line,
    truth_of,
)
from model.phantom.wording import Style

TRUTH = "truth.jsonl"
CONVERSATIONS = "conversations.jsonl"
FILMS = "films"


def write_pictures(
    folder: Path,
    count: int,
    seed: int,
    *,
    size: int,
    ranges: Ranges = TRAINING,
    style: Style = Style.STANDARD,
    mixture: Mixture = USUAL,
    on_film: Callable[[int], None] = lambda _done: None,
) -> None:
    """Write `count` films as PNG, with `truth.jsonl` and `conversations.jsonl`.

    Style and mixture are those of `model.phantom.record.conversations_of`.

    The two lists are written last: a folder that has them is whole.
    """
    (folder / FILMS).mkdir(parents=True, exist_ok=True)
    truths: list[Truth] = []
    for index in range(count):
        made = numbered_phantom(seed, index, size=size, ranges=ranges)
        name = f"{FILMS}/{seed}-{index:06}.png"
        grey = Image.fromarray(np.rint(made.film * 255).astype(np.uint8))
        grey.save(folder / name, compress_level=1)
        truths.append(truth_of(seed, index, made.case, name, style=style))
        on_film(index + 1)
    write_truths(folder, truths)
    write_conversations(folder, truths, style, mixture=mixture)


def write_conversations(
    folder: Path,
    truths: Sequence[Truth],
    style: Style = Style.STANDARD,
    *,
    mixture: Mixture = USUAL,
) -> None:
    """Write `conversations.jsonl`, one record for each task of each phantom."""
    with (folder / CONVERSATIONS).open("w", encoding="utf-8") as file:
        for truth in truths:
            for record in conversations_of(truth, style, mixture=mixture):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_truths(folder: Path, truths: Sequence[Truth]) -> None:
    """Write `truth.jsonl`, one phantom a line."""
    text = "".join(to_line(truth) + "\n" for truth in truths)
    (folder / TRUTH).write_text(text, encoding="utf-8")


def read_truths(folder: Path) -> tuple[Truth, ...]:
    """Return what `write_truths` wrote."""
    lines = (folder / TRUTH).read_text(encoding="utf-8").splitlines()
    return tuple(from_line(line) for line in lines)
