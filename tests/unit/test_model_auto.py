"""Other models in BiMediX2's place: loaded by their folder alone, asked by their own template."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from harness.other_models import write_gemma3, write_idefics3, write_llama
from PIL import Image
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from cli.main import taqrir
from core.drafting import DraftContext, DraftRequest, ModelImage
from core.errors import CheckpointError, DraftCancelledError, PermanentError, TransientError
from core.report import FrameReference
from core.settings_file import load
from model.auto import AutoEngine
from model.auto_folder import inspect_auto, is_for_auto
from model.demo import CHECKPOINT
from model.generation import GenerationRequest
from model.opening import check_models, open_drafter

FRAME = FrameReference(series_uid="1.2", sop_class_uid="1.3", sop_instance_uid="1.4")
WRITERS = {"gemma3": write_gemma3, "idefics3": write_idefics3}
QUESTION = "Report <image> <end_of_turn> please?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {name: write(root / name) for name, write in WRITERS.items()}
    return {**made, "llama": write_llama(root / "llama")}


def picture(seed: int) -> ModelImage:
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 44, 3)).astype(np.uint8)
    return ModelImage(pixels=pixels, frame=FRAME, is_orientation_known=True)


def expected(folder: Path, text: str, pictures: list[ModelImage], count: int) -> list[int]:
    """Return the tokens that transformers makes, asked as its documentation shows it."""
    processor = AutoProcessor.from_pretrained(folder)
    content: list[dict[str, Any]] = [
        {"type": "image", "image": Image.fromarray(one.pixels)} for one in pictures
    ]
    content.append({"type": "text", "text": text})
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content if pictures else text}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    kind: Any = AutoModelForImageTextToText if pictures else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    made = model.generate(**inputs, max_new_tokens=count, do_sample=False)
    return list(made[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("name", WRITERS)
def test_a_model_of_another_kind_answers_as_transformers_itself_lets_it(
    folders: dict[str, Path], name: str
) -> None:
    engine = AutoEngine(folders[name], device="cpu")
    pictures = [picture(1), picture(2)]

    done = engine.generate(QUESTION, pictures, 14)

    # Marks in a question are told apart from the template's own.
    harmless = "Report < image> < end_of_turn> please?"
    made = expected(folders[name], harmless, pictures, 14)
    tokenizer = engine.load().tokenizer
    text = tokenizer.decode(made, skip_special_tokens=True).rstrip("\N{REPLACEMENT CHARACTER}")
    assert (done.text, done.token_count) == (text, len(made))
    assert len(done.log_probabilities) == len(made)
    assert engine.generate(QUESTION, pictures[::-1], 14).log_probabilities != done.log_probabilities


def test_a_language_model_answers_without_pictures(folders: dict[str, Path]) -> None:
    engine = AutoEngine(folders["llama"], device="cpu", needs_images=False)
    done = engine.generate("Translate: Clear.", [], 14)
    made = expected(folders["llama"], "Translate: Clear.", [], 14)
    assert done.token_count == len(made)
    later = engine.submit(
        GenerationRequest(question="Shorter.", history=(("A?", "B."),), max_new_tokens=4)
    )
    assert later.result(30).token_count <= 4


def test_a_folders_own_decoding_has_no_say(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = AutoEngine(folders["llama"], device="cpu", needs_images=False)
    folder = Path(shutil.copytree(folders["llama"], tmp_path / "llama"))
    own = {"num_beams": 2, "repetition_penalty": 1.8, "do_sample": True, "top_p": 0.001}
    (folder / "generation_config.json").write_text(json.dumps(own))
    other = AutoEngine(folder, device="cpu", needs_images=False)
    for draw in (0, 1):
        asked = GenerationRequest(question="Clear.", max_new_tokens=14, draw=draw)
        one, two = (engine.submit(asked).result(30) for engine in (plain, other))
        assert one.log_probabilities == two.log_probabilities


def test_what_is_drawn_comes_again_by_its_seed(folders: dict[str, Path]) -> None:
    engine = AutoEngine(folders["llama"], device="cpu", needs_images=False)
    texts = [
        engine.submit(GenerationRequest(question="Clear.", max_new_tokens=14, draw=draw)).result(30)
        for draw in (0, 1, 2, 1, 0)
    ]
    assert texts[0] == texts[4]
    assert texts[1] == texts[3]
    assert len({one.text for one in texts}) == 3


def test_which_folder_is_for_whom(folders: dict[str, Path]) -> None:
    assert [is_for_auto(folders[name]) for name in folders] == [True, True, True]
    assert not is_for_auto(CHECKPOINT)
    assert not is_for_auto(CHECKPOINT / "nowhere")


def test_what_cannot_be_answered_is_refused(folders: dict[str, Path]) -> None:
    engine = AutoEngine(folders["gemma3"], device="cpu", time_limit_seconds=0.0)
    with pytest.raises(PermanentError, match="picture"):
        engine.generate("?", [])
    with pytest.raises(PermanentError, match="adapter"):
        engine.version_of("chest")
    with pytest.raises(PermanentError, match="Fewer pictures"):
        engine.generate("x" * 5000, [picture(1)])
    with pytest.raises(TransientError, match="longer than 0 s"):
        engine.generate("?", [picture(1)])
    gone = threading.Event()
    gone.set()
    asked = GenerationRequest(question="?", images=(picture(1),), cancelled=gone)
    with pytest.raises(DraftCancelledError):
        engine.submit(asked).result(30)


def _damage(folder: Path, file: str, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))


def test_a_folder_that_cannot_be_loaded_is_told_before_its_weights_are_read(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def copy(name: str) -> Path:
        folder = Path(shutil.copytree(folders["idefics3"], tmp_path / name))
        (folder / "model.safetensors").unlink()
        return folder

    untemplated, unknown, alien = copy("untemplated"), copy("unknown"), copy("alien")
    (untemplated / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match="no chat template"):
        inspect_auto(untemplated)
    _damage(unknown, "config.json", lambda content: content.update(model_type="phi3_v"))
    with pytest.raises(CheckpointError, match="phi3_v"):
        inspect_auto(unknown)
    _damage(alien, "config.json", lambda content: content.update(model_type="bert"))
    with pytest.raises(CheckpointError, match="A server may run it"):
        inspect_auto(alien)
    with pytest.raises(CheckpointError, match="that answers questions about pictures"):
        inspect_auto(folders["llama"])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        AutoEngine(copy("weightless"), device="cpu").load()


def test_a_processor_that_needs_torchvision_is_named_before_a_load(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["idefics3"], tmp_path / "smolvlm"))
    (folder / "model.safetensors").unlink()
    _damage(folder, "config.json", lambda content: content.update(model_type="smolvlm"))
    for file in ("processor_config.json", "tokenizer_config.json"):
        _damage(folder, file, lambda content: content.update(processor_class="SmolVLMProcessor"))
    video = {"video_processor_type": "SmolVLMVideoProcessor"}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    with pytest.raises(CheckpointError, match="install the torchvision"):
        taqrir.main(["model", "info", str(folder)], standalone_mode=False)


def test_info_shows_a_model_of_another_kind(folders: dict[str, Path]) -> None:
    shown = CliRunner().invoke(taqrir, ["model", "info", str(folders["gemma3"])])
    assert shown.exit_code == 0
    assert "Gemma3ForConditionalGeneration" in shown.output
    assert "Gemma3Processor" in shown.output


def test_the_settings_alone_put_them_in_place(folders: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "taqrir.toml"
    config.write_text(
        f'[model]\npath = "{folders["gemma3"]}"\ndevice = "cpu"\nmax_new_tokens = 16\n'
        f'[model.text]\npath = "{folders["llama"]}"\ntasks = ["translate", "summarize"]\n'
    )
    settings = load(config, {})
    check_models(settings)
    drafter = open_drafter(settings)

    report = drafter.draft(DraftRequest(images=(picture(1),), context=DraftContext()))

    assert report.model.name == "gemma3 + llama"
    assert report.model.revision.count("+") == 1
    # Random weights write nothing that is fit to be sent.
    assert report.blocking
