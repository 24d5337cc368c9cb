"""Make the demonstration checkpoint: `python -m model.train.demo`.

Draws phantoms, warms the vision tower up on labels, then trains projector and language model on
the conversations about them. A stopped run goes on where it was: everything stands in the work
folder, and each step's batch follows from the seed alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import textwrap
import time
from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from model.demo import CHECKPOINT
from model.layouts import CARD_NAME
from model.phantom.folder import CONVERSATIONS, TRUTH, write_pictures
from model.phantom.record import FOREIGN_MARK, Mixture
from model.prompts import PROMPTS_VERSION
from model.train.conversations import read_conversations
from model.train.language import AnswerLoss
from model.train.loop import ParameterGroup, Progress, Recipe, train
from model.train.pictures import FILM_SIZE, make_pictures
from model.train.samples import Samples
from model.train.start import start_tower
from model.train.toy import CONTEXT_TOKENS, GEOMETRY, build_model, build_tokenizer
from model.train.warmup import PictureBatches, WarmUp

log = logging.getLogger("demo")

_MUON_RATE, _OTHER_RATE, _DECAY = 3e-3, 1.5e-3, 0.02
_FIRST_PICTURES = 400


_NAME = "Taqrir-Demo"
_MAX_BYTES = 25_000_000
_CARD = """---
license: apache-2.0
language: [en, ar]
---

# {name}

**Trained on synthetic phantoms; no clinical meaning.** It shows the path of a study through
Taqrir on a laptop, in the shape of BiMediX2 (CLIP vision tower, two-layer projector, Llama), and
must never be used to read a picture of a person.

- Parameters: {parameters:,}; stored as float16. Random start: no weights of others are in it.
- Data: {phantoms:,} synthetic chest radiographs (`model/phantom`) with English and Arabic
  reports and summaries. No picture and no text of a patient.
- Prompts: version {prompts} of `model/prompts.py`.
- Command: `python -m model.train.demo {command}`.
- How: {how}. {minutes:.0f} minutes of one processor.
- Licence: Apache-2.0.
"""


_FROM_NOTHING = (
    "the vision tower learns the findings as labels and where they lie, through heads that are\n"
    "  thrown away ({vision_steps} steps of 32); then projector and language model learn to\n"
    "  write, the tower standing still ({language_steps} steps of 16)"
)
_FROM_CHECKPOINT = (
    "projector and language model go on from the checkpoint whose weights have SHA-256\n"
    "  `{digest}`,\n"
    "  the tower standing still ({language_steps} steps of 16)"
)


def toy_groups(module: nn.Module, share: float = 1.0) -> list[ParameterGroup]:
    """Return a module's parameters: the layers' matrices for Muon, all else for AdamW.

    Args:
        module: What is trained.
        share: Of the highest rates.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]

    def is_matrix(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim == 2 and ".layers." in name  # noqa: PLR2004 - rows and columns

    matrices = [p for name, p in named if is_matrix(name, p)]
    others = [p for name, p in named if not is_matrix(name, p)]
    groups = [ParameterGroup(parameters=others, rate=share * _OTHER_RATE, weight_decay=_DECAY)]
    if matrices:
        groups.append(
            ParameterGroup(
                parameters=matrices,
                rate=share * _MUON_RATE,
                weight_decay=_DECAY,
                by_muon=True,
            )
        )
    return groups


def warm_up(model: Any, options: argparse.Namespace, report: Callable[[Progress], None]) -> None:
    """Teach the tower, in place."""
    file = options.work / f"pictures-{options.seed}-{options.phantoms}.npz"
    data = make_pictures(options.phantoms, options.seed, GEOMETRY, file)
    start_tower(model.model.vision_tower, data.pictures[:_FIRST_PICTURES])
    loss_of = WarmUp(model)
    recipe = Recipe(
        stage="vision",
        steps=options.vision_steps,
        batch=32,
        seed=options.seed,
        # One process has one precision.
        mixed_precision=options.mixed_precision,
        save_every=100,
    )
    train(
        loss_of,
        toy_groups(loss_of),
        PictureBatches(data),
        recipe,
        state=options.work / "vision.pt",
        on_progress=report,
    )


def learn_language(
    model: Any, tokenizer: Any, options: argparse.Namespace, report: Callable[[Progress], None]
) -> None:
    """Teach projector and language model, in place; the tower stands still."""
    mixture = Mixture(manners=options.manners, mixed=options.mixed, contrary=options.contrary)
    shares = "-".join(f"{share:g}" for share in astuple(mixture))
    folder = options.work / f"phantoms-{options.seed}-{options.phantoms}-{shares}"
    if not (folder / TRUTH).is_file() or not (folder / CONVERSATIONS).is_file():
        write_pictures(folder, options.phantoms, options.seed, size=FILM_SIZE, mixture=mixture)
    model.model.vision_tower.requires_grad_(requires_grad=False).eval()
    # On a CPU the way back through fused attention takes longer than all the rest of a step.
    model.model.language_model.set_attn_implementation("eager")
    loss_of = AnswerLoss(model)
    data = Samples(
        tokenizer,
        read_conversations(folder / CONVERSATIONS),
        GEOMETRY,
        longest=CONTEXT_TOKENS,
        # The report of another phantom cannot be told from the picture.
        learns_quotes=lambda said: not said.id.endswith(FOREIGN_MARK),
    )
    data.keep_features(loss_of.features_of)
    recipe = Recipe(
        stage="language",
        steps=options.language_steps,
        batch=16,
        seed=options.seed,
        mixed_precision=options.mixed_precision,
        save_every=50,
    )
    train(
        loss_of,
        toy_groups(loss_of, options.rate_share),
        data,
        recipe,
        state=options.work / "language.pt",
        on_progress=report,
    )


def arguments() -> argparse.ArgumentParser:
    """Return what the program is told."""
    parser = argparse.ArgumentParser(prog="model.train.demo", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("var/demo-checkpoint"))
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="where it goes")
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--phantoms", type=int, default=12_000)
    parser.add_argument("--vision-steps", type=int, default=1800)
    parser.add_argument("--language-steps", type=int, default=7500)
    parser.add_argument(
        "--manners", type=float, default=0.25, help="share of phantoms told in another manner too"
    )
    parser.add_argument("--mixed", type=float, default=0.0, help="of those, in mixed manners")
    parser.add_argument(
        "--contrary", type=float, default=0.0, help="of other phantoms' reports: with both sides"
    )
    parser.add_argument(
        "--start", type=Path, help="checkpoint to go on from: its tower stays as it is"
    )
    parser.add_argument("--rate-share", type=float, default=1.0, help="of the language's rates")
    # One: two threads that wait for each other on a busy two-core machine are seven times slower.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mixed-precision", default="bf16", choices=["no", "bf16"])
    return parser


def main() -> None:
    """Make and save the checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = arguments().parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer, model = _begin(options.start)

    def report(progress: Progress) -> None:
        with (options.work / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(progress)) + "\n")

    seconds = 0.0
    try:
        if options.start is None:
            warm_up(model, options, report)
        learn_language(model, tokenizer, options, report)
    finally:
        # A run that is stopped counts too.
        seconds = _add_seconds(options.work / "seconds.txt", time.process_time() - started)
    save(model, tokenizer, options, seconds)


def _begin(start: Path | None) -> tuple[Any, Any]:
    """Return tokenizer and model: untrained, or those of a checkpoint, in float32."""
    if start is None:
        tokenizer = build_tokenizer()
        return tokenizer, build_model(tokenizer)
    return (
        PreTrainedTokenizerFast.from_pretrained(start),
        LlavaForConditionalGeneration.from_pretrained(start, dtype=torch.float32),
    )


def _add_seconds(file: Path, seconds: float) -> float:
    """Add a run's processor seconds to those of the runs that it went on from."""
    total = seconds + (float(file.read_text(encoding="utf-8")) if file.is_file() else 0.0)
    file.write_text(f"{total:.0f}\n", encoding="utf-8")
    return total


def save(model: Any, tokenizer: Any, options: argparse.Namespace, seconds: float) -> None:
    """Write the folder anew, as float16 safetensors with the tokenizer, `taqrir.json` and a card.

    Raises:
        ValueError: It is larger than a checkpoint that lives in a repository may be.
    """
    folder: Path = options.out
    digest = _digest(options.start) if options.start else ""
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = {"name": _NAME, "is_demonstration": True}
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    how = (_FROM_CHECKPOINT if digest else _FROM_NOTHING).format(digest=digest, **vars(options))
    text = _CARD.format(
        name=_NAME,
        parameters=sum(p.numel() for p in model.parameters()),
        phantoms=options.phantoms,
        prompts=PROMPTS_VERSION,
        command=_command(options),
        how=how,
        minutes=seconds / 60,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)  # weights are written for their owner alone
    size = sum(file.stat().st_size for file in folder.iterdir())
    log.info("saved %s: %.1f MB", folder, size / 1e6)
    if size > _MAX_BYTES:
        raise ValueError(f"{folder} has {size} bytes")


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _command(options: argparse.Namespace) -> str:
    """Return the options that settle what comes out."""
    told = {name: value for name, value in vars(options).items() if name not in {"work", "out"}}
    words = [
        f"--{name.replace('_', '-')} {value}" for name, value in told.items() if value is not None
    ]
    return textwrap.fill(" ".join(words), 90, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    main()
