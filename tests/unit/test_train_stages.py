"""LLaVA's two stages on a tiny checkpoint: what is touched, what comes out, how it goes on."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from harness.checkpoints import make_tokenizer
from harness.tiny_checkpoint import save_tiny
from PIL import Image

from cli.model import model as model_command
from core.drafting import ModelImage
from core.errors import PermanentError, TrainingDataError
from core.report import FrameReference
from model.checkpoint import load_checkpoint
from model.engine import Engine
from model.train.loop import Progress
from model.train.stages import LINEAR, Stage, StageOptions, run_stage


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    save_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    records = []
    for index in range(6):
        pixels = rng.integers(0, 255, (20, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        records.append(
            {
                "id": index,
                "image": f"{index}.png",
                "language": "en",
                "conversations": [
                    {"from": "human", "value": "<image>\nWhat?"},
                    {"from": "gpt", "value": "Clear." if index % 2 else "Masses"},
                ],
            }
        )
    (folder / "talk.json").write_text(json.dumps(records), encoding="utf-8")
    return folder / "talk.json"


def options(stage: Stage, base: Path, data: Path, out: Path, **changes: Any) -> StageOptions:
    settings: dict[str, Any] = {"batch": 3, "epochs": 2, "rate": 5e-3, "device": "cpu", "seed": 4}
    return StageOptions(stage=stage, base=base, data=data, out=out, **{**settings, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor.clone()
        for name, tensor in load_checkpoint(folder, "cpu").model.state_dict().items()
    }


def changed(before: Path, after: Path) -> set[str]:
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    return {name for name in old if not torch.equal(old[name], new[name])}


def test_stage_1_touches_the_projector_and_no_weight_of_the_language_model_or_the_tower(
    base: Path, data: Path, tmp_path: Path
) -> None:
    done = run_stage(options(Stage.PROJECTOR, base, data, tmp_path / "one"))

    touched = changed(base, done.folder)
    assert touched
    assert all("multi_modal_projector" in name for name in touched)
    assert done.samples == 6
    assert done.steps == 4


def test_stage_2_touches_every_linear_of_the_language_model_and_no_weight_of_the_tower(
    base: Path, data: Path, tmp_path: Path
) -> None:
    done = run_stage(options(Stage.LORA, base, data, tmp_path / "two"))

    touched = changed(base, done.folder)
    layers = load_checkpoint(base, "cpu").model.config.text_config.num_hidden_layers
    linear = {n for n in touched if n.endswith(tuple(f"{part}.weight" for part in LINEAR))}
    assert len(linear) == layers * len(LINEAR)
    assert all("language_model" in name for name in linear)
    rest = touched - linear
    assert rest
    assert all("multi_modal_projector" in name for name in rest)


def test_a_sites_adapter_leaves_the_projector_too(base: Path, data: Path, tmp_path: Path) -> None:
    done = run_stage(options(Stage.ADAPTER, base, data, tmp_path / "site"))
    touched = changed(base, done.folder)
    assert touched
    assert not [name for name in touched if "language_model" not in name]
    card = (done.folder / "README.md").read_text()
    assert done.data_sha256 in card
    assert str(tmp_path) not in card


def test_the_merged_and_the_unmerged_adapter_say_the_same(
    base: Path, data: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    done = run_stage(options(Stage.LORA, base, data, tmp_path / "two", epochs=6))
    merged = load_checkpoint(done.folder, "cpu")
    plain = load_checkpoint(base, "cpu")
    with warnings.catch_warnings():
        # PEFT asks transformers for a property that has a new name there.
        warnings.filterwarnings(
            "ignore", message=".*is_gradient_checkpointing", category=FutureWarning
        )
        unmerged = PeftModel.from_pretrained(plain.model, done.folder).eval()
    marks = plain.geometry.token_count
    ids = torch.tensor([[3, 4, 5, *[plain.model.config.image_token_id] * marks, 6, 7]])
    size = plain.geometry.size
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        said, wanted, before = (
            m(input_ids=ids, pixel_values=pixels).logits
            for m in (merged.model, unmerged, load_checkpoint(base, "cpu").model)
        )
    torch.testing.assert_close(said, wanted, atol=1e-4, rtol=1e-4)
    assert (said - before).abs().max() > 1e-2
    image = ModelImage(
        pixels=np.full((20, 20, 3), 90, dtype=np.uint8),
        frame=FrameReference(series_uid="1", sop_class_uid="2", sop_instance_uid="3"),
        is_orientation_known=True,
    )
    assert Engine(done.folder, device="cpu", max_new_tokens=5).generate("What?", [image]).text


def test_variants_are_trained_on_and_counted_apart(base: Path, data: Path, tmp_path: Path) -> None:
    records = json.loads(data.read_text(encoding="utf-8"))
    records[0]["conversations"][0]["value"] += "\n\nFindings:\nRight mass."
    records[0]["conversations"][1]["value"] = "Right mass"
    sided = data.with_name("sided.json")
    sided.write_text(json.dumps(records), encoding="utf-8")

    done = run_stage(options(Stage.ADAPTER, base, sided, tmp_path / "site", variants=3))

    assert (done.samples, done.variants, done.steps) == (6, 1, 5)
    assert "and\n  1 variants of them" in (done.folder / "README.md").read_text()


@pytest.mark.parametrize("variants", [0, 2])
def test_a_stopped_training_goes_on_to_the_same_losses_and_weights(
    base: Path, data: Path, tmp_path: Path, variants: int
) -> None:
    whole: list[Progress] = []
    settings = {"epochs": 10, "save_every": 5, "variants": variants}
    first = run_stage(options(Stage.LORA, base, data, tmp_path / "whole", **settings), whole.append)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 10:
            raise Stop

    stopped = options(Stage.LORA, base, data, tmp_path / "stopped", **settings)
    with pytest.raises(Stop):
        run_stage(stopped, stop)
    assert not stopped.out.exists()
    resumed: list[Progress] = []
    second = run_stage(stopped, resumed.append)

    assert [p.step for p in resumed] == [10, 20]
    assert [p.loss for p in resumed] == [p.loss for p in whole]
    assert second.loss == first.loss
    assert changed(first.folder, second.folder) == set()
    assert not stopped.work.exists()


def test_pieces_of_a_step_give_the_step_that_the_whole_gives(
    base: Path, data: Path, tmp_path: Path
) -> None:
    # All answers of one length, so that the mean over pieces is the mean over all.
    one, other = (
        weights(
            run_stage(
                options(Stage.PROJECTOR, base, data, tmp_path / f"{n}", batch=2, accumulation=n)
            ).folder
        )
        for n in (1, 2)
    )
    name = next(n for n in one if n.endswith("multi_modal_projector.linear_1.weight"))
    before = weights(base)[name]
    assert (one[name] - other[name]).abs().max() < 0.02 * (one[name] - before).abs().max()


def test_a_state_of_another_training_and_a_folder_that_is_there_are_refused(
    base: Path, data: Path, tmp_path: Path
) -> None:
    done = run_stage(options(Stage.PROJECTOR, base, data, tmp_path / "one"))
    with pytest.raises(PermanentError, match="there already"):
        run_stage(options(Stage.PROJECTOR, base, data, done.folder))
    other = options(Stage.PROJECTOR, base, data, tmp_path / "two")
    other.work.mkdir()
    torch.save(
        {"stage": "stage 2", "step": 1, "weights": {}, "optimisers": []}, other.work / "state.pt"
    )
    with pytest.raises(PermanentError, match="another training"):
        run_stage(other)


def test_the_command_tells_its_progress_and_faults_of_the_data(
    base: Path, data: Path, tmp_path: Path
) -> None:
    told = ["train", "--base", str(base), "--out", str(tmp_path / "out"), "--batch", "2", "--json"]
    done = CliRunner().invoke(model_command, [*told, "--stage", "1", "--data", str(data)])
    assert done.exit_code == 0, done.output
    progress = json.loads(done.output.splitlines()[0])
    assert {"stage", "step", "steps", "loss", "rate", "seconds"} == progress.keys()
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    failed = CliRunner().invoke(
        model_command, [*told[:4], str(tmp_path / "x"), "--stage", "1", "--data", str(broken)]
    )
    assert isinstance(failed.exception, TrainingDataError)
    both = CliRunner().invoke(
        model_command, [*told, "--stage", "1", "--adapter", "--data", str(data)]
    )
    assert both.exit_code == 2


def test_the_tokenizer_of_a_stage_1_checkpoint_is_that_of_its_base(
    base: Path, data: Path, tmp_path: Path
) -> None:
    done = run_stage(options(Stage.PROJECTOR, base, data, tmp_path / "one"))
    own = load_checkpoint(done.folder, "cpu").tokenizer
    assert own.encode("mass") == make_tokenizer(has_image=True).encode("mass")
