"""Make the demonstration checkpoint: `python -m model.demo.make_checkpoint`.

Draws the phantoms, trains the tower, then projector and language model, saves float16, and measures
the saved folder on fresh phantoms. A stopped run goes on where it was: everything stands in the
work folder, and each step's batch follows from the seed alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from model.checkpoint import CARD_NAME
from model.demo.architecture import build_model, build_tokenizer
from model.demo.dataset import make_phantoms
from model.demo.evaluate import Figures, evaluate_folder
from model.demo.train_language import train_language
from model.demo.train_vision import train_vision
from model.prompts import PROMPTS_VERSION

log = logging.getLogger("make_checkpoint")

FOLDER = Path(__file__).parent / "checkpoint"
NAME = "Taqrir-Demo"
# Fresh phantoms come from another seed than those of training.
_EVALUATION_SEED = 77_001
_MAX_BYTES = 25_000_000

_CARD = """---
license: apache-2.0
language: [en, ar]
---

# {name}

**A demonstration. What it writes has no clinical meaning.** It shows the path of a study through
Taqrir on a laptop, in the shape of BiMediX2 (CLIP vision tower, two-layer projector, Llama), and
must never be used to read a picture of a person.

- Parameters: {parameters:,}; stored as float16. Random start: no weights of others are in it.
- Data: {phantoms:,} synthetic chest radiographs (`model/demo/phantoms.py`) with paired English and
  Arabic texts (`model/demo/wording.py`): normal, pleural effusion, one nodule, several nodules,
  consolidation, cardiomegaly, pneumothorax. No picture and no text of a patient.
- Prompts: version {prompts} of `model/prompts.py`.
- Command: `{command}`
- Seed {seed}; {vision_steps} steps for the tower, {language_steps} for projector and language
  model; {minutes:.0f} minutes on {threads} CPU thread(s) of a machine shared with others.
- Measured on {drafts} fresh phantoms, from the saved folder, with a plain context (CR, CHEST, PA):
  {plain}.
- The same phantoms with drawn contexts, nearly half with an indication of meaningless words:
  {odd}.
- Known: it knows seven patterns, one to a picture, and says one of them of whatever it is shown.
  A long indication in words that it never saw can put it off; the checks then hold the draft back.
- Licence: Apache-2.0.
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make_checkpoint", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the checkpoint goes")
    parser.add_argument("--work", type=Path, default=Path("var/demo-checkpoint"))
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--phantoms", type=int, default=12_000)
    parser.add_argument("--vision-steps", type=int, default=2500)
    parser.add_argument("--language-steps", type=int, default=3100)
    parser.add_argument("--drafts", type=int, default=100, help="fresh phantoms to measure on")
    # One: two threads that wait for each other on a busy two-core machine are seven times slower.
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Make, save and measure the checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options = _arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    name = f"phantoms-{options.seed}-{options.phantoms}.pt"
    data = make_phantoms(options.phantoms, options.seed, options.work / name)
    train_vision(model, data, options.vision_steps, options.seed, options.work / "vision.pt")
    train_language(
        model,
        tokenizer,
        data,
        steps=options.language_steps,
        seed=options.seed,
        state=options.work / "language.pt",
    )
    save(model, tokenizer, options.out)
    minutes = _minutes_spent(options.work / "seconds.txt", time.monotonic() - started)
    plain, odd = evaluate_folder(options.out, options.drafts, _EVALUATION_SEED)
    log.info("plain contexts: %s", plain)
    log.info("odd contexts: %s", odd)
    _write_card(options, model, plain, odd, minutes)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the folder anew, as float16 safetensors with the tokenizer and `taqrir.json`.

    Raises:
        ValueError: It is larger than a checkpoint that lives in a repository may be.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = {"name": NAME, "is_demonstration": True}
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)  # weights are written for their owner alone
    size = sum(file.stat().st_size for file in folder.iterdir())
    log.info("saved %s: %.1f MB", folder, size / 1e6)
    if size > _MAX_BYTES:
        raise ValueError(f"{folder} has {size} bytes")


def _minutes_spent(file: Path, seconds: float) -> float:
    """Add a run's seconds to those of the runs that it went on from; return all in minutes."""
    total = seconds + (float(file.read_text(encoding="utf-8")) if file.is_file() else 0.0)
    file.write_text(f"{total:.0f}\n", encoding="utf-8")
    return total / 60


def _write_card(
    options: argparse.Namespace, model: Any, plain: Figures, odd: Figures, minutes: float
) -> None:
    command = (
        f"python -m model.demo.make_checkpoint --seed {options.seed} --phantoms "
        f"{options.phantoms} --vision-steps {options.vision_steps} --language-steps "
        f"{options.language_steps} --threads {options.threads}"
    )
    text = _CARD.format(
        name=NAME,
        parameters=sum(p.numel() for p in model.parameters()),
        phantoms=options.phantoms,
        prompts=PROMPTS_VERSION,
        command=command,
        seed=options.seed,
        vision_steps=options.vision_steps,
        language_steps=options.language_steps,
        minutes=minutes,
        threads=options.threads,
        drafts=plain.drafts,
        plain=plain,
        odd=odd,
    )
    (options.out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
