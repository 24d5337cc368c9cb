"""LLaVA's two stages on a checkpoint: what is trained in each, and what comes out.

1. Alignment: the projector alone. Out comes a whole checkpoint.
2. Instruction tuning: LoRA on every Linear of the language model's layers, and the projector.
   Out comes an adapter folder with the projector whole.
3. A site's adapter: as stage 2, but the projector stands still too.

Defaults are BiMediX2's (rates, rank, alpha, dropout, schedule, one pass). Its batch sizes are not
published; LLaVA-1.5's stand in for them.

Source: Mullappilly et al. 2024 (BiMediX2), training scripts; Liu et al. 2023 (LLaVA-1.5).
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch

from core.errors import PermanentError
from model.checkpoint import LoadedModel, load_checkpoint
from model.layouts import CARD_NAME
from model.train.conversations import read_conversations
from model.train.language import AnswerLoss
from model.train.loop import ParameterGroup, Progress, Recipe, train
from model.train.samples import Samples
from model.train.variants import variants_of

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PROJECTOR = "multi_modal_projector"
# Features of so many numbers are computed once and kept; more are computed again for each step.
_MOST_KEPT = 250_000_000


class Stage(StrEnum):
    """What is trained."""

    PROJECTOR = "1"
    LORA = "2"
    ADAPTER = "adapter"


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """What a stage is told; None leaves a stage's own default.

    Attributes:
        base: Checkpoint folder that is trained on.
        data: Conversation JSON.
        images: Folder of its pictures; the data's own where None.
        out: Folder to write; it must not be there.
        projector_rate: Highest rate of the projector in stage 2.
        checkpointing: Activations are computed again instead of kept: slower, less memory.
        variants: Of each exchange about a text so many variants are trained on too
            (`model.train.variants`), and no picture is shown twice alike: for some hundred reports.
    """

    stage: Stage
    base: Path
    data: Path
    out: Path
    images: Path | None = None
    epochs: float = 1.0
    batch: int | None = None
    accumulation: int = 1
    rate: float | None = None
    projector_rate: float = 2e-5
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    seed: int = 0
    mixed_precision: str = "no"
    device: str = "auto"
    checkpointing: bool = False
    save_every: int = 250
    variants: int = 0
    name: str = ""

    @property
    def highest_rate(self) -> float:
        """The rate of what the stage is about."""
        return self.rate or (1e-3 if self.stage is Stage.PROJECTOR else 2e-4)

    @property
    def batch_size(self) -> int:
        """Samples a step."""
        return self.batch or (256 if self.stage is Stage.PROJECTOR else 128)

    @property
    def work(self) -> Path:
        """Where the state lies until the stage is done."""
        return self.out.with_name(f"{self.out.name}.training")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of a stage; `variants` counts those of its samples."""

    folder: Path
    samples: int
    variants: int
    steps: int
    loss: float
    data_sha256: str = field(default="")


def run_stage(
    options: StageOptions, on_progress: Callable[[Progress], None] = lambda _progress: None
) -> Trained:
    """Train one stage and write its folder; a stopped run goes on where it was.

    Raises:
        TrainingDataError: The data has faults; nothing was trained.
        TrainingDivergedError: The loss ran away; nothing was written.
        CheckpointError: The base cannot be loaded.
        PermanentError: The folder is there already.
    """
    if options.out.exists():
        raise PermanentError(f"{options.out} is there already; name another folder.")
    said = read_conversations(options.data, options.images)
    loaded = load_checkpoint(options.base, options.device)
    data = Samples(
        loaded.tokenizer,
        [*said, *variants_of(said, options.variants, options.seed)],
        loaded.geometry,
        longest=loaded.context_tokens,
        are_varied=options.variants > 0,
    )
    torch.manual_seed(options.seed)
    wrapped = prepare(loaded.model, options)
    loss_of = AnswerLoss(loaded.model)
    loss_of.train()
    loaded.model.model.vision_tower.eval()
    if not options.variants and _kept_numbers(loaded, data) <= _MOST_KEPT:
        data.keep_features(loss_of.features_of)
    batch = min(options.batch_size, len(data))
    recipe = Recipe(
        stage=f"stage {options.stage}",
        steps=max(1, math.ceil(options.epochs * len(data) / batch)),
        batch=batch,
        accumulation=options.accumulation,
        seed=options.seed,
        mixed_precision=options.mixed_precision,
        save_every=options.save_every,
    )
    loss = train(
        loss_of,
        groups_of(loaded.model, options),
        data,
        recipe,
        state=options.work / "state.pt",
        on_progress=on_progress,
    )
    done = Trained(
        folder=options.out,
        samples=len(said),
        variants=len(data) - len(said),
        steps=recipe.steps,
        loss=loss,
        data_sha256=hashlib.sha256(options.data.read_bytes()).hexdigest(),
    )
    _write(options, loaded, wrapped, done)
    (options.work / "state.pt").unlink()
    options.work.rmdir()
    return done


def _kept_numbers(loaded: LoadedModel, data: Samples) -> int:
    width = loaded.model.config.vision_config.hidden_size
    return len(data.files) * loaded.geometry.token_count * int(width)


def prepare(model: Any, options: StageOptions) -> Any:
    """Make just what a stage trains trainable, in float32; return PEFT's wrapping, or None."""
    from peft import LoraConfig, get_peft_model

    model.requires_grad_(requires_grad=False)
    wrapped = None
    if options.stage is Stage.PROJECTOR:
        model.model.multi_modal_projector.requires_grad_(requires_grad=True)
    else:
        settings = LoraConfig(
            r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            target_modules=rf".*language_model.*\.({'|'.join(LINEAR)})",
            modules_to_save=[_PROJECTOR] if options.stage is Stage.LORA else None,
        )
        with warnings.catch_warnings():
            # PEFT asks transformers for a property that has a new name there.
            warnings.filterwarnings(
                "ignore", message=".*is_gradient_checkpointing", category=FutureWarning
            )
            wrapped = get_peft_model(model, settings)
        # PEFT would write the name that the model has in its own configuration: none.
        settings.base_model_name_or_path = str(options.base.resolve())
    for parameter in model.parameters():
        if parameter.requires_grad:
            # Steps of bfloat16 would round small changes away.
            parameter.data = parameter.data.float()
    if options.checkpointing:
        model.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    return wrapped


def groups_of(model: Any, options: StageOptions) -> list[ParameterGroup]:
    """Return what is trained with its rates."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    projector = [p for name, p in named if _PROJECTOR in name]
    others = [p for name, p in named if _PROJECTOR not in name]
    if options.stage is Stage.PROJECTOR:
        return [ParameterGroup(parameters=projector, rate=options.highest_rate)]
    groups = [ParameterGroup(parameters=others, rate=options.highest_rate)]
    if projector:
        groups.append(ParameterGroup(parameters=projector, rate=options.projector_rate))
    return groups


def _write(options: StageOptions, loaded: LoadedModel, wrapped: Any, done: Trained) -> None:
    """Write the folder beside its place and move it there: nobody finds half of one."""
    written = options.work / "folder"
    written.mkdir(parents=True, exist_ok=True)
    if wrapped is None:
        loaded.model.save_pretrained(written)
        loaded.tokenizer.save_pretrained(written)
    else:
        # Without the last word PEFT would ask a hub for the base's vocabulary.
        wrapped.save_pretrained(written, save_embedding_layers=False)
    for file in written.glob("README.md"):
        file.unlink()
    base = loaded.version
    name = options.name or options.out.name
    card = {"name": name, "is_demonstration": base.is_demonstration}
    (written / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (written / "README.md").write_text(_card(options, base, done, name), encoding="utf-8")
    for file in written.iterdir():
        file.chmod(0o644)  # weights are written for their owner alone
    written.rename(options.out)


def _card(options: StageOptions, base: Any, done: Trained, name: str) -> str:
    what = {
        Stage.PROJECTOR: "stage 1: the projector alone",
        Stage.LORA: f"stage 2: LoRA (rank {options.rank}, alpha {options.alpha}) and projector",
        Stage.ADAPTER: f"an adapter: LoRA (rank {options.rank}, alpha {options.alpha})",
    }[options.stage]
    demonstration = (
        "\n**Trained on a demonstration model: what it writes has no clinical meaning.**\n"
        * base.is_demonstration
    )
    return f"""# {name}
{demonstration}
- Trained: {what}.
- On: {base}.
- Data: {done.samples} conversations of `{options.data.name}`, SHA-256 `{done.data_sha256}`, and
  {done.variants} variants of them.
- {done.steps} steps of {min(options.batch_size, done.samples + done.variants)} samples, highest
  rate {options.highest_rate:g}, seed {options.seed}, precision {options.mixed_precision}.
- Mean loss of the last steps: {done.loss:.4f}. How good it is, `taqrir model evaluate` measures.
- Licence: that of its base and of its data; this folder adds none of its own.
"""
