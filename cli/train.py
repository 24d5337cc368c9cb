"""`taqrir model train`: a stage of training on a checkpoint, from conversation JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.options import as_json, print_json, with_settings
from core.settings import Settings


@click.command()
@click.option("--stage", type=click.Choice(["1", "2"]), help="1: projector; 2: LoRA and projector.")
@click.option("--adapter", is_flag=True, help="LoRA alone: a site's adapter on a finished model.")
@click.option("--base", type=click.Path(path_type=Path), help="Checkpoint (default: model.path).")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Conversation JSON.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of its pictures.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--name", default="", help="Name of the model (default: the folder's).")
@click.option("--epochs", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--batch", type=click.IntRange(1), help="Samples a step (256 and 128).")
@click.option("--accumulation", default=1, show_default=True, type=click.IntRange(1))
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Highest (1e-3 and 2e-4).")
@click.option("--projector-rate", default=2e-5, show_default=True, type=click.FloatRange(0))
@click.option("--rank", default=8, show_default=True, type=click.IntRange(1))
@click.option("--alpha", default=16, show_default=True, type=click.IntRange(1))
@click.option("--dropout", default=0.05, show_default=True, type=click.FloatRange(0, 1))
@click.option(
    "--variants",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Train on so many variants of each conversation too: for some hundred reports.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--mixed-precision", default="no", show_default=True, type=click.Choice(["no", "bf16", "fp16"])
)
@click.option("--device", default="auto", show_default=True)
@click.option("--checkpointing", is_flag=True, help="Less memory, more time.")
@click.option("--save-every", default=250, show_default=True, type=click.IntRange(1))
@as_json
@with_settings
def train(
    settings: Settings,
    config: Path | None,
    *,
    stage: str | None,
    adapter: bool,
    base: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one stage; run again after a stop, it goes on where it was.

    Several GPUs: `accelerate launch -m cli model train ...`.
    """
    from model.train.stages import Stage, StageOptions, run_stage

    del config
    if (stage is None) is not adapter:
        raise click.UsageError("Name --stage 1, --stage 2 or --adapter.")

    def report(progress: Any) -> None:
        if as_json:
            click.echo(json.dumps(asdict(progress)))
        else:
            click.echo(
                f"step {progress.step} of {progress.steps}  loss {progress.loss:.4f}  "
                f"rate {progress.rate:.2e}  {progress.seconds:.0f} s",
                err=True,
            )

    done = run_stage(
        StageOptions(
            stage=Stage(stage) if stage else Stage.ADAPTER,
            base=base or settings.checkpoint_folder,
            **options,
        ),
        report,
    )
    if as_json:
        print_json({**asdict(done), "folder": str(done.folder)})
    else:
        click.echo(f"{done.folder}: {done.steps} steps, loss {done.loss:.4f}")


COMMANDS = (train,)
